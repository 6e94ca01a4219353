//! The settings in flash, in two copies.
//!
//! | Piece | Holds |
//! |---|---|
//! | 0 | version u16, then the content of the node's block, each word with its high byte first; zeros |
//! | 1 + 2c, 2 + 2c | the content of channel c's block, 63 words, and a zero word |

use embedded_storage::nor_flash::NorFlash;
use register_map::CHANNEL_SETTINGS_CONTENT;

use crate::settings::{Keep, Kept, NotKept, Sheet};
use crate::two_copies::{Loaded, PIECE, TwoCopies};

const MAGIC: u32 = 0xDA57_5E77;
/// Words in a piece.
const WORDS: usize = PIECE / 2;

/// The store in its flash.
#[derive(Debug)]
pub struct SettingsStore<F> {
    copies: TwoCopies<F>,
    channels: usize,
    lasts: bool,
}

impl<F: NorFlash> SettingsStore<F> {
    /// A store for so many channels that takes two slots from `offset`, which begins an erase block.
    pub const fn new(flash: F, offset: u32, channels: usize) -> SettingsStore<F> {
        SettingsStore { copies: TwoCopies::new(flash, offset, MAGIC, 1 + 2 * channels as u32), channels, lasts: true }
    }

    /// A store in memory that forgets with the power, as [`crate::ram_flash::RamFlash`] does.
    pub const fn in_ram(flash: F, channels: usize) -> SettingsStore<F> {
        SettingsStore { copies: TwoCopies::new(flash, 0, MAGIC, 1 + 2 * channels as u32), channels, lasts: false }
    }

    /// Bytes of flash that it takes.
    pub const fn bytes(&self) -> u32 {
        2 * self.copies.slot_bytes()
    }

    /// Gives the flash back.
    pub fn release(self) -> F {
        self.copies.release()
    }

    fn fill<const CHANNELS: usize>(&mut self, slot: u32, sheet: &mut Sheet<CHANNELS>) -> Option<u16> {
        let first = self.copies.piece(slot, 0).ok()?;
        sheet.head = core::array::from_fn(|i| word(&first, 1 + i));
        sheet.channels.clear();
        for channel in 0..self.channels as u32 {
            sheet.channels.push([0; CHANNEL_SETTINGS_CONTENT]).ok()?;
            let content = sheet.channels.last_mut()?;
            for (half, words) in (0..).zip(content.chunks_mut(WORDS)) {
                let piece = self.copies.piece(slot, 1 + 2 * channel + half).ok()?;
                (0..).zip(words).for_each(|(at, to)| *to = word(&piece, at));
            }
        }
        Some(word(&first, 0))
    }
}

impl<F: NorFlash, const CHANNELS: usize> Keep<CHANNELS> for SettingsStore<F> {
    /// Flash that cannot be read has lost what it held.
    fn kept(&mut self, sheet: &mut Sheet<CHANNELS>) -> Kept {
        match self.copies.load() {
            Ok(Loaded::Blank) => Kept::Nothing,
            Ok(Loaded::Whole { slot, .. }) => self.fill(slot, sheet).map_or(Kept::Damaged, Kept::Version),
            Ok(Loaded::Lost) | Err(_) => Kept::Damaged,
        }
    }

    fn keep(&mut self, version: u16, sheet: &Sheet<CHANNELS>) -> Result<(), NotKept> {
        if sheet.channels.len() != self.channels {
            return Err(NotKept);
        }
        let piece = |index: u32| {
            let mut piece = [0; PIECE];
            let mut put = |at: usize, word: u16| piece[2 * at..2 * at + 2].copy_from_slice(&word.to_be_bytes());
            match index.checked_sub(1) {
                None => {
                    put(0, version);
                    (1..).zip(sheet.head).for_each(|(at, word)| put(at, word));
                }
                Some(half) => {
                    let words = sheet.channels[half as usize / 2].iter().skip(half as usize % 2 * WORDS).take(WORDS);
                    (0..).zip(words).for_each(|(at, word)| put(at, *word));
                }
            }
            piece
        };
        self.copies.save(piece).map_err(|_| NotKept)
    }

    fn lasts(&self) -> bool {
        self.lasts
    }
}

fn word(piece: &[u8; PIECE], at: usize) -> u16 {
    u16::from_be_bytes([piece[2 * at], piece[2 * at + 1]])
}

#[cfg(test)]
mod tests;
