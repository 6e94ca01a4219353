//! Two copies in flash, so that a power cut at any moment leaves a whole one.
//!
//! Each copy takes a slot of whole erase blocks: a head of 64 bytes (magic u32, sequence u32, CRC-32 u32 over sequence and
//! pieces, little-endian, then zeros; in its last eight bytes the finished mark: sequence and its complement) and pieces of 64
//! bytes, whatever they mean. The older slot is erased and written, its head last and the mark after that; the copy with the higher
//! sequence and a right CRC counts.
//!
//! A copy that is not whole was torn by a power cut when it has no mark: it never counted, and the other one does. With a mark it was whole
//! once. When it was the newest, the older one beside it is not what a person wants in force: what was kept is lost, and the node must
//! say so.

use embedded_storage::nor_flash::NorFlash;
use register_map::SettingsCrc;

/// Bytes of a piece and of the head.
pub const PIECE: usize = 64;

/// Where the head has the finished mark; as long as the longest word that a chip writes.
const MARK_AT: usize = PIECE - MARK;
const MARK: usize = 8;

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
    /// Nothing was ever written to its end.
    Blank,
    /// The newest that was written is not whole: nothing may be called good on its strength.
    Lost,
}

/// What one slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Whole {
        sequence: u32,
    },
    Blank,
    /// It was never finished.
    Torn,
    /// It was finished, or holds something else; and which copy it was, when that can still be read. It cannot while it is half erased.
    Damaged {
        sequence: Option<u32>,
    },
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
        assert!(MARK.is_multiple_of(F::WRITE_SIZE) && PIECE.is_multiple_of(F::READ_SIZE), "a piece is not a whole number of words");

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

    /// The newest copy, when it is whole.
    pub fn load(&mut self) -> Result<Loaded, F::Error> {
        let slots = [self.look(0)?, self.look(1)?];
        let whole = |slot: usize| match slots[slot] {
            Slot::Whole { sequence } => Some(Loaded::Whole { slot: slot as u32, sequence }),
            _ => None,
        };
        Ok(match slots {
            [Slot::Whole { sequence: a } | Slot::Damaged { sequence: Some(a) }, Slot::Whole { sequence: b }] if is_newer(b, a) => whole(1),
            [Slot::Whole { sequence: a }, Slot::Damaged { sequence: Some(b) }] if is_newer(b, a) => None,
            [Slot::Damaged { sequence: Some(_) }, Slot::Whole { .. }] => None,
            [Slot::Whole { .. }, _] => whole(0),
            [_, Slot::Whole { .. }] => whole(1),
            [Slot::Blank, Slot::Blank | Slot::Torn] | [Slot::Torn, Slot::Blank] => Some(Loaded::Blank),
            _ => None,
        }
        .unwrap_or(Loaded::Lost))
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
        let loaded = self.load()?;
        let (slot, sequence) = match loaded {
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
        head[MARK_AT..MARK_AT + 4].copy_from_slice(&sequence.to_le_bytes());
        head[MARK_AT + 4..].copy_from_slice(&(!sequence).to_le_bytes());
        self.flash.write(start, &head[..MARK_AT])?;
        self.flash.write(start + MARK_AT as u32, &head[MARK_AT..])?;
        if loaded == Loaded::Lost {
            // What is damaged there may be of any sequence, and must not count as newer.
            let other = self.start(1 - slot);
            self.flash.erase(other, other + self.slot_bytes())?;
        }
        Ok(())
    }

    fn start(&self, slot: u32) -> u32 {
        self.offset + slot * self.slot_bytes()
    }

    fn look(&mut self, slot: u32) -> Result<Slot, F::Error> {
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
            Slot::Whole { sequence }
        } else if blank {
            Slot::Blank
        } else if head[MARK_AT..] == [0xFF; MARK] {
            Slot::Torn
        } else if word(MARK_AT) == !word(MARK_AT + 4) {
            Slot::Damaged { sequence: Some(word(MARK_AT)) }
        } else {
            Slot::Damaged { sequence: (magic == self.magic).then_some(sequence) }
        })
    }
}

/// Sequences count on beyond their largest number.
const fn is_newer(sequence: u32, than: u32) -> bool {
    (sequence.wrapping_sub(than) as i32) > 0
}

#[cfg(test)]
pub(crate) mod tests;
