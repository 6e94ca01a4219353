//! What happens when space runs out, in this order:
//!
//! 1. wholly acknowledged segments go, oldest first: nothing is lost;
//! 2. urgent records kept of emptied segments beyond the reserve go, oldest first;
//! 3. the oldest untouched segment is thinned: the caller chooses which telemetry stays;
//! 4. the oldest thinned segment loses the rest of its telemetry;
//! 5. the oldest segment goes.
//!
//! Every loss is declared by a record, on the disk, before it happens. A power cut between the two leaves
//! declared what is still there, which is harmless; never the other way round. Rewriting uses a
//! preallocated spare, so that the plan works without a free byte.

use std::io;

use crate::disk::{Disk, DiskFile};
use crate::open::REWRITE_NAME;
use crate::queue::{AppendError, Failed, Record, Spool};
use crate::record::{self, Class, Kind, Parsed, Step, Walk};
use crate::segment::{self, Header, Info, Level};

/// Sequences that will never be given out (again).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// First sequence of the range.
    pub first: u64,
    /// Last one.
    pub last: u64,
    /// How many records of the range are really lost; the others are acknowledged or were declared before.
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

/// What is to happen to one segment.
#[derive(Debug)]
struct Plan {
    info: Info,
    /// Offsets of the records that stay; empty means that the whole segment goes.
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
            room.made = self.spares.len() > self.spares_kept_from(Class::Telemetry);
            if room.made {
                break;
            }
            let settled = self.sealed().find(|info| self.settled(info)).map(|info| info.number);
            if let Some(number) = settled {
                self.unlink(number)?;
                self.sync_names()?;
                continue;
            }
            let Some(plan) = self.plan(caretaker)? else { break };
            room.losses.extend(&plan.losses);
            self.follow(plan, caretaker)?;
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
        let reserve = segment::blocks(self.config.segment_bytes) * self.config.reserve_segments as u64;
        let bare: u64 = self.sealed().filter(|info| bareness(info) == Level::Bare).map(Info::cost).sum();
        let oldest = |spool: &Spool<D>, level| spool.sealed().find(|info| bareness(info) == level).copied();
        if bare > reserve
            && let Some(info) = oldest(self, Level::Bare)
        {
            return Ok(Some(self.drop_whole(info, LossCause::UrgentDropped)));
        }
        for level in [Level::Whole, Level::Thinned] {
            let Some(info) = oldest(self, level) else { continue };
            // One that cannot be read is dropped: there is nothing to choose from.
            let Ok(records) = self.records_of(&info) else { return Ok(Some(self.drop_whole(info, LossCause::Corrupt))) };
            let mut keep = if level == Level::Whole { caretaker.thin(&records) } else { Vec::new() };
            keep.resize(records.len(), level == Level::Whole);
            for (keep, record) in keep.iter_mut().zip(&records) {
                *keep |= record.class != Class::Telemetry;
            }
            let cause = if level == Level::Whole { LossCause::Thinned } else { LossCause::Dropped };
            let losses = self.losses(&records, &keep, cause);
            let level = if level == Level::Whole { Level::Thinned } else { Level::Bare };
            return Ok(Some(Plan { info, keep, level, losses }));
        }
        let oldest = self.sealed().next().copied();
        Ok(oldest.map(|info| self.drop_whole(info, if info.telemetry == 0 { LossCause::UrgentDropped } else { LossCause::Dropped })))
    }

    fn drop_whole(&self, info: Info, cause: LossCause) -> Plan {
        let base = self.identity.base;
        let first = info.first.max(base + 1);
        let acknowledged = self.acknowledged.overlap(first, info.last);
        let lost = info.count.saturating_sub(acknowledged);
        let losses = if lost == 0 { Vec::new() } else { vec![Loss { first: first - base, last: info.last - base, lost, cause }] };
        Plan { info, keep: Vec::new(), level: Level::Bare, losses }
    }

    /// One loss for each run of records that do not stay, as far as nobody else has them.
    fn losses(&self, records: &[Record], keep: &[bool], cause: LossCause) -> Vec<Loss> {
        let mut losses: Vec<Loss> = Vec::new();
        let mut run_goes_on = false;
        for (record, keep) in records.iter().zip(keep) {
            if *keep {
                run_goes_on = false;
            } else if !self.acknowledged.contains(record.sequence + self.identity.base) {
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

    /// Declares, commits, and only then rewrites or unlinks. When not even the declarations find room they
    /// follow right after: they then fit into what was given up.
    fn follow(&mut self, plan: Plan, caretaker: &mut dyn Caretaker) -> Result<(), Failed> {
        let mut declarations: Vec<Vec<u8>> = plan.losses.iter().map(|loss| caretaker.declaration(loss)).collect();
        declarations.reverse();
        self.declare(&mut declarations)?;
        self.commit(self.now_ms)?;
        if plan.keep.contains(&true) {
            self.rewrite(&plan, caretaker)?;
        } else {
            self.unlink(plan.info.number)?;
        }
        self.sync_names()?;
        self.refill_spares()?;
        self.declare(&mut declarations)?;
        self.commit(self.now_ms).map(drop)
    }

    fn declare(&mut self, declarations: &mut Vec<Vec<u8>>) -> Result<(), Failed> {
        while let Some(declaration) = declarations.last() {
            match self.append(Class::Other, declaration) {
                Ok(_) => drop(declarations.pop()),
                Err(AppendError::Full) => break,
                Err(AppendError::TooLarge { .. }) => drop(declarations.pop()),
                Err(AppendError::Failed(failed)) => return Err(failed),
            }
        }
        Ok(())
    }

    /// A segment's records, in the epoch's numbering. Bounded by the segment size.
    fn records_of(&self, info: &Info) -> io::Result<Vec<Record>> {
        let bytes = segment::load(&self.disk, info.number)?;
        let mut records = Vec::with_capacity(info.count as usize);
        for_each_record(&bytes, info, &mut |class, parsed| {
            // Below the base it belongs to an epoch that is over.
            let sequence = parsed.sequence.saturating_sub(self.identity.base);
            records.push(Record { sequence, class, payload: parsed.payload.to_vec(), note: None });
        });
        Ok(records)
    }

    fn rewrite(&mut self, plan: &Plan, caretaker: &mut dyn Caretaker) -> Result<(), Failed> {
        let number = plan.info.number;
        let bytes = match segment::load(&self.disk, number) {
            Ok(bytes) => bytes,
            Err(error) => return Err(self.fail("read a segment again", &error)),
        };
        let (rewritten, info) = rewritten(&bytes, plan);
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
                let whole = self.drop_whole(info, LossCause::Dropped);
                let mut declarations: Vec<Vec<u8>> = whole.losses.iter().map(|loss| caretaker.declaration(loss)).collect();
                self.unlink(number)?;
                self.refill_spares()?;
                self.declare(&mut declarations)
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

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn for_each_record(bytes: &[u8], info: &Info, each: &mut dyn FnMut(Class, &Parsed<'_>)) {
    let mut walk = Walk::new(bytes, info.number, segment::HEADER_BYTES, info.first - 1);
    loop {
        match walk.step() {
            Step::Record(_, parsed) => {
                if let Kind::Record(class) = parsed.kind {
                    each(class, &parsed);
                }
            }
            Step::Damage { .. } => {}
            Step::End(_) | Step::Garbage(_) => return,
        }
    }
}

/// The segment without what does not stay, its notes and marks kept.
fn rewritten(bytes: &[u8], plan: &Plan) -> (Vec<u8>, Info) {
    let old = &plan.info;
    let header = Header { number: old.number, first: old.first, begun_ms: old.begun_ms, level: plan.level };
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&header.encode());
    let mut info = Info::empty(header, 0);
    let mut walk = Walk::new(bytes, old.number, segment::HEADER_BYTES, old.first - 1);
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
