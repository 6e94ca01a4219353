use std::vec::Vec as List;

use super::*;
use crate::ram_flash::RamFlash;
use crate::two_copies::tests::Flash;

const CHANNELS: usize = 3;

/// A sheet whose every word tells which it is.
fn sheet(of: u16) -> Sheet<4> {
    let channels = (0..CHANNELS as u16).map(|channel| core::array::from_fn(|i| of.wrapping_mul(7919) + channel * 64 + i as u16)).collect();
    Sheet { head: core::array::from_fn(|i| of + 1000 + i as u16), channels }
}

fn store_on(flash: Flash) -> SettingsStore<Flash> {
    SettingsStore::new(flash, 256, CHANNELS)
}

fn store() -> SettingsStore<Flash> {
    store_on(Flash { bytes: std::vec![0xFF; 256 + 2 * 512], power: usize::MAX })
}

/// What a start would find.
fn found<F: NorFlash>(store: &mut SettingsStore<F>) -> (Kept, Option<Sheet<4>>) {
    let mut sheet = Sheet::new();
    let kept = store.kept(&mut sheet);
    (kept, matches!(kept, Kept::Version(_)).then_some(sheet))
}

fn whole(version: u16) -> (Kept, Option<Sheet<4>>) {
    (Kept::Version(version), Some(sheet(version)))
}

#[test]
fn what_was_kept_is_found_with_its_version() {
    let mut store = store();
    assert_eq!(found(&mut store), (Kept::Nothing, None));
    for version in 1..5 {
        store.keep(version, &sheet(version)).unwrap();
        assert_eq!(found(&mut store), whole(version));
    }
}

#[test]
fn a_power_cut_at_any_byte_leaves_the_old_settings_or_the_new_ones() {
    let mut before = store();
    before.keep(1, &sheet(1)).unwrap();
    let flash = before.release();
    let (mut old, mut new) = (0, 0);
    for power in 0..=512 + 8 * 64 {
        let mut store = store_on(Flash { power, ..flash.clone() });
        let kept = store.keep(2, &sheet(2)).is_ok();
        match found(&mut store) {
            found if found == whole(1) && !kept => old += 1,
            found if found == whole(2) => new += 1,
            other => panic!("cut after {power} bytes: {other:?}"),
        }
    }
    assert!(old > 900 && new >= 1, "{old} old, {new} new");
}

#[test]
fn damage_to_both_copies_is_a_loss_and_to_one_is_not() {
    let mut store = store();
    store.keep(1, &sheet(1)).unwrap();
    store.keep(2, &sheet(2)).unwrap();
    let mut flash = store.release();
    flash.bytes[256 + 100] ^= 0x10;
    assert_eq!(found(&mut store_on(flash.clone())), whole(2));
    flash.bytes[256 + 512 + 100] ^= 0x10;
    assert_eq!(found(&mut store_on(flash)), (Kept::Damaged, None));
}

#[test]
fn settings_of_another_number_of_channels_are_neither_kept_nor_found() {
    let mut store = store();
    let mut wide = sheet(1);
    wide.channels.push([0; 63]).unwrap();
    assert_eq!(store.keep(1, &wide), Err(NotKept));
    store.keep(1, &sheet(1)).unwrap();
    assert_eq!(found(&mut SettingsStore::new(store.release(), 256, CHANNELS - 1)), (Kept::Damaged, None));
}

#[test]
fn memory_keeps_over_a_reset_and_says_that_it_forgets_with_the_power() {
    let mut store = SettingsStore::in_ram(RamFlash::blank(std::vec![0; 1024]), CHANNELS);
    assert_eq!(store.bytes(), 1024);
    assert!(!Keep::<4>::lasts(&store));
    store.keep(3, &sheet(3)).unwrap();
    let memory = store.release().release();
    assert_eq!(found(&mut SettingsStore::in_ram(RamFlash::found(memory.clone()), CHANNELS)), whole(3));
    let garbage = RamFlash::found(memory.iter().map(|byte| byte ^ 0x5A).collect::<List<u8>>());
    assert_eq!(found(&mut SettingsStore::in_ram(garbage, CHANNELS)), (Kept::Damaged, None));
    let small = RamFlash::blank(std::vec![0; 100]);
    assert_eq!(found(&mut SettingsStore::in_ram(small, CHANNELS)), (Kept::Damaged, None), "memory that is too small holds nothing");
}
