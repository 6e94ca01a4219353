//! The contract node -> gateway: which Modbus register means what. Version 1.
//!
//! Every block ends in a check word: CRC-16/CCITT over the block's own address and words. A reply that was
//! meant for another question, belongs to another block or was torn between two updates does not pass it,
//! although its frame's CRC is right. Numbers of two registers have the high word first. Holding registers
//! (function code 3) and input registers (4) show the same map; only settings are ever written, with function 16
//! and behind a key. Blocks may be added to a version; a new meaning of a word is a new version.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

mod channel;
mod check;
mod events;
mod health;
mod identity;
mod settings;
pub mod table;

pub use channel::{CHANNEL_WORDS, ChannelBlock, FIRST_CHANNEL, MAX_CHANNELS, channel_address};
pub use check::{BlockError, check_word};
pub use events::{EVENT_RECORDS, EVENT_WORDS, EVENTS, EVENTS_WORDS, EventKind, EventRecord, EventsHead, MAX_EVENT_RECORDS, event_address};
pub use health::{BoardFacts, HEALTH, HEALTH_WORDS, Health, Troubles};
pub use identity::{IDENTITY, IDENTITY_WORDS, Identity, MAGIC, ResetCause, VERSION};
pub use settings::{
    CHANNEL_SETTINGS, CHANNEL_SETTINGS_CONTENT, CHANNEL_SETTINGS_WORDS, ChannelSettingsBlock, DESK, DESK_COMMIT, DESK_KEY, DESK_WORDS,
    DeskBlock, NodeSettingsBlock, Refusal, SETTINGS, SETTINGS_CONTENT, SETTINGS_WORDS, SettingsCrc, WRITE_ENABLE_KEY,
    channel_settings_address,
};
