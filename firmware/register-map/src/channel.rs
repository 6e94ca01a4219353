//! A channel block: one measured quantity, its newest reading and what the node's own alarm says.

use measurement::{Outcome, Unit, Value};

use crate::check::{BlockError, check_word, get_u32, put_u32, verified};

/// Address of the first channel block.
pub const FIRST_CHANNEL: u16 = 0x0100;
/// Registers of a channel block: seven blocks fit one request of 125 registers.
pub const CHANNEL_WORDS: usize = 16;
/// Most channels a node has.
pub const MAX_CHANNELS: u16 = 16;

/// Address of a channel's block.
pub const fn channel_address(channel: u16) -> u16 {
    FIRST_CHANNEL + channel * CHANNEL_WORDS as u16
}

/// What a channel block says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChannelBlock {
    /// Counts readings since the node started, wrapping. It moves although the value rests.
    pub sequence: u16,
    /// The newest reading.
    pub outcome: Outcome,
    /// The unit of the value and of the range.
    pub unit: Unit,
    /// What is measured: the number of the gas or quantity in the node's order list.
    pub quantity: u16,
    /// The sensor's own fault number; zero when it has none.
    pub device_fault: u16,
    /// How old the reading is.
    pub sample_age_ms: u32,
    /// Lower end of the measuring range.
    pub range_low: f32,
    /// Upper end of the measuring range.
    pub range_high: f32,
    /// The node's own alarm: bit 0 low level, bit 1 high level, bit 2 latched.
    pub local_alarm: u8,
    /// Low byte of the boot count: a block from before a restart is not one from after it.
    pub boot: u8,
}

impl ChannelBlock {
    /// The registers of this block at the channel's address.
    pub fn encode(&self, channel: u16) -> [u16; CHANNEL_WORDS] {
        let mut words = [0; CHANNEL_WORDS];
        words[0] = self.sequence;
        // A fault shows the quiet NaN, so that a reader who ignores the quality byte cannot take it for zero.
        let number = self.outcome.value().map_or(f32::NAN, Value::get);
        put_u32(&mut words, 1, number.to_bits());
        words[3] = u16::from(self.unit.code()) << 8 | u16::from(self.outcome.quality());
        words[4] = self.quantity;
        words[5] = self.device_fault;
        put_u32(&mut words, 6, self.sample_age_ms);
        put_u32(&mut words, 8, self.range_low.to_bits());
        put_u32(&mut words, 10, self.range_high.to_bits());
        words[12] = u16::from(self.local_alarm) << 8 | u16::from(self.boot);
        words[CHANNEL_WORDS - 1] = check_word(channel_address(channel), &words[..CHANNEL_WORDS - 1]);
        words
    }

    /// Reads the registers found at the channel's address.
    pub fn decode(channel: u16, registers: &[u16]) -> Result<ChannelBlock, BlockError> {
        let words: &[u16; CHANNEL_WORDS] = verified(channel_address(channel), registers)?;
        let (unit, quality) = ((words[3] >> 8) as u8, words[3] as u8);
        let number = f32::from_bits(get_u32(words, 1));
        Ok(ChannelBlock {
            sequence: words[0],
            outcome: Outcome::from_parts(quality, number).map_err(|unknown| BlockError::Quality(unknown.0))?,
            unit: Unit::from_code(unit).ok_or(BlockError::Unit(unit))?,
            quantity: words[4],
            device_fault: words[5],
            sample_age_ms: get_u32(words, 6),
            range_low: f32::from_bits(get_u32(words, 8)),
            range_high: f32::from_bits(get_u32(words, 10)),
            local_alarm: (words[12] >> 8) as u8,
            boot: words[12] as u8,
        })
    }
}

#[cfg(test)]
mod tests;
