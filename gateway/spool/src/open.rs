//! Opening: find what the last user left, to the longest valid extent, and start from there.
//!
//! Works with no free byte on the disk, after a torn write, with damaged segments and without an identity.
//! What was recovered of the last segment is written again and synced before anybody may rely on it.

use std::collections::VecDeque;
use std::io;

use crate::disk::{Disk, DiskFile};
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
    /// There were segments but no readable identity: a new epoch was begun and the old records are in it.
    pub identity_lost: bool,
    /// The spool was made, or its epoch last renewed, by another machine. Renew the epoch.
    pub holder_changed: bool,
    /// Sequences that should be held and are not, and that no acknowledgement covers. Those that an earlier
    /// gap record declares are the caller's to subtract.
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

impl Config {
    fn check(&self) -> Result<(), OpenError> {
        let segments = self.reserve_segments + 5;
        let least = segment::blocks(self.segment_bytes) * segments as u64;
        if self.capacity_bytes < least || self.segment_bytes < 512 {
            return Err(OpenError::TooSmall { capacity: self.capacity_bytes, segments, segment_bytes: self.segment_bytes, least });
        }
        Ok(())
    }
}

impl<D: Disk> Spool<D> {
    /// Opens the spool in `disk`, making it when there is none. `show` sees every record of class
    /// [`Class::Other`] that is held, oldest first: the caller finds its earlier declarations there.
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
        let identity = stored.unwrap_or(Identity { epoch: config.new_epoch, holder: config.holder, base: 0 });
        report.holder_changed = identity.holder != config.holder;
        if stored.is_none() {
            identity.store(&disk).map_err(step("write the spool's identity"))?;
        }

        let mut found = Found { identity, next: identity.base + 1, ..Found::default() };
        for number in numbers.iter().copied() {
            match segment::load(&disk, number) {
                Ok(bytes) => found.walk(number, &bytes, &mut report, show),
                Err(_) => set_aside(&disk, number, &names, &mut report).map_err(step("set an unreadable segment aside"))?,
            }
        }
        let next_number = numbers.last().map_or(1, |number| number + 1);
        let active = found.reopen_last(&disk, &config).map_err(step("reopen the last segment"))?;
        disk.sync_names().map_err(step("sync the spool's directory"))?;
        report.holes = found.holes(&mut report.damaged);

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
            next: found.next,
            durable: found.next - 1,
            acknowledged: found.acknowledged,
            unmarked: false,
            known_holes,
            note: Note { number: found.last_note, ..Note::default() },
            now_ms,
            failed: None,
            positions: VecDeque::new(),
            written: 0,
        };
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

fn set_aside<D: Disk>(disk: &D, number: u64, names: &[String], report: &mut Report) -> io::Result<()> {
    let name = segment::name(number);
    let kept = names.iter().filter(|name| name.ends_with(".damaged")).count() + report.set_aside.len();
    if kept >= MOST_SET_ASIDE {
        disk.remove(&name)?
    } else {
        disk.rename(&name, &format!("{name}.damaged"))?
    }
    report.set_aside.push(name);
    Ok(())
}

/// What the walk through all segments adds up to.
#[derive(Debug, Default)]
struct Found {
    identity: Identity,
    segments: VecDeque<Info>,
    acknowledged: RangeSet,
    next: u64,
    last_note: u8,
    /// Missing sequences, raw.
    missing: RangeSet,
    /// The last segment's bytes and whether garbage follows its records.
    last: Option<(Vec<u8>, bool)>,
}

impl Found {
    fn walk(&mut self, number: u64, bytes: &[u8], report: &mut Report, show: &mut dyn FnMut(&Record)) {
        let base = self.identity.base;
        let before = self.segments.iter().rev().find(|info| info.count > 0).map(|info| info.last);
        let mut last = before;
        let mut inside = RangeSet::new();
        let mut missing = |last: Option<u64>, sequence: u64| {
            if let Some(last) = last
                && sequence > last + 1
            {
                inside.insert(last + 1, sequence - 1);
            }
        };
        let (mut note, mut marks) = (None, None);
        let scan = segment::scan(bytes, number, before.unwrap_or(0), &mut |parsed| match parsed.kind {
            Kind::Record(class) => {
                missing(last, parsed.sequence);
                last = Some(parsed.sequence);
                report.records += 1;
                if class == Class::Other && parsed.sequence > base {
                    show(&shown(parsed, base));
                }
            }
            Kind::Note => note = Some(parsed.note),
            Kind::Acknowledgements => marks = Some(marked_ranges(parsed.payload)),
        });
        // What was taken out of a segment to make room was declared before it was taken.
        if scan.info.level == Level::Whole || scan.damaged > 0 {
            for (first, last) in inside.iter() {
                self.missing.insert(first, last);
            }
        }
        self.last_note = note.unwrap_or(self.last_note);
        self.acknowledged = marks.unwrap_or(std::mem::take(&mut self.acknowledged));
        report.damaged += scan.damaged + u64::from(scan.garbage || scan.header.is_none());
        self.next = self.next.max(scan.info.last + 1).max(scan.header.map_or(0, |header| header.first));
        self.segments.push_back(scan.info);
        self.last = Some((bytes.to_vec(), scan.garbage));
    }

    /// Makes what was recovered of the last segment durable, and goes on writing it when it has its full length.
    fn reopen_last<D: Disk>(&mut self, disk: &D, config: &Config) -> io::Result<Option<Active<D::File>>> {
        let (Some((bytes, garbage)), Some(info)) = (self.last.take(), self.segments.back_mut()) else { return Ok(None) };
        let file = disk.open(&segment::name(info.number))?;
        let end = (info.end as usize).min(bytes.len());
        segment::make_durable(&file, &bytes, end, garbage)?;
        let whole = segment::Header::decode(&bytes, info.number).is_some() && info.level == Level::Whole;
        Ok((whole && bytes.len() as u64 == config.segment_bytes).then(|| Active { file, pending: Vec::new(), synced: end as u64 }))
    }

    /// Missing sequences between what is held, in the epoch's numbering.
    fn holes(&self, left_out: &mut u64) -> Vec<Loss> {
        let base = self.identity.base;
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

impl Default for Identity {
    fn default() -> Identity {
        Identity { epoch: 0, holder: 0, base: 0 }
    }
}

fn shown(parsed: &Parsed<'_>, base: u64) -> Record {
    Record { sequence: parsed.sequence - base, class: Class::Other, payload: parsed.payload.to_vec(), note: None }
}
