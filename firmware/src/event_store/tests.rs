use std::vec::Vec;

use measurement::MonotonicMs;
use register_map::EventKind;

use super::*;
use crate::event_log::Happening;
use crate::two_copies::tests::Flash;

/// Erase blocks of 256 bytes hold eight entries each.
const BLOCKS: u32 = 4;

fn flash() -> Flash {
    Flash { bytes: std::vec![0xFF; 256 + 256 * BLOCKS as usize], power: usize::MAX }
}

/// A node's log of 20 records in memory that forgets, and its store.
struct Life {
    log: EventLog<[u32; 86]>,
    store: EventStore<Flash>,
}

impl Life {
    fn begin(boot: u32, flash: Flash) -> Life {
        // What memory holds after power came.
        let noise = core::array::from_fn(|i| (i as u32 + boot).wrapping_mul(0x9E37_79B9));
        let mut life = Life { log: EventLog::asleep(noise), store: EventStore::new(flash, 256, BLOCKS) };
        life.store.begin(&mut life.log, || ()).unwrap();
        life.log.begin(boot);
        life
    }

    /// Settings changes are never counted together.
    fn note(&mut self, number: u16) -> Result<(), ()> {
        self.log.note_settings(number, 0, MonotonicMs(u64::from(number) * 1000));
        self.keep()
    }

    fn keep(&mut self) -> Result<(), ()> {
        while self.store.keep(&self.log).map_err(|_| ())? {}
        Ok(())
    }

    fn all(&self) -> Vec<EventRecord> {
        let head = self.log.head();
        (head.oldest..=head.newest).filter_map(|sequence| self.log.record(sequence)).collect()
    }
}

#[test]
fn the_log_is_found_again_after_a_loss_of_power_and_goes_on() {
    let mut flash = flash();
    let mut number = 0;
    let mut before: Vec<EventRecord> = Vec::new();
    for boot in 1..12 {
        let mut life = Life::begin(boot, flash);
        assert_eq!(life.all(), before, "boot {boot}");
        for _ in 0..boot {
            life.note(number).unwrap();
            number += 1;
        }
        before = life.all();
        flash = life.store.release();
    }
    assert_eq!(before.last().unwrap().sequence, u32::from(number));
    assert_eq!(before.len(), 20);
}

#[test]
fn a_count_is_kept_when_it_has_doubled() {
    let mut life = Life::begin(1, flash());
    for second in 0..100 {
        life.log.note(Happening::channel(EventKind::LowRaised, 2, 7), MonotonicMs(second * 1000));
        life.keep().unwrap();
    }
    assert_eq!(life.all()[0].count(), 100);
    let entries = life.store.serial - 1;
    assert_eq!(entries, 7, "1, 2, 4, 8, 16, 32 and 64");
    let again = Life::begin(2, life.store.release());
    assert_eq!((again.all().len(), again.all()[0].count()), (1, 64));
}

#[test]
fn memory_that_outlived_a_reset_is_not_overwritten_by_what_was_kept() {
    let mut life = Life::begin(1, flash());
    life.note(1).unwrap();
    life.log.note_settings(2, 0, MonotonicMs(2000));
    let (words, kept) = (life.log.clone(), life.store.release());
    let mut again = Life { log: words, store: EventStore::new(kept, 256, BLOCKS) };
    again.store.begin(&mut again.log, || ()).unwrap();
    again.log.begin(2);
    assert_eq!(again.all().len(), 2);
    again.keep().unwrap();
    assert_eq!(Life::begin(3, again.store.release()).all().len(), 2, "what was not kept before the reset is kept after it");
}

#[test]
fn a_power_cut_at_any_byte_costs_at_most_the_event_under_way() {
    let mut before = Life::begin(1, flash());
    (0..30).for_each(|number| before.note(number).unwrap());
    let known = before.all();
    let flash = before.store.release();
    // Two entries and the erasing of a block.
    for power in 0..=256 + 3 * ENTRY {
        let mut life = Life::begin(2, Flash { power, ..flash.clone() });
        let mut kept = 30;
        for number in 30..34 {
            if life.note(number).is_err() {
                break;
            }
            kept += 1;
        }
        let mut after = Life::begin(3, Flash { power: usize::MAX, ..life.store.release() });
        let found = after.all();
        let newest = found.last().unwrap().sequence;
        assert!(newest == kept || newest == kept + 1, "cut after {power} bytes: {newest}, kept {kept}");
        // Nothing is invented, and of what was known only the oldest block may be gone.
        let expected: Vec<u32> = (newest + 1 - found.len() as u32..=newest).collect();
        assert_eq!(found.iter().map(|record| record.sequence).collect::<Vec<_>>(), expected, "cut after {power} bytes");
        assert!(found.len() >= 20 - 1, "cut after {power} bytes: {}", found.len());
        assert!(found.iter().all(|record| record.sequence > 30 || known.contains(record)));
        (100..110).for_each(|number| after.note(number).unwrap());
        let last = after.all();
        assert_eq!(Life::begin(4, after.store.release()).all(), last, "and it goes on, cut after {power} bytes");
    }
}

#[test]
fn flash_that_held_something_else_is_an_empty_log() {
    let noise: Vec<u8> = (0..256 + 256 * BLOCKS).map(|i| (i.wrapping_mul(0x9E37_79B9) >> 24) as u8).collect();
    let mut life = Life::begin(1, Flash { bytes: noise, power: usize::MAX });
    assert!(life.all().is_empty());
    life.note(1).unwrap();
    assert_eq!(Life::begin(2, life.store.release()).all().len(), 1);
}

/// Flash that counts how often it is read.
struct Counted(Flash, u32);

impl embedded_storage::nor_flash::ErrorType for Counted {
    type Error = <Flash as embedded_storage::nor_flash::ErrorType>::Error;
}

impl embedded_storage::nor_flash::ReadNorFlash for Counted {
    const READ_SIZE: usize = Flash::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.1 += 1;
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl NorFlash for Counted {
    const WRITE_SIZE: usize = Flash::WRITE_SIZE;
    const ERASE_SIZE: usize = Flash::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.0.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.write(offset, bytes)
    }
}

#[test]
fn a_start_reads_a_full_store_once_and_never_reads_more_than_a_block_without_saying_so() {
    let mut life = Life::begin(1, flash());
    (0..100).for_each(|number| life.note(number).unwrap());
    let expected = life.all();
    let mut store = EventStore::new(Counted(life.store.release(), 0), 256, BLOCKS);
    let mut log = EventLog::asleep([0; 86]);
    let mut said = 0;
    store.begin(&mut log, || said += 1).unwrap();
    let reads = store.release().1;
    assert_eq!(reads, 8 * BLOCKS + BLOCKS, "every entry, and the first of each block once more");
    assert_eq!(said, 2 * BLOCKS, "at most eight entries are read in between");
    log.begin(2);
    let head = log.head();
    assert_eq!((head.oldest..=head.newest).filter_map(|sequence| log.record(sequence)).collect::<Vec<_>>(), expected);
}

#[test]
fn a_block_whose_first_entry_is_spoilt_is_known_by_its_next() {
    let mut life = Life::begin(1, flash());
    (0..20).for_each(|number| life.note(number).unwrap());
    let expected = life.all();
    let mut flash = life.store.release();
    // The third block holds the newest four entries.
    flash.bytes[256 + 2 * 256] ^= 1;
    let again = Life::begin(2, flash);
    assert_eq!(again.all().last(), expected.last());
    assert_eq!((again.store.at, again.store.serial), (20, 21));
}
