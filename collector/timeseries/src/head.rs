//! A head entry: the rows of one commit as they came, cheap to write and soon gone.
//!
//! Format v1: version byte, varint count, then row by row: varint series, varint stream, signed varint
//! position less the previous row's, signed varint `sampled_at` less the previous row's, quality byte, f32
//! bits (only where there is a value), little-endian; CRC-32C over all of it.

use measurement::{Outcome, Timestamp};

use crate::Row;
use crate::columns::{Damaged, get_signed, get_varint, put_signed, put_varint, seal, take, unseal};

const VERSION: u8 = 1;

/// The bytes of a commit.
pub fn encode(rows: &[Row]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + rows.len() * 14);
    out.push(VERSION);
    put_varint(&mut out, rows.len() as u64);
    let (mut position, mut sampled) = (0_u64, 0_i64);
    for row in rows {
        put_varint(&mut out, u64::from(row.series));
        put_varint(&mut out, u64::from(row.stream));
        put_signed(&mut out, row.position.wrapping_sub(position) as i64);
        put_signed(&mut out, row.sampled_at.0.wrapping_sub(sampled));
        (position, sampled) = (row.position, row.sampled_at.0);
        out.push(row.outcome.quality());
        if let Some(value) = row.outcome.value() {
            out.extend(value.get().to_le_bytes());
        }
    }
    seal(out)
}

/// The rows of a commit.
pub fn decode(bytes: &[u8]) -> Result<Vec<Row>, Damaged> {
    let mut bytes = unseal(bytes)?;
    if take(&mut bytes)? != [VERSION] {
        return Err(Damaged);
    }
    let count = usize::try_from(get_varint(&mut bytes)?).map_err(|_| Damaged)?;
    let mut rows = Vec::with_capacity(count.min(bytes.len()));
    let (mut position, mut sampled) = (0_u64, 0_i64);
    for _ in 0..count {
        let series = u32::try_from(get_varint(&mut bytes)?).map_err(|_| Damaged)?;
        let stream = u32::try_from(get_varint(&mut bytes)?).map_err(|_| Damaged)?;
        position = position.wrapping_add(get_signed(&mut bytes)? as u64);
        sampled = sampled.wrapping_add(get_signed(&mut bytes)?);
        let [quality] = take(&mut bytes)?;
        let number = if measurement::Fault::from_code(quality).is_some() { 0.0 } else { f32::from_le_bytes(take(&mut bytes)?) };
        let outcome = Outcome::from_parts(quality, number).map_err(|_| Damaged)?;
        rows.push(Row { series, stream, position, sampled_at: Timestamp(sampled), outcome });
    }
    Ok(rows)
}
