//! The spool itself: append, commit, acknowledge, forget. Reading is in `read.rs`, starting in `open.rs`,
//! running out of space in `room.rs`.
//!
//! Sequences are given out in order, starting at 1 in every epoch. Inside, everything is numbered "raw":
//! the epoch's sequence plus the identity's base, so that a renewed epoch need not rewrite the log.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::Config;
use crate::disk::{DirDisk, Disk};
use crate::identity::Identity;
use crate::ranges::RangeSet;
use crate::record::{self, Class, Kind, MAX_PAYLOAD, Parsed, Step, Walk};
use crate::room::{Loss, LossCause};
use crate::segment::{self, Active, Header, Info, Level};

mod read;

pub use read::Batch;

/// One record, as given in and as given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number in the epoch.
    pub sequence: u64,
    /// See [`Class`].
    pub class: Class,
    /// What the caller gave.
    pub payload: Vec<u8>,
    /// The note that stood when it was appended, see [`Spool::set_note`].
    pub note: Option<Arc<[u8]>>,
}

/// The disk failed. The spool does nothing more: drop it and open it again. Nothing that was not
/// committed before may be taken for durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the spool stopped: cannot {step}: {reason}")]
pub struct Failed {
    /// What was being done.
    pub step: &'static str,
    /// What the system said.
    pub reason: String,
    /// True when it said that the file system is read-only.
    pub read_only: bool,
}

/// Why a record was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// There is no room for this class: call [`Spool::make_room`] and try again.
    #[error("the spool is full")]
    Full,
    /// No segment holds such a record.
    #[error("a record of {have} bytes exceeds {most}")]
    TooLarge { have: usize, most: usize },
    /// See [`Failed`].
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// The note is repeated after this many bytes, so that damage to it costs no more than this.
const NOTE_EVERY: u64 = 64 << 10;
/// Ranges of acknowledged sequences remembered; more come only from a peer that talks nonsense.
const MOST_RANGES: usize = 4096;
/// Ranges written into an acknowledgement mark.
const MARKED_RANGES: usize = 65;

/// The queue. See the crate's head.
#[derive(Debug)]
pub struct Spool<D: Disk = DirDisk> {
    pub(crate) disk: D,
    pub(crate) config: Config,
    pub(crate) identity: Identity,
    /// Oldest first; the last one is `active` when there is one.
    pub(crate) segments: VecDeque<Info>,
    pub(crate) active: Option<Active<D::File>>,
    /// Names of pristine preallocated files.
    pub(crate) spares: Vec<String>,
    pub(crate) spare_names: u64,
    pub(crate) next_number: u64,
    pub(crate) next: u64,
    pub(crate) durable: u64,
    pub(crate) acknowledged: RangeSet,
    pub(crate) unmarked: bool,
    /// Missing sequences that were reported already.
    pub(crate) known_holes: RangeSet,
    pub(crate) note: Note,
    pub(crate) now_ms: i64,
    pub(crate) failed: Option<Failed>,
    pub(crate) positions: VecDeque<read::Position>,
    /// Declarations of losses that found no room yet: the next room is theirs.
    pub(crate) owed: VecDeque<Vec<u8>>,
    /// Bytes written to segments since this was opened: what wears the flash.
    pub(crate) written: u64,
    /// A segment was begun since spares were last looked after.
    pub(crate) begun: bool,
}

/// The note in force, and the number that the last one had.
#[derive(Debug, Clone, Default)]
pub(crate) struct Note {
    pub number: u8,
    /// `None` until somebody sets one: whoever opens a spool does not know the last user's.
    pub bytes: Option<Arc<[u8]>>,
    /// Where in the active segment it was last written.
    pub written_at: Option<u64>,
}

impl<D: Disk> Spool<D> {
    /// Numbers a record and holds it in memory until [`Spool::commit`]. At most a segment's bytes wait
    /// so; a full segment is committed on the way.
    pub fn append(&mut self, class: Class, payload: &[u8]) -> Result<u64, AppendError> {
        self.check()?;
        let most = MAX_PAYLOAD.min(self.config.segment_bytes as usize / 2);
        if payload.len() > most {
            return Err(AppendError::TooLarge { have: payload.len(), most });
        }
        if !self.fits(payload.len()) {
            self.begin_segment(self.spares_kept_from(class))?;
        }
        let Some(active) = &mut self.active else { return Err(AppendError::Full) };
        let number = self.segments.back().map_or(0, |info| info.number);
        let (sequence, mut note) = (self.next, 0);
        if let Some(bytes) = &self.note.bytes {
            note = self.note.number;
            if self.note.written_at.is_none_or(|at| active.end() - at > NOTE_EVERY) {
                self.note.written_at = Some(active.end());
                record::encode(&mut active.pending, number, &Parsed { kind: Kind::Note, note, sequence, payload: bytes });
            }
        }
        record::encode(&mut active.pending, number, &Parsed { kind: Kind::Record(class), note, sequence, payload });
        self.next += 1;
        if let Some(info) = self.segments.back_mut() {
            info.add(class, sequence);
            info.end = active.end();
        }
        Ok(sequence - self.identity.base)
    }

    /// Has everything appended so far on the disk and returns the highest durable sequence.
    pub fn commit(&mut self, now_ms: i64) -> Result<u64, Failed> {
        self.check()?;
        self.now_ms = now_ms;
        if self.active.as_ref().is_some_and(|active| !active.pending.is_empty()) {
            self.mark_acknowledgements();
            self.sync_active()?;
        }
        Ok(self.highest())
    }

    /// Preallocates ahead, so that the next segment is begun without waiting for that. Worth a call after a commit.
    pub fn prepare(&mut self) -> Result<(), Failed> {
        self.check()?;
        if std::mem::take(&mut self.begun) { self.refill_spares() } else { Ok(()) }
    }

    /// Writes down what is acknowledged, so that a restart sends less again. Not needed for correctness.
    pub fn commit_acknowledgements(&mut self, now_ms: i64) -> Result<(), Failed> {
        self.check()?;
        self.mark_acknowledgements();
        self.sync_active()?;
        self.commit(now_ms).map(drop)
    }

    /// Gives out `count` sequences that no record will ever have. Append the record that declares them next.
    pub fn skip(&mut self, count: u64) -> (u64, u64) {
        let first = self.next - self.identity.base;
        self.next += count;
        self.known_holes.insert(first + self.identity.base, self.next.saturating_sub(1));
        (first, first + count.saturating_sub(1))
    }

    /// Puts bytes over every record appended from now on; they come back with each of them. For what many
    /// records share. At most 64 bytes are sensible.
    pub fn set_note(&mut self, bytes: &[u8]) {
        if self.note.bytes.as_deref() != Some(bytes) {
            self.note = Note { number: self.note.number.checked_add(1).unwrap_or(1), bytes: Some(bytes.into()), written_at: None };
        }
    }

    /// Takes note of what the other end has on its disk: everything up to `contiguous`, and `ranges`.
    /// Sequences never given out are ignored. Returns how many are newly acknowledged.
    pub fn acknowledge(&mut self, contiguous: u64, ranges: &[(u64, u64)]) -> u64 {
        let (base, highest) = (self.identity.base, self.durable);
        let before = self.acknowledged.overlap(base + 1, highest);
        for (first, last) in std::iter::once((1, contiguous)).chain(ranges.iter().copied()) {
            let last = last.saturating_add(base).min(highest);
            self.unmarked |= self.acknowledged.insert(first.max(1).saturating_add(base), last);
        }
        self.acknowledged.keep_lowest(MOST_RANGES);
        self.acknowledged.overlap(base + 1, highest).saturating_sub(before)
    }

    /// The other end lost these after all: they count as unacknowledged again, as far as they are still held.
    pub fn unacknowledge(&mut self, first: u64, last: u64) {
        let base = self.identity.base;
        let (first, last) = (first.max(1).saturating_add(base), last.saturating_add(base));
        for info in self.segments.iter().filter(|info| info.count > 0) {
            self.acknowledged.remove(first.max(info.first), last.min(info.last));
        }
        self.unmarked = true;
    }

    /// Unlinks wholly acknowledged segments begun before `before_ms`. Returns how many.
    pub fn forget(&mut self, before_ms: i64) -> Result<usize, Failed> {
        self.check()?;
        let old = |info: &&Info| self.settled(info) && info.begun_ms < before_ms;
        if !self.sealed().any(|info| old(&info)) || !self.settle_marks(self.spares_kept_from(Class::Other))? {
            return Ok(0);
        }
        let marked = self.markable();
        let old: Vec<u64> =
            self.sealed().filter(|info| info.begun_ms < before_ms && self.covered(info, &marked)).map(|info| info.number).collect();
        for number in &old {
            self.unlink(*number)?;
        }
        self.sync_names()?;
        Ok(old.len())
    }

    /// Starts a new epoch. What is acknowledged up to the first unacknowledged sequence is let go; the rest is
    /// numbered from 1. Returns, in the new numbering, what of the rest will never come under the new epoch,
    /// because the old one's reader has it or because it was lost and declared there: the caller declares
    /// these as gaps in which nothing was lost.
    pub fn renew_epoch(&mut self, epoch: u64, holder: u64) -> Result<Vec<Loss>, Failed> {
        self.commit(self.now_ms)?;
        self.settle_marks(self.spares_kept_from(Class::Other))?;
        let first_kept = self.acknowledged.first_missing(self.identity.base + 1).min(self.next);
        let base = first_kept - 1;
        let identity = Identity { epoch, holder, base };
        identity.store(&self.disk, &mut self.spares).map_err(|error| self.fail("renew the epoch", &error))?;
        self.identity = identity;
        let gone: Vec<u64> = self.sealed().filter(|info| info.count == 0 || info.last <= base).map(|info| info.number).collect();
        for number in gone {
            self.unlink(number)?;
        }
        self.sync_names()?;
        Ok(self.moved())
    }

    /// What is acknowledged or not held, as losses of nothing.
    pub(crate) fn moved(&self) -> Vec<Loss> {
        let base = self.identity.base;
        let mut coming = RangeSet::new();
        for info in &self.segments {
            // One that cannot be read now is left to the reader, who declares it.
            match self.contents(info) {
                Ok(contents) => contents.records.iter().for_each(|record| {
                    coming.insert(record.sequence, record.sequence);
                }),
                Err(_) => {
                    coming.insert(info.first.saturating_sub(base), info.last.saturating_sub(base));
                }
            }
        }
        for (first, last) in self.acknowledged.within(base + 1, self.next).chain(self.known_holes.within(base + 1, self.next)) {
            coming.remove(first - base, last - base);
        }
        let (mut moved, mut first) = (Vec::new(), 1);
        for (start, end) in coming.iter().chain([(self.next - base, self.next - base)]) {
            if first < start {
                moved.push(Loss { first, last: start - 1, lost: 0, cause: LossCause::Moved });
            }
            first = end + 1;
        }
        moved
    }

    /// Names this spool's sequences.
    pub fn epoch(&self) -> u64 {
        self.identity.epoch
    }

    /// Highest durable sequence; zero when there is none.
    pub fn highest(&self) -> u64 {
        self.durable.saturating_sub(self.identity.base)
    }

    /// Oldest sequence still held; one above the highest when none is.
    pub fn floor(&self) -> u64 {
        let oldest = self.segments.iter().find(|info| info.count > 0 && info.last > self.identity.base);
        oldest.map_or(self.durable, |info| info.first.max(self.identity.base + 1) - 1).min(self.durable) + 1 - self.identity.base
    }

    /// How many held records are not acknowledged, appended ones included. An upper bound where segments were thinned.
    pub fn unacknowledged(&self) -> u64 {
        let open = |info: &Info| {
            let first = info.first.max(self.identity.base + 1);
            let length = (info.last + 1).saturating_sub(first);
            length.saturating_sub(self.acknowledged.overlap(first, info.last)).min(info.count)
        };
        self.segments.iter().filter(|info| info.count > 0).map(open).sum()
    }

    /// Which sequences are acknowledged.
    pub fn acknowledged(&self) -> RangeSet {
        let mut outer = RangeSet::new();
        for (first, last) in self.acknowledged.within(self.identity.base + 1, self.next) {
            outer.insert(first - self.identity.base, last - self.identity.base);
        }
        outer
    }

    /// Bytes it takes on the disk, spares included.
    pub fn bytes(&self) -> u64 {
        let spare = segment::blocks(self.config.segment_bytes) * self.spares.len() as u64;
        self.segments.iter().map(Info::cost).sum::<u64>() + spare
    }

    /// Bytes it may take.
    pub fn capacity(&self) -> u64 {
        self.config.capacity_bytes
    }

    /// Bytes written to the disk since it was opened.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// True while segments hold less than they were given because space ran out.
    pub fn is_thinned(&self) -> bool {
        self.segments.iter().any(|info| info.level != Level::Whole && !self.settled(info))
    }

    /// The records appended but not committed, to be appended again after the spool failed and was reopened.
    /// A note that was on the disk before and is not in force any more is not told.
    pub fn uncommitted(&self) -> Vec<Record> {
        let (Some(active), Some(info)) = (&self.active, self.segments.back()) else { return Vec::new() };
        let mut walk = Walk::new(&active.pending, info.number, 0, self.durable);
        let (mut records, mut notes) = (Vec::new(), read::Notes::default());
        if let Some(bytes) = &self.note.bytes {
            notes.learn(self.note.number, bytes.clone());
        }
        while let Step::Record(_, parsed) = walk.step() {
            match parsed.kind {
                Kind::Record(class) => {
                    let (sequence, payload) = (parsed.sequence - self.identity.base, parsed.payload.to_vec());
                    records.push(Record { sequence, class, payload, note: notes.of(parsed.note) });
                }
                Kind::Note => notes.learn(parsed.note, parsed.payload.into()),
                Kind::Acknowledgements => {}
            }
        }
        records
    }

    pub(crate) fn check(&self) -> Result<(), Failed> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn fail(&mut self, step: &'static str, error: &io::Error) -> Failed {
        let read_only = error.kind() == io::ErrorKind::ReadOnlyFilesystem;
        self.failed.get_or_insert(Failed { step, reason: error.to_string(), read_only }).clone()
    }

    /// True when all of it is acknowledged, or nothing is in it.
    pub(crate) fn settled(&self, info: &Info) -> bool {
        self.covered(info, &self.acknowledged)
    }

    pub(crate) fn covered(&self, info: &Info, ranges: &RangeSet) -> bool {
        info.count == 0 || info.last <= self.identity.base || ranges.covers(info.first.max(self.identity.base + 1), info.last)
    }

    /// Every segment but the newest. That one is being written; and it says where the sequences go on, so
    /// it stays until there is a newer one, or they would start from 1 again.
    pub(crate) fn sealed(&self) -> impl Iterator<Item = &Info> {
        self.segments.iter().take(self.segments.len().saturating_sub(1))
    }

    pub(crate) fn unlink(&mut self, number: u64) -> Result<(), Failed> {
        match self.disk.remove(&segment::name(number)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(self.fail("unlink a segment", &error)),
        }
        self.segments.retain(|info| info.number != number);
        self.positions.retain(|position| position.number != number);
        Ok(())
    }

    pub(crate) fn sync_names(&mut self) -> Result<(), Failed> {
        self.disk.sync_names().map_err(|error| self.fail("sync the directory", &error))
    }

    pub(crate) fn sync_active(&mut self) -> Result<(), Failed> {
        let Some(active) = &mut self.active else { return Ok(()) };
        self.written += active.pending.len() as u64;
        let result = active.sync();
        result.map_err(|error| self.fail("write to the disk", &error))?;
        self.durable = self.durable.max(self.segments.iter().rev().find(|info| info.count > 0).map_or(0, |info| info.last));
        Ok(())
    }

    /// Room for the payload and for the marks that may go with it.
    fn fits(&self, payload: usize) -> bool {
        let marks = record::HEADER_BYTES * 2 + self.note.bytes.as_ref().map_or(0, |bytes| bytes.len()) + 16 * MARKED_RANGES;
        let Some(active) = &self.active else { return false };
        active.end() + (payload + record::HEADER_BYTES + marks.min(self.config.segment_bytes as usize / 4)) as u64
            <= self.config.segment_bytes
    }

    /// Seals the segment being written, when there is one, and starts the next in a preallocated file, if there
    /// are more of them than those to be left.
    fn begin_segment(&mut self, spares_left: usize) -> Result<(), AppendError> {
        self.sync_active()?;
        self.refill_spares()?;
        if self.spares.len() <= spares_left {
            return Err(AppendError::Full);
        }
        let Some(spare) = self.spares.pop() else { return Err(AppendError::Full) };
        let header = Header { number: self.next_number, first: self.next, begun_ms: self.now_ms, level: Level::Whole };
        let file = segment::begin(&self.disk, &spare, &header).map_err(|error| self.fail("begin a segment", &error))?;
        self.seal_active()?;
        self.next_number += 1;
        self.note.written_at = None;
        self.active = Some(Active::new(file, segment::HEADER_BYTES as u64));
        self.begun = true;
        self.written += segment::HEADER_BYTES as u64;
        self.segments.push_back(Info::empty(header, self.config.segment_bytes));
        self.unmarked = true;
        Ok(())
    }

    /// Gives the unused rest of the sealed segment back.
    fn seal_active(&mut self) -> Result<(), Failed> {
        let (Some(active), Some(info)) = (self.active.take(), self.segments.back_mut()) else { return Ok(()) };
        use crate::disk::DiskFile;
        info.end = active.synced;
        match active.file.set_length(active.synced) {
            Ok(()) => info.file_bytes = active.synced,
            Err(error) => return Err(self.fail("seal a segment", &error)),
        }
        Ok(())
    }

    /// Has what is acknowledged on the disk before anything is let go on the strength of it: after a power
    /// cut it would look lost. False when there is no room for that.
    pub(crate) fn settle_marks(&mut self, spares_left: usize) -> Result<bool, Failed> {
        self.mark_acknowledgements();
        if self.unmarked {
            match self.begin_segment(spares_left) {
                Ok(()) => self.mark_acknowledgements(),
                Err(AppendError::Failed(failed)) => return Err(failed),
                Err(_) => {}
            }
        }
        self.sync_active()?;
        Ok(!self.unmarked)
    }

    /// As much of what is acknowledged as a mark holds.
    pub(crate) fn markable(&self) -> RangeSet {
        let mut ranges = self.acknowledged.clone();
        ranges.keep_lowest(MARKED_RANGES);
        ranges
    }

    fn mark_acknowledgements(&mut self) {
        if !self.unmarked {
            return;
        }
        let mut payload = Vec::with_capacity(16 * MARKED_RANGES);
        for (first, last) in self.acknowledged.iter().take(MARKED_RANGES) {
            payload.extend_from_slice(&first.to_le_bytes());
            payload.extend_from_slice(&last.to_le_bytes());
        }
        let (Some(active), Some(info)) = (&mut self.active, self.segments.back_mut()) else { return };
        if active.end() + (record::HEADER_BYTES + payload.len()) as u64 > self.config.segment_bytes {
            return;
        }
        let mark = Parsed { kind: Kind::Acknowledgements, note: 0, sequence: self.next, payload: &payload };
        record::encode(&mut active.pending, info.number, &mark);
        info.end = active.end();
        self.unmarked = false;
    }
}

/// What an acknowledgement mark says.
pub(crate) fn marked_ranges(payload: &[u8]) -> RangeSet {
    let mut ranges = RangeSet::new();
    for pair in payload.chunks_exact(16) {
        let word = |half: &[u8]| half.iter().rev().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        ranges.insert(word(&pair[..8]), word(&pair[8..]));
    }
    ranges
}

#[cfg(test)]
mod tests;
