//! Two copies in flash, so that a power cut at any moment leaves a whole one.
//!
//! Each copy takes a slot of whole erase blocks: a head of 64 bytes (magic u32, sequence u32, CRC-32 u32 over sequence and
//! pieces, little-endian, then zeros) and pieces of 64 bytes, whatever they mean. The older slot is erased and written, its
//! head last; the copy with the higher sequence and a right CRC counts. When neither is whole what was kept is lost, and the
//! node must say so.

use embedded_storage::nor_flash::NorFlash;
use register_map::SettingsCrc;

/// Bytes of a piece and of the head.
pub const PIECE: usize = 64;

/// What the flash held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// A whole copy, the `sequence`th that was written, in this slot.
    Whole {
        /// Where it lies: 0 or 1.
        slot: u32,
        /// Counts what was written.
        sequence: u32,
    },
    /// Neither slot was ever written.
    Blank,
    /// Something was written and none of it is whole: nothing may be called good on its strength.
    Lost,
}

/// Two slots in flash, from `offset` on.
#[derive(Debug)]
pub struct TwoCopies<F> {
    flash: F,
    offset: u32,
    magic: u32,
    pieces: u32,
}

impl<F: NorFlash> TwoCopies<F> {
    const WHOLE_WORDS: () =
        assert!(PIECE.is_multiple_of(F::WRITE_SIZE) && PIECE.is_multiple_of(F::READ_SIZE), "a piece is not a whole number of words");

    /// Two slots of so many pieces from `offset`, which begins an erase block. The magic tells what the pieces mean.
    pub const fn new(flash: F, offset: u32, magic: u32, pieces: u32) -> TwoCopies<F> {
        let () = Self::WHOLE_WORDS;
        TwoCopies { flash, offset, magic, pieces }
    }

    /// Bytes of one slot.
    pub const fn slot_bytes(&self) -> u32 {
        (PIECE as u32 * (1 + self.pieces)).next_multiple_of(F::ERASE_SIZE as u32)
    }

    /// Gives the flash back.
    pub fn release(self) -> F {
        self.flash
    }

    /// The newest whole copy.
    pub fn load(&mut self) -> Result<Loaded, F::Error> {
        Ok(match (self.look(0)?, self.look(1)?) {
            (Loaded::Whole { sequence: a, .. }, b @ Loaded::Whole { sequence, .. }) if (sequence.wrapping_sub(a) as i32) > 0 => b,
            (a @ Loaded::Whole { .. }, _) => a,
            (_, b @ Loaded::Whole { .. }) => b,
            (Loaded::Blank, Loaded::Blank) => Loaded::Blank,
            _ => Loaded::Lost,
        })
    }

    /// One piece of a copy that [`TwoCopies::load`] has found whole.
    pub fn piece(&mut self, slot: u32, index: u32) -> Result<[u8; PIECE], F::Error> {
        let mut piece = [0; PIECE];
        let at = self.start(slot) + (1 + index) * PIECE as u32;
        self.flash.read(at, &mut piece)?;
        Ok(piece)
    }

    /// Writes a new copy over the older one. When this fails, or the power does, [`TwoCopies::load`] gives the copy before it.
    pub fn save(&mut self, piece: impl Fn(u32) -> [u8; PIECE]) -> Result<(), F::Error> {
        let (slot, sequence) = match self.load()? {
            Loaded::Whole { slot, sequence } => (1 - slot, sequence.wrapping_add(1)),
            Loaded::Blank | Loaded::Lost => (0, 1),
        };
        let start = self.start(slot);
        self.flash.erase(start, start + self.slot_bytes())?;
        let mut crc = SettingsCrc::new();
        crc.bytes(&sequence.to_le_bytes());
        for index in 0..self.pieces {
            let piece = piece(index);
            crc.bytes(&piece);
            self.flash.write(start + (1 + index) * PIECE as u32, &piece)?;
        }
        let mut head = [0; PIECE];
        head[..4].copy_from_slice(&self.magic.to_le_bytes());
        head[4..8].copy_from_slice(&sequence.to_le_bytes());
        head[8..12].copy_from_slice(&crc.end().to_le_bytes());
        self.flash.write(start, &head)
    }

    fn start(&self, slot: u32) -> u32 {
        self.offset + slot * self.slot_bytes()
    }

    fn look(&mut self, slot: u32) -> Result<Loaded, F::Error> {
        let mut head = [0; PIECE];
        self.flash.read(self.start(slot), &mut head)?;
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (magic, sequence, expected) = (word(0), word(4), word(8));
        let mut crc = SettingsCrc::new();
        crc.bytes(&sequence.to_le_bytes());
        let mut blank = head.iter().all(|byte| *byte == 0xFF);
        for index in 0..self.pieces {
            let piece = self.piece(slot, index)?;
            blank &= piece.iter().all(|byte| *byte == 0xFF);
            crc.bytes(&piece);
        }
        Ok(if magic == self.magic && crc.end() == expected {
            Loaded::Whole { slot, sequence }
        } else if blank {
            Loaded::Blank
        } else {
            Loaded::Lost
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
