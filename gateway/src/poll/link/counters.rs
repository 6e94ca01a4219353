//! What a line goes through, counted: for `/metrics`, the gateway's own health, and people.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::now;

/// Round trips that are remembered.
const REMEMBERED: usize = 256;
/// Quality is that of the last minute, in slots of five seconds.
const SLOTS: u64 = 12;
const SLOT_S: u64 = 5;
/// A line is noisy when more than this share of its answers is garbled …
const NOISY: f64 = 0.2;
/// … of at least so many.
const JUDGED: u32 = 10;

/// The counters of one line, since the program began. Everything is readable at any time from any task.
#[derive(Debug)]
pub struct LineCounters {
    /// Questions sent, those asked again included.
    pub questions: AtomicU64,
    /// Those asked again, because their answer was damaged or overdue.
    pub asked_again: AtomicU64,
    /// Good answers.
    pub answers: AtomicU64,
    /// Answers that say "no".
    pub exceptions: AtomicU64,
    /// Polls that nobody answered in time, however often they were asked.
    pub timeouts: AtomicU64,
    /// Answers that failed their check, had the wrong length, or were no frames at all.
    pub garbled: AtomicU64,
    /// Whole frames of units that were not asked, broadcasts and other masters' questions included.
    pub foreign: AtomicU64,
    /// Bytes that came when nothing had been asked.
    pub unasked_bytes: AtomicU64,
    /// How often the line was opened, beyond the first time.
    pub reconnects: AtomicU64,
    /// How often a question could not be asked because unasked bytes did not stop.
    pub blocked: AtomicU64,
    recent: Mutex<Recent>,
}

#[derive(Debug)]
struct Recent {
    began: Instant,
    round_trips_us: VecDeque<u32>,
    /// Number of the slot, answers of any kind in it, garbled ones among them.
    slots: VecDeque<(u64, u32, u32)>,
    /// The last answers of each unit, one bit each, the newest lowest, 1 for a garbled one; and how many there are.
    units: BTreeMap<u8, (u32, u32)>,
    was_opened: bool,
    is_blocked: bool,
    last_talker: Option<u8>,
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LineSnapshot {
    pub questions: u64,
    pub asked_again: u64,
    pub answers: u64,
    pub exceptions: u64,
    pub timeouts: u64,
    pub garbled: u64,
    pub foreign: u64,
    pub unasked_bytes: u64,
    pub reconnects: u64,
    pub blocked: u64,
    /// Median time from question to answer of the last 256, µs; 0 when there was none.
    pub round_trip_p50_us: u32,
    /// The longest of them, µs.
    pub round_trip_max_us: u32,
    /// Share of the answers of the last 60 s that were garbled, 0 to 1.
    pub garbled_share: f64,
    /// More than 20 % of at least ten.
    pub is_noisy: bool,
    /// Units of whose last 32 answers more than half were garbled. One of them on a line that is well otherwise: its cable is
    /// bad, or two devices have its id.
    pub spoilt_units: Vec<u8>,
    /// Unasked bytes do not stop: nothing can be asked.
    pub is_blocked: bool,
    /// The unit of the last frame that nobody asked for, when one could be read.
    pub last_talker: Option<u8>,
}

impl Default for LineCounters {
    fn default() -> LineCounters {
        let recent = Recent {
            began: now(),
            round_trips_us: VecDeque::new(),
            slots: VecDeque::new(),
            units: BTreeMap::new(),
            was_opened: false,
            is_blocked: false,
            last_talker: None,
        };
        LineCounters {
            questions: AtomicU64::new(0),
            asked_again: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            exceptions: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            garbled: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
            unasked_bytes: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            recent: Mutex::new(recent),
        }
    }
}

impl LineCounters {
    /// All of them now.
    pub fn snapshot(&self) -> LineSnapshot {
        self.snapshot_at(now())
    }

    /// True when more than a fifth of the last minute's answers was garbled.
    pub fn is_noisy(&self) -> bool {
        self.snapshot().is_noisy
    }

    fn snapshot_at(&self, at: Instant) -> LineSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let recent = self.recent();
        let mut sorted: Vec<u32> = recent.round_trips_us.iter().copied().collect();
        sorted.sort_unstable();
        let (heard, garbled) = recent.quality(at);
        let garbled_share = if heard == 0 { 0.0 } else { f64::from(garbled) / f64::from(heard) };
        LineSnapshot {
            questions: read(&self.questions),
            asked_again: read(&self.asked_again),
            answers: read(&self.answers),
            exceptions: read(&self.exceptions),
            timeouts: read(&self.timeouts),
            garbled: read(&self.garbled),
            foreign: read(&self.foreign),
            unasked_bytes: read(&self.unasked_bytes),
            reconnects: read(&self.reconnects),
            blocked: read(&self.blocked),
            round_trip_p50_us: sorted.get(sorted.len() / 2).copied().unwrap_or(0),
            round_trip_max_us: sorted.last().copied().unwrap_or(0),
            garbled_share,
            is_noisy: heard >= JUDGED && garbled_share > NOISY,
            spoilt_units: recent.units.iter().filter(|(_, last)| is_spoilt(**last)).map(|(unit, _)| *unit).collect(),
            is_blocked: recent.is_blocked,
            last_talker: recent.last_talker,
        }
    }

    pub(super) fn asked(&self, is_again: bool) {
        add(&self.questions, 1);
        add(&self.asked_again, u64::from(is_again));
        self.recent().is_blocked = false;
    }

    pub(super) fn answered(&self, unit: u8, after: Duration, is_exception: bool) {
        add(if is_exception { &self.exceptions } else { &self.answers }, 1);
        let mut recent = self.recent();
        if recent.round_trips_us.len() >= REMEMBERED {
            recent.round_trips_us.pop_front();
        }
        recent.round_trips_us.push_back(u32::try_from(after.as_micros()).unwrap_or(u32::MAX));
        recent.heard(unit, now(), false);
    }

    pub(super) fn heard_garbage(&self, unit: u8) {
        add(&self.garbled, 1);
        self.recent().heard(unit, now(), true);
    }

    pub(super) fn heard_foreign(&self, unit: u8) {
        add(&self.foreign, 1);
        self.recent().last_talker = Some(unit);
    }

    pub(super) fn missed(&self) {
        add(&self.timeouts, 1);
    }

    pub(super) fn heard_unasked(&self, bytes: usize) {
        add(&self.unasked_bytes, bytes as u64);
    }

    pub(super) fn opened(&self) {
        let mut recent = self.recent();
        if recent.was_opened {
            add(&self.reconnects, 1);
        }
        recent.was_opened = true;
    }

    pub(super) fn found_blocked(&self, talker: Option<u8>) {
        add(&self.blocked, 1);
        let mut recent = self.recent();
        recent.is_blocked = true;
        recent.last_talker = talker.or(recent.last_talker);
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn slot(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.began).as_secs() / SLOT_S
    }

    fn heard(&mut self, unit: u8, at: Instant, is_garbled: bool) {
        let (bits, count) = self.units.entry(unit).or_default();
        (*bits, *count) = (*bits << 1 | u32::from(is_garbled), (*count + 1).min(u32::BITS));
        let now = self.slot(at);
        match self.slots.back_mut() {
            Some((slot, heard, garbled)) if *slot == now => {
                *heard = heard.saturating_add(1);
                *garbled = garbled.saturating_add(u32::from(is_garbled));
            }
            _ => self.slots.push_back((now, 1, u32::from(is_garbled))),
        }
        while self.slots.front().is_some_and(|(slot, ..)| slot + SLOTS <= now) {
            self.slots.pop_front();
        }
    }

    /// Answers of any kind in the last minute, and the garbled ones.
    fn quality(&self, at: Instant) -> (u32, u32) {
        let now = self.slot(at);
        let young = self.slots.iter().filter(|(slot, ..)| slot + SLOTS > now);
        young.fold((0, 0), |(heard, garbled), slot| (heard.saturating_add(slot.1), garbled.saturating_add(slot.2)))
    }
}

fn is_spoilt((bits, count): (u32, u32)) -> bool {
    count >= JUDGED && bits.count_ones() * 2 > count
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_noisy_when_more_than_a_fifth_of_a_minute_is_garbled_and_well_again_a_minute_later() {
        let counters = LineCounters::default();
        for place in 0..40 {
            if place % 4 == 0 { counters.heard_garbage(1) } else { counters.answered(1, Duration::from_millis(9), false) }
        }
        let snapshot = counters.snapshot();
        assert!(snapshot.is_noisy && (snapshot.garbled_share - 0.25).abs() < 1e-9, "{snapshot:?}");
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(!counters.is_noisy() && counters.snapshot().garbled == 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handful_of_garbled_answers_is_not_yet_a_noisy_line() {
        let counters = LineCounters::default();
        (0..9).for_each(|_| counters.heard_garbage(1));
        assert!(!counters.is_noisy());
        counters.heard_garbage(1);
        assert!(counters.is_noisy());
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_whose_answers_are_garbled_again_and_again_is_named_and_forgiven_when_they_are_not() {
        let counters = LineCounters::default();
        for _ in 0..JUDGED {
            counters.heard_garbage(4);
            counters.answered(3, Duration::from_millis(9), false);
        }
        assert_eq!(counters.snapshot().spoilt_units, [4]);
        (0..20).for_each(|_| counters.answered(4, Duration::from_millis(9), false));
        assert!(counters.snapshot().spoilt_units.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_median_and_the_longest_round_trip_are_those_of_the_last_256() {
        let counters = LineCounters::default();
        counters.answered(1, Duration::from_secs(9), false);
        (1..=256).for_each(|ms| counters.answered(1, Duration::from_millis(ms), false));
        let snapshot = counters.snapshot();
        assert_eq!((snapshot.round_trip_p50_us, snapshot.round_trip_max_us), (129_000, 256_000));
    }
}
