//! One segment file: a header, then records, then zeros up to its preallocated length.
//!
//! ```text
//! 0  magic    "DAVYSEG1"
//! 8  number   u64 le   also in the file's name, `{number:016x}.segment`
//! 16 first    u64 le   the sequence that came next when the segment was begun
//! 24 begun    i64 le   wall clock of the caller, Unix ms: only for keeping what is acknowledged a while
//! 32 level    u8       what was already taken out of it
//! 33 zeros
//! 60 crc32c   u32 le   of the above
//! 64 records
//! ```

use std::io;

use crate::disk::{Disk, DiskFile};
use crate::record::{Class, Kind, Parsed, Step, Walk};

/// Bytes before the first record.
pub const HEADER_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"DAVYSEG1";
/// A segment file is never read beyond this, whatever its length claims.
pub const READ_LIMIT: u64 = 64 << 20;

/// What was taken out of a segment to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing.
    Whole,
    /// Telemetry, down to what the caller wanted to keep.
    Thinned,
    /// All telemetry.
    Bare,
}

impl Level {
    fn from_code(code: u8) -> Option<Level> {
        [Level::Whole, Level::Thinned, Level::Bare].into_iter().find(|level| *level as u8 == code)
    }
}

/// See the head of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub number: u64,
    pub first: u64,
    pub begun_ms: i64,
    pub level: Level,
}

impl Header {
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.begun_ms.to_le_bytes());
        bytes[32] = self.level as u8;
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8], number: u64) -> Option<Header> {
        let bytes: &[u8; HEADER_BYTES] = bytes.get(..HEADER_BYTES)?.try_into().ok()?;
        let crc = u32::from_le_bytes([bytes[60], bytes[61], bytes[62], bytes[63]]);
        if &bytes[..8] != MAGIC || crc32c::crc32c(&bytes[..60]) != crc {
            return None;
        }
        let word = |at: usize| bytes[at..at + 8].iter().rev().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        let header = Header { number: word(8), first: word(16), begun_ms: word(24) as i64, level: Level::from_code(bytes[32])? };
        (header.number == number).then_some(header)
    }
}

/// What the spool remembers of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    pub number: u64,
    pub level: Level,
    pub begun_ms: i64,
    /// Length of the file: what it costs.
    pub file_bytes: u64,
    /// Where its records end.
    pub end: u64,
    /// The sequence that came next when it was begun: a walk through it starts below this one, because the
    /// marks before the first record that is left are older than that record.
    pub begin: u64,
    /// First and last sequence in it; `last` is zero when it is empty.
    pub first: u64,
    pub last: u64,
    /// How many records, and how many of them are telemetry and urgent.
    pub count: u64,
    pub telemetry: u64,
    pub urgent: u64,
}

impl Info {
    pub fn empty(header: Header, file_bytes: u64) -> Info {
        Info {
            number: header.number,
            level: header.level,
            begun_ms: header.begun_ms,
            file_bytes,
            end: HEADER_BYTES as u64,
            begin: header.first,
            first: header.first,
            last: 0,
            count: 0,
            telemetry: 0,
            urgent: 0,
        }
    }

    /// Takes a record into account.
    pub fn add(&mut self, class: Class, sequence: u64) {
        if self.count == 0 {
            self.first = sequence;
        }
        self.last = sequence;
        self.count += 1;
        self.telemetry += u64::from(class == Class::Telemetry);
        self.urgent += u64::from(class == Class::Urgent);
    }

    /// Bytes it takes on the disk.
    pub fn cost(&self) -> u64 {
        blocks(self.file_bytes)
    }
}

/// Length rounded up to the blocks that file systems hand out.
pub fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(4096) * 4096
}

pub fn name(number: u64) -> String {
    format!("{number:016x}.segment")
}

pub fn number(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_suffix(".segment").filter(|n| n.len() == 16)?, 16).ok()
}

/// Makes a preallocated file a segment. Its header is on the disk before its name is: a segment that does
/// not say where its sequences begin is worth nothing once those before it are let go.
pub fn begin<D: Disk>(disk: &D, spare: &str, header: &Header) -> io::Result<D::File> {
    let file = disk.open(spare)?;
    file.write_at(0, &header.encode())?;
    file.sync()?;
    disk.rename(spare, &name(header.number))?;
    disk.sync_names()?;
    Ok(file)
}

/// A segment's bytes in memory, whole: bounded by the segment size.
pub fn load<D: Disk>(disk: &D, number: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(&name(number))?;
    let length = file.length()?.min(READ_LIMIT);
    let mut bytes = vec![0; length as usize];
    let n = file.read_at(0, &mut bytes)?;
    bytes.truncate(n);
    Ok(bytes)
}

/// A walk through a segment's records from the first one.
pub fn walk<'a>(bytes: &'a [u8], info: &Info) -> Walk<'a> {
    Walk::new(bytes, info.number, HEADER_BYTES, info.begin.saturating_sub(1))
}

/// What a walk through a whole segment found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// `None` when the header is damaged; its records may still be good.
    pub header: Option<Header>,
    pub info: Info,
    /// Bytes after the last record that are neither records nor zeros.
    pub garbage: bool,
    /// How many times bytes that are no record had to be stepped over.
    pub damaged: u64,
}

/// Walks through `bytes` and shows every record whose sequence lies above `above`.
pub fn scan(bytes: &[u8], number: u64, above: u64, show: &mut dyn FnMut(&Parsed<'_>)) -> Scan {
    let header = Header::decode(bytes, number);
    let assumed = Header { number, first: above + 1, begun_ms: i64::MAX, level: Level::Whole };
    let mut info = Info::empty(header.unwrap_or(assumed), bytes.len() as u64);
    let mut walk = Walk::new(bytes, number, HEADER_BYTES, above.max(info.begin.saturating_sub(1)));
    let (mut garbage, mut damaged) = (false, 0);
    loop {
        match walk.step() {
            Step::Record(at, record) => {
                if let Kind::Record(class) = record.kind {
                    info.add(class, record.sequence);
                }
                info.end = (at + record.length()) as u64;
                show(&record);
            }
            Step::Damage { .. } => damaged += 1,
            Step::End(_) => break,
            Step::Garbage(_) => {
                garbage = true;
                break;
            }
        }
    }
    Scan { header, info, garbage, damaged }
}

/// The segment being written.
#[derive(Debug)]
pub struct Active<F> {
    pub file: F,
    /// Written and not yet synced, or not yet written, bytes that follow `synced`.
    pub pending: Vec<u8>,
    /// Everything before this is on the disk.
    pub synced: u64,
    /// The newest bytes before `synced`: what is read at once after it was written is read from here.
    pub tail: Vec<u8>,
}

/// No more than this of what is on the disk is kept in memory too.
const MOST_TAIL: usize = 128 << 10;

impl<F: DiskFile> Active<F> {
    /// A segment whose bytes before `synced` are on the disk.
    pub fn new(file: F, synced: u64) -> Active<F> {
        Active { file, pending: Vec::new(), synced, tail: Vec::new() }
    }

    /// Writes and syncs what is pending. After an error nothing may be assumed about what is on the disk:
    /// the kernel forgets a failed write-back, so a second sync that succeeds proves nothing.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.file.write_at(self.synced, &self.pending)?;
        self.file.sync()?;
        self.synced += self.pending.len() as u64;
        if self.tail.len() + self.pending.len() <= MOST_TAIL {
            self.tail.append(&mut self.pending);
        } else {
            std::mem::swap(&mut self.tail, &mut self.pending);
            self.pending.clear();
        }
        Ok(())
    }

    /// The synced bytes from `offset` on, when they are in memory.
    pub fn in_memory(&self, offset: u64) -> Option<&[u8]> {
        let begins = self.synced - self.tail.len() as u64;
        self.tail.get(usize::try_from(offset.checked_sub(begins)?).ok()?..)
    }

    /// Where the next record will start.
    pub fn end(&self) -> u64 {
        self.synced + self.pending.len() as u64
    }
}

/// Writes the recovered bytes of a segment once more and zeros behind them, and syncs. Bytes that were
/// read may have come from the page cache after a failed sync; written again, a sync covers them.
pub fn make_durable<F: DiskFile>(file: &F, bytes: &[u8], end: usize, clear_rest: bool) -> io::Result<()> {
    file.write_at(0, &bytes[..end])?;
    if clear_rest {
        file.write_at(end as u64, &vec![0; bytes.len() - end])?;
    }
    file.sync()
}

#[cfg(test)]
mod tests;
