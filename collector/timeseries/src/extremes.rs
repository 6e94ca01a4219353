//! One-minute and one-hour extremes, kept beside the raw rows so that a year can be drawn at once.
//!
//! Written when a chunk is sealed; several entries of one bucket (late rows, another chunk) merge on reading.

use measurement::Timestamp;

use crate::Row;
use crate::columns::{Damaged, NO_GRID, from_grid, get_signed, get_varint, on_some_grid, put_signed, put_varint, seal, take, unseal};

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
            values: u32::from(value.is_some()),
            faults: u32::from(value.is_none()),
            last: value,
            last_at: row.sampled_at,
            worst: row.outcome.quality(),
        }
    }

    /// Least, greatest and last, when there are values.
    fn triple(&self) -> Option<[f32; 3]> {
        Some([self.min?, self.max?, self.last?])
    }

    /// Puts two of one bucket together.
    pub fn merge(&mut self, other: &Extreme) {
        let least = |a: Option<f32>, b: Option<f32>| a.into_iter().chain(b).reduce(f32::min);
        let most = |a: Option<f32>, b: Option<f32>| a.into_iter().chain(b).reduce(f32::max);
        self.min = least(self.min, other.min);
        self.max = most(self.max, other.max);
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

/// The bucket has values.
const VALUED: u8 = 1;
/// It follows the one before at once, with the same counts and the same worst quality.
const AS_BEFORE: u8 = 2;

/// The bytes of a list. Format v1: varint count, grid byte as in a chunk; each: a byte of flags; unless
/// `AS_BEFORE`: signed varint steps from the bucket before, varint values, varint faults, worst byte; signed
/// varint last time in its bucket less the same of the bucket before; when `VALUED` on a grid: signed varint
/// least less the least before, varint greatest and last less the least, else f32 of the three; CRC-32C.
pub fn encode(list: &[Extreme], resolution: Resolution) -> Vec<u8> {
    let triples: Vec<f32> = list.iter().filter_map(Extreme::triple).flatten().collect();
    let (grid, whole) = match on_some_grid(&triples) {
        Some((grid, whole)) => (grid, whole),
        None => (NO_GRID, Vec::new()),
    };
    let mut whole = whole.chunks_exact(3);
    let mut out = Vec::with_capacity(8 + list.len() * 8);
    put_varint(&mut out, list.len() as u64);
    out.push(grid);
    let mut before = Before::default();
    for one in list {
        let now =
            Before { bucket: one.from.0.div_euclid(resolution.ms()), values: one.values, faults: one.faults, worst: one.worst, ..before };
        let as_before = Before { bucket: before.bucket.wrapping_add(1), ..before } == now;
        let triple = one.triple();
        out.push(if triple.is_some() { VALUED } else { 0 } | if as_before { AS_BEFORE } else { 0 });
        if !as_before {
            put_signed(&mut out, now.bucket.wrapping_sub(before.bucket));
            put_varint(&mut out, u64::from(one.values));
            put_varint(&mut out, u64::from(one.faults));
            out.push(one.worst);
        }
        let offset = one.last_at.since(one.from);
        put_signed(&mut out, offset.wrapping_sub(before.offset));
        before = Before { offset, ..now };
        let Some(triple) = triple else { continue };
        match whole.next() {
            Some(&[least, greatest, last]) => {
                put_signed(&mut out, i64::from(least) - before.least);
                put_varint(&mut out, (i64::from(greatest) - i64::from(least)) as u64);
                put_varint(&mut out, (i64::from(last) - i64::from(least)) as u64);
                before.least = i64::from(least);
            }
            _ => triple.iter().for_each(|number| out.extend(number.to_le_bytes())),
        }
    }
    seal(out)
}

/// What a bucket may share with the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Before {
    bucket: i64,
    values: u32,
    faults: u32,
    worst: u8,
    offset: i64,
    least: i64,
}

/// Reads a list.
pub fn decode(bytes: &[u8], resolution: Resolution) -> Result<Vec<Extreme>, Damaged> {
    let mut bytes = unseal(bytes)?;
    let count = get_varint(&mut bytes)?;
    let [grid] = take(&mut bytes)?;
    let (mut out, mut before) = (Vec::new(), Before::default());
    for _ in 0..count {
        let [flags] = take(&mut bytes)?;
        if flags & AS_BEFORE != 0 {
            before.bucket = before.bucket.wrapping_add(1);
        } else {
            before.bucket = before.bucket.wrapping_add(get_signed(&mut bytes)?);
            before.values = u32::try_from(get_varint(&mut bytes)?).map_err(|_| Damaged)?;
            before.faults = u32::try_from(get_varint(&mut bytes)?).map_err(|_| Damaged)?;
            [before.worst] = take(&mut bytes)?;
        }
        before.offset = before.offset.wrapping_add(get_signed(&mut bytes)?);
        let from = Timestamp(before.bucket.wrapping_mul(resolution.ms()));
        let Before { values, faults, worst, offset, .. } = before;
        let mut one = Extreme { from, min: None, max: None, values, faults, last: None, last_at: from.plus_ms(offset), worst };
        if flags & VALUED != 0 {
            let [least, greatest, last] = if grid == NO_GRID {
                let mut number = || Ok(f32::from_le_bytes(take(&mut bytes)?));
                [number()?, number()?, number()?]
            } else {
                before.least = before.least.wrapping_add(get_signed(&mut bytes)?);
                let (greatest, last) = (get_varint(&mut bytes)?, get_varint(&mut bytes)?);
                let number = |above: u64| {
                    let number = i64::try_from(above).ok().and_then(|above| before.least.checked_add(above));
                    number.and_then(|number| i32::try_from(number).ok()).map(|number| from_grid(number, grid)).ok_or(Damaged)
                };
                [number(0)?, number(greatest)?, number(last)?]
            };
            (one.min, one.max, one.last) = (Some(least), Some(greatest), Some(last));
        }
        out.push(one);
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
