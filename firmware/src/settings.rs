//! What a person may set on a node, examined before it counts.
//!
//! A [`Sheet`] is the settings as they lie in the registers and in flash; its CRC-32 is the settings hash. What a sheet may say is
//! decided here once, whether it comes from the field bus or from flash: a limit outside the range, inside clean air's noise or at
//! odds with itself, a calibration beyond what a cell still fit for use needs, and a calibration that nobody answers for are refused.

use heapless::Vec;
use measurement::{Direction, Limit, Unit};
use register_map::{CHANNEL_SETTINGS_CONTENT, ChannelSettingsBlock, NodeSettingsBlock, Refusal, SETTINGS_CONTENT, SettingsCrc};

/// A value must not be dangerous for longer than this before anybody hears of it.
pub const MAX_ON_DELAY_MS: u32 = 60_000;
/// Nor may an alarm go on for longer than this after the air is clean.
pub const MAX_OFF_DELAY_MS: u32 = 3_600_000;
/// A cell that has lost half its sensitivity is spent; one that shows double was calibrated with the wrong gas.
const SPANS: core::ops::RangeInclusive<f32> = 0.5..=2.0;
/// Largest zero, as a share of the range.
const LARGEST_ZERO: f32 = 0.2;
/// Largest change of the zero per kelvin, as a share of the range.
const LARGEST_DRIFT: f32 = 0.01;

/// Who answers for a calibration: the fields that are no numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalibrationRecord {
    /// Year, month and day as one decimal number, 20261124; zero when there was none.
    pub date: u32,
    /// The test gas; printable ASCII, padded with zeros, as the next two.
    pub gas: [u8; 16],
    /// Lot of its bottle.
    pub lot: [u8; 16],
    /// Who did it.
    pub operator: [u8; 16],
}

impl CalibrationRecord {
    /// Never calibrated since it left the house.
    pub const NONE: CalibrationRecord = CalibrationRecord { date: 0, gas: [0; 16], lot: [0; 16], operator: [0; 16] };
}

/// What a channel's settings must fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// What is measured.
    pub quantity: u16,
    /// Unit of range and limits.
    pub unit: Unit,
    /// Measuring range.
    pub range: (f32, f32),
    /// What clean air and a working sensor show; see [`crate::ChannelSettings::normal`].
    pub normal: (f32, f32),
    /// Whether it left the house with a local alarm in this direction, and must keep one.
    pub needs_above: bool,
    /// See `needs_above`.
    pub needs_below: bool,
}

/// Why a sheet was refused, and for which channel if for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub refusal: Refusal,
    /// The channel.
    pub channel: Option<u16>,
}

/// Settings of the whole node as words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet<const CHANNELS: usize> {
    /// Content of the node's own block.
    pub head: [u16; SETTINGS_CONTENT],
    /// Content of each channel's block.
    pub channels: Vec<[u16; CHANNEL_SETTINGS_CONTENT], CHANNELS>,
}

impl<const CHANNELS: usize> Default for Sheet<CHANNELS> {
    fn default() -> Sheet<CHANNELS> {
        Sheet::new()
    }
}

impl<const CHANNELS: usize> Sheet<CHANNELS> {
    /// An empty sheet, of no channels.
    pub const fn new() -> Sheet<CHANNELS> {
        Sheet { head: [0; SETTINGS_CONTENT], channels: Vec::new() }
    }

    /// CRC-32 over all of it, as a gateway computes it from the registers.
    pub fn crc(&self) -> u32 {
        let mut crc = SettingsCrc::new();
        crc.words(&self.head);
        self.channels.iter().for_each(|channel| crc.words(channel));
        crc.end()
    }

    /// The unit id and the channels' settings, when all of them may be put in force on a device of these bounds.
    pub fn examine(&self, bounds: &[Bounds]) -> Result<u8, Refused> {
        let refused = |refusal| Refused { refusal, channel: None };
        let head = NodeSettingsBlock::from_content(&self.head).map_err(|_| refused(Refusal::Meaningless))?;
        if !(1..=247).contains(&head.unit) {
            return Err(refused(Refusal::Unit));
        }
        if usize::from(head.channels) != bounds.len() || self.channels.len() != bounds.len() {
            return Err(refused(Refusal::Device));
        }
        for ((index, content), bounds) in (0..).zip(&self.channels).zip(bounds) {
            let block = ChannelSettingsBlock::from_content(content).map_err(|_| Refusal::Meaningless);
            block.and_then(|block| examine(&block, bounds)).map_err(|refusal| Refused { refusal, channel: Some(index) })?;
        }
        Ok(head.unit)
    }
}

fn examine(block: &ChannelSettingsBlock, bounds: &Bounds) -> Result<(), Refusal> {
    let (low, high) = bounds.range;
    let same = |a: f32, b: f32| a.to_bits() == b.to_bits();
    if block.quantity != bounds.quantity || block.unit != bounds.unit || !same(block.range_low, low) || !same(block.range_high, high) {
        return Err(Refusal::Device);
    }
    for limit in [&block.low, &block.high].into_iter().flatten() {
        examine_limit(limit, bounds)?;
    }
    let warns = |direction| [&block.low, &block.high].into_iter().flatten().any(|limit| limit.direction == direction);
    if bounds.needs_above && !warns(Direction::High) || bounds.needs_below && !warns(Direction::Low) {
        return Err(Refusal::NoLevel);
    }
    if let (Some(first), Some(second)) = (&block.low, &block.high)
        && first.direction == second.direction
        && !first.is_beyond(second.setpoint)
    {
        return Err(Refusal::Inconsistent);
    }
    let width = high - low;
    // Written so that a number which is none fails every comparison.
    if !(block.zero.abs() <= LARGEST_ZERO * width && SPANS.contains(&block.span) && block.zero_per_kelvin.abs() <= LARGEST_DRIFT * width) {
        return Err(Refusal::Calibration);
    }
    examine_record(block)
}

fn examine_limit(limit: &Limit, bounds: &Bounds) -> Result<(), Refusal> {
    let (low, high) = bounds.range;
    if [limit.setpoint, limit.release].iter().any(|value| !(low..=high).contains(&value.get())) {
        return Err(Refusal::Range);
    }
    if !limit.is_consistent() {
        return Err(Refusal::Inconsistent);
    }
    let in_noise = match limit.direction {
        Direction::High => limit.setpoint.get() <= bounds.normal.1,
        Direction::Low => limit.setpoint.get() >= bounds.normal.0,
    };
    if in_noise {
        return Err(Refusal::Noise);
    }
    if limit.on_delay_ms > MAX_ON_DELAY_MS || limit.off_delay_ms > MAX_OFF_DELAY_MS {
        return Err(Refusal::Delay);
    }
    Ok(())
}

fn examine_record(block: &ChannelSettingsBlock) -> Result<(), Refusal> {
    let texts = [&block.gas, &block.lot, &block.operator];
    let ok = if block.date == 0 {
        let untouched = block.zero == 0.0 && block.span == 1.0 && block.zero_per_kelvin == 0.0;
        untouched && texts.iter().all(|text| **text == [0; 16])
    } else {
        is_date(block.date) && texts.iter().all(|text| text[0] != 0 && is_text(text))
    };
    if ok { Ok(()) } else { Err(Refusal::Record) }
}

/// Printable ASCII, then nothing but zeros.
fn is_text(text: &[u8; 16]) -> bool {
    let length = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    text[..length].iter().all(|byte| matches!(byte, b' '..=b'~')) && text[length..].iter().all(|byte| *byte == 0)
}

fn is_date(date: u32) -> bool {
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    let days = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (2000..=2199).contains(&year) && (1..=12).contains(&month) && (1..=days).contains(&day)
}

/// It could not be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotKept;

/// What a start finds of the settings that a person gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Nobody has given any.
    Nothing,
    /// Some, of this version.
    Version(u16),
    /// Some, and they are damaged.
    Damaged,
}

/// Where settings outlive a reset. What could not be kept is not put in force.
pub trait Keep<const CHANNELS: usize> {
    /// What was kept before this start, into `sheet` when it is whole.
    fn kept(&mut self, sheet: &mut Sheet<CHANNELS>) -> Kept;

    /// Keeps them, whole or not at all.
    fn keep(&mut self, version: u16, sheet: &Sheet<CHANNELS>) -> Result<(), NotKept>;

    /// False when what is kept is lost with the power; people are told so.
    fn lasts(&self) -> bool;
}

/// Keeps nothing: the next start has the settings the node was shipped with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgetful;

impl<const CHANNELS: usize> Keep<CHANNELS> for Forgetful {
    fn kept(&mut self, _: &mut Sheet<CHANNELS>) -> Kept {
        Kept::Nothing
    }

    fn keep(&mut self, _: u16, _: &Sheet<CHANNELS>) -> Result<(), NotKept> {
        Ok(())
    }

    fn lasts(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
