//! Frames: what may be asked, how it stands on the wire, and what heard bytes are. Pure.
//!
//! Modbus application protocol V1.1b3 (questions, answers, exceptions; MBAP header) and Modbus over serial line
//! V1.02 (unit, function, data, CRC-16; at most 256 bytes). [`Question`] is the only thing a link can send: it has
//! no word for writing but [`SettingsWrite`], which holds only addresses of a Davy node's settings.

use super::settings::SettingsWrite;
use crate::device::{Block, MOST_REGISTERS};

/// Longest frame of a serial line.
pub const LONGEST: usize = 256;
const EXCEPTION: u8 = 0x80;
const CHECK: usize = 2;
/// MBAP: transaction, protocol, length, unit.
const HEADER: usize = 7;
/// Write several registers.
pub const WRITE: u8 = 16;
const IDENTIFY: [u8; 4] = [0x2B, 0x0E, 0x01, 0x00];

/// What a link may say. There is no other word for writing than that for a Davy node's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Function 1, 2, 3 or 4.
    Read(Reading),
    /// Function 43/14: the basic identification, an object list that a device keeps for this purpose. It reads.
    Identification,
    /// Function 16, to a Davy node's settings.
    WriteSettings(SettingsWrite),
}

/// A question of function 1 to 4 that the protocol allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading(Block);

/// By what a late answer can be told from another: its function, and its bytes of data where it counts them.
pub type Shape = (u8, u8);

impl Reading {
    /// `None` when it is no question: another function, nothing or too much asked for, or beyond the last address.
    pub fn of(block: Block) -> Option<Reading> {
        let is_reading = (1..=4).contains(&block.function);
        let fits = (1..=MOST_REGISTERS).contains(&block.count) && block.address.checked_add(block.count - 1).is_some();
        (is_reading && fits).then_some(Reading(block))
    }

    /// The same question for so many registers more (of coils and inputs: eight times as many), where that is one.
    pub fn stretched(self, more: u16) -> Option<Reading> {
        let more = if self.0.function <= 2 { more * 8 } else { more };
        Reading::of(Block { count: self.0.count.checked_add(more)?, ..self.0 })
    }

    /// How many registers.
    pub fn count(self) -> u16 {
        self.0.count
    }
}

/// What a device answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Registers; a coil or an input is 0 or 1.
    Words(Vec<u16>),
    /// Objects by number, as text: 0 maker, 1 product code, 2 revision.
    Identification(Vec<(u8, String)>),
    /// It is written.
    Written,
    /// "No", with this code.
    Exception(u8),
}

/// What the bytes heard so far are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Nothing whole yet.
    More,
    /// The answer, and where it ends.
    Answer { reply: Reply, end: usize },
    /// A whole frame that passes its check and is not the answer: of this unit, ending there.
    Other { unit: u8, why: String, end: usize },
    /// No frame can begin like this.
    Broken(String),
}

impl Question {
    /// True when asking it again is not the same as asking it once.
    pub fn writes(&self) -> bool {
        matches!(self, Question::WriteSettings(_))
    }

    /// The shape of its answer.
    pub fn shape(&self) -> Shape {
        match self {
            Question::Read(Reading(block)) => (block.function, data_bytes(block) as u8),
            Question::Identification | Question::WriteSettings(_) => (self.function(), 0),
        }
    }

    fn function(&self) -> u8 {
        match self {
            Question::Read(Reading(block)) => block.function,
            Question::Identification => IDENTIFY[0],
            Question::WriteSettings(_) => WRITE,
        }
    }

    fn body(&self) -> Vec<u8> {
        match self {
            Question::Read(Reading(block)) => {
                let ([a, b], [c, d]) = (block.address.to_be_bytes(), block.count.to_be_bytes());
                vec![block.function, a, b, c, d]
            }
            Question::Identification => IDENTIFY.to_vec(),
            Question::WriteSettings(write) => write.body(),
        }
    }

    /// As an RTU frame.
    pub fn rtu(&self, unit: u8) -> Vec<u8> {
        let mut frame = vec![unit];
        frame.extend(self.body());
        frame.extend(crc16(&frame).to_le_bytes());
        frame
    }

    /// As a Modbus TCP frame.
    pub fn tcp(&self, unit: u8, transaction: u16) -> Vec<u8> {
        let body = self.body();
        let mut frame = transaction.to_be_bytes().to_vec();
        frame.extend([0, 0]);
        frame.extend((body.len() as u16 + 1).to_be_bytes());
        frame.push(unit);
        frame.extend(body);
        frame
    }

    /// What a frame's function and data say, or why they are no answer.
    fn reply(&self, body: &[u8]) -> Result<Reply, String> {
        let wrong = || format!("a frame of {} bytes that makes no sense", body.len());
        let (&function, data) = body.split_first().ok_or_else(wrong)?;
        if function == self.function() | EXCEPTION {
            return if let [code] = data { Ok(Reply::Exception(*code)) } else { Err(wrong()) };
        }
        if function != self.function() {
            return Err(format!("an answer to function {function}"));
        }
        match self {
            Question::Read(Reading(block)) => {
                let (&length, data) = data.split_first().ok_or_else(wrong)?;
                if usize::from(length) != data.len() {
                    return Err(wrong());
                }
                if data.len() != data_bytes(block) {
                    let (what, found) =
                        if block.function <= 2 { ("bytes of bits for the bits", data.len()) } else { ("registers", data.len() / 2) };
                    return Err(format!("{found} {what} where {} were asked for", block.count));
                }
                Ok(Reply::Words(if block.function <= 2 { bits(data, block.count) } else { words(data) }))
            }
            Question::Identification => objects(data).map(Reply::Identification).ok_or_else(wrong),
            Question::WriteSettings(write) if write.echo() == body => Ok(Reply::Written),
            Question::WriteSettings(_) => Err("other registers were written than was asked for".to_owned()),
        }
    }
}

fn data_bytes(block: &Block) -> usize {
    let count = usize::from(block.count);
    if block.function <= 2 { count.div_ceil(8) } else { count * 2 }
}

fn words(data: &[u8]) -> Vec<u16> {
    data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

/// Bits come in whole bytes, the first one lowest; what is beyond the count is padding.
fn bits(data: &[u8], count: u16) -> Vec<u16> {
    let each = data.iter().flat_map(|byte| (0..8).map(move |bit| u16::from(byte >> bit & 1)));
    each.take(usize::from(count)).collect()
}

/// Objects of a device identification: number, length, text.
fn objects(data: &[u8]) -> Option<Vec<(u8, String)>> {
    let [0x0E, _, _, _, _, count, rest @ ..] = data else { return None };
    let mut rest = rest;
    let mut objects = Vec::new();
    for _ in 0..*count {
        let [number, length, more @ ..] = rest else { return None };
        let (text, after) = more.split_at_checked(usize::from(*length))?;
        objects.push((*number, String::from_utf8_lossy(text).trim().to_owned()));
        rest = after;
    }
    Some(objects)
}

/// Where the whole frame ends that these bytes begin with, if they do.
pub fn whole(bytes: &[u8]) -> Option<usize> {
    lengths(bytes).into_iter().flatten().find(|end| is_whole(bytes, *end))
}

/// The shape of a whole RTU frame.
pub fn shape(frame: &[u8]) -> Shape {
    match frame {
        [_, function @ 1..=4, bytes, ..] => (*function, *bytes),
        [_, function, ..] => (*function, 0),
        _ => (0, 0),
    }
}

/// What RTU bytes are, when this unit was asked this.
pub fn rtu(bytes: &[u8], unit: u8, question: &Question) -> Heard {
    if is_header(bytes, unit, question) {
        return match lengths(bytes)[0].filter(|end| is_whole(bytes, *end)) {
            Some(end) => match question.reply(&bytes[1..end - CHECK]) {
                Ok(reply) => Heard::Answer { reply, end },
                Err(why) => Heard::Other { unit, why, end },
            },
            None => Heard::More,
        };
    }
    if let Some(end) = whole(bytes) {
        let (of, function) = (bytes[0], bytes[1]);
        let why = if of == unit { format!("an answer to function {function}") } else { format!("a frame of unit {of}") };
        return Heard::Other { unit: of, why, end };
    }
    // A driver that is switched on makes a character or two of nothing in front of the frame.
    for skipped in 1..=2 {
        if let Some((noise, rest)) = bytes.split_at_checked(skipped)
            && noise.iter().all(|byte| matches!(byte, 0x00 | 0xFF))
            && is_header(rest, unit, question)
            && let Heard::Answer { reply, end } = rtu(rest, unit, question)
        {
            return Heard::Answer { reply, end: end + skipped };
        }
    }
    Heard::More
}

/// True when the answer may begin like this, so that nothing may be taken off the front.
pub fn may_begin(bytes: &[u8], unit: u8, question: &Question) -> bool {
    bytes == [unit] || is_header(bytes, unit, question)
}

/// True when bytes that are no frame were nevertheless this unit's answer, damaged: nothing more of it will come. Noise
/// must not pass for that, or the true answer would be taken for that to the next question; so two of the three
/// characters at the head (unit, function, count) must be right, and all three when the length is not.
pub fn was_the_answer(bytes: &[u8], unit: u8, question: &Question) -> bool {
    let Question::Read(Reading(block)) = question else { return is_header(bytes, unit, question) };
    let head = [unit, block.function, data_bytes(block) as u8];
    let right = bytes.iter().zip(head).filter(|(found, right)| *found == right).count();
    let is_long = bytes.len() == 3 + data_bytes(block) + CHECK;
    let is_exception = bytes.len() == 5 && bytes.starts_with(&[unit, block.function | EXCEPTION]);
    let is_in_there = |bytes: &[u8]| matches!(rtu(bytes, unit, question), Heard::Answer { .. });
    right == 3 || is_long && right == 2 || is_exception || (1..bytes.len()).any(|start| is_in_there(&bytes[start..]))
}

/// The unit of the last whole frame that lies somewhere in these bytes.
pub fn talker(bytes: &[u8]) -> Option<u8> {
    let starts = 0..bytes.len();
    starts
        .rev()
        .find(|start| lengths(&bytes[*start..]).into_iter().flatten().any(|end| is_whole(&bytes[*start..], end)))
        .map(|at| bytes[at])
}

fn is_header(bytes: &[u8], unit: u8, question: &Question) -> bool {
    matches!(bytes, [of, function, ..] if *of == unit && function & !EXCEPTION == question.function())
}

/// How long a frame that begins like this may be: as an answer, and as a question of some other master.
fn lengths(bytes: &[u8]) -> [Option<usize>; 2] {
    let Some(&function) = bytes.get(1) else { return [None; 2] };
    let counted = |place: usize, beside: usize| bytes.get(place).map(|count| usize::from(*count) + beside);
    match function {
        0x01..=0x04 => [counted(2, 5), Some(8)],
        0x05 | 0x06 => [Some(8), None],
        0x07 => [Some(5), Some(4)],
        0x0F | 0x10 => [Some(8), counted(6, 9)],
        0x11 => [counted(2, 5), Some(4)],
        0x16 => [Some(10), None],
        0x17 => [counted(2, 5), counted(10, 13)],
        0x2B => [identification_length(bytes), Some(7)],
        _ if function & EXCEPTION != 0 => [Some(5), None],
        _ => [None, None],
    }
}

fn identification_length(bytes: &[u8]) -> Option<usize> {
    let count = *bytes.get(7)?;
    let mut end = 8;
    for _ in 0..count {
        end += 2 + usize::from(*bytes.get(end + 1)?);
    }
    Some(end + CHECK)
}

fn is_whole(bytes: &[u8], end: usize) -> bool {
    let Some((content, check)) = bytes.get(..end).and_then(|frame| frame.split_last_chunk::<CHECK>()) else { return false };
    end <= LONGEST && content.len() >= 2 && crc16(content).to_le_bytes() == *check
}

/// What Modbus TCP bytes are, when this unit was asked this with this transaction number.
pub fn tcp(bytes: &[u8], transaction: u16, unit: u8, question: &Question) -> Heard {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Heard::More };
    let [t0, t1, p0, p1, l0, l1, of] = *header;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if [p0, p1] != [0, 0] || !(3..=254).contains(&length) {
        return Heard::Broken(format!("a header of protocol {} and length {length}", u16::from_be_bytes([p0, p1])));
    }
    let Some(body) = rest.get(..length - 1) else { return Heard::More };
    let end = HEADER + body.len();
    let found = u16::from_be_bytes([t0, t1]);
    if found != transaction {
        return Heard::Other { unit: of, why: format!("transaction {found} where {transaction} was asked"), end };
    }
    if of != unit {
        return Heard::Other { unit: of, why: format!("a frame of unit {of}"), end };
    }
    match question.reply(body) {
        Ok(reply) => Heard::Answer { reply, end },
        Err(why) => Heard::Other { unit, why, end },
    }
}

/// CRC-16/MODBUS (serial line 6.2.2), by bytes.
pub fn crc16(bytes: &[u8]) -> u16 {
    const TABLE: [u16; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let (mut crc, mut bit) = (byte as u16, 0);
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 };
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    bytes.iter().fold(0xFFFF, |crc: u16, byte| crc >> 8 ^ TABLE[usize::from((crc ^ u16::from(*byte)) as u8)])
}

#[cfg(test)]
mod tests;
