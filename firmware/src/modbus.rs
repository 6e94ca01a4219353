//! Modbus, the node's side: requests become answers, bytes on a serial line become requests.
//!
//! Reads only (function codes 3 and 4). A frame with a bad CRC, for another unit or broadcast is never
//! answered. A codec of our own because a node needs two functions without a register store of the codec's
//! own; see DECISIONS.md.

mod rtu;

pub use rtu::{Framer, MAX_FRAME, crc16, silence_us};

use measurement::MonotonicMs;

use crate::node::Node;

/// Most registers one request may ask for (Modbus application protocol V1.1b3, 6.3).
pub const MAX_REGISTERS: u16 = 125;

/// Exception codes a node gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exception {
    /// Neither function 3 nor 4.
    IllegalFunction = 1,
    /// Some register does not exist.
    IllegalDataAddress = 2,
    /// No registers, too many, or a malformed request.
    IllegalDataValue = 3,
}

/// Answers one request (function code and data, without unit and CRC). Writes the answer into `answer` and
/// gives its length.
pub fn answer<const N: usize>(node: &Node<N>, request: &[u8], answer: &mut [u8; MAX_FRAME], now: MonotonicMs) -> usize {
    match read(node, request, answer, now) {
        Ok(length) => length,
        Err(exception) => {
            answer[0] = request.first().copied().unwrap_or(0) | 0x80;
            answer[1] = exception as u8;
            2
        }
    }
}

fn read<const N: usize>(node: &Node<N>, request: &[u8], answer: &mut [u8; MAX_FRAME], now: MonotonicMs) -> Result<usize, Exception> {
    let [function, fields @ ..] = request else { return Err(Exception::IllegalFunction) };
    if !matches!(function, 3 | 4) {
        return Err(Exception::IllegalFunction);
    }
    let &[a, b, c, d] = fields else { return Err(Exception::IllegalDataValue) };
    let (address, count) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    if count == 0 || count > MAX_REGISTERS {
        return Err(Exception::IllegalDataValue);
    }
    let mut words = [0; MAX_REGISTERS as usize];
    let words = &mut words[..usize::from(count)];
    node.registers(address, words, now).map_err(|_| Exception::IllegalDataAddress)?;
    answer[0] = *function;
    answer[1] = (count * 2) as u8;
    for (i, word) in words.iter().enumerate() {
        answer[2 + 2 * i..4 + 2 * i].copy_from_slice(&word.to_be_bytes());
    }
    Ok(2 + usize::from(count) * 2)
}

/// Answers a whole serial frame, or stays silent: for another unit, for a broadcast, for a bad CRC. Gives the
/// length of the answer in `out`.
pub fn answer_frame<const N: usize>(node: &Node<N>, unit: u8, frame: &[u8], out: &mut [u8; MAX_FRAME], now: MonotonicMs) -> Option<usize> {
    let (body, crc) = frame.split_last_chunk::<2>()?;
    let (&addressed, request) = body.split_first()?;
    if addressed != unit || unit == 0 || request.is_empty() || crc16(body).to_le_bytes() != *crc {
        return None;
    }
    let mut pdu = [0; MAX_FRAME];
    let length = answer(node, request, &mut pdu, now);
    out[0] = unit;
    out[1..=length].copy_from_slice(&pdu[..length]);
    let crc = crc16(&out[..=length]).to_le_bytes();
    out[length + 1..length + 3].copy_from_slice(&crc);
    Some(length + 3)
}

#[cfg(test)]
mod tests;
