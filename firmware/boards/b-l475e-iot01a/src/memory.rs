//! What outlives a reset, and what outlives a loss of power: the event log in RAM with its copy in flash, and the settings in flash.
//!
//! | Second bank from | Holds |
//! |---|---|
//! | 0x08080000, 4 KiB | the settings, in two copies |
//! | 0x08081000, 56 KiB | the events: at most 52 KiB of them (`event_store`), and blocks to erase |
//! | 0x0808F000, 4 KiB | how often it has started |
//!
//! The program runs from the first bank, so neither an erase nor a write stops it (RM0351, 3.3.5, read-while-write). The driver masks
//! interrupts meanwhile: a request that comes in the 22 ms of an erase, which is one write in 64, is lost and asked again.

use core::cell::RefCell;

use embassy_embedded_hal::flash::partition::BlockingPartition;
use embassy_stm32::flash::{Blocking, Flash};
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use firmware::boot_counter::BootCounter;
use firmware::event_log::LOG_WORDS;
use firmware::event_store::EventStore;
use firmware::{EventLog, SettingsStore};
use register_map::ResetCause;

use crate::CHANNELS;
use crate::reset::die;

const SETTINGS: u32 = 512 * 1024;
const SETTINGS_BYTES: u32 = 4 * 1024;
const EVENTS: u32 = SETTINGS + SETTINGS_BYTES;
const EVENTS_BYTES: u32 = 56 * 1024;
const BOOTS: u32 = EVENTS + EVENTS_BYTES;
const BOOTS_BYTES: u32 = 2 * PAGE;
/// An erase block (RM0351, 3.3.1).
const PAGE: u32 = 2 * 1024;

/// The chip's flash, which settings and events share. Only the main loop reaches it.
pub type Shared = Mutex<NoopRawMutex, RefCell<Flash<'static, Blocking>>>;
/// A part of it.
pub type Part<'a> = BlockingPartition<'a, NoopRawMutex, Flash<'static, Blocking>>;
/// The event log's words.
pub type LogWords = &'static mut [u32; LOG_WORDS];

/// Where the settings are kept.
pub fn settings(flash: &Shared) -> SettingsStore<Part<'_>> {
    SettingsStore::new(BlockingPartition::new(flash, SETTINGS, SETTINGS_BYTES), 0, CHANNELS)
}

/// Where the events are kept.
pub fn events(flash: &Shared) -> EventStore<Part<'_>> {
    EventStore::new(BlockingPartition::new(flash, EVENTS, EVENTS_BYTES), 0, EVENTS_BYTES / PAGE)
}

/// Where the starts are counted.
pub fn boots(flash: &Shared) -> BootCounter<Part<'_>> {
    BootCounter::new(BlockingPartition::new(flash, BOOTS, BOOTS_BYTES), 0)
}

/// The log as the last life left it, from flash where the power took it; and which start wrote its newest record.
#[inline(never)]
pub fn log(reset_cause: ResetCause, events: &mut EventStore<Part<'_>>, progress: impl FnMut()) -> (LogWords, Option<u32>) {
    let Some(words) = bedrock::kept!([u32; LOG_WORDS]) else { die(ResetCause::Unknown) };
    // After power came on it is noise; after any other reset it is what the last life kept, which checks itself.
    if reset_cause == ResetCause::PowerOn {
        words.fill(0);
    }
    let mut log = EventLog::asleep(&mut words[..]);
    // Flash that cannot be read holds no events: the node begins a log, and protects.
    let _unread = events.begin(&mut log, progress);
    let newest = log.record(log.head().newest);
    (words, newest.map(|record| u32::from(record.boot)))
}
