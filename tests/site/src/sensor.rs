//! A sensor between the air and the node: slow, noisy, drifting, and sometimes broken.
//!
//! First-order lag with the data sheet's T90, Gaussian noise, zero drift, and the conditions that people and
//! time bring about. Pure: time comes in as seconds, chance from the caller's generator.

use rand::{Rng, RngExt};

/// What a sensor can be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It works.
    Working,
    /// It repeats its last output.
    Stuck,
    /// Its cable is cut.
    WireBreak,
    /// It is warming up after power came back.
    WarmingUp,
    /// A balloon over it: it sees the air of the moment it was covered, without noise.
    Covered,
}

/// How a sensor type behaves.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    /// Time to 90 % of a step.
    pub t90_s: f64,
    /// Standard deviation of the noise, in the channel's unit.
    pub noise: f64,
    /// Zero drift, in the channel's unit a day.
    pub drift_per_day: f64,
}

/// One sensor.
#[derive(Debug, Clone)]
pub struct Sensor {
    behaviour: Behaviour,
    condition: Condition,
    seen: f64,
    drift: f64,
    output: f64,
}

impl Sensor {
    /// A working sensor that has long seen `level`.
    pub fn new(behaviour: Behaviour, level: f64) -> Sensor {
        Sensor { behaviour, condition: Condition::Working, seen: level, drift: 0.0, output: level }
    }

    /// Breaks or mends it.
    pub fn set_condition(&mut self, condition: Condition) {
        self.condition = condition;
    }

    /// What it is like.
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// Lets it see `level` for a while and gives what it puts out, in the channel's unit.
    pub fn advance(&mut self, level: f64, seconds: f64, chance: &mut impl Rng) -> f64 {
        self.drift += self.behaviour.drift_per_day * seconds / 86_400.0;
        if self.condition == Condition::Covered || self.condition == Condition::Stuck {
            return self.output;
        }
        // T90 of a first-order lag is ln(10) time constants.
        let time_constant_s = self.behaviour.t90_s / std::f64::consts::LN_10;
        self.seen += (level - self.seen) * (1.0 - (-seconds / time_constant_s).exp());
        self.output = self.seen + self.drift + self.behaviour.noise * gaussian(chance);
        self.output
    }
}

/// A standard normal number (Box and Muller).
fn gaussian(chance: &mut impl Rng) -> f64 {
    let radius: f64 = chance.random_range(f64::MIN_POSITIVE..1.0);
    let angle: f64 = chance.random_range(0.0..std::f64::consts::TAU);
    (-2.0 * radius.ln()).sqrt() * angle.cos()
}

#[cfg(test)]
mod tests;
