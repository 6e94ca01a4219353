//! The contract node -> gateway: which Modbus register means what. Version 1.
//!
//! Every block ends in a check word: CRC-16/CCITT over the block's own address and words. A reply that was
//! meant for another question, belongs to another block or was torn between two updates does not pass it,
//! although its frame's CRC is right. Numbers of two registers have the high word first. Holding registers
//! (function code 3) and input registers (4) show the same map. A new meaning is a new version.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

mod channel;
mod check;
mod identity;
pub mod table;

pub use channel::{CHANNEL_WORDS, ChannelBlock, FIRST_CHANNEL, MAX_CHANNELS, channel_address};
pub use check::{BlockError, check_word};
pub use identity::{IDENTITY, IDENTITY_WORDS, Identity, MAGIC, ResetCause, VERSION};
