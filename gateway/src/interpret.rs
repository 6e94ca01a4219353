//! From registers to readings: what a device's answer, or its absence, means for each of its channels, and
//! whether that is urgent. Pure: no line, no clock.

use std::collections::HashMap;

use measurement::{ChannelId, Conversion, Fault, Gas, LimitMonitor, MonotonicMs, Outcome, Reading, Timestamp, Unit};
use register_map::{BlockError, ChannelBlock, Identity};
use telemetry::{Happening, HappeningKind};

use crate::device::{Block, StatedUnit, Words};
use crate::forward::{Content, NewEntry};
use crate::site::{Channel, Device};

/// What came of asking a device.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The words of every block asked for.
    Words(Vec<(Block, Vec<u16>)>),
    /// It answered "no", with this exception code.
    Refused(u8),
    /// Nobody answered, or what came was no answer.
    Nothing,
}

/// When something happened, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct At {
    /// Wall clock.
    pub wall: Timestamp,
    /// Monotonic clock.
    pub mono: MonotonicMs,
}

/// What is remembered of a device between two answers.
#[derive(Debug, Default)]
pub struct Memory {
    /// By the channel's place within its device: its number is only the catalogue's, and may change.
    qualities: HashMap<usize, u8>,
    monitors: HashMap<usize, Vec<LimitMonitor>>,
    /// Serial number and boot count of our own node.
    node: Option<(u64, u32)>,
    /// Sequence of a node's channel, its newest age, and when it last moved.
    sequences: HashMap<usize, (u16, MonotonicMs)>,
    /// What a foreign device's heartbeat register showed, and when it last moved.
    beat: Option<(f64, MonotonicMs)>,
}

/// A node's channel whose sequence rests for this many polls has stopped, although the line answers.
const STALLED_POLLS: u64 = 5;

/// The readings of one poll.
pub fn interpret(device: &Device, answer: &Answer, at: At, memory: &mut Memory) -> Vec<NewEntry> {
    let mut entries = Vec::with_capacity(device.channels.len());
    if let Answer::Words(blocks) = answer
        && device.profile.is_davy_node
    {
        node_identity(device, blocks, at, memory, &mut entries);
    }
    let mut words = Words::default();
    if let Answer::Words(blocks) = answer {
        blocks.iter().for_each(|(block, read)| words.add(*block, read));
    }
    let has_stopped = has_stopped(device, &words, at, memory);
    for (place, channel) in device.channels.iter().enumerate() {
        let (outcome, sample_age_ms) = match answer {
            Answer::Nothing => (Outcome::Bad(Fault::NoCommunication), 0),
            Answer::Refused(_) => (Outcome::Bad(Fault::DeviceRefused), 0),
            Answer::Words(blocks) if device.profile.is_davy_node => node_channel(device, place, blocks, at, memory),
            Answer::Words(_) => (foreign_channel(device, channel, &words, has_stopped), 0),
        };
        // A number beyond the declared range says "high", whatever else it says.
        let outcome = beyond_range(channel, outcome);
        let sampled_at = at.wall.plus_ms(-i64::from(sample_age_ms));
        let urgent = is_urgent(place, channel, outcome, sampled_at, memory);
        let reading = Reading { channel: ChannelId(channel.number), sampled_at, outcome };
        entries.push(NewEntry { content: Content::Reading { reading, parsed_at: at.mono, sample_age_ms }, urgent });
    }
    entries
}

/// True when the register that shows life has not moved for longer than the profile allows.
fn has_stopped(device: &Device, words: &Words, at: At, memory: &mut Memory) -> bool {
    let (Some(heartbeat), Some(beat)) = (&device.profile.heartbeat, device.profile.beat(words)) else { return false };
    let (last, since) = *memory.beat.get_or_insert((beat, at.mono));
    if last != beat {
        memory.beat = Some((beat, at.mono));
        return false;
    }
    at.mono.since(since) > u64::from(heartbeat.still_s) * 1000
}

fn foreign_channel(device: &Device, channel: &Channel, words: &Words, has_stopped: bool) -> Outcome {
    let outcome = device.profile.read(&channel.key, words);
    if outcome.value().is_none() {
        return outcome;
    }
    if has_stopped {
        return Outcome::Bad(Fault::HeartbeatStalled);
    }
    match device.profile.stated_unit(&channel.key, words) {
        StatedUnit::None => outcome,
        StatedUnit::Is(unit) => converted(channel, outcome, unit),
        StatedUnit::Unknown if channel.unit == Unit::None => outcome,
        StatedUnit::Unknown => Outcome::Bad(Fault::Configuration),
    }
}

/// The outcome in the channel's unit. A channel in "1" takes the number as it stands and claims no unit for it.
fn converted(channel: &Channel, outcome: Outcome, from: Unit) -> Outcome {
    if channel.unit == Unit::None {
        return outcome;
    }
    // The site file states no molar mass, and 25 °C is only a stand-in: without both there is no mg/m3 to convert.
    let gas = Gas { molar_mass: f32::NAN, lel_percent_vol: channel.lel_percent_vol };
    let conversion = Conversion { gas, reference_celsius: channel.reference_celsius.unwrap_or(25.0) };
    match outcome {
        Outcome::Good(value) => conversion.convert(value, from, channel.unit).map(Outcome::Good),
        Outcome::Uncertain(value, doubt) => conversion.convert(value, from, channel.unit).map(|value| Outcome::Uncertain(value, doubt)),
        Outcome::Bad(_) => Some(outcome),
    }
    .unwrap_or(Outcome::Bad(Fault::Configuration))
}

fn beyond_range(channel: &Channel, outcome: Outcome) -> Outcome {
    match (outcome, channel.range) {
        (Outcome::Good(value), Some((_, high))) if value.get() > high => Outcome::Uncertain(value, measurement::Doubt::OverRange),
        _ => outcome,
    }
}

fn is_urgent(place: usize, channel: &Channel, outcome: Outcome, at: Timestamp, memory: &mut Memory) -> bool {
    let before = memory.qualities.insert(place, outcome.quality());
    let mut urgent = before.is_some_and(|before| before != outcome.quality());
    if let Some(value) = outcome.value() {
        let monitors =
            memory.monitors.entry(place).or_insert_with(|| channel.limits.iter().map(|limit| LimitMonitor::new(*limit)).collect());
        for monitor in monitors {
            urgent |= monitor.observe(value, at).is_some();
        }
    }
    urgent
}

fn words_at(blocks: &[(Block, Vec<u16>)], address: u16, count: usize) -> Option<&[u16]> {
    blocks.iter().find_map(|(block, words)| {
        let offset = usize::from(address.checked_sub(block.address)?);
        words.get(offset..offset + count)
    })
}

fn node_identity(device: &Device, blocks: &[(Block, Vec<u16>)], at: At, memory: &mut Memory, entries: &mut Vec<NewEntry>) {
    let Some(words) = words_at(blocks, register_map::IDENTITY, register_map::IDENTITY_WORDS) else { return };
    let Ok(identity) = Identity::decode(words) else { return };
    let now = (identity.serial, identity.boot_count);
    let said = match memory.node.replace(now) {
        Some((serial, _)) if serial != identity.serial => Some((
            HappeningKind::DeviceReplaced,
            format!("device {} has serial {:016X} where {serial:016X} was", device.name, identity.serial),
        )),
        Some((_, boots)) if boots != identity.boot_count => {
            Some((HappeningKind::DeviceRestarted, format!("device {} restarted ({:?})", device.name, identity.reset_cause)))
        }
        _ => None,
    };
    if let Some((kind, text)) = said {
        memory.sequences.clear();
        let happening = Happening { kind: kind.into(), at_ms: at.wall.0, text, about: device.name.clone() };
        entries.push(NewEntry { content: Content::Happening(happening), urgent: true });
    }
}

fn node_channel(device: &Device, place: usize, blocks: &[(Block, Vec<u16>)], at: At, memory: &mut Memory) -> (Outcome, u32) {
    let channel = &device.channels[place];
    let identity = words_at(blocks, register_map::IDENTITY, register_map::IDENTITY_WORDS).map(Identity::decode);
    let boot = match identity {
        Some(Ok(identity)) => identity.boot_count as u8,
        Some(Err(BlockError::Magic(_) | BlockError::Version(_))) => return (Outcome::Bad(Fault::WrongDevice), 0),
        _ => return (Outcome::Bad(Fault::Corrupt), 0),
    };
    let Ok(number) = channel.key.parse::<u16>() else { return (Outcome::Bad(Fault::Configuration), 0) };
    let Some(words) = words_at(blocks, register_map::channel_address(number), register_map::CHANNEL_WORDS) else {
        return (Outcome::Bad(Fault::Corrupt), 0);
    };
    let Ok(block) = ChannelBlock::decode(number, words) else { return (Outcome::Bad(Fault::Corrupt), 0) };
    if block.boot != boot {
        // A block from before a restart beside an identity from after it.
        return (Outcome::Bad(Fault::Corrupt), 0);
    }
    if block.unit != channel.unit {
        return (Outcome::Bad(Fault::Configuration), 0);
    }
    let last = memory.sequences.entry(place).or_insert((block.sequence, at.mono));
    if last.0 != block.sequence {
        *last = (block.sequence, at.mono);
    } else if block.outcome.value().is_some() && at.mono.since(last.1) > STALLED_POLLS * device.period_ms.max(1_000) {
        return (Outcome::Bad(Fault::HeartbeatStalled), 0);
    }
    (block.outcome, block.sample_age_ms)
}

#[cfg(test)]
mod tests;
