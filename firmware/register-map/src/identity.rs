//! The identity block: who answers, since when, and with which settings.

use crate::check::{BlockError, check_word, get_u32, put_u32, verified};

/// Address of the identity block.
pub const IDENTITY: u16 = 0;
/// Registers of the identity block.
pub const IDENTITY_WORDS: usize = 18;
/// The first register of every Davy node.
pub const MAGIC: u16 = 0xDA57;
/// The version this crate writes and reads.
pub const VERSION: u16 = 1;

/// Why the node started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum ResetCause {
    /// Nothing is known.
    Unknown = 0,
    /// Power came on.
    PowerOn = 1,
    /// The supply dipped.
    BrownOut = 2,
    /// A duty hung and the watchdog bit.
    Watchdog = 3,
    /// The program panicked.
    Panic = 4,
    /// It was asked to.
    Software = 5,
    /// The reset pin.
    Pin = 6,
}

impl ResetCause {
    /// The cause with this code; codes of a later version are unknown.
    pub const fn from_code(code: u16) -> ResetCause {
        match code {
            1 => ResetCause::PowerOn,
            2 => ResetCause::BrownOut,
            3 => ResetCause::Watchdog,
            4 => ResetCause::Panic,
            5 => ResetCause::Software,
            6 => ResetCause::Pin,
            _ => ResetCause::Unknown,
        }
    }
}

/// Who a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Unique to the device, set once in its life.
    pub serial: u64,
    /// High byte major, low byte minor.
    pub firmware: u16,
    /// How often it has started.
    pub boot_count: u32,
    /// Seconds since it started.
    pub uptime_s: u32,
    /// Why it started.
    pub reset_cause: ResetCause,
    /// How many channel blocks follow.
    pub channels: u16,
    /// Counts changes of the settings.
    pub settings_version: u16,
    /// CRC-32 of the settings in force, so that the limit on the device can be compared with the limit on file.
    pub settings_hash: u32,
}

impl Identity {
    /// The block's registers.
    pub fn encode(&self) -> [u16; IDENTITY_WORDS] {
        let mut words = [0; IDENTITY_WORDS];
        words[0] = MAGIC;
        words[1] = VERSION;
        put_u32(&mut words, 2, (self.serial >> 32) as u32);
        put_u32(&mut words, 4, self.serial as u32);
        words[6] = self.firmware;
        put_u32(&mut words, 7, self.boot_count);
        put_u32(&mut words, 9, self.uptime_s);
        words[11] = self.reset_cause as u16;
        words[12] = self.channels;
        words[13] = self.settings_version;
        put_u32(&mut words, 14, self.settings_hash);
        words[IDENTITY_WORDS - 1] = check_word(IDENTITY, &words[..IDENTITY_WORDS - 1]);
        words
    }

    /// Reads the block's registers.
    pub fn decode(registers: &[u16]) -> Result<Identity, BlockError> {
        match registers.first() {
            Some(&MAGIC) | None => {}
            Some(&other) => return Err(BlockError::Magic(other)),
        }
        match registers.get(1) {
            Some(&VERSION) | None => {}
            Some(&other) => return Err(BlockError::Version(other)),
        }
        let words: &[u16; IDENTITY_WORDS] = verified(IDENTITY, registers)?;
        Ok(Identity {
            serial: u64::from(get_u32(words, 2)) << 32 | u64::from(get_u32(words, 4)),
            firmware: words[6],
            boot_count: get_u32(words, 7),
            uptime_s: get_u32(words, 9),
            reset_cause: ResetCause::from_code(words[11]),
            channels: words[12],
            settings_version: words[13],
            settings_hash: get_u32(words, 14),
        })
    }
}

#[cfg(test)]
mod tests;
