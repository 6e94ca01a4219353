//! The event log in flash, for boards that have some: it outlives a loss of power.
//!
//! A ring of erase blocks, written from one end to the other in entries of 32 bytes (little-endian words): a serial that counts
//! entries, the record's sequence and its four words as in memory, CRC-32 of the six, and a word left erased. An entry is written when an
//! event happens and again whenever its count has doubled, so at most nine times; the one with the higher serial counts. When a
//! block is full the next one is erased, which holds the oldest. A torn entry fails its CRC and is passed over.
//!
//! **How much it holds.** 184 records written nine times each, the worst, are 1656 entries or 52 KiB; a node on which little is counted
//! needs 6 KiB. Give it a block more than it shall hold. A board gives the log's words to the store before the station has them:
//! `store.begin(&mut EventLog::asleep(&mut words[..]), ...)`, and in quiet moments `store.keep(station.node().events())`.
//!
//! An erase takes some 20 ms, in which a chip that runs from the same flash stands still, and a driver may mask interrupts: a UART
//! without a buffer loses bytes. A board calls [`EventStore::keep`] between frames.

use embedded_storage::nor_flash::NorFlash;
use register_map::{EventRecord, SettingsCrc};

use crate::event_log::{EventLog, LOOK_BACK, LogMemory, RECORD_WORDS, packed, unpacked};

const ENTRY: usize = 32;
const RECENT: usize = LOOK_BACK as usize;

/// The store in its flash.
#[derive(Debug)]
pub struct EventStore<F> {
    flash: F,
    offset: u32,
    entries: u32,
    /// Where the next entry is written, and its serial.
    at: u32,
    serial: u32,
    /// Every sequence below this is kept.
    next: u32,
    /// The counts that were kept of the newest records, by sequence modulo their number.
    counts: [u8; RECENT],
}

impl<F: NorFlash> EventStore<F> {
    const WHOLE_WORDS: () =
        assert!(ENTRY.is_multiple_of(F::WRITE_SIZE) && ENTRY.is_multiple_of(F::READ_SIZE) && F::ERASE_SIZE.is_multiple_of(ENTRY));
    const IN_BLOCK: u32 = (F::ERASE_SIZE / ENTRY) as u32;

    /// A store of `blocks` erase blocks (two at least) from `offset`, which begins one. It has not looked at them yet.
    pub const fn new(flash: F, offset: u32, blocks: u32) -> EventStore<F> {
        let () = Self::WHOLE_WORDS;
        let entries = blocks * Self::IN_BLOCK;
        EventStore { flash, offset, entries, at: 0, serial: 1, next: 1, counts: [0; RECENT] }
    }

    /// Gives the flash back.
    pub fn release(self) -> F {
        self.flash
    }

    /// Finds where it stands, and puts what is kept into a log that has lost its memory with the power. Call it before the log
    /// begins. A full store takes a slow chip some tenths of a second: `progress` is called once a block, for its watchdog.
    pub fn begin<M: LogMemory>(&mut self, log: &mut EventLog<M>, mut progress: impl FnMut()) -> Result<(), F::Error> {
        let remembers = log.is_whole();
        // From the oldest block on, which stands behind the newest one.
        let first = self.block_after_newest(&mut progress)?;
        let mut newest = None;
        for step in 0..self.entries {
            if step.is_multiple_of(Self::IN_BLOCK) {
                progress();
            }
            let at = (first + step) % self.entries;
            let Entry::Whole { serial, record } = self.entry(at)? else { continue };
            if !remembers {
                if newest.is_none() {
                    log.clear();
                }
                log.put_back(&record);
            }
            if newest.is_none_or(|(_, before)| serial > before) {
                newest = Some((at, serial));
            }
            self.next = self.next.max(record.sequence.saturating_add(1));
            self.counts[record.sequence as usize % RECENT] = record.count();
        }
        if let Some((at, serial)) = newest {
            (self.at, self.serial) = ((at + 1) % self.entries, serial.saturating_add(1));
        }
        Ok(())
    }

    /// Where the block begins that stands behind the newest: serials rise within a block, so the first whole entry of each tells.
    fn block_after_newest(&mut self, progress: &mut impl FnMut()) -> Result<u32, F::Error> {
        let mut newest = None;
        for block in (0..self.entries).step_by(Self::IN_BLOCK as usize) {
            progress();
            for at in block..block + Self::IN_BLOCK {
                match self.entry(at)? {
                    Entry::Spoilt => {}
                    Entry::Erased => break,
                    Entry::Whole { serial, .. } => {
                        if newest.is_none_or(|(_, before)| serial > before) {
                            newest = Some((block, serial));
                        }
                        break;
                    }
                }
            }
        }
        Ok(newest.map_or(0, |(block, _)| (block + Self::IN_BLOCK) % self.entries))
    }

    /// Keeps the next record of the log that is new or has counted on. True when something was written: then there may be more.
    pub fn keep<M: LogMemory>(&mut self, log: &EventLog<M>) -> Result<bool, F::Error> {
        let head = log.head();
        let oldest = head.oldest.max(head.newest.saturating_sub(LOOK_BACK - 1));
        for sequence in oldest.min(self.next.max(head.oldest))..=head.newest {
            let Some(record) = log.record(sequence) else { continue };
            let kept = self.counts[sequence as usize % RECENT];
            let is_new = sequence >= self.next;
            if is_new || record.count() >= kept.saturating_mul(2) && record.count() > kept {
                self.write(&record)?;
                self.next = self.next.max(sequence.saturating_add(1));
                self.counts[sequence as usize % RECENT] = record.count();
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn write(&mut self, record: &EventRecord) -> Result<(), F::Error> {
        // A place that is not erased was torn by a power cut.
        while !self.at.is_multiple_of(Self::IN_BLOCK) && !matches!(self.entry(self.at)?, Entry::Erased) {
            self.at = (self.at + 1) % self.entries;
        }
        let start = self.offset + self.at * ENTRY as u32;
        if self.at.is_multiple_of(Self::IN_BLOCK) {
            self.flash.erase(start, start + F::ERASE_SIZE as u32)?;
        }
        let mut words = [self.serial, record.sequence, 0, 0, 0, 0];
        words[2..].copy_from_slice(&packed(record));
        let mut bytes = [0xFF; ENTRY];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let crc = crc(&bytes);
        bytes[24..28].copy_from_slice(&crc.to_le_bytes());
        // Even when this fails the place may be spoilt.
        self.at = (self.at + 1) % self.entries;
        self.serial = self.serial.saturating_add(1);
        self.flash.write(start, &bytes)
    }

    fn entry(&mut self, at: u32) -> Result<Entry, F::Error> {
        let mut bytes = [0; ENTRY];
        self.flash.read(self.offset + at * ENTRY as u32, &mut bytes)?;
        if bytes == [0xFF; ENTRY] {
            return Ok(Entry::Erased);
        }
        let word = |i: usize| u32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]]);
        if crc(&bytes) != word(6) {
            return Ok(Entry::Spoilt);
        }
        let words: [u32; RECORD_WORDS] = core::array::from_fn(|i| word(2 + i));
        Ok(unpacked(word(1), &words).map_or(Entry::Spoilt, |record| Entry::Whole { serial: word(0), record }))
    }
}

enum Entry {
    Erased,
    Whole { serial: u32, record: EventRecord },
    Spoilt,
}

fn crc(bytes: &[u8; ENTRY]) -> u32 {
    let mut crc = SettingsCrc::new();
    crc.bytes(&bytes[..24]);
    crc.end()
}

#[cfg(test)]
mod tests;
