//! Reading records back, from any sequence, without keeping the log in memory.

use std::io;
use std::sync::Arc;

use super::{Failed, Record, Spool};
use crate::disk::{Disk, DiskFile, is_damage};
use crate::open;
use crate::ranges::RangeSet;
use crate::record::{Kind, MAX_PAYLOAD, Parsed, Step, Walk};
use crate::room::{Loss, LossCause};
use crate::segment::{self, Info, Level};

/// Some records, and what was found damaged on the way to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Contiguous sequences.
    pub records: Vec<Record>,
    /// What can never be read. Append a record that declares it.
    pub damaged: Vec<Loss>,
}

/// Where a reader stopped, so that the next read need not walk from the start of a segment.
#[derive(Debug, Clone)]
pub(crate) struct Position {
    pub number: u64,
    offset: u64,
    /// The sequence read last.
    last: u64,
    notes: Notes,
}

/// The notes met on a walk, by number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Vec<(u8, Arc<[u8]>)>);

impl Notes {
    /// A number is given again after 255 others: the last one counts.
    pub fn learn(&mut self, number: u8, bytes: Arc<[u8]>) {
        self.0.retain(|(other, _)| *other != number);
        self.0.push((number, bytes));
    }

    pub fn of(&self, number: u8) -> Option<Arc<[u8]>> {
        self.0.iter().find(|(other, _)| *other == number).map(|(_, bytes)| bytes.clone())
    }
}

/// Two lanes, and what they left behind.
const MOST_POSITIONS: usize = 4;

/// How much a read may bring.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    from: u64,
    to: u64,
    records: usize,
    bytes: usize,
}

impl<D: Disk> Spool<D> {
    /// The first run of contiguous durable records at or after `from` and at most `to`, no more than
    /// `most_records` and about `most_bytes` of payload. Empty when there is none.
    pub fn read(&mut self, from: u64, to: u64, most_records: usize, most_bytes: usize) -> Result<Batch, Failed> {
        self.check()?;
        let base = self.identity.base;
        let mut wanted = Wanted {
            from: from.max(1).saturating_add(base),
            to: to.saturating_add(base).min(self.durable),
            records: most_records,
            bytes: most_bytes,
        };
        let mut batch = Batch::default();
        let candidates: Vec<Info> =
            self.segments.iter().filter(|info| info.count > 0 && info.last >= wanted.from).take(64).copied().collect();
        for info in candidates {
            let broken_off = !batch.records.is_empty() && info.first != wanted.from;
            if info.first > wanted.to || broken_off || wanted.records == 0 || wanted.bytes == 0 {
                break;
            }
            match self.read_segment(&info, &mut wanted, &mut batch) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => self.set_aside(&info, &error, &mut batch)?,
            }
        }
        for record in &mut batch.records {
            record.sequence -= base;
        }
        Ok(batch)
    }

    /// Reads on in one segment. True when the run may go on in the next one.
    fn read_segment(&mut self, info: &Info, wanted: &mut Wanted, batch: &mut Batch) -> io::Result<bool> {
        let best = self.positions.iter().position(|p| p.number == info.number && p.last < wanted.from);
        let start = Position {
            number: info.number,
            offset: segment::HEADER_BYTES as u64,
            last: info.begin.saturating_sub(1),
            notes: Notes::default(),
        };
        let mut at = best.and_then(|i| self.positions.remove(i)).unwrap_or(start);
        let is_active = self.active.is_some() && self.segments.back().is_some_and(|last| last.number == info.number);
        let end = if is_active { self.active.as_ref().map_or(0, |active| active.synced) } else { info.end };
        let mut file = None;
        let mut window = wanted.bytes.min(256 << 10) + 2 * MAX_PAYLOAD;
        let mut over_damage = false;
        loop {
            let length = (end.saturating_sub(at.offset)).min(window as u64) as usize;
            let in_memory = self.active.as_ref().filter(|_| is_active).and_then(|active| active.in_memory(at.offset)?.get(..length));
            let bytes = match in_memory {
                Some(bytes) => bytes.to_vec(),
                None => read_from(&mut file, || self.disk.open(&segment::name(info.number)), at.offset, length)?,
            };
            let is_rest = at.offset + length as u64 >= end;
            let began = at.offset;
            let mut walk = Walk::new(&bytes, info.number, 0, at.last);
            loop {
                let step = walk.step();
                match step {
                    Step::Record(offset, parsed) => {
                        let missing = over_damage.then(|| (at.last + 1, parsed.sequence.saturating_sub(1)));
                        if let Some((first, last)) = missing {
                            over_damage = false;
                            self.report_damage(info, first, last, batch);
                            if !batch.records.is_empty() {
                                self.remember(at);
                                return Ok(false);
                            }
                        }
                        match take(&mut at.notes, &parsed, wanted, batch) {
                            Taken::Passed => {}
                            Taken::Stopped => {
                                self.remember(at);
                                return Ok(false);
                            }
                            Taken::Unreadable => {
                                self.report_damage(info, parsed.sequence, parsed.sequence, batch);
                                if !batch.records.is_empty() {
                                    return Ok(false);
                                }
                            }
                        }
                        at.offset = began + (offset + parsed.length()) as u64;
                        if matches!(parsed.kind, Kind::Record(_)) {
                            at.last = parsed.sequence;
                        }
                    }
                    // A record may merely not fit the window: look at the whole rest before calling it damage.
                    _ if !is_rest => {
                        window = if at.offset == began { usize::MAX } else { window };
                        break;
                    }
                    Step::Damage { .. } => over_damage = true,
                    Step::End(_) | Step::Garbage(_) => {
                        if at.last < info.last.min(self.durable) {
                            self.report_damage(info, at.last + 1, info.last.min(self.durable), batch);
                        }
                        let whole = at.last == info.last;
                        self.remember(at);
                        return Ok(whole || batch.records.is_empty());
                    }
                }
            }
        }
    }

    fn remember(&mut self, position: Position) {
        self.positions.push_front(position);
        self.positions.truncate(MOST_POSITIONS);
    }

    fn report_damage(&mut self, info: &Info, first: u64, last: u64, batch: &mut Batch) {
        batch.damaged.extend(self.damage(info, first, last));
    }

    /// A hole to be declared: once, and only what nobody has yet.
    pub(crate) fn damage(&mut self, info: &Info, first: u64, last: u64) -> Option<Loss> {
        let base = self.identity.base;
        let first = first.max(base + 1);
        if first > last || self.known_holes.covers(first, last) || self.acknowledged.covers(first, last) {
            return None;
        }
        let mut settled = RangeSet::new();
        for (first, last) in self.known_holes.within(first, last).chain(self.acknowledged.within(first, last)) {
            settled.insert(first, last);
        }
        let open = last - first + 1 - settled.overlap(first, last);
        if open == 0 {
            return None;
        }
        self.known_holes.insert(first, last);
        // Of a part of a thinned segment nobody knows any more what was there at all.
        let lost = match info.level {
            Level::Whole => open,
            _ if last - first >= info.last - info.first => info.count.min(open),
            _ => 1,
        };
        Some(Loss { first: first - base, last: last - base, lost, cause: LossCause::Corrupt })
    }

    /// A segment that cannot be read is renamed and never looked at again, so that it cannot stop the rest.
    fn set_aside(&mut self, info: &Info, error: &io::Error, batch: &mut Batch) -> Result<(), Failed> {
        let newest = self.segments.back().is_some_and(|last| last.number == info.number);
        if newest || !is_damage(error) {
            return Err(self.fail("read a segment", error));
        }
        open::set_aside(&self.disk, info.number).map_err(|error| self.fail("set a damaged segment aside", &error))?;
        self.sync_names()?;
        self.segments.retain(|other| other.number != info.number);
        self.positions.retain(|position| position.number != info.number);
        self.report_damage(info, info.first, info.last, batch);
        Ok(())
    }
}

/// Opens the file the first time.
fn read_from<F: DiskFile>(file: &mut Option<F>, open: impl Fn() -> io::Result<F>, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let file = match file {
        Some(file) => file,
        None => file.insert(open()?),
    };
    let mut bytes = vec![0; length];
    let n = file.read_at(offset, &mut bytes)?;
    bytes.truncate(n);
    Ok(bytes)
}

enum Taken {
    /// Taken, or not wanted: go on.
    Passed,
    /// Not taken, and nothing after it will be.
    Stopped,
    /// Its note is gone, and with it its meaning.
    Unreadable,
}

fn take(notes: &mut Notes, parsed: &Parsed<'_>, wanted: &mut Wanted, batch: &mut Batch) -> Taken {
    let class = match parsed.kind {
        Kind::Record(class) => class,
        Kind::Note => {
            notes.learn(parsed.note, parsed.payload.into());
            return Taken::Passed;
        }
        Kind::Acknowledgements => return Taken::Passed,
    };
    if parsed.sequence < wanted.from {
        return Taken::Passed;
    }
    let run_ended = !batch.records.is_empty() && parsed.sequence != wanted.from;
    if run_ended || parsed.sequence > wanted.to || wanted.records == 0 || (wanted.bytes < parsed.payload.len() && !batch.records.is_empty())
    {
        return Taken::Stopped;
    }
    let note = notes.of(parsed.note);
    if note.is_none() && parsed.note != 0 {
        return Taken::Unreadable;
    }
    wanted.from = parsed.sequence + 1;
    wanted.records -= 1;
    wanted.bytes = wanted.bytes.saturating_sub(parsed.payload.len());
    batch.records.push(Record { sequence: parsed.sequence, class, payload: parsed.payload.to_vec(), note });
    Taken::Passed
}
