//! What a person sets on a node, as it lies in registers: read it to attest, write it to change it.
//!
//! Reading shows what is in force. Writing (function 16 only) goes to a staged copy, and only while the desk is open: the key
//! opens it for a minute, and one commit with the version that is replaced and the CRC-32 of the staged content puts all
//! of it in force, or nothing. The CRC covers the content of the head and then of every channel, without check words, each
//! word with its high byte first; what is in force shows the same CRC as the settings hash of the identity block.
//!
//! Quantity, unit and range stand among the settings although nobody can change them: a limit means nothing without them, and
//! settings meant for another sensor are refused by them.

use measurement::{Direction, Limit, Unit, Value};

use crate::channel::MAX_CHANNELS;
use crate::check::{BlockError, check_word, get_u32, put_u32, verified};

/// Address of the settings of the whole node.
pub const SETTINGS: u16 = 0x0400;
/// Registers of that block.
pub const SETTINGS_WORDS: usize = 8;
/// Address of the desk, where a change is opened, committed and explained.
pub const DESK: u16 = 0x0410;
/// Registers of the desk.
pub const DESK_WORDS: usize = 16;
/// Address of the write-enable key: two registers, written alone.
pub const DESK_KEY: u16 = DESK;
/// Address of the commit: version replaced and CRC-32 of the staged content, three registers written alone.
pub const DESK_COMMIT: u16 = DESK + 2;
/// Address of the first channel's settings.
pub const CHANNEL_SETTINGS: u16 = 0x0500;
/// Registers of a channel's settings.
pub const CHANNEL_SETTINGS_WORDS: usize = 64;
/// Registers of the node's settings that can be written and that the CRC covers.
pub const SETTINGS_CONTENT: usize = SETTINGS_WORDS - 1;
/// Registers of a channel's settings that can be written (one request does it) and that the CRC covers.
pub const CHANNEL_SETTINGS_CONTENT: usize = CHANNEL_SETTINGS_WORDS - 1;
/// Opens the desk. It keeps a stray write from a limit; it is no secret and no protection from a person.
pub const WRITE_ENABLE_KEY: u32 = 0x5E77_1E5A;

/// Address of a channel's settings.
pub const fn channel_settings_address(channel: u16) -> u16 {
    CHANNEL_SETTINGS + channel * CHANNEL_SETTINGS_WORDS as u16
}

/// Settings of the whole node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeSettingsBlock {
    /// Modbus unit id, 1 to 247.
    pub unit: u8,
    /// How many channels it has.
    pub channels: u16,
}

impl NodeSettingsBlock {
    /// What can be written and what the CRC covers.
    pub const fn content(&self) -> [u16; SETTINGS_CONTENT] {
        let mut words = [0; SETTINGS_CONTENT];
        words[0] = self.unit as u16;
        words[1] = self.channels;
        words
    }

    /// The block's registers.
    pub fn encode(&self) -> [u16; SETTINGS_WORDS] {
        sealed(SETTINGS, &self.content())
    }

    /// Reads the block's registers.
    pub fn decode(registers: &[u16]) -> Result<NodeSettingsBlock, BlockError> {
        let words: &[u16; SETTINGS_WORDS] = verified(SETTINGS, registers)?;
        NodeSettingsBlock::from_content(&core::array::from_fn(|i| words[i]))
    }

    /// Reads the content; what would not be written back word for word is refused.
    pub fn from_content(words: &[u16; SETTINGS_CONTENT]) -> Result<NodeSettingsBlock, BlockError> {
        let block = NodeSettingsBlock { unit: words[0] as u8, channels: words[1] };
        same(words, &block.content()).map(|()| block)
    }
}

/// Settings of one channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChannelSettingsBlock {
    /// What is measured; the device's own, see the head of this file.
    pub quantity: u16,
    /// Unit of range, limits and zero; the device's own.
    pub unit: Unit,
    /// Whether the local alarm is held until a person resets it.
    pub latching: bool,
    /// Lower end of the range; the device's own.
    pub range_low: f32,
    /// Upper end of the range; the device's own.
    pub range_high: f32,
    /// The first level, if there is one.
    pub low: Option<Limit>,
    /// The second level, if there is one.
    pub high: Option<Limit>,
    /// Subtracted first, in the channel's unit.
    pub zero: f32,
    /// Multiplied next.
    pub span: f32,
    /// Change of the zero per kelvin from 20 °C, in the channel's unit.
    pub zero_per_kelvin: f32,
    /// Year, month and day of the calibration as one decimal number, 20261124; zero when there was none.
    pub date: u32,
    /// The test gas: printable ASCII, padded with zeros, as the next two.
    pub gas: [u8; 16],
    /// Lot of its bottle.
    pub lot: [u8; 16],
    /// Who did it.
    pub operator: [u8; 16],
}

impl ChannelSettingsBlock {
    /// What can be written and what the CRC covers.
    pub fn content(&self) -> [u16; CHANNEL_SETTINGS_CONTENT] {
        let mut words = [0; CHANNEL_SETTINGS_CONTENT];
        words[0] = self.quantity;
        words[1] = u16::from(self.unit.code()) << 8 | u16::from(self.latching);
        put_u32(&mut words, 2, self.range_low.to_bits());
        put_u32(&mut words, 4, self.range_high.to_bits());
        put_limit(&mut words, 6, self.low.as_ref());
        put_limit(&mut words, 15, self.high.as_ref());
        for (at, number) in [(24, self.zero), (26, self.span), (28, self.zero_per_kelvin)] {
            put_u32(&mut words, at, number.to_bits());
        }
        put_u32(&mut words, 30, self.date);
        for (at, text) in [(32, &self.gas), (40, &self.lot), (48, &self.operator)] {
            for (word, pair) in words[at..at + 8].iter_mut().zip(text.chunks_exact(2)) {
                *word = u16::from_be_bytes([pair[0], pair[1]]);
            }
        }
        words
    }

    /// The registers of this block at the channel's address.
    pub fn encode(&self, channel: u16) -> [u16; CHANNEL_SETTINGS_WORDS] {
        sealed(channel_settings_address(channel), &self.content())
    }

    /// Reads the registers found at the channel's address.
    pub fn decode(channel: u16, registers: &[u16]) -> Result<ChannelSettingsBlock, BlockError> {
        let words: &[u16; CHANNEL_SETTINGS_WORDS] = verified(channel_settings_address(channel), registers)?;
        ChannelSettingsBlock::from_content(&core::array::from_fn(|i| words[i]))
    }

    /// Reads the content; what would not be written back word for word is refused, so that equal settings have one CRC.
    pub fn from_content(words: &[u16; CHANNEL_SETTINGS_CONTENT]) -> Result<ChannelSettingsBlock, BlockError> {
        let unit = (words[1] >> 8) as u8;
        let number = |at| f32::from_bits(get_u32(words, at));
        let text = |at: usize| core::array::from_fn(|i| words[at + i / 2].to_be_bytes()[i % 2]);
        let block = ChannelSettingsBlock {
            quantity: words[0],
            unit: Unit::from_code(unit).ok_or(BlockError::Unit(unit))?,
            latching: words[1] & 1 != 0,
            range_low: number(2),
            range_high: number(4),
            low: get_limit(words, 6)?,
            high: get_limit(words, 15)?,
            zero: number(24),
            span: number(26),
            zero_per_kelvin: number(28),
            date: get_u32(words, 30),
            gas: text(32),
            lot: text(40),
            operator: text(48),
        };
        same(words, &block.content()).map(|()| block)
    }
}

const PRESENT: u16 = 0b01;
const DANGER_BELOW: u16 = 0b10;

fn put_limit(words: &mut [u16], at: usize, limit: Option<&Limit>) {
    let Some(limit) = limit else { return };
    words[at] = PRESENT | if limit.direction == Direction::Low { DANGER_BELOW } else { 0 };
    put_u32(words, at + 1, limit.setpoint.get().to_bits());
    put_u32(words, at + 3, limit.release.get().to_bits());
    put_u32(words, at + 5, limit.on_delay_ms);
    put_u32(words, at + 7, limit.off_delay_ms);
}

fn get_limit(words: &[u16], at: usize) -> Result<Option<Limit>, BlockError> {
    if words[at] & PRESENT == 0 {
        return Ok(None);
    }
    let value = |at: usize| Value::new(f32::from_bits(get_u32(words, at))).ok_or(BlockError::Setting { offset: at as u16 });
    Ok(Some(Limit {
        direction: if words[at] & DANGER_BELOW == 0 { Direction::High } else { Direction::Low },
        setpoint: value(at + 1)?,
        release: value(at + 3)?,
        on_delay_ms: get_u32(words, at + 5),
        off_delay_ms: get_u32(words, at + 7),
    }))
}

fn same(found: &[u16], canonical: &[u16]) -> Result<(), BlockError> {
    match found.iter().zip(canonical).position(|(a, b)| a != b) {
        Some(offset) => Err(BlockError::Setting { offset: offset as u16 }),
        None => Ok(()),
    }
}

fn sealed<const CONTENT: usize, const WORDS: usize>(address: u16, content: &[u16; CONTENT]) -> [u16; WORDS] {
    let mut words = [0; WORDS];
    words[..CONTENT].copy_from_slice(content);
    words[WORDS - 1] = check_word(address, &words[..WORDS - 1]);
    words
}

/// Why a change was refused; the desk shows the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Refusal {
    /// Nothing was refused since the desk was opened.
    None = 0,
    /// The desk is shut: no key, or its minute is over.
    Shut = 1,
    /// Not the key. The desk is shut.
    Key = 2,
    /// The commit does not name the version in force: somebody else has changed it meanwhile.
    Version = 3,
    /// The commit's CRC-32 is not that of the staged content: a write is missing or was not meant.
    Content = 4,
    /// The unit id is not 1 to 247.
    Unit = 5,
    /// Another number of channels, quantity, unit or range than the device has.
    Device = 6,
    /// A word that means nothing: a reserved one, an unknown bit, a number that is none.
    Meaningless = 7,
    /// A setpoint or release outside the measuring range.
    Range = 8,
    /// A setpoint within what clean air and a working sensor show: it would alarm without cause.
    Noise = 9,
    /// The release lies beyond the setpoint, or the second level nearer than the first.
    Inconsistent = 10,
    /// A delay longer than the node takes.
    Delay = 11,
    /// No level on a channel that left the house with one: a node is not silenced this way.
    NoLevel = 12,
    /// Zero, span or drift beyond what a cell still fit for use needs.
    Calibration = 13,
    /// A calibration without date, gas, lot or operator, or with one that cannot be read.
    Record = 14,
    /// It could not be kept: flash failed. What was in force still is.
    NotKept = 15,
}

impl Refusal {
    /// Every reason, in the order of their codes.
    pub const ALL: [Refusal; 16] = [
        Refusal::None,
        Refusal::Shut,
        Refusal::Key,
        Refusal::Version,
        Refusal::Content,
        Refusal::Unit,
        Refusal::Device,
        Refusal::Meaningless,
        Refusal::Range,
        Refusal::Noise,
        Refusal::Inconsistent,
        Refusal::Delay,
        Refusal::NoLevel,
        Refusal::Calibration,
        Refusal::Record,
        Refusal::NotKept,
    ];

    /// The reason with this code.
    pub fn from_code(code: u16) -> Option<Refusal> {
        Refusal::ALL.get(usize::from(code)).copied()
    }
}

/// What the desk shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeskBlock {
    /// Version in force: what a commit must name. Stands where the commit is written.
    pub version: u16,
    /// CRC-32 of the staged content, or of what is in force while the desk is shut. Likewise.
    pub content_crc: u32,
    /// How long the desk stays open, s; zero when it is shut.
    pub open_s: u16,
    /// Why the last write or commit was refused.
    pub refusal: Refusal,
    /// The channel whose settings were refused, if one.
    pub refused_channel: Option<u16>,
}

impl DeskBlock {
    /// The block's registers. The key reads zero.
    pub fn encode(&self) -> [u16; DESK_WORDS] {
        let mut words = [0; DESK_WORDS];
        words[2] = self.version;
        put_u32(&mut words, 3, self.content_crc);
        words[5] = self.open_s;
        words[6] = self.refusal as u16;
        words[7] = self.refused_channel.unwrap_or(u16::MAX);
        words[DESK_WORDS - 1] = check_word(DESK, &words[..DESK_WORDS - 1]);
        words
    }

    /// Reads the block's registers.
    pub fn decode(registers: &[u16]) -> Result<DeskBlock, BlockError> {
        let words: &[u16; DESK_WORDS] = verified(DESK, registers)?;
        Ok(DeskBlock {
            version: words[2],
            content_crc: get_u32(words, 3),
            open_s: words[5],
            refusal: Refusal::from_code(words[6]).ok_or(BlockError::Setting { offset: 6 })?,
            refused_channel: Some(words[7]).filter(|channel| *channel < MAX_CHANNELS),
        })
    }
}

/// CRC-32 (IEEE, as in Ethernet and zip) of settings: feed the head's content, then every channel's.
#[derive(Debug, Clone, Copy)]
pub struct SettingsCrc(u32);

impl Default for SettingsCrc {
    fn default() -> SettingsCrc {
        SettingsCrc::new()
    }
}

impl SettingsCrc {
    /// Nothing fed yet.
    pub const fn new() -> SettingsCrc {
        SettingsCrc(u32::MAX)
    }

    /// Takes the next words, high byte first.
    pub fn words(&mut self, words: &[u16]) {
        words.iter().for_each(|word| self.bytes(&word.to_be_bytes()));
    }

    /// Takes the next bytes. Bit by bit: it runs at the start and at a change, and a table would cost more than it saves.
    pub fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..8 {
                self.0 = if self.0 & 1 != 0 { self.0 >> 1 ^ 0xEDB8_8320 } else { self.0 >> 1 };
            }
        }
    }

    /// The CRC of all that was fed.
    pub const fn end(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests;
