//! Assessed levels: the LEC product and the likelihood-severity matrices, with thresholds as data
//! (`collector/rule-packs/grading.toml`).

use crate::Level;
use serde::Deserialize;
use thiserror::Error;

const SHIPPED: &str = include_str!("../../rule-packs/grading.toml");

/// The square of this still fits the product's `u8`.
const LARGEST_MATRIX: u8 = 15;
const THRESHOLDS_RISE: &str = "thresholds must rise from yellow over orange to red";

/// The scales and thresholds of one grading file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grading {
    /// The LEC method.
    pub lec: LecScale,
    /// Likelihood-severity matrices by name.
    pub matrix: Vec<Matrix>,
}

/// D = L × E × C: the numbers allowed and what the product means.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LecScale {
    /// Where it comes from.
    pub source: String,
    /// Numbers that likelihood may take.
    pub likelihood: Vec<f32>,
    /// Numbers that exposure may take.
    pub exposure: Vec<f32>,
    /// Numbers that consequence may take.
    pub consequence: Vec<f32>,
    /// D at or above this is red.
    pub red_from: f32,
    /// D at or above this is orange.
    pub orange_from: f32,
    /// D at or above this is yellow.
    pub yellow_from: f32,
}

/// R = L × S, each from 1 to `size`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub source: String,
    /// The greatest likelihood and severity.
    pub size: u8,
    /// R at or above this is red.
    pub red_from: u8,
    /// R at or above this is orange.
    pub orange_from: u8,
    /// R at or above this is yellow.
    pub yellow_from: u8,
}

/// One LEC assessment.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Lec {
    /// How likely.
    pub likelihood: f32,
    /// How often people are there.
    pub exposure: f32,
    /// How bad.
    pub consequence: f32,
}

/// Why something cannot be graded.
#[derive(Debug, Error, PartialEq)]
pub enum GradingError {
    /// The file is not a grading file.
    #[error("grading file is not valid")]
    Parse(#[source] toml::de::Error),
    /// Thresholds or a size that could not work.
    #[error("grading file, {what}: {why}")]
    Unusable {
        /// `lec`, or the matrix.
        what: String,
        /// What would be right.
        why: &'static str,
    },
    /// A number that the scale does not know.
    #[error("{factor} {given} is not on the scale; it must be one of {allowed:?}")]
    NotOnScale {
        /// Which factor.
        factor: &'static str,
        /// What was given.
        given: f32,
        /// What would be right.
        allowed: Vec<f32>,
    },
    /// No such matrix.
    #[error("there is no matrix named {0:?}")]
    NoMatrix(String),
    /// Outside the matrix.
    #[error("likelihood {likelihood} and severity {severity} must each be from 1 to {size}")]
    OutsideMatrix {
        /// Given.
        likelihood: u8,
        /// Given.
        severity: u8,
        /// The greatest allowed.
        size: u8,
    },
}

impl Grading {
    /// The scales that come with Davy.
    pub fn shipped() -> Result<Grading, GradingError> {
        Grading::parse(SHIPPED)
    }

    /// Reads a grading file.
    pub fn parse(text: &str) -> Result<Grading, GradingError> {
        let grading: Grading = toml::from_str(text).map_err(GradingError::Parse)?;
        let unusable = |what: &str, why| Err(GradingError::Unusable { what: what.to_owned(), why });
        let lec = &grading.lec;
        if !(lec.red_from > lec.orange_from && lec.orange_from > lec.yellow_from) {
            return unusable("lec", THRESHOLDS_RISE);
        }
        for matrix in &grading.matrix {
            if !(1..=LARGEST_MATRIX).contains(&matrix.size) {
                return unusable(&matrix.name, "a matrix has a size from 1 to 15");
            }
            if !(matrix.red_from > matrix.orange_from && matrix.orange_from > matrix.yellow_from) {
                return unusable(&matrix.name, THRESHOLDS_RISE);
            }
        }
        Ok(grading)
    }

    /// The level of an LEC assessment, with its product.
    pub fn lec(&self, given: Lec) -> Result<(f32, Level), GradingError> {
        let scale = &self.lec;
        on_scale("likelihood", given.likelihood, &scale.likelihood)?;
        on_scale("exposure", given.exposure, &scale.exposure)?;
        on_scale("consequence", given.consequence, &scale.consequence)?;
        let product = given.likelihood * given.exposure * given.consequence;
        Ok((product, threshold(product, scale.red_from, scale.orange_from, scale.yellow_from)))
    }

    /// The level of a matrix assessment, with its product.
    pub fn matrix(&self, name: &str, likelihood: u8, severity: u8) -> Result<(u8, Level), GradingError> {
        let matrix = self.matrix.iter().find(|matrix| matrix.name == name).ok_or_else(|| GradingError::NoMatrix(name.to_owned()))?;
        let size = matrix.size;
        if !(1..=size).contains(&likelihood) || !(1..=size).contains(&severity) {
            return Err(GradingError::OutsideMatrix { likelihood, severity, size });
        }
        let product = likelihood * severity;
        Ok((product, threshold(product, matrix.red_from, matrix.orange_from, matrix.yellow_from)))
    }
}

fn on_scale(factor: &'static str, given: f32, allowed: &[f32]) -> Result<(), GradingError> {
    if allowed.contains(&given) { Ok(()) } else { Err(GradingError::NotOnScale { factor, given, allowed: allowed.to_vec() }) }
}

fn threshold<T: PartialOrd>(product: T, red: T, orange: T, yellow: T) -> Level {
    if product >= red {
        Level::Red
    } else if product >= orange {
        Level::Orange
    } else if product >= yellow {
        Level::Yellow
    } else {
        Level::Blue
    }
}

#[cfg(test)]
mod tests;
