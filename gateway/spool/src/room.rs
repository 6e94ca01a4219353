//! What happens when space runs out, in this order:
//!
//! 1. wholly acknowledged segments go, oldest first: nothing is lost;
//! 2. when segments without telemetry exceed the reserve: the declarations in the oldest of them are merged
//!    (`merge.rs`), then urgent records beyond the reserve go, oldest first; what is declared beside them stays
//!    as long as something older is held that it may speak of;
//! 3. the oldest untouched segment is thinned: the caller chooses which telemetry stays;
//! 4. the oldest thinned segment loses the rest of its telemetry;
//! 5. the oldest segment goes.
//!
//! Every loss is declared by a record, on the disk, before it happens. A power cut between the two leaves
//! declared what is still there, which is harmless; never the other way round. Only when not even the
//! declaration finds room it follows in what was given up; until then the hole is left for the next start to
//! find. Rewriting uses a preallocated spare, so that the plan works without a free byte.

use std::io;

mod merge;

use crate::disk::{Disk, DiskFile, is_damage, is_full};
use crate::open::REWRITE_NAME;
use crate::queue::{AppendError, Failed, Record, Spool};
use crate::record::{self, Class, Kind, Step};
use crate::segment::{self, Header, Info, Level};

/// Sequences that will never be given out (again).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// First sequence of the range.
    pub first: u64,
    /// Last one.
    pub last: u64,
    /// How many records of the range are really lost; the others are acknowledged or were declared before.
    /// Where declarations were merged it is all that is missing, declared before or not.
    pub lost: u64,
    /// Why.
    pub cause: LossCause,
}

/// Why records are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LossCause {
    /// Thinned.
    Thinned,
    /// Dropped, the oldest first.
    Dropped,
    /// Urgent ones dropped, because even the reserve was full.
    UrgentDropped,
    /// Failed a checksum or could not be read.
    Corrupt,
    /// Nothing lost: they travelled under the epoch before.
    Moved,
}

/// The caller's part in making room.
pub trait Caretaker {
    /// Which of these records (one segment's, in order) to keep. Only telemetry may be left out; a missing
    /// answer keeps.
    fn thin(&mut self, records: &[Record]) -> Vec<bool>;
    /// The record that declares this loss.
    fn declaration(&mut self, loss: &Loss) -> Vec<u8>;
}

/// What making room came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Room {
    /// True when a segment can be begun now.
    pub made: bool,
    /// What was lost for it.
    pub losses: Vec<Loss>,
}

/// What a segment holds.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// In the epoch's numbering; zero for a record of an epoch that is over.
    pub records: Vec<Record>,
    /// Raw sequences among which records are damaged.
    pub damaged: Vec<(u64, u64)>,
}

/// What is to happen to one segment.
#[derive(Debug)]
struct Plan {
    info: Info,
    /// Which of its records stay; when none does the whole segment goes.
    keep: Vec<bool>,
    level: Level,
    losses: Vec<Loss>,
}

impl<D: Disk> Spool<D> {
    /// Follows the plan until one more telemetry segment can be begun, or nothing is left to give up.
    pub fn make_room(&mut self, caretaker: &mut dyn Caretaker) -> Result<Room, Failed> {
        self.check()?;
        let mut room = Room::default();
        // Each step unlinks or lowers one segment, so this ends; the bound only guards against a mistake here.
        for _ in 0..self.config.most_segments * 4 {
            self.refill_spares()?;
            self.declare()?;
            room.made = self.owed.is_empty() && self.spares.len() > self.spares_kept_from(Class::Telemetry);
            if room.made {
                break;
            }
            let marked = self.markable();
            let settled = self.sealed().find(|info| self.covered(info, &marked)).map(|info| info.number);
            // Even the last spare may serve, because what is settled makes room for another.
            self.settle_marks(if settled.is_some() { 0 } else { self.spares_kept_from(Class::Other) })?;
            if let Some(number) = settled {
                self.unlink(number)?;
                self.sync_names()?;
                continue;
            }
            if self.bare_bytes(|_| true) > self.reserve_bytes() && self.merge_declarations(caretaker, &mut room.losses)? {
                continue;
            }
            let Some(plan) = self.plan(caretaker)? else { break };
            room.losses.extend(&plan.losses);
            self.follow(plan, caretaker, &mut room.losses)?;
        }
        Ok(room)
    }

    /// How many spares a class must leave: the last one is for rewriting, the reserve for what matters.
    pub(crate) fn spares_kept_from(&self, class: Class) -> usize {
        if class == Class::Telemetry { 1 + self.config.reserve_segments } else { 1 }
    }

    /// Preallocates ahead, as far as the capacity and the disk allow.
    pub(crate) fn refill_spares(&mut self) -> Result<(), Failed> {
        let wanted = self.spares_kept_from(Class::Telemetry) + 1;
        let cost = segment::blocks(self.config.segment_bytes);
        while self.spares.len() < wanted
            && self.bytes() + cost <= self.config.capacity_bytes
            && self.segments.len() < self.config.most_segments
        {
            let name = format!("spare-{}", self.spare_names);
            match self.disk.create(&name, self.config.segment_bytes) {
                Ok(_) => {
                    self.spare_names += 1;
                    self.spares.push(name);
                }
                Err(error) if is_full(&error) => break,
                Err(error) => return Err(self.fail("preallocate a segment", &error)),
            }
        }
        Ok(())
    }

    fn plan(&mut self, caretaker: &mut dyn Caretaker) -> Result<Option<Plan>, Failed> {
        let oldest_urgent = self.sealed().find(|info| info.telemetry == 0 && info.urgent > 0).copied();
        if self.bare_bytes(|info| info.urgent > 0) > self.reserve_bytes()
            && let Some(info) = oldest_urgent
        {
            let is_oldest = self.segments.front().is_some_and(|oldest| oldest.number == info.number);
            let plan = if is_oldest { self.drop_whole(info, LossCause::UrgentDropped) } else { self.drop_urgent(info) };
            return plan.map(Some);
        }
        for level in [Level::Whole, Level::Thinned] {
            let Some(info) = self.sealed().find(|info| bareness(info) == level).copied() else { continue };
            let Some(contents) = self.contents_to_thin(&info)? else { return self.drop_whole(info, LossCause::Corrupt).map(Some) };
            let mut keep = if level == Level::Whole { caretaker.thin(&contents.records) } else { Vec::new() };
            keep.resize(contents.records.len(), level == Level::Whole);
            for (keep, record) in keep.iter_mut().zip(&contents.records) {
                *keep |= record.class != Class::Telemetry;
            }
            let cause = if level == Level::Whole { LossCause::Thinned } else { LossCause::Dropped };
            let mut losses = self.damaged(&info, &contents);
            losses.extend(self.losses(&contents.records, &keep, cause));
            let level = if level == Level::Whole { Level::Thinned } else { Level::Bare };
            return Ok(Some(Plan { info, keep, level, losses }));
        }
        let oldest = self.sealed().next().copied();
        oldest.map(|info| self.drop_whole(info, LossCause::UrgentDropped)).transpose()
    }

    fn reserve_bytes(&self) -> u64 {
        segment::blocks(self.config.segment_bytes) * self.config.reserve_segments as u64
    }

    /// What segments without telemetry take, those that `count`.
    fn bare_bytes(&self, count: impl Fn(&Info) -> bool) -> u64 {
        self.sealed().filter(|info| info.telemetry == 0 && count(info)).map(Info::cost).sum()
    }

    fn drop_urgent(&mut self, info: Info) -> Result<Plan, Failed> {
        let Some(contents) = self.contents_to_thin(&info)? else { return self.drop_whole(info, LossCause::Corrupt) };
        let keep: Vec<bool> = contents.records.iter().map(|record| record.class == Class::Other).collect();
        let mut losses = self.damaged(&info, &contents);
        losses.extend(self.losses(&contents.records, &keep, LossCause::UrgentDropped));
        Ok(Plan { info, keep, level: Level::Bare, losses })
    }

    /// `None` when it cannot be read, so that there is nothing to choose from.
    fn contents_to_thin(&mut self, info: &Info) -> Result<Option<Contents>, Failed> {
        match self.contents(info) {
            Ok(contents) => Ok(Some(contents)),
            Err(error) if is_damage(&error) => Ok(None),
            Err(error) => Err(self.fail("read a segment", &error)),
        }
    }

    fn drop_whole(&mut self, info: Info, cause: LossCause) -> Result<Plan, Failed> {
        let losses = match self.contents_to_thin(&info)? {
            Some(contents) => {
                let mut losses = self.damaged(&info, &contents);
                losses.extend(self.whole_loss(&info, contents.records.iter(), cause));
                losses
            }
            None => self.damage(&info, info.first, info.last).into_iter().collect(),
        };
        Ok(Plan { info, keep: Vec::new(), level: Level::Bare, losses })
    }

    /// What is damaged in a segment and was not reported so far.
    fn damaged(&mut self, info: &Info, contents: &Contents) -> Vec<Loss> {
        contents.damaged.iter().filter_map(|(first, last)| self.damage(info, *first, *last)).collect()
    }

    /// One loss for the whole segment, if any of these records of it is lost.
    fn whole_loss<'a>(&self, info: &Info, records: impl Iterator<Item = &'a Record>, cause: LossCause) -> Option<Loss> {
        let base = self.identity.base;
        let lost = records.filter(|record| self.is_open(record)).count() as u64;
        (lost > 0).then(|| Loss { first: info.first.max(base + 1) - base, last: info.last - base, lost, cause })
    }

    /// True when nobody has it, and nobody declared it.
    fn is_open(&self, record: &Record) -> bool {
        let raw = record.sequence + self.identity.base;
        !self.acknowledged.contains(raw) && !self.known_holes.contains(raw)
    }

    /// One loss for each run of records that do not stay, as far as nobody else has them.
    fn losses(&self, records: &[Record], keep: &[bool], cause: LossCause) -> Vec<Loss> {
        let mut losses: Vec<Loss> = Vec::new();
        let mut run_goes_on = false;
        for (record, keep) in records.iter().zip(keep) {
            if *keep {
                run_goes_on = false;
            } else if self.is_open(record) {
                match losses.last_mut().filter(|_| run_goes_on) {
                    Some(loss) => {
                        loss.last = record.sequence;
                        loss.lost += 1;
                    }
                    None => losses.push(Loss { first: record.sequence, last: record.sequence, lost: 1, cause }),
                }
                run_goes_on = true;
            }
        }
        losses
    }

    /// Declares, commits, and only then rewrites or unlinks.
    fn follow(&mut self, plan: Plan, caretaker: &mut dyn Caretaker, losses: &mut Vec<Loss>) -> Result<(), Failed> {
        self.owed.extend(plan.losses.iter().map(|loss| caretaker.declaration(loss)));
        self.declare()?;
        self.commit(self.now_ms)?;
        self.shorten(&plan, caretaker, losses)?;
        self.declare()?;
        self.commit(self.now_ms).map(drop)
    }

    /// Leaves of a segment what is to be kept.
    fn shorten(&mut self, plan: &Plan, caretaker: &mut dyn Caretaker, losses: &mut Vec<Loss>) -> Result<(), Failed> {
        if plan.keep.contains(&true) {
            self.rewrite(plan, caretaker, losses)?;
        } else {
            self.unlink(plan.info.number)?;
        }
        self.sync_names()?;
        self.refill_spares()
    }

    /// Appends what is still to be declared, as far as there is room.
    fn declare(&mut self) -> Result<(), Failed> {
        while let Some(declaration) = self.owed.pop_front() {
            match self.append(Class::Other, &declaration) {
                Ok(_) | Err(AppendError::TooLarge { .. }) => {}
                Err(AppendError::Full) => {
                    self.owed.push_front(declaration);
                    break;
                }
                Err(AppendError::Failed(failed)) => return Err(failed),
            }
        }
        Ok(())
    }

    /// Reads a segment. Bounded by the segment size.
    pub(crate) fn contents(&self, info: &Info) -> io::Result<Contents> {
        let bytes = segment::load(&self.disk, info.number)?;
        let is_newest = self.segments.back().is_some_and(|newest| newest.number == info.number);
        let mut contents = Contents { records: Vec::with_capacity(info.count as usize), damaged: Vec::new() };
        let mut walk = segment::walk(&bytes, info);
        let (mut last, mut over_damage) = (info.begin.saturating_sub(1), false);
        loop {
            match walk.step() {
                Step::Record(_, parsed) => {
                    if std::mem::take(&mut over_damage) {
                        contents.damaged.push((last + 1, parsed.sequence.saturating_sub(1)));
                    }
                    if let Kind::Record(class) = parsed.kind {
                        last = parsed.sequence;
                        // Below the base it belongs to an epoch that is over.
                        let sequence = parsed.sequence.saturating_sub(self.identity.base);
                        contents.records.push(Record { sequence, class, payload: parsed.payload.to_vec(), note: None });
                    }
                }
                Step::Damage { .. } => over_damage = true,
                Step::End(_) | Step::Garbage(_) => {
                    if !is_newest && last < info.last {
                        contents.damaged.push((last + 1, info.last));
                    }
                    return Ok(contents);
                }
            }
        }
    }

    fn rewrite(&mut self, plan: &Plan, caretaker: &mut dyn Caretaker, losses: &mut Vec<Loss>) -> Result<(), Failed> {
        let number = plan.info.number;
        let bytes = match segment::load(&self.disk, number) {
            Ok(bytes) => bytes,
            Err(error) => return Err(self.fail("read a segment again", &error)),
        };
        // As long as a loss of it may not be declared the segment does not say that it was thinned, so that a
        // start finds the hole.
        let end = self.segments.iter().find(|info| info.number > number).map_or(self.next, |info| info.begin);
        let declared = self.owed.is_empty() && self.known_holes.overlap(plan.info.begin, end.saturating_sub(1)) == 0;
        let level = if declared { plan.level } else { Level::Whole };
        let (rewritten, info) = rewritten(&bytes, plan, level);
        match self.replace(number, &rewritten) {
            Ok(()) => {
                if let Some(held) = self.segments.iter_mut().find(|held| held.number == number) {
                    *held = info;
                }
                self.positions.retain(|position| position.number != number);
                Ok(())
            }
            // No spare and no space: what was to be kept goes too, declared like everything else.
            Err(error) if is_full(&error) => {
                let _ = self.disk.remove(REWRITE_NAME);
                let kept = self.contents(&plan.info).unwrap_or_default().records;
                let kept = kept.iter().zip(&plan.keep).filter_map(|(record, keep)| keep.then_some(record));
                let loss = self.whole_loss(&plan.info, kept, LossCause::Dropped);
                self.owed.extend(loss.map(|loss| caretaker.declaration(&loss)));
                losses.extend(loss);
                self.declare()?;
                self.commit(self.now_ms)?;
                self.unlink(number)
            }
            Err(error) => Err(self.fail("rewrite a segment", &error)),
        }
    }

    /// The new bytes under the old name, in one step.
    fn replace(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let file = match self.spares.pop() {
            Some(spare) => {
                self.disk.rename(&spare, REWRITE_NAME)?;
                self.disk.open(REWRITE_NAME)?
            }
            None => self.disk.create(REWRITE_NAME, bytes.len() as u64)?,
        };
        file.write_at(0, bytes)?;
        file.set_length(bytes.len() as u64)?;
        file.sync()?;
        self.written += bytes.len() as u64;
        self.disk.rename(REWRITE_NAME, &segment::name(number))?;
        self.disk.sync_names()
    }
}

/// What its level amounts to: without telemetry there is nothing to thin.
fn bareness(info: &Info) -> Level {
    if info.telemetry == 0 { Level::Bare } else { info.level }
}

/// The segment without what does not stay, its notes and marks kept.
fn rewritten(bytes: &[u8], plan: &Plan, level: Level) -> (Vec<u8>, Info) {
    let old = &plan.info;
    let header = Header { number: old.number, first: old.begin, begun_ms: old.begun_ms, level };
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&header.encode());
    let mut info = Info { level: plan.level, ..Info::empty(header, 0) };
    let mut walk = segment::walk(bytes, old);
    let mut keep = plan.keep.iter();
    let mut note_written = 0;
    loop {
        let parsed = match walk.step() {
            Step::Record(_, parsed) => parsed,
            Step::Damage { .. } => continue,
            Step::End(_) | Step::Garbage(_) => break,
        };
        match parsed.kind {
            Kind::Record(class) => {
                if *keep.next().unwrap_or(&true) {
                    info.add(class, parsed.sequence);
                    record::encode(&mut out, old.number, &parsed);
                }
            }
            Kind::Note if note_written == parsed.note => {}
            Kind::Note => {
                note_written = parsed.note;
                record::encode(&mut out, old.number, &parsed);
            }
            // A later segment's mark says more.
            Kind::Acknowledgements => {}
        }
    }
    info.end = out.len() as u64;
    info.file_bytes = out.len() as u64;
    (out, info)
}

#[cfg(test)]
mod tests;
