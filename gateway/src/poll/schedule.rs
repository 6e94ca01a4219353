//! Which device is asked next: pure. Every device has its period; a silent one is asked rarely, so that it
//! never delays the others, and its silence is still reported every period.
//!
//! A period begins when the clock is a multiple of it, on every bus alike: one waking serves all that is due, and what
//! it brings is committed and sent together. To wake, and to write a block of flash, costs more than to ask.

/// Failures in a row after which a device is only probed.
const FAILURES_TO_OPEN: u32 = 3;
/// A silent device is probed after so many periods, at least and at most so many milliseconds apart.
const PROBE_PERIODS: u64 = 5;
const PROBE_LEAST_MS: u64 = 2_000;
pub const PROBE_MOST_MS: u64 = 10_000;

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Ask this device.
    Ask(usize),
    /// Report this device as silent without asking: it was silent when last probed.
    Assume(usize),
    /// Nothing is due before this time.
    Wait(u64),
}

#[derive(Debug)]
struct Slot {
    period_ms: u64,
    due: u64,
    failures: u32,
    probe_at: u64,
    /// Asked beside its period as often as this, when nobody else is due.
    hurry_ms: Option<u64>,
    asked_at: u64,
    /// Counts the questions of the bus: who was asked last.
    turn: u64,
}

impl Slot {
    fn is_silent(&self) -> bool {
        self.failures >= FAILURES_TO_OPEN
    }

    /// When it is due beside its period.
    fn extra(&self) -> Option<u64> {
        Some(self.asked_at + self.hurry_ms.filter(|_| !self.is_silent())?)
    }
}

/// The schedule of one bus.
#[derive(Debug)]
pub struct Schedule {
    slots: Vec<Slot>,
    is_flat_out: bool,
    turns: u64,
}

impl Schedule {
    /// Devices with these periods, all of them due at once and from then on when their periods begin.
    pub fn new(periods_ms: &[u64], now: u64) -> Schedule {
        let slot = |period_ms: &u64| Slot {
            period_ms: (*period_ms).max(1),
            due: now,
            failures: 0,
            probe_at: 0,
            hurry_ms: None,
            asked_at: now,
            turn: 0,
        };
        Schedule { slots: periods_ms.iter().map(slot).collect(), is_flat_out: false, turns: 0 }
    }

    /// Devices that are asked in turn, without a pause. The periods say only how often a silence is reported.
    pub fn flat_out(periods_ms: &[u64], now: u64) -> Schedule {
        Schedule { is_flat_out: true, ..Schedule::new(periods_ms, now) }
    }

    /// What to do at `now`. What costs no wire comes first; then the longest overdue, living devices before probes;
    /// then whoever is in a hurry, so that a hurry takes nothing from anybody.
    pub fn next(&self, now: u64) -> Next {
        let oldest = |wanted: &dyn Fn(&Slot) -> bool, order: &dyn Fn(&Slot) -> u64| {
            let found = self.slots.iter().enumerate().filter(|(_, slot)| wanted(slot)).min_by_key(|(_, slot)| order(slot));
            found.map(|(place, _)| place)
        };
        let due = |slot: &Slot| slot.due;
        if let Some(place) = oldest(&|slot| slot.is_silent() && slot.due <= now && slot.probe_at > now, &due) {
            return Next::Assume(place);
        }
        let asked = if self.is_flat_out {
            oldest(&|slot| !slot.is_silent() || slot.due <= now, &|slot| slot.turn)
        } else {
            oldest(&|slot| !slot.is_silent() && slot.due <= now, &due)
                .or_else(|| oldest(&|slot| slot.is_silent() && slot.due <= now, &due))
                .or_else(|| oldest(&|slot| slot.extra().is_some_and(|at| at <= now), &|slot| slot.asked_at))
        };
        match asked {
            Some(place) => Next::Ask(place),
            None => Next::Wait(self.slots.iter().flat_map(|slot| [Some(slot.due), slot.extra()]).flatten().min().unwrap_or(now + 1_000)),
        }
    }

    /// The device was asked (or assumed silent), begun at `began`; `answered` when it answered anything at all.
    pub fn done(&mut self, place: usize, began: u64, asked: bool, answered: bool) {
        let Some(slot) = self.slots.get_mut(place) else { return };
        // Missed slots are left out, not made up for: an overloaded bus must not fall further behind. Asked in a
        // hurry, before its time, a device keeps its time.
        if began >= slot.due {
            slot.due = (began / slot.period_ms + 1) * slot.period_ms;
        }
        if !asked {
            return;
        }
        self.turns += 1;
        (slot.turn, slot.asked_at) = (self.turns, began);
        slot.failures = if answered { 0 } else { slot.failures.saturating_add(1) };
        slot.probe_at = began + probe_period_ms(slot.period_ms);
    }

    /// From now on the device is asked so often as well, as far as that delays nobody; `None` ends the hurry.
    pub fn hurry(&mut self, place: usize, period_ms: Option<u64>) {
        if let Some(slot) = self.slots.get_mut(place) {
            slot.hurry_ms = period_ms.filter(|period_ms| *period_ms < slot.period_ms);
        }
    }

    /// True while a device is only probed.
    pub fn is_silent(&self, place: usize) -> bool {
        self.slots.get(place).is_some_and(Slot::is_silent)
    }
}

/// A silent device with this period is probed so often.
pub fn probe_period_ms(period_ms: u64) -> u64 {
    (period_ms * PROBE_PERIODS).clamp(PROBE_LEAST_MS, PROBE_MOST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_device_is_asked_once_a_period() {
        let mut schedule = Schedule::new(&[1000, 1000, 500], 0);
        let mut asked = [0; 3];
        for now in (0..10_000).step_by(10) {
            while let Next::Ask(place) = schedule.next(now) {
                asked[place] += 1;
                schedule.done(place, now, true, true);
            }
        }
        assert_eq!(asked, [10, 10, 20]);
    }

    #[test]
    fn everybody_is_due_at_once_and_then_together_with_the_other_buses() {
        for began in [0, 7, 1_999] {
            let mut schedule = Schedule::new(&[1_000, 500], began);
            for place in [0, 1] {
                assert_eq!(schedule.next(began), Next::Ask(place));
                schedule.done(place, began, true, true);
            }
            assert_eq!(schedule.next(began), Next::Wait((began / 500 + 1) * 500));
        }
    }

    #[test]
    fn a_silent_device_is_probed_rarely_and_reported_every_period() {
        let mut schedule = Schedule::new(&[1000], 0);
        let (mut asked, mut assumed) = (0, 0);
        for now in (0..60_000).step_by(10) {
            loop {
                let real = match schedule.next(now) {
                    Next::Ask(_) => true,
                    Next::Assume(_) => false,
                    Next::Wait(_) => break,
                };
                if real {
                    asked += 1
                } else {
                    assumed += 1
                }
                schedule.done(0, now, real, false);
            }
        }
        assert_eq!(asked + assumed, 60);
        assert!((3 + 9..=3 + 12).contains(&asked), "{asked}");
    }

    #[test]
    fn a_living_device_comes_before_a_probe() {
        let mut schedule = Schedule::new(&[1000, 1000], 0);
        for now in [0, 1000, 2000] {
            schedule.done(0, now, true, false);
            schedule.done(1, now, true, true);
        }
        assert_eq!(schedule.next(20_000), Next::Ask(1));
    }

    #[test]
    fn an_overloaded_bus_leaves_slots_out_and_does_not_fall_behind() {
        let mut schedule = Schedule::new(&[100], 0);
        schedule.done(0, 1_050, true, true);
        assert_eq!(schedule.next(1_050), Next::Wait(1_100));
    }

    /// Runs a bus whose questions take so long each, and counts; `dead` devices cost their time and never answer.
    fn run(schedule: &mut Schedule, wire_ms: &[u64], dead: &[usize], until: u64) -> (Vec<u64>, Vec<u64>, u64) {
        let (mut asked, mut worst, mut busy) = (vec![0; wire_ms.len()], vec![0; wire_ms.len()], 0);
        let (mut now, mut last) = (0, vec![0; wire_ms.len()]);
        while now < until {
            match schedule.next(now) {
                Next::Wait(at) => now = at.max(now + 1),
                Next::Assume(place) => schedule.done(place, now, false, false),
                Next::Ask(place) => {
                    asked[place] += 1;
                    worst[place] = worst[place].max(now - last[place]);
                    last[place] = now;
                    let began = now;
                    now += wire_ms[place];
                    busy += wire_ms[place];
                    schedule.done(place, began, true, !dead.contains(&place));
                }
            }
        }
        (asked, worst, busy)
    }

    #[test]
    fn a_device_in_a_hurry_is_asked_as_often_as_it_may_and_the_others_as_before() {
        let (periods, wire) = ([1_000; 10], [40; 10]);
        let (calm, calm_worst, _) = run(&mut Schedule::new(&periods, 0), &wire, &[], 600_000);
        let mut schedule = Schedule::new(&periods, 0);
        schedule.hurry(3, Some(250));
        let (asked, worst, _) = run(&mut schedule, &wire, &[], 600_000);
        assert!((2_300..=2_400).contains(&asked[3]), "{asked:?}");
        for place in (0..10).filter(|place| *place != 3) {
            assert_eq!(asked[place], calm[place]);
            assert!(worst[place] <= calm_worst[place] + 40, "{} where {} was", worst[place], calm_worst[place]);
        }
    }

    #[test]
    fn on_a_full_wire_a_hurry_changes_nothing() {
        let (periods, wire) = ([1_000; 10], [100; 10]);
        let mut schedule = Schedule::new(&periods, 0);
        let calm = run(&mut Schedule::new(&periods, 0), &wire, &[], 100_000);
        schedule.hurry(3, Some(250));
        assert_eq!(run(&mut schedule, &wire, &[], 100_000).0, calm.0);
    }

    #[test]
    fn a_hurry_ends() {
        let mut schedule = Schedule::new(&[1_000], 0);
        schedule.hurry(0, Some(250));
        let hurried = run(&mut schedule, &[10], &[], 10_000).0[0];
        assert_eq!(hurried, 40);
        let mut schedule = Schedule::new(&[1_000], 0);
        schedule.hurry(0, Some(250));
        schedule.hurry(0, None);
        assert_eq!(run(&mut schedule, &[10], &[], 10_000).0[0], 10);
    }

    #[test]
    fn flat_out_asks_everyone_in_turn_and_probes_the_dead() {
        let wire = [7, 7, 7, 60];
        let (asked, _, busy) = run(&mut Schedule::flat_out(&[1_000; 4], 0), &wire, &[3], 60_000);
        assert!(asked[0] - asked[2] <= 1 && asked[0] > 2_600, "{asked:?}");
        assert!((10..=16).contains(&asked[3]), "{asked:?}");
        assert!(busy >= 60_000, "the wire rested for {} ms", 60_000 - busy);
    }

    #[test]
    fn flat_out_reports_a_dead_device_every_period() {
        let mut schedule = Schedule::flat_out(&[1_000, 1_000], 0);
        let (mut now, mut reports) = (0, 0);
        while now < 60_000 {
            match schedule.next(now) {
                Next::Wait(at) => now = at,
                Next::Assume(place) => {
                    reports += 1;
                    schedule.done(place, now, false, false);
                }
                Next::Ask(place) => {
                    reports += place;
                    schedule.done(place, now, true, place == 0);
                    now += 5;
                }
            }
        }
        assert!((59..=63).contains(&reports), "{reports}");
    }

    proptest! {
        /// Whoever hurries: nobody else is asked less often, or later by more than one question.
        #[test]
        fn a_hurry_takes_nothing_from_anybody(
            devices in prop::collection::vec((500_u64..4_000, 5_u64..60, prop::bool::weighted(0.3), prop::bool::weighted(0.15)), 1..12),
        ) {
            let periods: Vec<u64> = devices.iter().map(|device| device.0).collect();
            let wire: Vec<u64> = devices.iter().map(|device| device.1).collect();
            let dead: Vec<usize> = (0..devices.len()).filter(|place| devices[*place].3).collect();
            let share: f64 = devices.iter().map(|device| device.1 as f64 / device.0 as f64).sum();
            prop_assume!(share < 0.8);
            let (calm, calm_worst, _) = run(&mut Schedule::new(&periods, 0), &wire, &dead, 120_000);
            let mut schedule = Schedule::new(&periods, 0);
            let hurried = |place: usize| devices[place].2;
            (0..devices.len()).filter(|place| hurried(*place)).for_each(|place| schedule.hurry(place, Some(periods[place] / 4)));
            let (asked, worst, _) = run(&mut schedule, &wire, &dead, 120_000);
            let longest = wire.iter().max().copied().unwrap_or(0);
            for place in (0..devices.len()).filter(|place| !dead.contains(place)) {
                prop_assert!(asked[place] + 1 >= calm[place], "{}: {} where {} were", place, asked[place], calm[place]);
                prop_assert!(hurried(place) || asked[place] <= calm[place] + 1);
                prop_assert!(worst[place] <= calm_worst[place] + 2 * longest);
            }
        }
    }
}
