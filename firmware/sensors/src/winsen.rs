//! Winsen ZE, MH-Z and ZCE04B-class gas modules: frames on a UART of 9600 baud, 8N1.
//!
//! A frame begins with the start byte 0xFF and ends with a check sum, the two's complement of the sum of all
//! bytes between the two. Two modes exist: in *initiative upload* the module speaks once a second, in
//! *question and answer* it speaks when asked (0x86).
//!
//! | Frame | Bytes |
//! |---|---|
//! | upload, 9 bytes | FF, gas, unit, decimals, concentration high, low, full range high, low, check sum |
//! | answer, 9 bytes | FF, 86, concentration high, low, four bytes of the model, check sum |
//! | answer of four gases, 11 bytes | FF, 86, CO high, low, H2S high, low, O2 high, low, CH4 high, low, check sum |
//!
//! Sources: ZE07-CO user's manual 1.2, tables 4 to 8 (<https://manualshive.com/en/manual/winsen/ze07-co/987735?page=5>;
//! the page prints "Byte4*256+Byte6", bytes 4 and 5 are the ones that make a number); MH-Z19B user's manual, "0x86"
//! (<https://manualshive.com/en/manual/winsen/mh-z19b/987733?page=7>). The four-gas layout is the ZCE04B's as
//! three independent public programs read it (all agree on order and decimals); the maker's own manual was not at hand,
//! so check one frame of a new module against its display before trusting it.
//!
//! An eight-bit sum finds every single wrong byte, but lets one of 256 doubly wrong frames through. Whoever uses
//! these numbers must not believe a leap that no second frame confirms.

/// The first byte of every frame.
pub const START: u8 = 0xFF;
/// Asks for the concentration.
pub const READ: [u8; 9] = command(0x86, 0);
/// Switches to question and answer.
pub const QUESTION_AND_ANSWER: [u8; 9] = command(0x78, 0x41);
/// Switches to initiative upload.
pub const INITIATIVE_UPLOAD: [u8; 9] = command(0x78, 0x40);
/// Most gases one module has.
pub const MAX_GASES: usize = 4;

/// The command byte that an answer repeats.
const ANSWER: u8 = 0x86;
const LONGEST: usize = 11;

/// What a module sends, which its part number decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// One gas, unasked, once a second. Frames of another gas or unit are refused.
    Upload {
        /// Gas name byte: 0x01 CH4, 0x03 H2S, 0x04 CO, 0x05 O2 (ZE03 user's manual, table of gases).
        gas: u8,
        /// Unit byte: 0x03 ppm, 0x04 ppb.
        unit: u8,
    },
    /// One gas, when asked.
    Answer {
        /// Digits behind the point.
        decimals: u8,
        /// A payload of zeros is how this model says that it warms up: true where zero is no possible reading, as for CO2.
        zero_is_warm_up: bool,
    },
    /// CO, H2S, O2 and CH4, when asked.
    FourGases,
}

/// ZCE04B: CO ppm, H2S ppm, O2 in tenths of %vol, CH4 %LEL.
const FOUR_GAS_DECIMALS: [u8; MAX_GASES] = [0, 0, 1, 0];

impl Model {
    /// Length of this model's frames.
    pub const fn frame_length(self) -> usize {
        match self {
            Model::Upload { .. } | Model::Answer { .. } => 9,
            Model::FourGases => 11,
        }
    }

    /// How many gases it measures.
    pub const fn gases(self) -> usize {
        match self {
            Model::Upload { .. } | Model::Answer { .. } => 1,
            Model::FourGases => MAX_GASES,
        }
    }

    /// What asks it for a reading; nothing for one that speaks unasked.
    pub const fn question(self) -> Option<&'static [u8]> {
        match self {
            Model::Upload { .. } => None,
            Model::Answer { .. } | Model::FourGases => Some(&READ),
        }
    }
}

/// What one frame says. Unused places hold zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Frame {
    /// Concentrations in the order of the model.
    Concentrations([f32; MAX_GASES]),
    /// The module warms up.
    WarmingUp,
}

/// Why a frame was not one of this model's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// Another number of bytes.
    Length,
    /// It does not begin with the start byte.
    Start,
    /// The check sum does not fit.
    CheckSum,
    /// An answer to another command, or another gas or unit than this model has.
    Foreign,
    /// More decimals than the number has digits, or a concentration beyond its own full range by far.
    Contradiction,
}

/// Two's complement of the sum of everything between start byte and check sum.
pub fn check_sum(between: &[u8]) -> u8 {
    between.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg()
}

/// Reads one whole frame.
pub fn parse(model: Model, frame: &[u8]) -> Result<Frame, FrameError> {
    if frame.len() != model.frame_length() {
        return Err(FrameError::Length);
    }
    let [START, body @ .., check] = frame else { return Err(FrameError::Start) };
    if check_sum(body) != *check {
        return Err(FrameError::CheckSum);
    }
    let mut numbers = [0.0; MAX_GASES];
    match (model, body) {
        (Model::Upload { gas, unit }, &[of, in_unit, decimals, high, low, full_high, full_low]) => {
            if (of, in_unit) != (gas, unit) {
                return Err(FrameError::Foreign);
            }
            let (raw, full) = (u16::from_be_bytes([high, low]), u16::from_be_bytes([full_high, full_low]));
            // The full range is given in whole units; a module reads somewhat past it, never five times as far.
            numbers[0] = scaled(raw, decimals).ok_or(FrameError::Contradiction)?;
            if full == 0 || numbers[0] > 5.0 * f32::from(full) {
                return Err(FrameError::Contradiction);
            }
        }
        (Model::Answer { decimals, zero_is_warm_up }, &[ANSWER, high, low, ref rest @ ..]) => {
            let raw = u16::from_be_bytes([high, low]);
            if zero_is_warm_up && raw == 0 && rest.iter().all(|byte| *byte == 0) {
                return Ok(Frame::WarmingUp);
            }
            numbers[0] = scaled(raw, decimals).ok_or(FrameError::Contradiction)?;
        }
        (Model::FourGases, [ANSWER, gases @ ..]) => {
            // Air without any oxygen and without any gas is a module that has not begun to measure.
            if gases.iter().all(|byte| *byte == 0) {
                return Ok(Frame::WarmingUp);
            }
            for ((number, pair), decimals) in numbers.iter_mut().zip(gases.chunks_exact(2)).zip(FOUR_GAS_DECIMALS) {
                *number = scaled(u16::from_be_bytes([pair[0], pair[1]]), decimals).ok_or(FrameError::Contradiction)?;
            }
        }
        _ => return Err(FrameError::Foreign),
    }
    Ok(Frame::Concentrations(numbers))
}

fn scaled(raw: u16, decimals: u8) -> Option<f32> {
    let divisor = match decimals {
        0 => 1.0,
        1 => 10.0,
        2 => 100.0,
        3 => 1000.0,
        _ => return None,
    };
    Some(f32::from(raw) / divisor)
}

/// Finds frames in a stream that may start, break or be garbled anywhere.
#[derive(Debug, Clone)]
pub struct Parser {
    model: Model,
    bytes: [u8; LONGEST],
    length: usize,
    refused: u32,
}

impl Parser {
    /// A parser that has seen nothing.
    pub const fn new(model: Model) -> Parser {
        Parser { model, bytes: [0; LONGEST], length: 0, refused: 0 }
    }

    /// Takes the next byte and gives the frame that it completes, if it does. After a refused frame the search goes on
    /// at the next start byte *within* it, so a whole frame behind a broken one is never lost.
    pub fn push(&mut self, byte: u8) -> Option<Frame> {
        self.bytes[self.length] = byte;
        self.length += 1;
        self.align(0);
        while self.length == self.model.frame_length() {
            match parse(self.model, &self.bytes[..self.length]) {
                Ok(frame) => {
                    self.length = 0;
                    return Some(frame);
                }
                Err(_) => {
                    self.refused = self.refused.saturating_add(1);
                    self.align(1);
                }
            }
        }
        None
    }

    /// Forgets a frame that has begun: the line was silent in its midst.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// How many whole frames were refused.
    pub const fn refused(&self) -> u32 {
        self.refused
    }

    /// Drops what stands before the first start byte at or after `from`.
    fn align(&mut self, from: usize) {
        let held = &self.bytes[from.min(self.length)..self.length];
        let begins = from + held.iter().position(|byte| *byte == START).unwrap_or(held.len());
        self.bytes.copy_within(begins..self.length, 0);
        self.length -= begins;
    }
}

const fn command(command: u8, argument: u8) -> [u8; 9] {
    let sum = 0x01u8.wrapping_add(command).wrapping_add(argument);
    [START, 0x01, command, argument, 0, 0, 0, 0, sum.wrapping_neg()]
}

#[cfg(test)]
mod tests;
