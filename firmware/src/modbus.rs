//! Modbus, the node's side: requests become answers, bytes on a serial line become requests.
//!
//! Reads (function codes 3 and 4), and function 16 for the settings alone; the writes of single values, 5, 6 and 15, which a stray
//! master sends most easily, are no functions of a node. A frame with a bad CRC, for another unit or broadcast is
//! never answered, and a broadcast changes nothing. A codec of our own because a node needs three functions without a
//! register store of the codec's own; see DECISIONS.md.

mod rtu;

pub use rtu::{Framer, MAX_FRAME, crc16, silence_us};

use measurement::MonotonicMs;

use crate::event_log::LogMemory;
use crate::node::{Node, NotWritten};
use crate::settings::Keep;

/// Longest function code with its data: what a frame holds beside unit and CRC.
pub const MAX_PDU: usize = 253;
/// Most registers one request may ask for (Modbus application protocol V1.1b3, 6.3).
pub const MAX_REGISTERS: u16 = 125;
/// Most registers one request may write (the same, 6.12).
pub const MAX_WRITTEN: u16 = 123;

const READ_HOLDING: u8 = 3;
const READ_INPUT: u8 = 4;
const WRITE_MULTIPLE: u8 = 16;

/// Exception codes a node gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exception {
    /// No function of a node.
    IllegalFunction = 1,
    /// Some register does not exist, or cannot be written.
    IllegalDataAddress = 2,
    /// No registers, too many, or a malformed request. It is not about what a value means (the standard, 7, code 3).
    IllegalDataValue = 3,
    /// The write was well formed and refused: no key, or settings that must not be. The desk's registers say why.
    DeviceFailure = 4,
}

/// Answers one request (function code and data, without unit and CRC). Writes the answer into `answer` and
/// gives its length.
pub fn answer<const N: usize, M: LogMemory>(
    node: &mut Node<N, M>,
    keep: &mut impl Keep<N>,
    request: &[u8],
    answer: &mut [u8; MAX_PDU],
    now: MonotonicMs,
) -> usize {
    node.count_answer();
    let (function, fields) = request.split_first().map_or((0, request), |(function, fields)| (*function, fields));
    let answered = match function {
        READ_HOLDING | READ_INPUT => read(node, fields, answer, now),
        WRITE_MULTIPLE => write(node, keep, fields, answer, now),
        _ => Err(Exception::IllegalFunction),
    };
    match answered {
        Ok(length) => {
            answer[0] = function;
            length
        }
        Err(exception) => {
            (answer[0], answer[1]) = (function | 0x80, exception as u8);
            2
        }
    }
}

// Neither is part of its caller's frame: a node's stack need only hold the deeper of the two.
#[inline(never)]
fn read<const N: usize, M: LogMemory>(
    node: &Node<N, M>,
    fields: &[u8],
    answer: &mut [u8; MAX_PDU],
    now: MonotonicMs,
) -> Result<usize, Exception> {
    let &[a, b, c, d] = fields else { return Err(Exception::IllegalDataValue) };
    let (address, count) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    if count == 0 || count > MAX_REGISTERS {
        return Err(Exception::IllegalDataValue);
    }
    let mut words = [0; MAX_REGISTERS as usize];
    let words = &mut words[..usize::from(count)];
    node.registers(address, words, now).map_err(|_| Exception::IllegalDataAddress)?;
    answer[1] = (count * 2) as u8;
    for (i, word) in words.iter().enumerate() {
        answer[2 + 2 * i..4 + 2 * i].copy_from_slice(&word.to_be_bytes());
    }
    Ok(2 + usize::from(count) * 2)
}

#[inline(never)]
fn write<const N: usize, M: LogMemory>(
    node: &mut Node<N, M>,
    keep: &mut impl Keep<N>,
    fields: &[u8],
    answer: &mut [u8; MAX_PDU],
    now: MonotonicMs,
) -> Result<usize, Exception> {
    let &[a, b, c, d, bytes, ref values @ ..] = fields else { return Err(Exception::IllegalDataValue) };
    let (address, count) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    if count == 0 || count > MAX_WRITTEN || u16::from(bytes) != 2 * count || values.len() != usize::from(bytes) {
        return Err(Exception::IllegalDataValue);
    }
    let mut words = [0; MAX_WRITTEN as usize];
    for (word, pair) in words.iter_mut().zip(values.chunks_exact(2)) {
        *word = u16::from_be_bytes([pair[0], pair[1]]);
    }
    node.write(address, &words[..usize::from(count)], keep, now).map_err(|why| match why {
        NotWritten::Address => Exception::IllegalDataAddress,
        NotWritten::Refused => Exception::DeviceFailure,
    })?;
    answer[1..5].copy_from_slice(&[a, b, c, d]);
    Ok(5)
}

/// Answers a whole serial frame, or stays silent: for another unit, for a broadcast, for a bad CRC. Gives the
/// length of the answer in `out`. An answer to a change of the unit id still comes from the old one.
pub fn answer_frame<const N: usize, M: LogMemory>(
    node: &mut Node<N, M>,
    keep: &mut impl Keep<N>,
    frame: &[u8],
    out: &mut [u8; MAX_FRAME],
    now: MonotonicMs,
) -> Option<usize> {
    let unit = node.unit();
    let (body, crc) = frame.split_last_chunk::<2>()?;
    let (&addressed, request) = body.split_first()?;
    if crc16(body).to_le_bytes() != *crc {
        node.count_bad_frame();
        return None;
    }
    if addressed != unit || unit == 0 || request.is_empty() {
        return None;
    }
    let (first, rest) = out.split_first_mut()?;
    let pdu = rest.first_chunk_mut::<MAX_PDU>()?;
    *first = unit;
    let length = answer(node, keep, request, pdu, now);
    let crc = crc16(&out[..=length]).to_le_bytes();
    out[length + 1..length + 3].copy_from_slice(&crc);
    Some(length + 3)
}

#[cfg(test)]
mod tests;
