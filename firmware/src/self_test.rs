//! The node doubts its own sensors: below range, over range (latching), stuck, starved of oxygen.

use measurement::{Doubt, Fault, MonotonicMs, Outcome, Value};

use crate::conversion::Converted;

/// What one channel's self-test is told about its sensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SelfTestSettings {
    /// Measuring range in the channel's unit.
    pub range: (f32, f32),
    /// Below the range by more than this it is a fault; below the range by less, a doubt.
    pub below_tolerance: f32,
    /// A value that does not move by more than `stuck_step` for this long is stuck; zero switches it off.
    pub stuck_after_ms: u64,
    /// See `stuck_after_ms`. Below the noise that a working sensor always has.
    pub stuck_step: f32,
    /// A catalytic bead, which reads low without oxygen and after gas beyond its range.
    pub catalytic: bool,
}

/// Below this much oxygen, %vol, a catalytic bead cannot burn (faults seen at 10 to 11 %vol).
const STARVED_BELOW_PERCENT: f32 = 11.0;

/// Remembers what one sensor did.
#[derive(Debug, Clone)]
pub struct SelfTest {
    settings: SelfTestSettings,
    over_range: bool,
    resting: Option<(Value, MonotonicMs)>,
}

impl SelfTest {
    /// A test that has seen nothing.
    pub const fn new(settings: SelfTestSettings) -> SelfTest {
        SelfTest { settings, over_range: false, resting: None }
    }

    /// A person has checked the sensor with gas and resets the over-range latch.
    pub fn reset(&mut self) {
        self.over_range = false;
    }

    /// The sensor was over range in the life before this one.
    pub const fn latch(&mut self) {
        self.over_range = true;
    }

    /// True while the sensor was once over range and nobody has reset it.
    pub const fn is_latched(&self) -> bool {
        self.over_range
    }

    /// Looks at the next outcome. `oxygen_percent` is the same air's oxygen where the node measures it.
    pub fn observe(&mut self, converted: Converted, oxygen_percent: Option<f32>, now: MonotonicMs) -> Outcome {
        let Converted { outcome, uncalibrated } = converted;
        let Outcome::Good(value) = outcome else {
            self.resting = None;
            return outcome;
        };
        let (low, high) = self.settings.range;
        // It is the sensor that has a range, whatever a calibration makes of its number; many show its very end for all that is beyond.
        if uncalibrated >= high || value.get() > high {
            self.over_range = true;
            return Outcome::Uncertain(value, Doubt::OverRange);
        }
        if self.over_range && self.settings.catalytic {
            // Past its range a bead reads low again while the air is still explosive.
            return Outcome::Uncertain(value, Doubt::OverRangeLatched);
        }
        if value.get() < low - self.settings.below_tolerance {
            return Outcome::Bad(Fault::BelowRange);
        }
        if self.settings.catalytic && oxygen_percent.is_some_and(|oxygen| oxygen < STARVED_BELOW_PERCENT) {
            return Outcome::Uncertain(value, Doubt::OxygenStarved);
        }
        if self.is_stuck(value, now) {
            return Outcome::Uncertain(value, Doubt::Stuck);
        }
        if value.get() < low { Outcome::Uncertain(value, Doubt::UnderRange) } else { outcome }
    }

    fn is_stuck(&mut self, value: Value, now: MonotonicMs) -> bool {
        if self.settings.stuck_after_ms == 0 {
            return false;
        }
        match self.resting {
            Some((at, since)) if (value.get() - at.get()).abs() <= self.settings.stuck_step => {
                now.since(since) >= self.settings.stuck_after_ms
            }
            _ => {
                self.resting = Some((value, now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
