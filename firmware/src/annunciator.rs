//! The local alarm: two levels that drive sounder and beacon, with no gateway present.

use measurement::{Doubt, Limit, LimitMonitor, Outcome, Timestamp};

/// What a channel's own alarm says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LocalAlarm {
    /// The first level is exceeded.
    pub low: bool,
    /// The second level is exceeded.
    pub high: bool,
    /// One of them is only held by the latch.
    pub latched: bool,
}

impl LocalAlarm {
    /// As in the register map: bit 0 low, 1 high, 2 latched.
    pub const fn bits(self) -> u8 {
        self.low as u8 | (self.high as u8) << 1 | (self.latched as u8) << 2
    }
}

/// The state a board's outputs must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outputs {
    /// Either level of any channel, until silenced.
    pub sounder: bool,
    /// The second level of any channel.
    pub beacon: bool,
    /// Some channel has no trusted value: unknown is worse than high, so it is shown too.
    pub fault: bool,
}

/// The alarm of one channel.
#[derive(Debug, Clone)]
pub struct Annunciator {
    low: Option<LimitMonitor>,
    high: Option<LimitMonitor>,
    latching: bool,
    shown: LocalAlarm,
}

impl Annunciator {
    /// An alarm with up to two levels. A latching one is held until [`Annunciator::reset`].
    pub fn new(low: Option<Limit>, high: Option<Limit>, latching: bool) -> Annunciator {
        Annunciator { low: low.map(LimitMonitor::new), high: high.map(LimitMonitor::new), latching, shown: LocalAlarm::default() }
    }

    /// Takes the next outcome. A fault changes no level: it neither raises nor clears.
    pub fn observe(&mut self, outcome: Outcome, at: Timestamp) -> LocalAlarm {
        let mut now = LocalAlarm::default();
        for (monitor, level) in [(&mut self.low, &mut now.low), (&mut self.high, &mut now.high)] {
            let Some(monitor) = monitor else { continue };
            match outcome {
                // Over range counts as high whatever the number says, and is not cleared by a low number after it.
                Outcome::Uncertain(_, Doubt::OverRange | Doubt::OverRangeLatched) => {
                    *monitor = LimitMonitor::resumed(*monitor.limit(), true);
                }
                Outcome::Good(value) | Outcome::Uncertain(value, _) => drop(monitor.observe(value, at)),
                Outcome::Bad(_) => {}
            }
            *level = monitor.is_exceeded();
        }
        self.shown = if self.latching {
            let held = (self.shown.low && !now.low) || (self.shown.high && !now.high);
            LocalAlarm { low: now.low || self.shown.low, high: now.high || self.shown.high, latched: held }
        } else {
            now
        };
        self.shown
    }

    /// Other settings are in force. What was exceeded stays so until a value is inside the new release: a change of settings
    /// ends no alarm by itself.
    pub fn reconfigure(&mut self, low: Option<Limit>, high: Option<Limit>, latching: bool) {
        let resumed = |limit: Option<Limit>, exceeded| limit.map(|limit| LimitMonitor::resumed(limit, exceeded));
        (self.low, self.high, self.latching) = (resumed(low, self.shown.low), resumed(high, self.shown.high), latching);
    }

    /// A person resets the latch.
    pub fn reset(&mut self) {
        let exceeded = |monitor: &Option<LimitMonitor>| monitor.as_ref().is_some_and(LimitMonitor::is_exceeded);
        self.shown = LocalAlarm { low: exceeded(&self.low), high: exceeded(&self.high), latched: false };
    }

    /// What it shows.
    pub const fn shown(&self) -> LocalAlarm {
        self.shown
    }
}

#[cfg(test)]
mod tests;
