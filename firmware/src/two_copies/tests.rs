use std::vec::Vec;

use embedded_storage::nor_flash::{ErrorType, NorFlashError, NorFlashErrorKind, ReadNorFlash};

use super::*;

/// Flash whose power goes after so many bytes were erased or written; the byte under way is left half done.
#[derive(Clone)]
pub(crate) struct Flash {
    pub bytes: Vec<u8>,
    pub power: usize,
}

#[derive(Debug)]
pub(crate) struct Cut;

impl NorFlashError for Cut {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl ErrorType for Flash {
    type Error = Cut;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Cut> {
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl Flash {
    fn change(&mut self, at: usize, to: u8) -> Result<(), Cut> {
        if self.power == 0 {
            // Some bits have moved, some have not.
            self.bytes[at] = (self.bytes[at] & 0xA5) | (to & 0x5A);
            return Err(Cut);
        }
        self.power -= 1;
        self.bytes[at] = to;
        Ok(())
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = 256;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Cut> {
        assert!(from.is_multiple_of(256) && to.is_multiple_of(256));
        (from as usize..to as usize).try_for_each(|at| self.change(at, 0xFF))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Cut> {
        assert!(offset.is_multiple_of(8) && bytes.len().is_multiple_of(8));
        for (at, byte) in (offset as usize..).zip(bytes) {
            assert!(self.power == 0 || self.bytes[at] == 0xFF, "flash is written only after it was erased");
            self.change(at, *byte)?;
        }
        Ok(())
    }
}

const PIECES: u32 = 4;

fn store_on(flash: Flash) -> TwoCopies<Flash> {
    TwoCopies::new(flash, 256, 7, PIECES)
}

fn store() -> TwoCopies<Flash> {
    store_on(Flash { bytes: std::vec![0xFF; 256 + 2 * 512], power: usize::MAX })
}

fn piece(content: u8, index: u32) -> [u8; PIECE] {
    core::array::from_fn(|i| content.wrapping_mul(31).wrapping_add(index as u8 * 64 + i as u8))
}

/// What the newest whole copy holds, when all its pieces are of one copy.
fn held(store: &mut TwoCopies<Flash>) -> Option<u8> {
    let Loaded::Whole { slot, .. } = store.load().unwrap() else { return None };
    (0..=255).find(|content| (0..PIECES).all(|index| store.piece(slot, index).unwrap() == piece(*content, index)))
}

#[test]
fn nothing_written_is_blank_and_not_lost() {
    assert_eq!(store().load().unwrap(), Loaded::Blank);
}

#[test]
fn the_newest_copy_is_read_back_whole() {
    let mut store = store();
    for content in 1..6 {
        store.save(|index| piece(content, index)).unwrap();
        assert!(matches!(store.load().unwrap(), Loaded::Whole { sequence, .. } if sequence == u32::from(content)));
        assert_eq!(held(&mut store), Some(content));
    }
}

#[test]
fn a_power_cut_at_any_byte_leaves_the_old_or_the_new_copy() {
    for earlier in [1, 2] {
        let mut before = store();
        for _ in 0..earlier {
            before.save(|index| piece(1, index)).unwrap();
        }
        let flash = before.release();
        let (mut old, mut new) = (0, 0);
        for power in 0..=512 + 5 * 64 {
            let mut store = store_on(Flash { power, ..flash.clone() });
            let saved = store.save(|index| piece(2, index)).is_ok();
            match held(&mut store) {
                Some(1) if !saved => old += 1,
                Some(2) => new += 1,
                other => panic!("cut after {power} bytes: {other:?}"),
            }
            // And the node that starts after it can keep something again.
            let mut after = store_on(Flash { power: usize::MAX, ..store.release() });
            after.save(|index| piece(3, index)).unwrap();
            assert_eq!(held(&mut after), Some(3));
        }
        assert!(old > 700 && new >= 1, "{old} old, {new} new");
    }
}

#[test]
fn the_first_copy_of_all_when_it_is_torn_was_never_there() {
    // The slot was erased, and the CRC is the last that it needs.
    for power in 512..512 + 4 * 64 + 12 {
        let mut store = store_on(Flash { power, ..store().release() });
        assert!(store.save(|index| piece(1, index)).is_err());
        assert_eq!(store.load().unwrap(), Loaded::Blank, "cut after {power} bytes");
    }
}

#[test]
fn a_flipped_bit_of_the_older_copy_is_nothing_and_one_of_the_newer_brings_no_older_settings_back() {
    let mut store = store();
    store.save(|index| piece(1, index)).unwrap();
    store.save(|index| piece(2, index)).unwrap();
    let flash = store.release();
    // Everything that is read counts, but for the rest of the head.
    for at in (0..12).chain(64..5 * 64) {
        let mut older = flash.clone();
        older.bytes[256 + at] ^= 1;
        assert_eq!(held(&mut store_on(older)), Some(2), "byte {at}");
        let mut newer = flash.clone();
        newer.bytes[256 + 512 + at] ^= 1;
        let mut store = store_on(newer);
        assert_eq!(store.load().unwrap(), Loaded::Lost, "byte {at}");
        store.save(|index| piece(3, index)).unwrap();
        assert_eq!(held(&mut store), Some(3), "and what a person sets then counts");
        let mut both = flash.clone();
        both.bytes[256 + at] ^= 1;
        both.bytes[256 + 512 + at] ^= 1;
        assert_eq!(store_on(both).load().unwrap(), Loaded::Lost, "byte {at}");
    }
}

#[test]
fn a_damaged_mark_beside_a_whole_copy_hides_nothing() {
    let mut store = store();
    store.save(|index| piece(1, index)).unwrap();
    store.save(|index| piece(2, index)).unwrap();
    let flash = store.release();
    for bit in 0..64 {
        let mut flash = flash.clone();
        flash.bytes[256 + 512 + MARK_AT + bit / 8] ^= 1 << (bit % 8);
        assert_eq!(held(&mut store_on(flash.clone())), Some(2));
        flash.bytes[256 + 512 + 64] ^= 1;
        assert_eq!(store_on(flash).load().unwrap(), Loaded::Lost, "the head still says that it was the newer");
    }
}

#[test]
fn what_was_kept_for_another_purpose_is_lost_and_not_misread() {
    let mut store = store();
    store.save(|index| piece(1, index)).unwrap();
    assert_eq!(TwoCopies::new(store.release(), 256, 8, PIECES).load().unwrap(), Loaded::Lost);
}
