//! What a node must have done since the watchdog was last fed.
//!
//! A board feeds its watchdog when [`Duties::take_all_done`] says so and nowhere else: a node that answers the gateway but
//! no longer samples is worse than one that resets.

/// One thing a node must keep doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Duty {
    /// Listen to the sensor, or find that it is silent.
    Sample = 0b001,
    /// Look for a request on the field bus, and answer it.
    Answer = 0b010,
    /// Bring sounder and beacon into the state they must have.
    Annunciate = 0b100,
}

/// Which duties have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Duties(u8);

impl Duties {
    /// None has run yet.
    pub const fn new() -> Duties {
        Duties(0)
    }

    /// This one has run.
    pub const fn done(&mut self, duty: Duty) {
        self.0 |= duty as u8;
    }

    /// True when every duty has run since this was last true.
    pub const fn take_all_done(&mut self) -> bool {
        let all = self.0 == Duty::Sample as u8 | Duty::Answer as u8 | Duty::Annunciate as u8;
        if all {
            self.0 = 0;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_only_when_every_duty_has_run() {
        let mut duties = Duties::new();
        for duty in [Duty::Sample, Duty::Answer, Duty::Answer] {
            duties.done(duty);
            assert!(!duties.take_all_done());
        }
        duties.done(Duty::Annunciate);
        assert!(duties.take_all_done());
        assert!(!duties.take_all_done(), "and then each must run anew");
    }
}
