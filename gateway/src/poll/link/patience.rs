//! How long to wait for an answer: what each unit's answers took, and what the line's others take.

use std::collections::HashMap;
use std::time::Duration;

/// After so many answers a unit's own pace is known.
const KNOWN_AFTER: u32 = 4;
/// A unit that has missed so often is only probed.
const PROBED_AFTER: u32 = 3;
/// One probe in so many waits as long as the site file allows, for a unit that is slower than all others.
const FULL_PROBE: u32 = 32;

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
        let (answers, misses) = habit.map_or((0, 0), |habit| (habit.answers, habit.misses));
        let own = habit.filter(|habit| habit.answers >= KNOWN_AFTER).map(|habit| habit.slowest);
        let wait = match own {
            _ if misses >= PROBED_AFTER && misses % FULL_PROBE == 0 => self.most,
            Some(slowest) if misses < PROBED_AFTER => (slowest * 4 + Duration::from_millis(50)) * (misses + 1),
            Some(slowest) => slowest * 2 + Duration::from_millis(20),
            // It has not been heard often enough to know its pace: at first it gets all the time there is.
            None if misses < PROBED_AFTER || answers > 0 => self.most,
            None => self.slowest_known().map_or(self.most, |slowest| slowest * 2 + Duration::from_millis(20)),
        };
        wait.min(self.most)
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

    #[test]
    fn a_unit_nobody_knows_gets_all_the_time_there_is() {
        assert_eq!(Patience::new(MOST).with(1), MOST);
        assert_eq!(line().with(2), MOST);
    }

    #[test]
    fn a_known_unit_is_given_some_times_its_pace_and_more_after_a_miss() {
        let mut patience = line();
        let first = patience.with(1);
        assert!(first > PACE * 4 && first < MOST / 2, "{first:?}");
        patience.missed(1);
        assert!(patience.with(1) > first);
    }

    #[test]
    fn a_dead_unit_costs_little() {
        let mut patience = line();
        for dead in [1, 2] {
            (0..PROBED_AFTER).for_each(|_| patience.missed(dead));
            assert!(patience.with(dead) <= PACE * 3, "{:?}", patience.with(dead));
        }
    }

    #[test]
    fn now_and_then_a_dead_unit_is_waited_for_as_long_as_allowed() {
        let mut patience = line();
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
        let after = patience.with(1);
        (0..100).for_each(|_| patience.answered(1, PACE));
        assert!(patience.with(1) < after);
    }
}
