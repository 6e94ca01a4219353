//! One record of the log, as bytes.
//!
//! ```text
//! 0  crc32c   u32 le   over the segment number (u64 le) and bytes 4.. of the record
//! 4  length   u16 le   of the payload
//! 6  kind     u8       0 telemetry, 1 urgent, 2 other, 0x80 acknowledgements, 0x81 note
//! 7  note     u8       number of the note that stands over this record
//! 8  sequence u64 le   its own; a mark (kind >= 0x80) carries the next record's
//! 16 payload
//! ```
//!
//! The segment number in the checksum makes a block of a deleted file, come back after a power cut, no
//! record. A header of zeros is the untouched, preallocated rest.

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 16;

/// The longest payload.
pub const MAX_PAYLOAD: usize = u16::MAX as usize;

/// What a record with a payload of so many bytes takes of the log.
pub const fn bytes_of_record(payload: usize) -> u64 {
    (HEADER_BYTES + payload) as u64
}

/// How a record is treated when space runs out. The spool knows nothing else of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Thinned first, dropped first.
    Telemetry,
    /// Owns the reserve.
    Urgent,
    /// Gaps, catalogues and the like: never thinned, shares the reserve.
    Other,
}

/// What the bytes stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A record of the caller.
    Record(Class),
    /// What was acknowledged when this was written. Advisory: without it more is sent again.
    Acknowledgements,
    /// Bytes of the caller that stand over the records that name it.
    Note,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Kind::Record(Class::Telemetry) => 0,
            Kind::Record(Class::Urgent) => 1,
            Kind::Record(Class::Other) => 2,
            Kind::Acknowledgements => 0x80,
            Kind::Note => 0x81,
        }
    }

    fn from_code(code: u8) -> Option<Kind> {
        Some(match code {
            0 => Kind::Record(Class::Telemetry),
            1 => Kind::Record(Class::Urgent),
            2 => Kind::Record(Class::Other),
            0x80 => Kind::Acknowledgements,
            0x81 => Kind::Note,
            _ => return None,
        })
    }
}

/// A record taken apart, its payload still in the buffer it was read into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed<'a> {
    pub kind: Kind,
    pub note: u8,
    pub sequence: u64,
    pub payload: &'a [u8],
}

impl Parsed<'_> {
    /// Bytes it takes in the log.
    pub fn length(&self) -> usize {
        HEADER_BYTES + self.payload.len()
    }
}

/// Appends the record's bytes to `out`. The caller keeps payloads at or below [`MAX_PAYLOAD`].
pub fn encode(out: &mut Vec<u8>, segment: u64, record: &Parsed<'_>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(record.payload.len().min(MAX_PAYLOAD) as u16).to_le_bytes());
    out.extend_from_slice(&[record.kind.code(), record.note]);
    out.extend_from_slice(&record.sequence.to_le_bytes());
    out.extend_from_slice(&record.payload[..record.payload.len().min(MAX_PAYLOAD)]);
    let crc = checksum(segment, &out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// The record at the start of `bytes`, if a whole and undamaged one is there.
pub fn parse(bytes: &[u8], segment: u64) -> Option<Parsed<'_>> {
    let header = bytes.get(..HEADER_BYTES)?;
    let length = usize::from(u16::from_le_bytes([header[4], header[5]]));
    let kind = Kind::from_code(header[6])?;
    let whole = bytes.get(..HEADER_BYTES + length)?;
    let crc = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    if checksum(segment, &whole[4..]) != crc {
        return None;
    }
    let sequence = u64::from_le_bytes([header[8], header[9], header[10], header[11], header[12], header[13], header[14], header[15]]);
    Some(Parsed { kind, note: header[7], sequence, payload: &whole[HEADER_BYTES..] })
}

fn checksum(segment: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&segment.to_le_bytes()), bytes)
}

/// What a walk through a segment's bytes comes across.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// An undamaged record, at this offset.
    Record(usize, Parsed<'a>),
    /// Bytes that are no record, up to the next one.
    Damage { from: usize, to: usize },
    /// Nothing but zeros, or nothing at all, from here on.
    End(usize),
    /// Bytes that are no record, and none after them.
    Garbage(usize),
}

/// Walks through the records in `bytes`, over damage, in ascending sequence.
#[derive(Debug)]
pub struct Walk<'a> {
    bytes: &'a [u8],
    segment: u64,
    at: usize,
    /// Sequences at or below this are not plausible any more.
    last: u64,
}

/// A record after damage must number within this of the one before it: no segment holds more.
const PLAUSIBLE: u64 = 1 << 20;

impl<'a> Walk<'a> {
    /// A walk that starts at `at`, where the record before had the sequence `last` (or zero for none).
    pub fn new(bytes: &'a [u8], segment: u64, at: usize, last: u64) -> Walk<'a> {
        Walk { bytes, segment, at, last }
    }

    fn plausible(&self, record: &Parsed<'_>, after_damage: bool) -> bool {
        let above = match record.kind {
            Kind::Record(_) => record.sequence > self.last,
            Kind::Acknowledgements | Kind::Note => record.sequence >= self.last,
        };
        above && (!after_damage || self.last == 0 || record.sequence - self.last <= PLAUSIBLE)
    }

    /// The next step; after [`Step::End`] or [`Step::Garbage`] the same again.
    pub fn step(&mut self) -> Step<'a> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        if let Some(record) = parse(rest, self.segment)
            && self.plausible(&record, false)
        {
            let at = self.at;
            self.at += record.length();
            if matches!(record.kind, Kind::Record(_)) {
                self.last = record.sequence;
            }
            return Step::Record(at, record);
        }
        if rest.iter().all(|byte| *byte == 0) {
            return Step::End(self.at);
        }
        let found = (self.at + 1..self.bytes.len()).find(|at| {
            // The cheap look at the sequence first: a checksum at every offset would take minutes on damage.
            let rest = &self.bytes[*at..];
            looks_plausible(rest, self.last) && parse(rest, self.segment).is_some_and(|record| self.plausible(&record, true))
        });
        match found {
            Some(to) => {
                let from = std::mem::replace(&mut self.at, to);
                Step::Damage { from, to }
            }
            None => Step::Garbage(self.at),
        }
    }
}

fn looks_plausible(bytes: &[u8], last: u64) -> bool {
    let Some(number) = bytes.get(8..HEADER_BYTES) else { return false };
    let sequence = number.iter().rev().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
    sequence >= last && (last == 0 || sequence - last <= PLAUSIBLE) && Kind::from_code(bytes[6]).is_some()
}

#[cfg(test)]
mod tests;
