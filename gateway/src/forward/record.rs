//! One entry of the post as bytes in the spool, and back. The gateway's own business: no other program
//! reads these bytes, so they are small rather than self-describing.
//!
//! ```text
//! 0  kind u8        1 reading, 2 catalogue part, 3 gap, 4 happening (2-4: Protocol Buffers follow)
//! 1  channel u32 le      5 sampled_at i64 le (Unix ms)   13 parsed_at u64 le (monotonic ms of this boot)
//! 21 sample age at parsing u32 le (ms)   25 quality u8   26 value f32 le, absent with a fault
//! ```
//!
//! What many records share travels as the spool's note: boot and catalogue hash, u64 le each.

use measurement::{ChannelId, MonotonicMs, Outcome, Reading, Timestamp};
use prost::Message;
use telemetry::{CatalogueHash, CataloguePart, Entry, Gap, Happening, StampedReading};

const READING: u8 = 1;
const PART: u8 = 2;
const GAP: u8 = 3;
const HAPPENING: u8 = 4;
const READING_BYTES: usize = 26;
/// A reading with its value.
pub const READING_BYTES_MOST: usize = READING_BYTES + 4;

/// What stands over many records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// The boot whose monotonic clock the readings' times mean.
    pub boot: u64,
    /// The catalogue whose numbers their channels are.
    pub catalogue: CatalogueHash,
}

impl Note {
    /// As the spool keeps it.
    pub fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.boot.to_le_bytes());
        bytes[8..].copy_from_slice(&self.catalogue.0.to_le_bytes());
        bytes
    }

    /// From the spool.
    pub fn decode(bytes: &[u8]) -> Option<Note> {
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        Some(Note { boot: word(0)?, catalogue: CatalogueHash(word(8)?) })
    }
}

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// A reading with the moment it was parsed and its age then.
    Reading { reading: Reading, parsed_at: MonotonicMs, sample_age_ms: u32 },
    /// A part of the catalogue.
    Part(CataloguePart),
    /// A known hole.
    Gap(Gap),
    /// Something for the journal.
    Happening(Happening),
}

impl Kept {
    /// Appends the record's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Kept::Reading { reading, parsed_at, sample_age_ms } => {
                let mut head = [0; READING_BYTES];
                head[0] = READING;
                head[1..5].copy_from_slice(&reading.channel.0.to_le_bytes());
                head[5..13].copy_from_slice(&reading.sampled_at.0.to_le_bytes());
                head[13..21].copy_from_slice(&parsed_at.0.to_le_bytes());
                head[21..25].copy_from_slice(&sample_age_ms.to_le_bytes());
                head[25] = reading.outcome.quality();
                out.extend_from_slice(&head);
                if let Some(value) = reading.outcome.value() {
                    out.extend_from_slice(&value.get().to_le_bytes());
                }
            }
            Kept::Part(part) => tagged(PART, part, out),
            Kept::Gap(gap) => tagged(GAP, gap, out),
            Kept::Happening(happening) => tagged(HAPPENING, happening, out),
        }
    }

    /// The record's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(READING_BYTES_MOST);
        self.encode(&mut bytes);
        bytes
    }

    /// Reads a record. `None` for bytes of a later version.
    pub fn decode(bytes: &[u8]) -> Option<Kept> {
        let (kind, rest) = bytes.split_first()?;
        match *kind {
            READING => reading(bytes),
            PART => CataloguePart::decode(rest).ok().map(Kept::Part),
            GAP => Gap::decode(rest).ok().map(Kept::Gap),
            HAPPENING => Happening::decode(rest).ok().map(Kept::Happening),
            _ => None,
        }
    }

    /// As it travels, sent at `now` of the boot that its age is known in.
    pub fn into_entry(self, now: Option<MonotonicMs>) -> Entry {
        match self {
            Kept::Reading { reading, parsed_at, sample_age_ms } => {
                let age_ms = now.map(|now| now.since(parsed_at).saturating_add(u64::from(sample_age_ms)));
                Entry::Reading(StampedReading { reading, parse_lag_ms: sample_age_ms, age_ms })
            }
            Kept::Part(part) => Entry::CataloguePart(part),
            Kept::Gap(gap) => Entry::Gap(gap),
            Kept::Happening(happening) => Entry::Happening(happening),
        }
    }
}

fn tagged(kind: u8, message: &impl Message, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&message.encode_to_vec());
}

fn reading(bytes: &[u8]) -> Option<Kept> {
    let head: &[u8; READING_BYTES] = bytes.get(..READING_BYTES)?.try_into().ok()?;
    let number = match bytes.get(READING_BYTES..READING_BYTES + 4) {
        Some(value) => f32::from_le_bytes(value.try_into().ok()?),
        None => f32::NAN,
    };
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    Some(Kept::Reading {
        reading: Reading {
            channel: ChannelId(word(1)),
            sampled_at: Timestamp(long(5) as i64),
            outcome: Outcome::from_parts(head[25], number).ok()?,
        },
        parsed_at: MonotonicMs(long(13)),
        sample_age_ms: word(21),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop here")]
    use super::*;
    use measurement::{Fault, Value};

    fn check(outcome: Outcome, hex: &str) {
        let reading = Reading { channel: ChannelId(7), sampled_at: Timestamp(0x0102_0304_0506), outcome };
        let kept = Kept::Reading { reading, parsed_at: MonotonicMs(1000), sample_age_ms: 50 };
        let bytes = kept.to_bytes();
        assert_eq!(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>(), hex);
        assert_eq!(Kept::decode(&bytes), Some(kept));
    }

    #[test]
    fn a_reading_keeps_its_bytes() {
        check(Outcome::Good(Value::new(12.5).unwrap()), "01070000000605040302010000e803000000000000320000000000004841");
    }

    #[test]
    fn a_fault_carries_no_number() {
        check(Outcome::Bad(Fault::WireBreak), "01070000000605040302010000e8030000000000003200000085");
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        for length in 0..64 {
            for kind in 0..=5 {
                let mut bytes = vec![0xFF; length];
                if let Some(first) = bytes.first_mut() {
                    *first = kind;
                }
                let _ = Kept::decode(&bytes);
            }
        }
    }
}
