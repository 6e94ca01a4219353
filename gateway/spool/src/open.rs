//! Opening: find what the last user left, to the longest valid extent, and start from there.
//!
//! Works with no free byte on the disk, after a torn write, with damaged segments and without an identity.
//! What was recovered of the last segment is written again and synced before anybody may rely on it.

use std::collections::VecDeque;
use std::io;

use crate::disk::{Disk, DiskFile, is_damage};
use crate::identity::{self, Identity};
use crate::queue::{Note, Record, Spool, marked_ranges};
use crate::ranges::RangeSet;
use crate::record::{Kind, Parsed};
use crate::room::{Loss, LossCause};
use crate::segment::{self, Active, Info, Level};
use crate::{Class, Config};

/// Why a spool did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The settings leave no room for the plan.
    #[error("a spool of {capacity} bytes cannot hold {segments} segments of {segment_bytes} bytes; give it at least {least}")]
    TooSmall { capacity: u64, segments: usize, segment_bytes: u64, least: u64 },
    /// A segment is held in memory whole, and never read beyond a bound.
    #[error("a segment of {segment_bytes} bytes exceeds {most}")]
    SegmentTooLarge { segment_bytes: u64, most: u64 },
    /// The directory, or something in it that nothing can do without, cannot be used.
    #[error("cannot {step}")]
    Disk {
        step: &'static str,
        #[source]
        source: io::Error,
    },
}

/// An open spool, and what was found.
#[derive(Debug)]
pub struct Opened<D: Disk> {
    /// Ready for use.
    pub spool: Spool<D>,
    /// See [`Report`].
    pub report: Report,
}

/// What was found on opening.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// There was nothing: a new epoch was begun.
    pub fresh: bool,
    /// There were segments but no readable identity: a new epoch was begun as by [`Spool::renew_epoch`], and
    /// `holes` says what of the old one will never come under it.
    pub identity_lost: bool,
    /// The spool was made, or its epoch last renewed, by another machine. Renew the epoch.
    pub holder_changed: bool,
    /// Sequences that will never come and that no acknowledgement covers. Those that an earlier gap record
    /// declares are the caller's to subtract.
    pub holes: Vec<Loss>,
    /// Files renamed because they could not be read.
    pub set_aside: Vec<String>,
    /// Records found.
    pub records: u64,
    /// Places where bytes were not what had been written: torn at the end, or rotten in the middle.
    pub damaged: u64,
}

/// More holes than this are left for the next opening to report.
const MOST_HOLES: usize = 4096;
/// Damaged files kept for a person to look at.
const MOST_SET_ASIDE: usize = 4;
const SET_ASIDE: &str = ".damaged";

impl Config {
    fn check(&self) -> Result<(), OpenError> {
        let segments = self.reserve_segments + 5;
        let least = segment::blocks(self.segment_bytes) * segments as u64;
        if self.capacity_bytes < least || self.segment_bytes < 512 {
            return Err(OpenError::TooSmall { capacity: self.capacity_bytes, segments, segment_bytes: self.segment_bytes, least });
        }
        if self.segment_bytes > segment::READ_LIMIT {
            return Err(OpenError::SegmentTooLarge { segment_bytes: self.segment_bytes, most: segment::READ_LIMIT });
        }
        Ok(())
    }
}

impl<D: Disk> Spool<D> {
    /// Opens the spool in `disk`, making it when there is none. `show` sees every record of class
    /// [`Class::Other`] that is held, oldest first: the caller finds its earlier declarations there. When the
    /// identity is lost it sees none, because they speak of another epoch's numbers.
    pub fn open(disk: D, config: Config, now_ms: i64, show: &mut dyn FnMut(&Record)) -> Result<Opened<D>, OpenError> {
        config.check()?;
        let step = |step| move |source| OpenError::Disk { step, source };
        let names = disk.list().map_err(step("list the spool's directory"))?;
        let mut report = Report::default();
        let mut tidy = Tidy::default();
        tidy.clear_leftovers(&disk, &names, &config).map_err(step("clear what an interrupted rewrite left"))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
        numbers.sort_unstable();

        let stored = Identity::load(&disk).map_err(step("read the spool's identity"))?;
        report.fresh = stored.is_none() && numbers.is_empty();
        report.identity_lost = stored.is_none() && !numbers.is_empty();
        let mut identity = stored.unwrap_or(Identity { epoch: config.new_epoch, holder: config.holder, base: 0 });
        report.holder_changed = identity.holder != config.holder;

        let mut found = Found { base: identity.base, ..Found::default() };
        let nobody: &mut dyn FnMut(&Record) = &mut |_| {};
        let show = if report.identity_lost { nobody } else { show };
        for number in numbers.iter().copied() {
            match segment::load(&disk, number) {
                Ok(bytes) => found.walk(number, bytes, &mut report, show),
                Err(error) if is_damage(&error) => {
                    set_aside(&disk, number).map_err(step("set an unreadable segment aside"))?;
                    report.set_aside.push(segment::name(number));
                }
                Err(source) => return Err(OpenError::Disk { step: "read a segment", source }),
            }
        }
        found.miss_the_start(&names, &report.set_aside);
        let next_number = numbers.last().map_or(1, |number| number + 1);
        let active = found.reopen_last(&disk, &config).map_err(step("reopen the last segment"))?;
        if stored.is_none() {
            identity.base = found.start_of_the_unacknowledged() - 1;
            found.base = identity.base;
            identity.store(&disk, &mut tidy.spares).map_err(step("write the spool's identity"))?;
        }
        disk.sync_names().map_err(step("sync the spool's directory"))?;
        report.holes = found.holes(&mut report.damaged);
        // What an epoch before had is over.
        found.acknowledged.insert(1, identity.base);
        let next = found.next.max(identity.base + 1);

        let mut known_holes = RangeSet::new();
        for hole in &report.holes {
            known_holes.insert(hole.first + identity.base, hole.last + identity.base);
        }
        let mut spool = Spool {
            disk,
            config,
            identity,
            segments: found.segments,
            active,
            spares: tidy.spares,
            spare_names: tidy.next_spare,
            next_number,
            next,
            durable: next - 1,
            unmarked: !found.marked && !found.acknowledged.is_empty(),
            acknowledged: found.acknowledged,
            known_holes,
            note: Note { number: found.last_note, ..Note::default() },
            now_ms,
            failed: None,
            positions: VecDeque::new(),
            owed: VecDeque::new(),
            written: 0,
            begun: false,
        };
        if report.identity_lost {
            let moved = spool.moved();
            report
                .holes
                .extend(moved.into_iter().filter(|loss| !spool.known_holes.covers(loss.first + identity.base, loss.last + identity.base)));
        }
        spool
            .refill_spares()
            .map_err(|failed| OpenError::Disk { step: "preallocate segments", source: io::Error::other(failed.reason) })?;
        Ok(Opened { spool, report })
    }
}

/// Files that are not records.
#[derive(Debug, Default)]
struct Tidy {
    spares: Vec<String>,
    next_spare: u64,
}

pub(crate) const REWRITE_NAME: &str = "rewrite";

impl Tidy {
    fn clear_leftovers<D: Disk>(&mut self, disk: &D, names: &[String], config: &Config) -> io::Result<()> {
        for name in names {
            if name == REWRITE_NAME || name == identity::NEW_NAME {
                disk.remove(name)?;
            }
            let Some(number) = name.strip_prefix("spare-").and_then(|n| n.parse::<u64>().ok()) else { continue };
            self.next_spare = self.next_spare.max(number + 1);
            // One of another size is of an earlier configuration.
            let pristine = disk.open(name).and_then(|file| file.length()).is_ok_and(|length| length == config.segment_bytes);
            if pristine {
                self.spares.push(name.clone());
            } else {
                disk.remove(name)?;
            }
        }
        Ok(())
    }
}

/// Renames a damaged segment, or removes it when there are enough of them to look at.
pub(crate) fn set_aside<D: Disk>(disk: &D, number: u64) -> io::Result<()> {
    let name = segment::name(number);
    let kept = disk.list()?.iter().filter(|name| name.ends_with(SET_ASIDE)).count();
    if kept < MOST_SET_ASIDE { disk.rename(&name, &format!("{name}{SET_ASIDE}")) } else { disk.remove(&name) }
}

/// What the walk through all segments adds up to. Sequences are raw.
#[derive(Debug, Default)]
struct Found {
    base: u64,
    segments: VecDeque<Info>,
    acknowledged: RangeSet,
    /// True when the last segment itself says what is acknowledged.
    marked: bool,
    /// Where the first segment begins, and what comes after the last one; zero before there is any.
    start: u64,
    next: u64,
    last_note: u8,
    missing: RangeSet,
    /// The last segment's bytes and whether garbage follows its records.
    last: Option<(Vec<u8>, bool)>,
    /// True when the last segment walked through is not as it was written, and when the first one's start is not.
    damaged_last: bool,
    damaged_start: bool,
}

impl Found {
    fn walk(&mut self, number: u64, bytes: Vec<u8>, report: &mut Report, show: &mut dyn FnMut(&Record)) {
        let base = self.base;
        let header = segment::Header::decode(&bytes, number);
        // Where it begins: by its own header, or else where the one before ended.
        let mut next = header.map_or(self.next, |header| header.first.max(self.next));
        let between = (self.next > 0).then(|| (self.next, next.saturating_sub(1)));
        let mut start = header.map(|header| header.first);
        let mut inside = RangeSet::new();
        // Without its note a record means nothing; none is note 0.
        let (mut notes, mut meaningless) = (vec![0], RangeSet::new());
        let mut marks = None;
        let scan = segment::scan(&bytes, number, self.next.saturating_sub(1), &mut |parsed| {
            start.get_or_insert(parsed.sequence);
            if next > 0 {
                inside.insert(next, parsed.sequence.saturating_sub(1));
            }
            // A mark carries the sequence after it: everything below was given out, be it readable or not.
            next = next.max(parsed.sequence);
            match parsed.kind {
                Kind::Record(_) if !notes.contains(&parsed.note) => {
                    next = parsed.sequence + 1;
                    meaningless.insert(parsed.sequence, parsed.sequence);
                }
                Kind::Record(class) => {
                    next = parsed.sequence + 1;
                    report.records += 1;
                    if class == Class::Other && parsed.sequence > base {
                        show(&shown(parsed, base));
                    }
                }
                Kind::Note => notes.push(parsed.note),
                Kind::Acknowledgements => marks = Some(marked_ranges(parsed.payload)),
            }
        });
        // What was taken out of a segment to make room was declared before it was taken.
        let before = self.segments.back();
        let thinned_end = before.is_some_and(|info| info.level != Level::Whole && info.number + 1 == number) && !self.damaged_last;
        let inside = inside.iter().filter(|_| scan.info.level == Level::Whole || scan.damaged > 0);
        for (first, last) in inside.chain(between.filter(|_| !thinned_end)).chain(meaningless.iter()) {
            self.missing.insert(first, last);
        }
        if before.is_none() {
            self.start = start.unwrap_or(0);
            self.damaged_start = header.is_none() && scan.damaged > 0;
        }
        self.last_note = notes.last().copied().filter(|note| *note != 0).unwrap_or(self.last_note);
        self.marked = marks.is_some();
        self.acknowledged = marks.unwrap_or(std::mem::take(&mut self.acknowledged));
        self.damaged_last = scan.damaged > 0 || scan.garbage;
        report.damaged += scan.damaged + u64::from(scan.garbage || header.is_none());
        self.next = next;
        self.segments.push_back(scan.info);
        self.last = Some((bytes, scan.garbage));
    }

    /// When something damaged lay before all that is held, what it held is missing too.
    fn miss_the_start(&mut self, names: &[String], set_aside: &[String]) {
        let oldest = self.segments.front().map_or(0, |info| info.number);
        let names = names.iter().filter_map(|name| name.strip_suffix(SET_ASIDE)).chain(set_aside.iter().map(String::as_str));
        if self.damaged_start || names.filter_map(segment::number).any(|number| number < oldest) {
            self.missing.insert(self.acknowledged.first_missing(self.base + 1), self.start.saturating_sub(1));
        }
    }

    /// Where a new epoch begins when nobody knows the old one.
    fn start_of_the_unacknowledged(&self) -> u64 {
        self.acknowledged.first_missing(self.start.max(1)).min(self.next.max(1))
    }

    /// Makes what was recovered of the last segment durable, and goes on writing it when it has its full length.
    fn reopen_last<D: Disk>(&mut self, disk: &D, config: &Config) -> io::Result<Option<Active<D::File>>> {
        let (Some((bytes, garbage)), Some(info)) = (self.last.take(), self.segments.back_mut()) else { return Ok(None) };
        let file = disk.open(&segment::name(info.number))?;
        let end = (info.end as usize).min(bytes.len());
        segment::make_durable(&file, &bytes, end, garbage)?;
        let whole = segment::Header::decode(&bytes, info.number).is_some() && info.level == Level::Whole;
        Ok((whole && bytes.len() as u64 == config.segment_bytes).then(|| Active::new(file, end as u64)))
    }

    /// Missing sequences between what is held, in the epoch's numbering.
    fn holes(&self, left_out: &mut u64) -> Vec<Loss> {
        let base = self.base;
        let mut holes = Vec::new();
        for (first, last) in self.missing.iter() {
            let (first, last) = (first.max(base + 1), last);
            if first > last || self.acknowledged.covers(first, last) {
                continue;
            }
            if holes.len() == MOST_HOLES {
                *left_out += 1;
                break;
            }
            let lost = last - first + 1 - self.acknowledged.overlap(first, last);
            holes.push(Loss { first: first - base, last: last - base, lost, cause: LossCause::Corrupt });
        }
        holes
    }
}

fn shown(parsed: &Parsed<'_>, base: u64) -> Record {
    Record { sequence: parsed.sequence - base, class: Class::Other, payload: parsed.payload.to_vec(), note: None }
}

#[cfg(test)]
mod tests;
