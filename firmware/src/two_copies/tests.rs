use std::vec::Vec;

use embedded_storage::nor_flash::{ErrorType, NorFlashError, NorFlashErrorKind, ReadNorFlash};

use super::*;

/// Flash whose power goes after so many bytes were erased or written; the byte under way is left half done.
#[derive(Clone)]
struct Flash {
    bytes: Vec<u8>,
    power: usize,
}

#[derive(Debug)]
struct Cut;

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

type Store = CalibrationStore<Flash, 4>;

fn store() -> Store {
    Store::new(Flash { bytes: std::vec![0xFF; 256 + 2 * 512], power: usize::MAX }, 256)
}

fn entries(span: f32) -> [Entry; 4] {
    let calibration = Calibration { zero: 0.5, span, zero_per_kelvin: -0.01 };
    [Entry { calibration, date: 20_261_124, gas: *b"CH4 2.5 %vol    ", lot: *b"LOT 4711        ", operator: *b"Wang Fang       " }; 4]
}

#[test]
fn nothing_written_is_blank_and_not_lost() {
    assert_eq!(store().load().unwrap(), Loaded::Blank);
}

#[test]
fn the_newest_copy_is_read_back_whole() {
    let mut store = store();
    for (sequence, span) in [(1, 1.0), (2, 1.1), (3, 1.2), (4, 1.3)] {
        store.save(&entries(span)).unwrap();
        assert_eq!(store.load().unwrap(), Loaded::Whole { entries: entries(span), sequence });
    }
}

#[test]
fn a_power_cut_at_any_byte_leaves_the_old_or_the_new_copy() {
    for earlier in [1, 2] {
        let mut before = store();
        for _ in 0..earlier {
            before.save(&entries(1.0)).unwrap();
        }
        let flash = before.release();
        let (mut old, mut new) = (0, 0);
        for power in 0..=512 + 5 * 64 {
            let mut store = Store::new(Flash { power, ..flash.clone() }, 256);
            let saved = store.save(&entries(2.0)).is_ok();
            match store.load().unwrap() {
                Loaded::Whole { entries: found, .. } if found == entries(1.0) && !saved => old += 1,
                Loaded::Whole { entries: found, .. } if found == entries(2.0) => new += 1,
                other => panic!("cut after {power} bytes: {other:?}"),
            }
            // And the node that starts after it can calibrate again.
            let mut after = Store::new(Flash { power: usize::MAX, ..store.release() }, 256);
            after.save(&entries(3.0)).unwrap();
            assert!(matches!(after.load().unwrap(), Loaded::Whole { entries: found, .. } if found == entries(3.0)));
        }
        assert!(old > 700 && new >= 1, "{old} old, {new} new");
    }
}

#[test]
fn a_flipped_bit_falls_back_to_the_other_copy_and_two_are_a_loss() {
    let mut store = store();
    store.save(&entries(1.0)).unwrap();
    store.save(&entries(2.0)).unwrap();
    let flash = store.release();
    // Everything that is read counts, but for the rest of the head.
    for at in (0..12).chain(64..5 * 64) {
        let mut one = flash.clone();
        one.bytes[256 + 512 + at] ^= 1;
        let found = [0, 1].map(|_| Store::new(one.clone(), 256).load().unwrap());
        assert!(found.iter().all(|loaded| matches!(loaded, Loaded::Whole { sequence: 1 | 2, .. })), "byte {at}: {found:?}");
        let mut both = one;
        both.bytes[256 + at] ^= 1;
        let loaded = Store::new(both, 256).load().unwrap();
        assert!(matches!(loaded, Loaded::Lost), "byte {at}: {loaded:?}");
    }
}
