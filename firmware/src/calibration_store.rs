//! Calibrations in flash: two copies, so that a power cut at any moment leaves a whole one.
//!
//! Each copy takes a slot of whole erase blocks: a head of 64 bytes (magic u32, sequence u32, CRC-32 u32 over sequence and
//! entries, little-endian, then zeros) and one entry of 64 bytes a channel (zero, span, zero per kelvin as f32; date u32 as
//! yyyymmdd; gas, lot and operator of 16 bytes each). The older slot is erased and written, its head last; the copy with the
//! higher sequence and a right CRC counts. When neither is whole the calibration is lost, and the node must say so.

use embedded_storage::nor_flash::NorFlash;

use crate::conversion::Calibration;
use crate::shipped::Crc32;

const PIECE: usize = 64;
const MAGIC: u32 = 0xDA57_CA1B;

/// What one calibration of one channel was, and who answers for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// The numbers.
    pub calibration: Calibration,
    /// Year, month and day as one decimal number, 20261124.
    pub date: u32,
    /// The test gas; padded with zeros, as the next two.
    pub gas: [u8; 16],
    /// Lot of its bottle.
    pub lot: [u8; 16],
    /// Who did it.
    pub operator: [u8; 16],
}

/// What the flash held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loaded<const CHANNELS: usize> {
    /// A whole copy, the `sequence`th that was written.
    Whole {
        /// One entry a channel.
        entries: [Entry; CHANNELS],
        /// Counts what was written.
        sequence: u32,
    },
    /// Neither slot was ever written.
    Blank,
    /// Something was written and none of it is whole: no value may be called good on its strength.
    Lost,
}

/// The store in its flash, from `offset` on.
#[derive(Debug)]
pub struct CalibrationStore<F, const CHANNELS: usize> {
    flash: F,
    offset: u32,
}

impl<F: NorFlash, const CHANNELS: usize> CalibrationStore<F, CHANNELS> {
    /// Bytes of one slot.
    pub const SLOT: u32 = {
        assert!(PIECE.is_multiple_of(F::WRITE_SIZE) && PIECE.is_multiple_of(F::READ_SIZE), "a piece is not a whole number of words");
        (PIECE * (1 + CHANNELS)).next_multiple_of(F::ERASE_SIZE) as u32
    };

    /// A store that takes two slots from `offset`, which begins an erase block.
    pub const fn new(flash: F, offset: u32) -> CalibrationStore<F, CHANNELS> {
        CalibrationStore { flash, offset }
    }

    /// Gives the flash back.
    pub fn release(self) -> F {
        self.flash
    }

    /// The newest whole copy.
    pub fn load(&mut self) -> Result<Loaded<CHANNELS>, F::Error> {
        let (_, newest) = self.newest()?;
        Ok(newest)
    }

    /// Writes a new copy over the older one. When this fails, or the power does, [`CalibrationStore::load`] gives the copy
    /// before it.
    pub fn save(&mut self, entries: &[Entry; CHANNELS]) -> Result<(), F::Error> {
        let (slot, newest) = self.newest()?;
        let sequence = if let Loaded::Whole { sequence, .. } = newest { sequence.wrapping_add(1) } else { 1 };
        let start = self.start(1 - slot);
        self.flash.erase(start, start + Self::SLOT)?;
        let mut crc = Crc32::new();
        crc.feed(&sequence.to_le_bytes());
        for (at, entry) in (1..).zip(entries) {
            let piece = encode(entry);
            crc.feed(&piece);
            self.flash.write(start + at * PIECE as u32, &piece)?;
        }
        let mut head = [0; PIECE];
        head[..4].copy_from_slice(&MAGIC.to_le_bytes());
        head[4..8].copy_from_slice(&sequence.to_le_bytes());
        head[8..12].copy_from_slice(&crc.end().to_le_bytes());
        self.flash.write(start, &head)
    }

    fn start(&self, slot: u32) -> u32 {
        self.offset + slot * Self::SLOT
    }

    /// The slot that must be kept, and what it holds.
    fn newest(&mut self) -> Result<(u32, Loaded<CHANNELS>), F::Error> {
        Ok(match (self.copy(0)?, self.copy(1)?) {
            (Loaded::Whole { sequence: a, .. }, b @ Loaded::Whole { sequence, .. }) if (sequence.wrapping_sub(a) as i32) > 0 => (1, b),
            (a @ Loaded::Whole { .. }, _) => (0, a),
            (_, b @ Loaded::Whole { .. }) => (1, b),
            (Loaded::Blank, Loaded::Blank) => (1, Loaded::Blank),
            _ => (1, Loaded::Lost),
        })
    }

    fn copy(&mut self, slot: u32) -> Result<Loaded<CHANNELS>, F::Error> {
        let start = self.start(slot);
        let mut piece = [0; PIECE];
        self.flash.read(start, &mut piece)?;
        let word = |at: usize| u32::from_le_bytes([piece[at], piece[at + 1], piece[at + 2], piece[at + 3]]);
        let (magic, sequence, expected) = (word(0), word(4), word(8));
        let blank_head = piece.iter().all(|byte| *byte == 0xFF);
        let mut crc = Crc32::new();
        crc.feed(&sequence.to_le_bytes());
        let mut entries = [NONE; CHANNELS];
        let mut blank = blank_head;
        for (at, entry) in (1..).zip(&mut entries) {
            self.flash.read(start + at * PIECE as u32, &mut piece)?;
            blank &= piece.iter().all(|byte| *byte == 0xFF);
            crc.feed(&piece);
            *entry = decode(&piece);
        }
        Ok(if magic == MAGIC && crc.end() == expected {
            Loaded::Whole { entries, sequence }
        } else if blank {
            Loaded::Blank
        } else {
            Loaded::Lost
        })
    }
}

const NONE: Entry = Entry { calibration: Calibration::NONE, date: 0, gas: [0; 16], lot: [0; 16], operator: [0; 16] };

fn encode(entry: &Entry) -> [u8; PIECE] {
    let mut piece = [0; PIECE];
    let Entry { calibration: Calibration { zero, span, zero_per_kelvin }, date, gas, lot, operator } = entry;
    for (at, word) in [zero.to_bits(), span.to_bits(), zero_per_kelvin.to_bits(), *date].iter().enumerate() {
        piece[4 * at..4 * at + 4].copy_from_slice(&word.to_le_bytes());
    }
    for (at, text) in [gas, lot, operator].iter().enumerate() {
        piece[16 + 16 * at..32 + 16 * at].copy_from_slice(*text);
    }
    piece
}

fn decode(piece: &[u8; PIECE]) -> Entry {
    let word = |at: usize| u32::from_le_bytes([piece[at], piece[at + 1], piece[at + 2], piece[at + 3]]);
    let text = |at: usize| core::array::from_fn(|i| piece[at + i]);
    Entry {
        calibration: Calibration { zero: f32::from_bits(word(0)), span: f32::from_bits(word(4)), zero_per_kelvin: f32::from_bits(word(8)) },
        date: word(12),
        gas: text(16),
        lot: text(32),
        operator: text(48),
    }
}

#[cfg(test)]
mod tests;
