//! How long to wait for an answer. A unit that answers gets all the time the site file allows; one that has gone
//! silent is probed, and a probe waits little longer than answers have taken on this line.

use std::collections::HashMap;
use std::time::Duration;

/// After so many answers a unit's own pace is known.
const KNOWN_AFTER: u32 = 4;
/// A unit that has missed so often is only probed.
const PROBED_AFTER: u32 = 3;
/// For the device's thinking and our own host's.
pub const PROBE_MARGIN: Duration = Duration::from_millis(50);
/// One probe in so many waits as long as the site file allows, for a unit that is slower than all others.
pub const FULL_PROBE: u32 = 32;

/// What is known of the units on a line.
#[derive(Debug)]
pub struct Patience {
    most: Duration,
    units: HashMap<u8, Habit>,
}

#[derive(Debug, Default)]
struct Habit {
    /// The slowest of the recent answers.
    slowest: Duration,
    answers: u32,
    /// In a row.
    misses: u32,
}

impl Patience {
    /// Never waits longer than `most`.
    pub fn new(most: Duration) -> Patience {
        Patience { most, units: HashMap::new() }
    }

    /// How long to wait for this unit now.
    pub fn with(&self, unit: u8) -> Duration {
        let habit = self.units.get(&unit);
        let misses = habit.map_or(0, |habit| habit.misses);
        if misses < PROBED_AFTER || misses.is_multiple_of(FULL_PROBE) {
            return self.most;
        }
        let own = habit.filter(|habit| habit.answers >= KNOWN_AFTER).map(|habit| habit.slowest);
        let wait = own.or_else(|| self.slowest_known()).map_or(self.most, |slowest| slowest * 2 + PROBE_MARGIN);
        wait.min(self.most)
    }

    /// The longest that this unit's next answer is expected to take; `None` while too few have come.
    pub fn pace(&self, unit: u8) -> Option<Duration> {
        let habit = self.units.get(&unit).filter(|habit| habit.answers >= KNOWN_AFTER)?;
        Some((habit.slowest * 2 + PROBE_MARGIN).min(self.most))
    }

    /// When an answer of a unit that answers well is overdue; `None` when nothing is known of its pace, or it is silent.
    pub fn overdue(&self, unit: u8) -> Option<Duration> {
        self.pace(unit).filter(|_| self.units.get(&unit).is_some_and(|habit| habit.misses == 0))
    }

    /// It answered after so long.
    pub fn answered(&mut self, unit: u8, after: Duration) {
        let habit = self.units.entry(unit).or_default();
        // An outlier is forgotten over some dozens of answers.
        habit.slowest = after.max(habit.slowest * 15 / 16);
        habit.answers = habit.answers.saturating_add(1);
        habit.misses = 0;
    }

    /// It did not.
    pub fn missed(&mut self, unit: u8) {
        let habit = self.units.entry(unit).or_default();
        habit.misses = habit.misses.saturating_add(1);
    }

    fn slowest_known(&self) -> Option<Duration> {
        self.units.values().filter(|habit| habit.answers >= KNOWN_AFTER).map(|habit| habit.slowest).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(1);
    const PACE: Duration = Duration::from_millis(40);

    fn line() -> Patience {
        let mut patience = Patience::new(MOST);
        (0..KNOWN_AFTER).for_each(|_| patience.answered(1, PACE));
        patience
    }

    fn dead(patience: &mut Patience, unit: u8) {
        (0..PROBED_AFTER).for_each(|_| patience.missed(unit));
    }

    #[test]
    fn a_unit_that_answers_or_is_new_gets_all_the_time_there_is() {
        assert_eq!(Patience::new(MOST).with(1), MOST);
        assert_eq!((line().with(1), line().with(2)), (MOST, MOST));
    }

    #[test]
    fn a_dead_unit_costs_little() {
        let mut patience = line();
        for unit in [1, 2] {
            dead(&mut patience, unit);
            assert_eq!(patience.with(unit), PACE * 2 + PROBE_MARGIN);
        }
    }

    #[test]
    fn now_and_then_a_dead_unit_is_waited_for_as_long_as_allowed() {
        let mut patience = line();
        dead(&mut patience, 1);
        let full = (0..FULL_PROBE * 2).filter(|_| {
            patience.missed(1);
            patience.with(1) == MOST
        });
        assert_eq!(full.count(), 2);
    }

    #[test]
    fn a_slow_answer_is_remembered_for_a_while() {
        let mut patience = line();
        patience.answered(1, PACE * 4);
        dead(&mut patience, 2);
        let after = patience.with(2);
        (0..100).for_each(|_| patience.answered(1, PACE));
        assert!(patience.with(2) < after);
    }

    #[test]
    fn a_unit_that_is_back_gets_all_the_time_again() {
        let mut patience = line();
        dead(&mut patience, 1);
        patience.answered(1, PACE);
        assert_eq!(patience.with(1), MOST);
    }
}
