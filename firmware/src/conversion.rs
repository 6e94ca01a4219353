//! Raw signals become numbers in the channel's unit, or faults.

use measurement::{Fault, Outcome};

/// What a board reads from a sensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Signal {
    /// A digital sensor's number, in the channel's unit before calibration.
    Number(f32),
    /// A current loop, mA.
    Milliampere(f32),
    /// The sensor says that it is warming up, or is known to.
    WarmingUp,
    /// A current loop whose transmitter is known to warm up, mA: no measurement, but a broken wire is still one.
    WarmingUpAt(f32),
    /// The sensor did not answer.
    NoAnswer,
    /// What it answered fails its own checksum.
    Garbled,
    /// The sensor reports its own failure.
    Failed,
}

/// What a loop current outside the measurement says, by its maker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopState {
    /// The transmitter reports its own failure.
    Failed,
    /// It warms up.
    WarmingUp,
    /// It is inhibited, in its menu, calibrated or under maintenance: no measurement.
    Inhibited,
    /// Its beam or its optics are blocked: it sees no gas.
    Blocked,
    /// Gas beyond the range.
    OverRange,
}

/// Where a loop current is a measurement and where a fault. Makers differ, so it is data of the model; see `loop_models`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoopBands {
    /// Below the lowest measurement the wire is broken, unless a state says otherwise; at or below this it is in any case. mA.
    pub broken_at: f32,
    /// The lowest current that is a measurement, mA.
    pub lowest: f32,
    /// The highest current that is a measurement, mA.
    pub highest: f32,
    /// At or above this the loop is shorted, unless a state says otherwise, mA.
    pub shorted_at: f32,
    /// Currents by which this maker says something: from, to (both included, mA), what.
    pub states: &'static [(f32, f32, LoopState)],
}

impl LoopBands {
    /// NAMUR NE 43: measurement 3.8 to 20.5 mA, failure at or below 3.6 and at or above 21 mA.
    pub const NE43: LoopBands = LoopBands { broken_at: 3.6, lowest: 3.8, highest: 20.5, shorted_at: 21.0, states: &[] };

    /// The fault that this current means, if it is one. Between the bands nobody knows what the loop means; the graver
    /// reading is the safe one.
    pub fn fault(&self, current: f32) -> Option<Fault> {
        if current.is_nan() {
            return Some(Fault::NotANumber);
        }
        match self.state(current) {
            Some(LoopState::Failed | LoopState::Blocked) => Some(Fault::SensorFailure),
            Some(LoopState::WarmingUp) => Some(Fault::WarmUp),
            Some(LoopState::Inhibited) => Some(Fault::Inhibited),
            Some(LoopState::OverRange) => None,
            None if current <= self.broken_at || current < self.lowest => Some(Fault::WireBreak),
            None if current >= self.shorted_at => Some(Fault::ShortCircuit),
            None => None,
        }
    }

    fn state(&self, current: f32) -> Option<LoopState> {
        self.states.iter().find(|(from, to, _)| (*from..=*to).contains(&current)).map(|(_, _, state)| *state)
    }
}

/// Zero and span of one channel, as the last calibration left them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Subtracted first, in the channel's unit.
    pub zero: f32,
    /// Multiplied next.
    pub span: f32,
    /// Change of the zero per kelvin from 20 °C, in the channel's unit.
    pub zero_per_kelvin: f32,
}

impl Calibration {
    /// Shows what the sensor says.
    pub const NONE: Calibration = Calibration { zero: 0.0, span: 1.0, zero_per_kelvin: 0.0 };

    /// The calibrated number.
    pub fn apply(&self, number: f32, celsius: f32) -> f32 {
        (number - self.zero - self.zero_per_kelvin * (celsius - 20.0)) * self.span
    }
}

/// What a signal says, before the self-tests look at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Converted {
    /// Calibrated.
    pub outcome: Outcome,
    /// The sensor's own number, in the channel's unit; NaN when there is none.
    pub uncalibrated: f32,
}

/// What a signal says.
pub fn convert(signal: Signal, calibration: &Calibration, bands: &LoopBands, range: (f32, f32), celsius: f32) -> Converted {
    match number(signal, bands, range) {
        Ok(number) => Converted { outcome: Outcome::measured(calibration.apply(number, celsius)), uncalibrated: number },
        Err(fault) => Converted { outcome: Outcome::Bad(fault), uncalibrated: f32::NAN },
    }
}

fn number(signal: Signal, bands: &LoopBands, range: (f32, f32)) -> Result<f32, Fault> {
    match signal {
        Signal::Number(number) => Ok(number),
        Signal::Milliampere(current) => from_loop(current, bands, range),
        Signal::WarmingUp => Err(Fault::WarmUp),
        Signal::WarmingUpAt(current) => Err(bands.fault(current).unwrap_or(Fault::WarmUp)),
        Signal::NoAnswer => Err(Fault::NotConnected),
        Signal::Garbled => Err(Fault::Corrupt),
        Signal::Failed => Err(Fault::SensorFailure),
    }
}

fn from_loop(current: f32, bands: &LoopBands, (low, high): (f32, f32)) -> Result<f32, Fault> {
    match bands.fault(current) {
        Some(fault) => Err(fault),
        // At the top of the range or above it the number lies there too, and the self-test calls it over range, which is high. Where a
        // maker says so by a fixed current, that one lies above 20 mA.
        None => Ok(low + (current - 4.0) / 16.0 * (high - low)),
    }
}

#[cfg(test)]
mod tests;
