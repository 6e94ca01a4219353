//! The node: takes signals, keeps the newest reading of every channel, and shows them as registers.

use heapless::Vec;
use measurement::{ChannelId, Fault, Limit, MonotonicMs, Outcome, Timestamp, Unit};
use register_map::{CHANNEL_WORDS, ChannelBlock, FIRST_CHANNEL, IDENTITY_WORDS, Identity, MAX_CHANNELS, ResetCause};

use crate::annunciator::{Annunciator, Outputs};
use crate::conversion::{Calibration, LoopBands, Signal, convert};
use crate::self_test::{SelfTest, SelfTestSettings};

/// Everything a person sets on one channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChannelSettings {
    /// What is measured; a number of the site's order list.
    pub quantity: u16,
    /// Unit of value, range and limits.
    pub unit: Unit,
    /// Measuring range and self-tests.
    pub self_test: SelfTestSettings,
    /// The last calibration.
    pub calibration: Calibration,
    /// Bands of the current loop, when it is one.
    pub bands: LoopBands,
    /// Levels of the local alarm.
    pub low: Option<Limit>,
    /// See `low`.
    pub high: Option<Limit>,
    /// Whether the local alarm is held until reset.
    pub latching: bool,
    /// True for the oxygen channel of this air, by which the catalytic ones are judged.
    pub oxygen: bool,
}

/// Who the node is, as its board knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeSettings {
    /// Unique to the device.
    pub serial: u64,
    /// High byte major, low byte minor.
    pub firmware: u16,
    /// How often it has started, this time included.
    pub boot_count: u32,
    /// Why it started.
    pub reset_cause: ResetCause,
    /// Counts changes of the settings.
    pub settings_version: u16,
    /// CRC-32 of the settings in force.
    pub settings_hash: u32,
}

#[derive(Debug, Clone)]
struct Channel {
    settings: ChannelSettings,
    self_test: SelfTest,
    annunciator: Annunciator,
    outcome: Outcome,
    sequence: u16,
    sampled_at: MonotonicMs,
}

/// The node's whole state. Time comes in with every call, as milliseconds since the node started. A board with little RAM
/// makes it no larger than its own `CHANNELS`.
#[derive(Debug, Clone)]
pub struct Node<const CHANNELS: usize = { MAX_CHANNELS as usize }> {
    settings: NodeSettings,
    channels: Vec<Channel, CHANNELS>,
    silenced: bool,
}

impl Node {
    /// A node that has read nothing yet. Channels beyond the map's sixteen are not taken.
    pub fn new(settings: NodeSettings, channels: &[ChannelSettings]) -> Node {
        Node::sized(settings, channels)
    }
}

impl<const CHANNELS: usize> Node<CHANNELS> {
    /// As [`Node::new`], with room for `CHANNELS` only: those beyond are not taken.
    pub fn sized(settings: NodeSettings, channels: &[ChannelSettings]) -> Node<CHANNELS> {
        const { assert!(CHANNELS <= MAX_CHANNELS as usize, "the register map has no more channels") };
        let fresh = |settings: &ChannelSettings| Channel {
            settings: *settings,
            self_test: SelfTest::new(settings.self_test),
            annunciator: Annunciator::new(settings.low, settings.high, settings.latching),
            outcome: Outcome::Bad(Fault::NotYetRead),
            sequence: 0,
            sampled_at: MonotonicMs(0),
        };
        Node { settings, channels: channels.iter().take(CHANNELS).map(fresh).collect(), silenced: false }
    }

    /// Takes one signal of one channel and gives the state the outputs must have from now on. An unknown
    /// channel changes nothing.
    pub fn sample(&mut self, channel: ChannelId, signal: Signal, celsius: f32, now: MonotonicMs) -> Outputs {
        let oxygen = self.oxygen_percent();
        if let Some(channel) = self.channels.get_mut(channel.0 as usize) {
            let settings = &channel.settings;
            let converted = convert(signal, &settings.calibration, &settings.bands, settings.self_test.range, celsius);
            channel.outcome = channel.self_test.observe(converted, oxygen.filter(|_| !settings.oxygen), now);
            channel.sequence = channel.sequence.wrapping_add(1);
            channel.sampled_at = now;
            let before = channel.annunciator.shown();
            let after = channel.annunciator.observe(channel.outcome, Timestamp(now.0 as i64));
            // A new alarm is heard even when an older one was silenced.
            if after.bits() & !before.bits() & 0b011 != 0 {
                self.silenced = false;
            }
        }
        self.outputs()
    }

    fn oxygen_percent(&self) -> Option<f32> {
        let channel = self.channels.iter().find(|channel| channel.settings.oxygen)?;
        channel.outcome.value().map(|value| value.get())
    }

    /// The state the outputs must have.
    pub fn outputs(&self) -> Outputs {
        let alarms = || self.channels.iter().map(|channel| channel.annunciator.shown());
        Outputs {
            sounder: !self.silenced && alarms().any(|alarm| alarm.low || alarm.high),
            beacon: alarms().any(|alarm| alarm.high),
            fault: self.channels.iter().any(|channel| !matches!(channel.outcome, Outcome::Good(_))),
        }
    }

    /// A person at the node silences the sounder; the beacon stays, and a new alarm sounds again.
    pub fn silence(&mut self) {
        self.silenced = true;
    }

    /// A person at the node resets latched alarms and the over-range latch of one channel.
    pub fn reset(&mut self, channel: ChannelId) {
        if let Some(channel) = self.channels.get_mut(channel.0 as usize) {
            channel.self_test.reset();
            channel.annunciator.reset();
        }
    }

    /// The newest outcome of a channel.
    pub fn outcome(&self, channel: ChannelId) -> Option<Outcome> {
        self.channels.get(channel.0 as usize).map(|channel| channel.outcome)
    }

    /// The word at a register, `None` where the map has none.
    pub fn register(&self, address: u16, now: MonotonicMs) -> Option<u16> {
        if usize::from(address) < IDENTITY_WORDS {
            return Some(self.identity(now).encode()[usize::from(address)]);
        }
        let (index, offset) = split(address)?;
        Some(self.block(index, now)?.encode(index)[offset])
    }

    /// Fills `words` from the registers at `address`, or gives the first address that does not exist. All
    /// words of one call are of one instant.
    pub fn registers(&self, address: u16, words: &mut [u16], now: MonotonicMs) -> Result<(), u16> {
        let mut at = address;
        let mut rest = words;
        while !rest.is_empty() {
            let taken = if usize::from(at) < IDENTITY_WORDS {
                copy(&self.identity(now).encode()[usize::from(at)..], rest)
            } else {
                let (index, offset) = split(at).ok_or(at)?;
                copy(&self.block(index, now).ok_or(at)?.encode(index)[offset..], rest)
            };
            at = at.checked_add(taken as u16).ok_or(at)?;
            rest = &mut rest[taken..];
        }
        Ok(())
    }

    fn identity(&self, now: MonotonicMs) -> Identity {
        Identity {
            serial: self.settings.serial,
            firmware: self.settings.firmware,
            boot_count: self.settings.boot_count,
            uptime_s: (now.0 / 1000) as u32,
            reset_cause: self.settings.reset_cause,
            channels: self.channels.len() as u16,
            settings_version: self.settings.settings_version,
            settings_hash: self.settings.settings_hash,
        }
    }

    fn block(&self, index: u16, now: MonotonicMs) -> Option<ChannelBlock> {
        let channel = self.channels.get(usize::from(index))?;
        Some(ChannelBlock {
            sequence: channel.sequence,
            outcome: channel.outcome,
            unit: channel.settings.unit,
            quantity: channel.settings.quantity,
            device_fault: 0,
            sample_age_ms: u32::try_from(now.since(channel.sampled_at)).unwrap_or(u32::MAX),
            range_low: channel.settings.self_test.range.0,
            range_high: channel.settings.self_test.range.1,
            local_alarm: channel.annunciator.shown().bits(),
            boot: self.settings.boot_count as u8,
        })
    }
}

fn split(address: u16) -> Option<(u16, usize)> {
    let offset = address.checked_sub(FIRST_CHANNEL)?;
    let index = offset / CHANNEL_WORDS as u16;
    (index < MAX_CHANNELS).then_some((index, usize::from(offset) % CHANNEL_WORDS))
}

fn copy(from: &[u16], to: &mut [u16]) -> usize {
    let count = from.len().min(to.len());
    to[..count].copy_from_slice(&from[..count]);
    count
}

#[cfg(test)]
mod tests;
