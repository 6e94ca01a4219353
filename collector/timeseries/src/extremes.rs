//! One-minute and one-hour extremes, kept beside the raw rows so that a year can be drawn at once.
//!
//! Written when a chunk is sealed; several entries of one bucket (late rows, another chunk) merge on reading.

use measurement::Timestamp;

use crate::Row;
use crate::columns::{Damaged, get_signed, get_varint, put_signed, put_varint, seal, take, unseal};

/// How coarse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    Minute,
    Hour,
}

impl Resolution {
    /// Its length, ms.
    pub const fn ms(self) -> i64 {
        match self {
            Resolution::Minute => 60_000,
            Resolution::Hour => 3_600_000,
        }
    }
}

/// What one series did in one bucket of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extreme {
    /// Start of the bucket.
    pub from: Timestamp,
    /// Smallest value; `None` when the bucket holds only faults.
    pub min: Option<f32>,
    /// Largest value.
    pub max: Option<f32>,
    /// Sum of the values, for means.
    pub sum: f64,
    /// How many rows had a value.
    pub values: u32,
    /// How many rows were faults.
    pub faults: u32,
    /// The last value by sampling time.
    pub last: Option<f32>,
    /// When that was sampled.
    pub last_at: Timestamp,
    /// The worst quality byte of the bucket.
    pub worst: u8,
}

impl Extreme {
    fn of(row: &Row, from: Timestamp) -> Extreme {
        let value = row.outcome.value().map(|value| value.get());
        Extreme {
            from,
            min: value,
            max: value,
            sum: value.map_or(0.0, f64::from),
            values: u32::from(value.is_some()),
            faults: u32::from(value.is_none()),
            last: value,
            last_at: row.sampled_at,
            worst: row.outcome.quality(),
        }
    }

    /// Puts two of one bucket together.
    pub fn merge(&mut self, other: &Extreme) {
        let least = |a: Option<f32>, b: Option<f32>| a.into_iter().chain(b).reduce(f32::min);
        let most = |a: Option<f32>, b: Option<f32>| a.into_iter().chain(b).reduce(f32::max);
        self.min = least(self.min, other.min);
        self.max = most(self.max, other.max);
        self.sum += other.sum;
        self.values += other.values;
        self.faults += other.faults;
        if other.last.is_some() && (self.last.is_none() || other.last_at >= self.last_at) {
            (self.last, self.last_at) = (other.last, other.last_at);
        }
        self.worst = self.worst.max(other.worst);
    }
}

/// The extremes of rows, ascending by bucket.
pub fn extremes(rows: &[Row], resolution: Resolution) -> Vec<Extreme> {
    let mut out: Vec<Extreme> = Vec::new();
    let bucket = |row: &Row| Timestamp(row.sampled_at.0.div_euclid(resolution.ms()) * resolution.ms());
    for row in rows {
        let one = Extreme::of(row, bucket(row));
        match out.last_mut() {
            Some(last) if last.from == one.from => last.merge(&one),
            _ => out.push(one),
        }
    }
    out.sort_by_key(|extreme| extreme.from);
    merged(out)
}

/// Merges neighbours of one bucket; the list is ascending.
pub fn merged(list: Vec<Extreme>) -> Vec<Extreme> {
    let mut out: Vec<Extreme> = Vec::with_capacity(list.len());
    for one in list {
        match out.last_mut() {
            Some(last) if last.from == one.from => last.merge(&one),
            _ => out.push(one),
        }
    }
    out
}

/// The bytes of a list. Format v1: varint count; each: signed varint bucket less the previous (in buckets),
/// varint values, varint faults, worst byte, signed varint last time less the bucket, flag byte whether there
/// are values, then f32 min, max, last and f64 sum; CRC-32C.
pub fn encode(list: &[Extreme], resolution: Resolution) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + list.len() * 32);
    put_varint(&mut out, list.len() as u64);
    let mut bucket = 0;
    for one in list {
        let number = one.from.0.div_euclid(resolution.ms());
        put_signed(&mut out, number.wrapping_sub(bucket));
        bucket = number;
        put_varint(&mut out, u64::from(one.values));
        put_varint(&mut out, u64::from(one.faults));
        out.push(one.worst);
        put_signed(&mut out, one.last_at.since(one.from));
        match (one.min, one.max, one.last) {
            (Some(min), Some(max), Some(last)) => {
                out.push(1);
                for number in [min, max, last] {
                    out.extend(number.to_le_bytes());
                }
                out.extend(one.sum.to_le_bytes());
            }
            _ => out.push(0),
        }
    }
    seal(out)
}

/// Reads a list.
pub fn decode(bytes: &[u8], resolution: Resolution) -> Result<Vec<Extreme>, Damaged> {
    let mut bytes = unseal(bytes)?;
    let count = get_varint(&mut bytes)?;
    let (mut out, mut bucket) = (Vec::new(), 0_i64);
    for _ in 0..count {
        bucket = bucket.wrapping_add(get_signed(&mut bytes)?);
        let from = Timestamp(bucket.wrapping_mul(resolution.ms()));
        let values = u32::try_from(get_varint(&mut bytes)?).map_err(|_| Damaged)?;
        let faults = u32::try_from(get_varint(&mut bytes)?).map_err(|_| Damaged)?;
        let [worst] = take(&mut bytes)?;
        let last_at = from.plus_ms(get_signed(&mut bytes)?);
        let mut one = Extreme { from, min: None, max: None, sum: 0.0, values, faults, last: None, last_at, worst };
        if take(&mut bytes)? == [1] {
            one.min = Some(f32::from_le_bytes(take(&mut bytes)?));
            one.max = Some(f32::from_le_bytes(take(&mut bytes)?));
            one.last = Some(f32::from_le_bytes(take(&mut bytes)?));
            one.sum = f64::from_le_bytes(take(&mut bytes)?);
        }
        out.push(one);
    }
    Ok(out)
}
