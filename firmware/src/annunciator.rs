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

    /// The levels of both.
    const fn and(self, other: LocalAlarm) -> LocalAlarm {
        LocalAlarm { low: self.low || other.low, high: self.high || other.high, latched: false }
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
    /// The levels that no value ends: exceeded while the alarm latched, and not reset since. `latched` means nothing here.
    held: LocalAlarm,
    shown: LocalAlarm,
    over_range: bool,
    is_new: bool,
}

impl Annunciator {
    /// An alarm with up to two levels. A latching one is held until [`Annunciator::reset`].
    pub fn new(low: Option<Limit>, high: Option<Limit>, latching: bool) -> Annunciator {
        let none = LocalAlarm::default();
        let (low, high) = (low.map(LimitMonitor::new), high.map(LimitMonitor::new));
        Annunciator { low, high, latching, held: none, shown: none, over_range: false, is_new: false }
    }

    /// Takes the next outcome. A fault changes no level: it neither raises nor clears.
    pub fn observe(&mut self, outcome: Outcome, at: Timestamp) -> LocalAlarm {
        let before = self.exceeded();
        for monitor in [&mut self.low, &mut self.high].into_iter().flatten() {
            match outcome {
                // Over range counts as high whatever the number says, and is not cleared by a low number after it.
                Outcome::Uncertain(_, Doubt::OverRange | Doubt::OverRangeLatched) => {
                    *monitor = LimitMonitor::resumed(*monitor.limit(), true);
                }
                Outcome::Good(value) | Outcome::Uncertain(value, _) => drop(monitor.observe(value, at)),
                Outcome::Bad(_) => {}
            }
        }
        let now = self.exceeded();
        let over_range = match outcome {
            Outcome::Good(_) | Outcome::Uncertain(..) => matches!(outcome, Outcome::Uncertain(_, Doubt::OverRange)),
            Outcome::Bad(_) => self.over_range,
        };
        self.is_new = now.low && !before.low || now.high && !before.high || over_range && !self.over_range;
        self.over_range = over_range;
        if self.latching {
            self.held = self.held.and(now);
        }
        self.show(now);
        self.shown
    }

    /// True when the last outcome exceeded a level that was not exceeded before, or left the range anew: a person must hear it,
    /// whatever the latch already holds.
    pub const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Other settings are in force. What was exceeded stays so until a value is inside the new release, and what was latched until a
    /// person resets it: a change of settings ends no alarm by itself.
    pub fn reconfigure(&mut self, low: Option<Limit>, high: Option<Limit>, latching: bool) {
        let exceeded = self.exceeded();
        let resumed = |limit: Option<Limit>, exceeded| limit.map(|limit| LimitMonitor::resumed(limit, exceeded));
        (self.low, self.high, self.latching) = (resumed(low, exceeded.low), resumed(high, exceeded.high), latching);
    }

    /// A person resets the latch.
    pub fn reset(&mut self) {
        self.held = LocalAlarm::default();
        self.show(self.exceeded());
    }

    /// The levels that only a person ends.
    pub const fn held(&self) -> LocalAlarm {
        self.held
    }

    /// Holds these levels as the life before this one did.
    pub fn hold(&mut self, held: LocalAlarm) {
        self.held = held;
        self.show(self.exceeded());
    }

    /// What it shows.
    pub const fn shown(&self) -> LocalAlarm {
        self.shown
    }

    fn show(&mut self, now: LocalAlarm) {
        let latched = self.held.low && !now.low || self.held.high && !now.high;
        self.shown = LocalAlarm { latched, ..self.held.and(now) };
    }

    fn exceeded(&self) -> LocalAlarm {
        let exceeded = |monitor: &Option<LimitMonitor>| monitor.as_ref().is_some_and(LimitMonitor::is_exceeded);
        LocalAlarm { low: exceeded(&self.low), high: exceeded(&self.high), latched: false }
    }
}

#[cfg(test)]
mod tests;
