//! Devices of other makers: what their profile says, in the channel's unit.

use measurement::{Conversion, Fault, Gas, Outcome, Unit};

use telemetry::HappeningKind;

use super::{At, Memory, happening};
use crate::device::{StatedUnit, Words};
use crate::forward::NewEntry;
use crate::site::{Channel, Device};

/// Notices another device by its serial number, where the profile knows one and it was read. Like every other
/// claim it is believed when it is seen twice: all that is remembered of the device goes with it.
pub fn identify(device: &Device, words: &Words, at: At, memory: &mut Memory, entries: &mut Vec<NewEntry>) {
    let Some(serial) = device.profile.serial(words) else { return };
    let seen_before = memory.other_serial.take();
    match &memory.serial {
        Some(known) if *known == serial => {}
        Some(_) if seen_before.as_ref() != Some(&serial) => {
            memory.other_serial = Some(serial);
            memory.wants_again = true;
        }
        known => {
            if let Some(before) = known {
                let text = format!("device {} has serial {serial} where {before} was", device.name);
                entries.push(happening(HappeningKind::DeviceReplaced, device, at, text));
                memory.begin_anew(device);
            }
            memory.serial = Some(serial);
        }
    }
}

/// True when the register that shows life has not moved for longer than the profile allows.
pub fn has_stopped(device: &Device, words: &Words, at: At, memory: &mut Memory) -> bool {
    let (Some(heartbeat), Some(beat)) = (&device.profile.heartbeat, device.profile.beat(words)) else { return false };
    let (last, since) = *memory.beat.get_or_insert((beat, at.mono));
    if last != beat {
        memory.beat = Some((beat, at.mono));
        return false;
    }
    at.mono.since(since) > u64::from(heartbeat.still_s) * 1000
}

pub fn channel(device: &Device, channel: &Channel, words: &Words, has_stopped: bool) -> Outcome {
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
