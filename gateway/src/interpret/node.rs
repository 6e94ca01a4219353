//! Our own node: who it is, since when, with which settings, and what its channel blocks say.

use measurement::{Fault, Outcome};
use register_map::{BlockError, ChannelBlock, Identity, ResetCause};
use telemetry::HappeningKind;

use super::{At, Memory, happening};
use crate::device::Block;
use crate::forward::NewEntry;
use crate::site::Device;

/// What was seen of a node, to notice when it is another.
#[derive(Debug, Default)]
pub struct Seen {
    /// Serial number and boot count.
    who: Option<(u64, u32)>,
    /// Settings version and hash.
    settings: Option<(u16, u32)>,
}

/// A node's channel whose sequence rests for this many polls has stopped, although the line answers.
const STALLED_POLLS: u64 = 5;

/// Notices another node, another start, other settings.
pub fn identify(device: &Device, blocks: &[(Block, Vec<u16>)], at: At, memory: &mut Memory, entries: &mut Vec<NewEntry>) {
    let Some(words) = words_at(blocks, register_map::IDENTITY, register_map::IDENTITY_WORDS) else { return };
    let Ok(identity) = Identity::decode(words) else { return };
    let name = &device.name;
    match memory.node.who.replace((identity.serial, identity.boot_count)) {
        Some((serial, _)) if serial != identity.serial => {
            memory.begin_anew(device);
            memory.node.settings = None;
            let text = format!("device {name} has serial {:016X} where {serial:016X} was", identity.serial);
            entries.push(happening(HappeningKind::DeviceReplaced, device, at, text));
        }
        Some((_, boots)) if boots != identity.boot_count => {
            // Its channels count from zero again; where they stand against their limits still holds.
            memory.channels.iter_mut().for_each(|channel| channel.sequence = None);
            let text = format!("device {name} restarted: {}", in_words(identity.reset_cause));
            entries.push(happening(HappeningKind::DeviceRestarted, device, at, text));
        }
        _ => {}
    }
    let settings = (identity.settings_version, identity.settings_hash);
    let (version, hash) = settings;
    let first = memory.node.settings.is_none();
    if memory.node.settings.replace(settings) != Some(settings) {
        let standing = if first { "has" } else { "now has" };
        let (kind, file) = match device.settings_hash {
            Some(wanted) if wanted != hash => (HappeningKind::SettingsDiffer, format!(", which are not those on file: {wanted:08X}")),
            Some(_) => (HappeningKind::Other, ", as on file".to_owned()),
            None => (HappeningKind::Other, String::new()),
        };
        entries.push(happening(
            kind,
            device,
            at,
            format!("device {name} {standing} settings version {version} with hash {hash:08X}{file}"),
        ));
    }
}

/// Why a node started, for people.
fn in_words(cause: ResetCause) -> &'static str {
    match cause {
        ResetCause::Unknown => "it does not know why",
        ResetCause::PowerOn => "its power came on",
        ResetCause::BrownOut => "its supply dipped",
        ResetCause::Watchdog => "a duty hung and its watchdog bit",
        ResetCause::Panic => "its program panicked",
        ResetCause::Software => "it was asked to",
        ResetCause::Pin => "somebody pressed reset",
    }
}

/// What a channel's block says, and how old that is.
pub fn channel(device: &Device, place: usize, blocks: &[(Block, Vec<u16>)], at: At, memory: &mut Memory) -> (Outcome, u32) {
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
    let last = memory.channels[place].sequence.get_or_insert((block.sequence, at.mono));
    if last.0 != block.sequence {
        *last = (block.sequence, at.mono);
    } else if block.outcome.value().is_some() && at.mono.since(last.1) > STALLED_POLLS * device.period_ms.max(1_000) {
        return (Outcome::Bad(Fault::HeartbeatStalled), 0);
    }
    (block.outcome, block.sample_age_ms)
}

fn words_at(blocks: &[(Block, Vec<u16>)], address: u16, count: usize) -> Option<&[u16]> {
    blocks.iter().find_map(|(block, words)| {
        let offset = usize::from(address.checked_sub(block.address)?);
        words.get(offset..offset + count)
    })
}
