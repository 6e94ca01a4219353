//! Columns of numbers as bytes: pco for what varies, run lengths for what rests, a checksum over all.

use pco::ChunkConfig;
use pco::data_types::Number;
use pco::standalone::{simple_compress, simple_decompress};

/// Bytes that are not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged;

/// Found by measuring: higher levels cost twice the time for under one per cent.
const LEVEL: usize = 6;

/// The grid byte of numbers that lie on none.
pub const NO_GRID: u8 = 255;

/// The value of a whole multiple of 10^-k.
pub fn from_grid(number: i32, k: u8) -> f32 {
    (f64::from(number) / 10_f64.powi(i32::from(k))) as f32
}

/// The coarsest decimal grid that holds every value to the bit, and the values as multiples of it.
pub fn on_some_grid(values: &[f32]) -> Option<(u8, Vec<i32>)> {
    (0..=3).find_map(|k| on_grid(values, k).map(|whole| (k, whole)))
}

fn on_grid(values: &[f32], k: u8) -> Option<Vec<i32>> {
    let scale = 10_f64.powi(i32::from(k));
    values
        .iter()
        .map(|value| {
            let number = (f64::from(*value) * scale).round();
            let whole = if number.abs() < 2e9 { number as i32 } else { return None };
            (from_grid(whole, k).to_bits() == value.to_bits()).then_some(whole)
        })
        .collect()
}

/// Appends bytes with a checksum at the end.
pub fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = crc32c::crc32c(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// Checks and takes off the checksum.
pub fn unseal(bytes: &[u8]) -> Result<&[u8], Damaged> {
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or(Damaged)?;
    if crc32c::crc32c(body).to_le_bytes() == *sum { Ok(body) } else { Err(Damaged) }
}

/// Appends a compressed column with its length.
pub fn put_numbers<T: Number>(out: &mut Vec<u8>, numbers: &[T]) {
    let config = ChunkConfig::default().with_compression_level(LEVEL);
    // Compression fails only for impossible configurations; an empty column would then be noticed on reading.
    let bytes = simple_compress(numbers, &config).unwrap_or_default();
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

/// Reads a compressed column of `count` numbers.
pub fn get_numbers<T: Number>(bytes: &mut &[u8], count: usize) -> Result<Vec<T>, Damaged> {
    let length = usize::try_from(get_varint(bytes)?).map_err(|_| Damaged)?;
    let (column, rest) = bytes.split_at_checked(length).ok_or(Damaged)?;
    *bytes = rest;
    let numbers = simple_decompress(column).map_err(|_| Damaged)?;
    if numbers.len() == count { Ok(numbers) } else { Err(Damaged) }
}

/// Appends bytes as runs.
pub fn put_runs(out: &mut Vec<u8>, bytes: &[u8]) {
    let runs: Vec<&[u8]> = bytes.chunk_by(|a, b| a == b).collect();
    put_varint(out, runs.len() as u64);
    for run in runs {
        out.push(run[0]);
        put_varint(out, run.len() as u64);
    }
}

/// Reads runs that make `count` bytes.
pub fn get_runs(bytes: &mut &[u8], count: usize) -> Result<Vec<u8>, Damaged> {
    let mut out = Vec::with_capacity(count);
    for _ in 0..get_varint(bytes)? {
        let (byte, rest) = bytes.split_first().ok_or(Damaged)?;
        *bytes = rest;
        let length = usize::try_from(get_varint(bytes)?).map_err(|_| Damaged)?;
        if length > count - out.len() {
            return Err(Damaged);
        }
        out.resize(out.len() + length, *byte);
    }
    if out.len() == count { Ok(out) } else { Err(Damaged) }
}

/// Appends a number in 7-bit groups, low group first.
pub fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads a number in 7-bit groups.
pub fn get_varint(bytes: &mut &[u8]) -> Result<u64, Damaged> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Damaged)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Damaged)
}

/// Appends a signed number, small ones short whatever their sign.
pub fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_varint(out, (number << 1 ^ number >> 63) as u64);
}

/// Reads a signed number.
pub fn get_signed(bytes: &mut &[u8]) -> Result<i64, Damaged> {
    let number = get_varint(bytes)?;
    Ok((number >> 1) as i64 ^ -((number & 1) as i64))
}

/// Takes `N` bytes.
pub fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Damaged> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or(Damaged)?;
    *bytes = rest;
    Ok(*taken)
}
