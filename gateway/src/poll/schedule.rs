//! Which device is asked next: pure. Every device has its period; a silent one is asked rarely, so that it
//! never delays the others, and its silence is still reported every period.

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
}

/// The schedule of one bus.
#[derive(Debug)]
pub struct Schedule {
    slots: Vec<Slot>,
}

impl Schedule {
    /// Devices with these periods, their first questions spread over the shortest.
    pub fn new(periods_ms: &[u64], now: u64) -> Schedule {
        let spread = periods_ms.iter().copied().min().unwrap_or(0);
        let count = periods_ms.len().max(1) as u64;
        let slot = |(place, period_ms): (usize, &u64)| Slot {
            period_ms: *period_ms,
            due: now + spread * place as u64 / count,
            failures: 0,
            probe_at: 0,
        };
        Schedule { slots: periods_ms.iter().enumerate().map(slot).collect() }
    }

    /// What to do at `now`: the longest overdue first, living devices before probes.
    pub fn next(&self, now: u64) -> Next {
        let is_silent = |slot: &Slot| slot.failures >= FAILURES_TO_OPEN;
        let due = |slot: &Slot| slot.due <= now;
        let oldest = |wanted: &dyn Fn(&Slot) -> bool| {
            self.slots
                .iter()
                .enumerate()
                .filter(|(_, slot)| due(slot) && wanted(slot))
                .min_by_key(|(_, slot)| slot.due)
                .map(|(place, _)| place)
        };
        if let Some(place) = oldest(&|slot| !is_silent(slot)) {
            return Next::Ask(place);
        }
        if let Some(place) = oldest(&|slot| is_silent(slot)) {
            return if self.slots[place].probe_at <= now { Next::Ask(place) } else { Next::Assume(place) };
        }
        Next::Wait(self.slots.iter().map(|slot| slot.due).min().unwrap_or(now + 1_000))
    }

    /// The device was asked (or assumed silent), begun at `began`; `answered` when it answered anything at all.
    pub fn done(&mut self, place: usize, began: u64, asked: bool, answered: bool) {
        let Some(slot) = self.slots.get_mut(place) else { return };
        // Missed slots are left out, not made up for: an overloaded bus must not fall further behind.
        let late = began.saturating_sub(slot.due) / slot.period_ms.max(1);
        slot.due += (late + 1) * slot.period_ms.max(1);
        if !asked {
            return;
        }
        slot.failures = if answered { 0 } else { slot.failures.saturating_add(1) };
        slot.probe_at = began + probe_period_ms(slot.period_ms);
    }
}

/// A silent device with this period is probed so often.
pub fn probe_period_ms(period_ms: u64) -> u64 {
    (period_ms * PROBE_PERIODS).clamp(PROBE_LEAST_MS, PROBE_MOST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
