//! A chunk: up to 512 rows of one series, and the frame it shares with its neighbours.
//!
//! The channels of one device are read in one question, so their times are the same and their positions
//! differ by a constant: both stand once in a *frame*, which the chunks of the siblings name. Format v1, each
//! sealed with CRC-32C:
//!
//! frame: version byte, varint count, signed varint last time, pco i64 times, pco u64 positions less the first.
//! chunk: version byte, varint count, varint frame, varint stream, varint first position, quality runs, grid
//! byte `k`, and the values there are: for k ≤ 3 pco i32 of value × 10^k (each checked to give the same f32
//! back), for k = 255 pco f32.

use measurement::{Fault, Outcome, Timestamp};

use crate::Row;
use crate::columns::{
    Damaged, NO_GRID, from_grid, get_numbers, get_runs, get_signed, get_varint, on_some_grid, put_numbers, put_runs, put_signed,
    put_varint, seal, take, unseal,
};

const VERSION: u8 = 1;

/// Times and positions of one device's readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Sampling times, Unix ms, in the order of arrival.
    pub times: Vec<i64>,
    /// Positions less the first one.
    pub offsets: Vec<u64>,
}

impl Frame {
    /// The frame of these rows; all of one stream.
    pub fn of(rows: &[Row]) -> Frame {
        let first = rows.first().map_or(0, |row| row.position);
        Frame {
            times: rows.iter().map(|r| r.sampled_at.0).collect(),
            offsets: rows.iter().map(|r| r.position.wrapping_sub(first)).collect(),
        }
    }

    /// The latest time in it.
    pub fn last_time(&self) -> i64 {
        self.times.iter().copied().max().unwrap_or(i64::MIN)
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_varint(&mut out, self.times.len() as u64);
        put_signed(&mut out, self.last_time());
        put_numbers(&mut out, &self.times);
        put_numbers(&mut out, &self.offsets);
        seal(out)
    }

    /// Reads its bytes.
    pub fn decode(bytes: &[u8]) -> Result<Frame, Damaged> {
        let mut bytes = unseal(bytes)?;
        let count = header(&mut bytes)?;
        get_signed(&mut bytes)?;
        Ok(Frame { times: get_numbers(&mut bytes, count)?, offsets: get_numbers(&mut bytes, count)? })
    }

    /// Only the latest time in it, without unpacking the columns.
    pub fn peek_last_time(bytes: &[u8]) -> Result<i64, Damaged> {
        let mut bytes = unseal(bytes)?;
        header(&mut bytes)?;
        get_signed(&mut bytes)
    }
}

fn header(bytes: &mut &[u8]) -> Result<usize, Damaged> {
    if take(bytes)? != [VERSION] {
        return Err(Damaged);
    }
    let count = usize::try_from(get_varint(bytes)?).map_err(|_| Damaged)?;
    // More than any chunk holds is damage, not a reason to allocate.
    if count <= 1 << 20 { Ok(count) } else { Err(Damaged) }
}

/// The bytes of a chunk whose times and positions stand in `frame`. All rows are of one series and stream.
pub fn encode(rows: &[Row], frame: u64) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_varint(&mut out, rows.len() as u64);
    put_varint(&mut out, frame);
    put_varint(&mut out, u64::from(rows.first().map_or(0, |row| row.stream)));
    put_varint(&mut out, rows.first().map_or(0, |row| row.position));
    let qualities: Vec<u8> = rows.iter().map(|row| row.outcome.quality()).collect();
    put_runs(&mut out, &qualities);
    let values: Vec<f32> = rows.iter().filter_map(|row| row.outcome.value()).map(|value| value.get()).collect();
    match on_some_grid(&values) {
        Some((k, whole)) => {
            out.push(k);
            put_numbers(&mut out, &whole);
        }
        None => {
            out.push(NO_GRID);
            put_numbers(&mut out, &values);
        }
    }
    seal(out)
}

/// The frame a chunk names.
pub fn frame_of(bytes: &[u8]) -> Result<u64, Damaged> {
    let mut bytes = unseal(bytes)?;
    header(&mut bytes)?;
    get_varint(&mut bytes)
}

/// The rows of a chunk.
pub fn decode(series: u32, bytes: &[u8], frame: &Frame) -> Result<Vec<Row>, Damaged> {
    let mut bytes = unseal(bytes)?;
    let count = header(&mut bytes)?;
    get_varint(&mut bytes)?;
    let stream = u32::try_from(get_varint(&mut bytes)?).map_err(|_| Damaged)?;
    let first = get_varint(&mut bytes)?;
    let qualities = get_runs(&mut bytes, count)?;
    if frame.times.len() != count {
        return Err(Damaged);
    }
    let valued = qualities.iter().filter(|quality| Fault::from_code(**quality).is_none()).count();
    let [grid] = take(&mut bytes)?;
    let values: Vec<f32> = if grid == NO_GRID {
        get_numbers(&mut bytes, valued)?
    } else {
        let whole: Vec<i32> = get_numbers(&mut bytes, valued)?;
        whole.into_iter().map(|number| from_grid(number, grid)).collect()
    };
    let mut values = values.into_iter();
    let mut rows = Vec::with_capacity(count);
    for (i, quality) in qualities.into_iter().enumerate() {
        let number = if Fault::from_code(quality).is_some() { 0.0 } else { values.next().ok_or(Damaged)? };
        let outcome = Outcome::from_parts(quality, number).map_err(|_| Damaged)?;
        let position = first.wrapping_add(frame.offsets[i]);
        rows.push(Row { series, stream, position, sampled_at: Timestamp(frame.times[i]), outcome });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests;
