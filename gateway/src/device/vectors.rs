//! A profile's own tests: register images, and what must be read from them.

use std::collections::BTreeMap;

use measurement::Outcome;

use super::read::number_written;
use super::{Block, Profile, StatedUnit, Vector, Words};

impl Profile {
    /// Runs the vectors. Each failure is a sentence.
    pub fn test(&self) -> Vec<String> {
        self.vectors.iter().flat_map(|vector| self.failures_of(vector)).collect()
    }

    fn failures_of(&self, vector: &Vector) -> Vec<String> {
        let mut failures = Vec::new();
        let mut image = Words::default();
        for (functions, words) in [(&[3, 4][..], &vector.words), (&[1], &vector.coils), (&[2], &vector.inputs)] {
            fill(&mut image, functions, words, self.address_base, &mut |why| failures.push(format!("{}: {why}", vector.name)));
        }
        for (key, expected) in &vector.expect {
            let found = self.read(key, &image);
            if !self.has(key) {
                failures.push(format!("{}: the profile has no value {key:?}; it has {}", vector.name, self.keys().join(", ")));
            } else if !matches_expectation(found, expected) {
                failures.push(format!("{}: {key} is {} where {expected} is expected", vector.name, described(found)));
            }
        }
        for (key, expected) in &vector.units {
            let found = match self.stated_unit(key, &image) {
                StatedUnit::Is(unit) => unit.symbol(),
                StatedUnit::None => "not stated",
                StatedUnit::Unknown => "unknown",
            };
            if found != expected {
                failures.push(format!("{}: the unit of {key} is {found} where {expected} is expected", vector.name));
            }
        }
        let found = self.serial(&image);
        if vector.serial.is_some() && found != vector.serial {
            let shown = |serial: &Option<String>| serial.as_ref().map_or("not there".to_owned(), |serial| format!("{serial:?}"));
            failures.push(format!("{}: the serial number is {} where {} is expected", vector.name, shown(&found), shown(&vector.serial)));
        }
        failures
    }
}

fn fill(image: &mut Words, functions: &[u8], words: &BTreeMap<String, Vec<u16>>, base: u8, wrong: &mut dyn FnMut(String)) {
    for (written, values) in words {
        let address = number_written(written).and_then(|address| u16::try_from(address).ok()?.checked_sub(base.into()));
        let Some(address) = address else {
            wrong(format!("{written:?} is not an address"));
            continue;
        };
        for function in functions {
            image.add(Block { function: *function, address, count: values.len() as u16 }, values);
        }
    }
}

fn described(outcome: Outcome) -> String {
    match outcome {
        Outcome::Good(value) => value.to_string(),
        Outcome::Uncertain(value, doubt) => format!("{value} {}", doubt.name()),
        Outcome::Bad(fault) => fault.name().to_owned(),
    }
}

fn matches_expectation(found: Outcome, expected: &toml::Value) -> bool {
    let close = |value: measurement::Value, number: f64| (f64::from(value.get()) - number).abs() <= number.abs() * 1e-5 + 1e-6;
    match (found, expected) {
        (Outcome::Good(value), toml::Value::Float(number)) => close(value, *number),
        (Outcome::Good(value), toml::Value::Integer(number)) => close(value, *number as f64),
        (Outcome::Uncertain(value, doubt), toml::Value::String(text)) => text
            .split_once(' ')
            .is_some_and(|(number, name)| name == doubt.name() && number.parse().is_ok_and(|number: f64| close(value, number))),
        (Outcome::Bad(fault), toml::Value::String(text)) => text == fault.name(),
        _ => false,
    }
}
