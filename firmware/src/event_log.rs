//! The event log: a ring of fixed-size records that outlives a reset.
//!
//! It works in place on words that the board gives. In RAM which the start-up code leaves alone they outlive a reset; a record that a
//! reset tore, or that never was one, does not pass its own check and is not shown, and words that are no log at all are cleared.
//!
//! | Word | Holds |
//! |---|---|
//! | 0 | magic |
//! | 1, 2 | next sequence, and its complement |
//! | 3, 4, 5 | channels once over range, held at the first level, held at the second: a bit each, their complement below |
//! | 6 + 4 (s mod n) ... | record of sequence s: kind, channel, boot; uptime; detail; `more` and check |
//!
//! The latches stand here because they must outlive a reset as the events do.
//!
//! **How much it holds.** 184 records are 26 a day for seven days. One kind of event on one channel takes at most one record in four
//! hours (the record counts), so at most 6 a day: two limits that flap day and night take 24 a day, and two other events a day
//! fit beside them. Across restarts, which keep no common time, the first three of a kind stand alone; from then on they are
//! counted, so that a node which restarts for ever does not push everything else out.

use measurement::MonotonicMs;
use register_map::{EventKind, EventRecord, EventsHead, MAX_EVENT_RECORDS, check_word};

const HEAD_WORDS: usize = 6;
/// Where the head holds the latches.
const LATCHES: core::ops::Range<usize> = 3..6;
pub(crate) const RECORD_WORDS: usize = 4;
const MAGIC: u32 = 0xDA57_E711;
/// Records of the usual log.
pub const LOG_RECORDS: usize = 184;
/// Words of the usual log: 2968 bytes.
pub const LOG_WORDS: usize = HEAD_WORDS + RECORD_WORDS * LOG_RECORDS;
/// A log in memory of its own, which does not outlive a reset.
pub type OwnLog = [u32; LOG_WORDS];

/// Within this time one record counts events of one kind.
const COUNTED_WITHIN_S: u32 = 4 * 3600;
/// So many events of a kind stand alone across restarts.
const ALONE: usize = 3;
/// So far back a record is looked for that can count one more.
pub(crate) const LOOK_BACK: u32 = 64;

/// The words a log works on.
pub trait LogMemory: AsRef<[u32]> + AsMut<[u32]> {}
impl<M: AsRef<[u32]> + AsMut<[u32]>> LogMemory for M {}

/// Something that happened now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Happening {
    /// What.
    pub kind: EventKind,
    /// On which channel, if on one.
    pub channel: Option<u8>,
    /// See [`EventKind`].
    pub detail: u32,
}

impl Happening {
    /// Of the node itself.
    pub const fn node(kind: EventKind, detail: u32) -> Happening {
        Happening { kind, channel: None, detail }
    }

    /// Of one channel.
    pub const fn channel(kind: EventKind, channel: u8, detail: u32) -> Happening {
        Happening { kind, channel: Some(channel), detail }
    }

    /// True when this record can count it as one more of the same.
    fn is_like(&self, record: &EventRecord) -> bool {
        let by_detail = matches!(self.kind, EventKind::Started | EventKind::TroubleBegan | EventKind::TroubleEnded);
        let counts = !matches!(self.kind, EventKind::SettingsChanged | EventKind::Calibrated | EventKind::LogLost);
        counts && self.kind == record.kind && self.channel == record.channel && (!by_detail || self.detail == record.detail)
    }
}

/// What of the channels only a person resets: a bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latches {
    /// Was over range.
    pub over_range: u16,
    /// Its alarm is held at the first level.
    pub low: u16,
    /// Its alarm is held at the second level.
    pub high: u16,
}

/// The ring.
#[derive(Debug, Clone)]
pub struct EventLog<M = OwnLog> {
    words: M,
    boot: u16,
    lost: bool,
}

impl<M: LogMemory> EventLog<M> {
    /// A log on these words, which has not looked at them yet.
    pub const fn asleep(words: M) -> EventLog<M> {
        EventLog { words, boot: 0, lost: false }
    }

    /// Takes up the log that the words hold, or begins a new one. `boot_count` is this start's.
    pub fn begin(&mut self, boot_count: u32) {
        self.boot = boot_count as u16;
        match self.found() {
            Some(next) => self.set_next(next),
            None => {
                // Zeros are memory that never held a log, as after power came on in a test; anything else was one, or is noise.
                self.lost = self.words.as_ref().iter().any(|word| *word != 0);
                self.clear();
            }
        }
    }

    /// The next sequence, when these words are a log. A reset between the two words of the head leaves one of them right: the one
    /// whose newest record is whole.
    fn found(&self) -> Option<u32> {
        let [magic, next, inverse, ..] = *self.words.as_ref() else { return None };
        let newest_is_whole = |next: &u32| match next.checked_sub(1) {
            None => false,
            Some(0) => next == &!inverse,
            Some(newest) => self.record(newest).is_some(),
        };
        if magic != MAGIC {
            return None;
        }
        [next, !inverse].into_iter().find(newest_is_whole)
    }

    /// True when the words hold a whole log, of however few records.
    pub fn is_whole(&self) -> bool {
        self.found().is_some()
    }

    /// Forgets everything, to be filled with what was kept elsewhere.
    pub(crate) fn clear(&mut self) {
        self.words.as_mut().fill(0);
        self.set_next(1);
    }

    /// Puts back a record that was kept elsewhere; those of higher sequences come after it.
    pub(crate) fn put_back(&mut self, record: &EventRecord) {
        self.put(record);
        self.set_next(self.next().max(record.sequence.saturating_add(1)));
    }

    /// The latches as they were last set, in this life or the one before.
    pub fn latches(&self) -> Latches {
        // A word that a reset tore, or that never was one, latches nothing.
        let mask = |word: u32| if (word >> 16) as u16 == !(word as u16) { (word >> 16) as u16 } else { 0 };
        match self.words.as_ref().get(LATCHES) {
            Some(&[over_range, low, high]) => Latches { over_range: mask(over_range), low: mask(low), high: mask(high) },
            _ => Latches::default(),
        }
    }

    /// Sets them, for the next life too.
    pub fn set_latches(&mut self, latches: Latches) {
        let word = |mask: u16| u32::from(mask) << 16 | u32::from(!mask);
        if let Some(words) = self.words.as_mut().get_mut(LATCHES) {
            words.copy_from_slice(&[latches.over_range, latches.low, latches.high].map(word));
        }
    }

    /// True when the words held something that was no whole log.
    pub const fn was_lost(&self) -> bool {
        self.lost
    }

    /// How many records fit.
    pub fn capacity(&self) -> u16 {
        let records = self.words.as_ref().len().saturating_sub(HEAD_WORDS) / RECORD_WORDS;
        u16::try_from(records).unwrap_or(u16::MAX).min(MAX_EVENT_RECORDS)
    }

    /// What the registers say of it.
    pub fn head(&self) -> EventsHead {
        let next = self.next();
        let newest = next.saturating_sub(1);
        EventsHead { oldest: next.saturating_sub(u32::from(self.capacity())).max(1), newest, capacity: self.capacity() }
    }

    /// Writes down what happened, or counts it in a record that already says so.
    pub fn note(&mut self, happening: Happening, now: MonotonicMs) {
        let uptime_s = u32::try_from(now.0 / 1000).unwrap_or(u32::MAX);
        if let Some(mut record) = self.alike(&happening, uptime_s) {
            let count = record.count().saturating_add(1);
            let span_min = if record.boot == self.boot { (uptime_s.saturating_sub(record.uptime_s) / 60) as u8 } else { record.span_min() };
            record.more = u16::from_be_bytes([count, span_min]);
            self.put(&record);
        } else {
            self.append(happening, 0x0100, uptime_s);
        }
    }

    /// Writes down that settings were changed.
    pub fn note_settings(&mut self, version: u16, hash: u32, now: MonotonicMs) {
        let uptime_s = u32::try_from(now.0 / 1000).unwrap_or(u32::MAX);
        self.append(Happening::node(EventKind::SettingsChanged, hash), version, uptime_s);
    }

    /// The record of this sequence, when it is held and whole.
    pub fn record(&self, sequence: u32) -> Option<EventRecord> {
        unpacked(sequence, self.words.as_ref().get(self.slot(sequence)?..)?)
    }

    /// The sequence that now stands in this slot of the ring; for one never used, zero.
    pub fn sequence_in(&self, slot: u16) -> u32 {
        let (capacity, newest) = (u32::from(self.capacity()), self.next().saturating_sub(1));
        if capacity == 0 {
            return 0;
        }
        let behind = (newest % capacity + capacity - u32::from(slot) % capacity) % capacity;
        newest.saturating_sub(behind)
    }

    fn alike(&self, happening: &Happening, uptime_s: u32) -> Option<EventRecord> {
        let EventsHead { oldest, newest, .. } = self.head();
        let from = oldest.max(newest.saturating_sub(LOOK_BACK - 1));
        // A record's check takes a small chip a tenth of a millisecond, so only those are looked at that are of this kind and channel.
        let is_of_kind = |sequence: &u32| {
            let first = self.slot(*sequence).and_then(|at| self.words.as_ref().get(at));
            first.is_some_and(|what| what >> 16 == kind_and_channel(happening.kind, happening.channel))
        };
        let whole = (from..=newest).rev().filter(is_of_kind).filter_map(|sequence| self.record(sequence));
        let mut before = whole.filter(|record| happening.is_like(record));
        let newest = before.next()?;
        if newest.boot == self.boot {
            return (uptime_s.saturating_sub(newest.uptime_s) < COUNTED_WITHIN_S).then_some(newest);
        }
        let of_earlier_boots = 1 + before.filter(|record| record.boot != self.boot).count();
        (of_earlier_boots >= ALONE).then_some(newest)
    }

    fn append(&mut self, happening: Happening, more: u16, uptime_s: u32) {
        let Happening { kind, channel, detail } = happening;
        let sequence = self.next();
        self.put(&EventRecord { sequence, kind, channel, boot: self.boot, uptime_s, detail, more });
        self.set_next(sequence.saturating_add(1));
    }

    fn put(&mut self, record: &EventRecord) {
        let Some(at) = self.slot(record.sequence) else { return };
        if let Some(words) = self.words.as_mut().get_mut(at..at + RECORD_WORDS) {
            words.copy_from_slice(&packed(record));
        }
    }

    fn slot(&self, sequence: u32) -> Option<usize> {
        let slot = sequence.checked_rem(u32::from(self.capacity()))?;
        Some(HEAD_WORDS + RECORD_WORDS * slot as usize)
    }

    fn next(&self) -> u32 {
        self.words.as_ref().get(1).copied().unwrap_or(1)
    }

    /// The record is written before this: until then the old head is right, and between its two words one of them is.
    fn set_next(&mut self, next: u32) {
        if let [magic, first, second, ..] = self.words.as_mut() {
            (*magic, *first, *second) = (MAGIC, next, !next);
        }
    }
}

/// The upper half of a record's first word.
fn kind_and_channel(kind: EventKind, channel: Option<u8>) -> u32 {
    (kind as u32) << 8 | u32::from(channel.unwrap_or(u8::MAX))
}

/// A record as it lies in memory and in flash.
pub(crate) fn packed(record: &EventRecord) -> [u32; RECORD_WORDS] {
    let what = kind_and_channel(record.kind, record.channel) << 16 | u32::from(record.boot);
    let more = u32::from(record.more) << 16;
    let check = check(record.sequence, what, record.uptime_s, record.detail, more);
    [what, record.uptime_s, record.detail, more | u32::from(check)]
}

/// The record that lies here, when it is whole and of this sequence.
pub(crate) fn unpacked(sequence: u32, words: &[u32]) -> Option<EventRecord> {
    let &[what, uptime_s, detail, tail, ..] = words else { return None };
    if tail as u16 != check(sequence, what, uptime_s, detail, tail) {
        return None;
    }
    Some(EventRecord {
        sequence,
        kind: EventKind::from_code((what >> 24) as u8)?,
        channel: Some((what >> 16) as u8).filter(|channel| *channel != u8::MAX),
        boot: what as u16,
        uptime_s,
        detail,
        more: (tail >> 16) as u16,
    })
}

/// The record's own check, over its sequence too: what stood in the slot a turn ago does not pass.
fn check(sequence: u32, what: u32, uptime_s: u32, detail: u32, tail: u32) -> u16 {
    let [s, w, u, d, t] = [sequence, what, uptime_s, detail, tail].map(|word| ((word >> 16) as u16, word as u16));
    check_word(s.1, &[s.0, w.0, w.1, u.0, u.1, d.0, d.1, t.0])
}

#[cfg(test)]
mod tests;
