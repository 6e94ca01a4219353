//! Batches: many entries a message, in columns.
//!
//! Sequences `first .. first + count` are each exactly one entry. Readings travel in columns (offset,
//! channel, time, quality, value); the rarer entries travel whole. A quality byte that is a fault has no
//! number in the value column, so a fault costs no zero.

use measurement::{ChannelId, Outcome, Reading, Timestamp};
use prost::Message;

use crate::{CatalogueHash, CataloguePart, ClockQuality, Happening, MAX_PAYLOAD};

/// Which lane a batch travelled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum Lane {
    /// Fresh readings, ahead of everything else.
    Live = 0,
    /// What could not be sent when it was fresh, oldest first.
    Backlog = 1,
}

/// Why sequences are missing for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum GapCause {
    /// A version of the gateway newer than the collector knows why.
    Unknown = 0,
    /// Thinned to one-minute extremes because the spool was full.
    Thinned = 1,
    /// The oldest were dropped because the spool was full.
    DroppedOldest = 2,
    /// A part of the spool failed its checksum.
    Corrupt = 3,
    /// The disk refused writes.
    StorageFailed = 4,
    /// Written but not yet on the disk when the power went.
    PowerLost = 5,
    /// Below the gateway's floor without a gap record: closed by the collector.
    BelowFloor = 6,
}

/// A known hole: the sequences `first..=last` will never come.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Gap {
    /// First missing sequence.
    #[prost(uint64, tag = "1")]
    pub first: u64,
    /// Last missing sequence.
    #[prost(uint64, tag = "2")]
    pub last: u64,
    /// [`GapCause`].
    #[prost(enumeration = "GapCause", tag = "3")]
    pub why: i32,
    /// How many entries were really lost of the range, when fewer than its length.
    #[prost(uint64, tag = "4")]
    pub lost: u64,
}

/// The message as it travels.
#[derive(Clone, PartialEq, Message)]
pub struct Batch {
    /// See [`crate::Birth::epoch`].
    #[prost(fixed64, tag = "1")]
    pub epoch: u64,
    /// Sequence of the first entry.
    #[prost(uint64, tag = "2")]
    pub first: u64,
    /// How many entries; their sequences are contiguous.
    #[prost(uint32, tag = "3")]
    pub count: u32,
    /// The oldest sequence the gateway still holds; anything below that the collector lacks is a gap.
    #[prost(uint64, tag = "4")]
    pub floor: u64,
    /// [`Lane`].
    #[prost(enumeration = "Lane", tag = "5")]
    pub lane: i32,
    /// Boot in which the batch was sent.
    #[prost(fixed64, tag = "6")]
    pub boot: u64,
    /// Gateway's wall clock at sending, Unix ms.
    #[prost(int64, tag = "7")]
    pub sent_at_ms: i64,
    /// [`ClockQuality`].
    #[prost(enumeration = "ClockQuality", tag = "8")]
    pub clock: i32,
    /// Names the catalogue that the channel numbers mean. A batch without readings may carry zero.
    #[prost(fixed64, tag = "9")]
    pub catalogue: u64,
    /// True when the readings were taken in this boot, so that their ages are known.
    #[prost(bool, tag = "10")]
    pub age_known: bool,
    /// Upper bound of the transit from gateway to collector, from the last nonce echo; absent when unknown.
    #[prost(uint32, optional, tag = "11")]
    pub transit_ms: Option<u32>,

    /// Readings: distance from the sequence after the previous reading (or from `first`). All zero may be left out.
    #[prost(uint32, repeated, tag = "16")]
    pub skips: Vec<u32>,
    /// Readings: channel number.
    #[prost(uint32, repeated, tag = "17")]
    pub channels: Vec<u32>,
    /// Readings: `sampled_at` less the previous reading's (the first: less `sent_at_ms`), ms.
    #[prost(sint64, repeated, tag = "18")]
    pub sampled: Vec<i64>,
    /// Readings: from `sampled_at` to the frame's arrival at the gateway (t2), ms. All zero may be left out.
    #[prost(uint32, repeated, tag = "19")]
    pub parse_lags: Vec<u32>,
    /// Readings: age at sending on the gateway's monotonic clock, ms, less the previous reading's. Empty when unknown.
    #[prost(sint64, repeated, tag = "20")]
    pub ages: Vec<i64>,
    /// Readings: quality byte. All good may be left out.
    #[prost(bytes = "vec", tag = "21")]
    pub qualities: Vec<u8>,
    /// Readings: the number, for each reading whose quality is not a fault.
    #[prost(float, repeated, tag = "22")]
    pub values: Vec<f32>,

    /// The other entries.
    #[prost(message, repeated, tag = "32")]
    pub gaps: Vec<NumberedGap>,
    /// See `gaps`.
    #[prost(message, repeated, tag = "33")]
    pub catalogue_parts: Vec<NumberedPart>,
    /// See `gaps`.
    #[prost(message, repeated, tag = "34")]
    pub happenings: Vec<NumberedHappening>,
}

/// A gap with its sequence.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct NumberedGap {
    #[prost(uint64, tag = "1")]
    pub sequence: u64,
    #[prost(message, required, tag = "2")]
    pub gap: Gap,
}

/// A catalogue part with its sequence.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct NumberedPart {
    #[prost(uint64, tag = "1")]
    pub sequence: u64,
    #[prost(message, required, tag = "2")]
    pub part: CataloguePart,
}

/// A happening with its sequence.
#[derive(Clone, PartialEq, Message)]
pub struct NumberedHappening {
    #[prost(uint64, tag = "1")]
    pub sequence: u64,
    #[prost(message, required, tag = "2")]
    pub happening: Happening,
}

/// What one sequence number stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A reading.
    Reading(StampedReading),
    /// A hole.
    Gap(Gap),
    /// A piece of the catalogue.
    CataloguePart(CataloguePart),
    /// Something that happened.
    Happening(Happening),
}

/// A reading with what the post office knows of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StampedReading {
    /// The reading, its channel numbered in the gateway's catalogue.
    pub reading: Reading,
    /// From sampling to the arrival of the frame at the gateway (t2), ms.
    pub parse_lag_ms: u32,
    /// How old the reading was when the batch was sent, ms on the gateway's monotonic clock; `None` across a boot.
    pub age_ms: Option<u64>,
}

/// A batch, taken apart and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// See [`Batch`].
    pub epoch: u64,
    /// See [`Batch`].
    pub floor: u64,
    /// See [`Batch`].
    pub lane: Lane,
    /// See [`Batch`].
    pub boot: u64,
    /// See [`Batch`].
    pub sent_at: Timestamp,
    /// See [`Batch`].
    pub clock: ClockQuality,
    /// See [`Batch`].
    pub catalogue: CatalogueHash,
    /// See [`Batch`].
    pub transit_ms: Option<u32>,
    /// Ascending, contiguous sequences.
    pub entries: Vec<(u64, Entry)>,
}

/// Why a payload is no batch. Each is one sentence for the journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Too large to look at.
    #[error("a batch of {0} bytes exceeds 65536")]
    TooLarge(usize),
    /// Not Protocol Buffers, or not this message.
    #[error("not a batch: {0}")]
    Malformed(String),
    /// The columns disagree about how many readings there are.
    #[error("column {column} has {have} entries where {want} readings need them")]
    RaggedColumn { column: &'static str, have: usize, want: usize },
    /// The entries do not fill `first .. first + count` exactly once.
    #[error("the entries do not number {count} from {first}")]
    Numbering { first: u64, count: u32 },
    /// A quality byte that means nothing.
    #[error("quality byte 0x{0:02X} is unknown")]
    UnknownQuality(u8),
    /// An enumeration value that means nothing.
    #[error("{field} {value} is unknown")]
    UnknownEnum { field: &'static str, value: i32 },
    /// Sequence zero, an empty batch, or one that would overflow.
    #[error("a batch of {count} entries cannot start at sequence {first}")]
    BadRange { first: u64, count: u32 },
}

/// What the header of a batch says; the rest follows from its entries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Header {
    /// See [`Batch`].
    pub epoch: u64,
    /// See [`Batch`].
    pub floor: u64,
    /// See [`Batch`].
    pub lane: Lane,
    /// See [`Batch`].
    pub boot: u64,
    /// See [`Batch`].
    pub sent_at: Timestamp,
    /// See [`Batch`].
    pub clock: ClockQuality,
    /// See [`Batch`].
    pub catalogue: CatalogueHash,
    /// See [`Batch`].
    pub transit_ms: Option<u32>,
    /// True when every reading's age is known.
    pub age_known: bool,
}

/// Fills one batch until it is full.
#[derive(Debug)]
pub struct BatchBuilder {
    batch: Batch,
    next: u64,
    next_reading: u64,
    last_sampled: i64,
    last_age: i64,
    /// Upper bound of the encoded size so far.
    size: usize,
}

/// Header fields, tags and column lengths never take more than this.
const HEADER_BYTES: usize = 256;
/// One reading in its columns at worst: 5 + 5 + 10 + 5 + 10 + 1 + 4.
const READING_BYTES: usize = 40;

impl BatchBuilder {
    /// A batch whose first entry will be `first`.
    pub fn new(header: Header, first: u64) -> BatchBuilder {
        let batch = Batch {
            epoch: header.epoch,
            first,
            floor: header.floor,
            lane: header.lane.into(),
            boot: header.boot,
            sent_at_ms: header.sent_at.0,
            clock: header.clock.into(),
            catalogue: header.catalogue.0,
            age_known: header.age_known,
            transit_ms: header.transit_ms,
            ..Batch::default()
        };
        BatchBuilder { batch, next: first, next_reading: first, last_sampled: header.sent_at.0, last_age: 0, size: HEADER_BYTES }
    }

    /// How many entries are in.
    pub fn len(&self) -> u32 {
        self.batch.count
    }

    /// True when nothing is in.
    pub fn is_empty(&self) -> bool {
        self.batch.count == 0
    }

    /// Adds the entry with the next sequence. False, and nothing changed, when it does not fit any more:
    /// send this batch and start another. An entry always fits an empty batch.
    pub fn push(&mut self, entry: &Entry) -> bool {
        let bytes = match entry {
            Entry::Reading(_) => READING_BYTES,
            Entry::Gap(_) => 64,
            Entry::CataloguePart(part) => part.encoded_len() + 32,
            Entry::Happening(happening) => happening.encoded_len() + 32,
        };
        if self.size + bytes > MAX_PAYLOAD && !self.is_empty() {
            return false;
        }
        self.size += bytes;
        let sequence = self.next;
        self.next += 1;
        self.batch.count += 1;
        match entry {
            Entry::Reading(stamped) => self.push_reading(sequence, stamped),
            Entry::Gap(gap) => self.batch.gaps.push(NumberedGap { sequence, gap: *gap }),
            Entry::CataloguePart(part) => self.batch.catalogue_parts.push(NumberedPart { sequence, part: part.clone() }),
            Entry::Happening(happening) => self.batch.happenings.push(NumberedHappening { sequence, happening: happening.clone() }),
        }
        true
    }

    fn push_reading(&mut self, sequence: u64, stamped: &StampedReading) {
        let batch = &mut self.batch;
        batch.skips.push((sequence - self.next_reading) as u32);
        self.next_reading = sequence + 1;
        batch.channels.push(stamped.reading.channel.0);
        let sampled = stamped.reading.sampled_at.0;
        batch.sampled.push(sampled.wrapping_sub(self.last_sampled));
        self.last_sampled = sampled;
        batch.parse_lags.push(stamped.parse_lag_ms);
        if batch.age_known {
            let age = stamped.age_ms.unwrap_or(0).min(i64::MAX as u64) as i64;
            batch.ages.push(age - self.last_age);
            self.last_age = age;
        }
        batch.qualities.push(stamped.reading.outcome.quality());
        if let Some(value) = stamped.reading.outcome.value() {
            batch.values.push(value.get());
        }
    }

    /// The payload.
    pub fn finish(mut self) -> Vec<u8> {
        let batch = &mut self.batch;
        if batch.skips.iter().all(|skip| *skip == 0) {
            batch.skips.clear();
        }
        if batch.parse_lags.iter().all(|lag| *lag == 0) {
            batch.parse_lags.clear();
        }
        if batch.qualities.iter().all(|quality| *quality == Outcome::GOOD) {
            batch.qualities.clear();
        }
        batch.encode_to_vec()
    }
}

impl Letter {
    /// Takes a payload apart. Everything that comes from outside is checked here and nowhere else.
    pub fn decode(payload: &[u8]) -> Result<Letter, BatchError> {
        if payload.len() > MAX_PAYLOAD {
            return Err(BatchError::TooLarge(payload.len()));
        }
        let batch = Batch::decode(payload).map_err(|error| BatchError::Malformed(error.to_string()))?;
        let (first, count) = (batch.first, batch.count);
        if first == 0 || count == 0 || first.checked_add(u64::from(count)).is_none() {
            return Err(BatchError::BadRange { first, count });
        }
        // A payload cannot hold more readings than bytes, so this also bounds the allocation below.
        if count as usize > payload.len() {
            return Err(BatchError::Numbering { first, count });
        }
        let mut entries: Vec<(u64, Entry)> = Vec::with_capacity(count as usize);
        batch.readings(&mut entries)?;
        let sorted = batch.gaps.is_empty() && batch.catalogue_parts.is_empty() && batch.happenings.is_empty();
        entries.extend(batch.gaps.iter().map(|g| (g.sequence, Entry::Gap(g.gap))));
        entries.extend(batch.catalogue_parts.iter().map(|p| (p.sequence, Entry::CataloguePart(p.part.clone()))));
        entries.extend(batch.happenings.iter().map(|h| (h.sequence, Entry::Happening(h.happening.clone()))));
        if !sorted {
            entries.sort_by_key(|(sequence, _)| *sequence);
        }
        let numbered = entries.iter().enumerate().all(|(i, (sequence, _))| *sequence == first + i as u64);
        if entries.len() != count as usize || !numbered {
            return Err(BatchError::Numbering { first, count });
        }
        Ok(Letter {
            epoch: batch.epoch,
            floor: batch.floor,
            lane: Lane::try_from(batch.lane).map_err(|_| BatchError::UnknownEnum { field: "lane", value: batch.lane })?,
            boot: batch.boot,
            sent_at: Timestamp(batch.sent_at_ms),
            clock: ClockQuality::try_from(batch.clock).unwrap_or(ClockQuality::Untrusted),
            catalogue: CatalogueHash(batch.catalogue),
            transit_ms: batch.transit_ms,
            entries,
        })
    }

    /// Sequence of the first entry.
    pub fn first(&self) -> u64 {
        self.entries.first().map_or(0, |(sequence, _)| *sequence)
    }

    /// Sequence of the last entry.
    pub fn last(&self) -> u64 {
        self.entries.last().map_or(0, |(sequence, _)| *sequence)
    }
}

impl Batch {
    fn readings(&self, entries: &mut Vec<(u64, Entry)>) -> Result<(), BatchError> {
        let want = self.channels.len();
        let ragged = |column, have| Err(BatchError::RaggedColumn { column, have, want });
        for (column, have, may_be_absent) in [
            ("skips", self.skips.len(), true),
            ("sampled", self.sampled.len(), false),
            ("parse_lags", self.parse_lags.len(), true),
            ("ages", self.ages.len(), !self.age_known),
            ("qualities", self.qualities.len(), true),
        ] {
            if have != want && !(may_be_absent && have == 0) {
                return ragged(column, have);
            }
        }
        let (mut sequence, mut sampled, mut age) = (self.first, self.sent_at_ms, 0_i64);
        let mut values = self.values.iter();
        for (i, channel) in self.channels.iter().enumerate() {
            sequence = sequence.wrapping_add(u64::from(self.skips.get(i).copied().unwrap_or(0)));
            sampled = sampled.wrapping_add(self.sampled[i]);
            let quality = self.qualities.get(i).copied().unwrap_or(Outcome::GOOD);
            let number = if measurement::Fault::from_code(quality).is_some() {
                0.0
            } else {
                match values.next() {
                    Some(number) => *number,
                    None => return ragged("values", self.values.len()),
                }
            };
            let outcome = Outcome::from_parts(quality, number).map_err(|unknown| BatchError::UnknownQuality(unknown.0))?;
            let age_ms = self.ages.get(i).map(|delta| {
                age = age.wrapping_add(*delta);
                u64::try_from(age).unwrap_or(u64::MAX)
            });
            let reading = Reading { channel: ChannelId(*channel), sampled_at: Timestamp(sampled), outcome };
            let parse_lag_ms = self.parse_lags.get(i).copied().unwrap_or(0);
            entries.push((sequence, Entry::Reading(StampedReading { reading, parse_lag_ms, age_ms: age_ms.filter(|_| self.age_known) })));
            sequence = sequence.wrapping_add(1);
        }
        if values.next().is_some() {
            return ragged("values", self.values.len());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
