//! From registers to readings: what a device's answer, or its absence, means for each of its channels, and
//! whether that is urgent. Pure: no line, no clock.
//!
//! What a reading claims for the first time (a limit crossed, a leap, a fault that is over) is told as unconfirmed
//! or held back, and [`Memory::wants_again`] asks for a second reading at once (`standing`).

use measurement::{ChannelId, Doubt, Fault, MonotonicMs, Outcome, Reading, Timestamp};
use telemetry::{Happening, HappeningKind};

use crate::device::{Block, Words};
use crate::forward::{Content, NewEntry};
use crate::site::{Channel, Device};
use standing::{Judgement, Standing};

mod foreign;
mod node;
mod standing;

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
    channels: Vec<Remembered>,
    node: node::Seen,
    /// What a foreign device's heartbeat register showed, and when it last moved.
    beat: Option<(f64, MonotonicMs)>,
    /// The serial number that a foreign device last showed.
    serial: Option<String>,
    /// Another one that it showed once.
    other_serial: Option<String>,
    /// The words of the answer at hand; kept for its room.
    words: Words,
    wants_again: bool,
}

#[derive(Debug)]
struct Remembered {
    /// The quality last told.
    quality: Option<u8>,
    standing: Standing,
    /// Sequence of a node's channel, and when it last moved.
    sequence: Option<(u16, MonotonicMs)>,
}

impl Memory {
    /// True when the last answer claims something that only a second reading, asked for at once, can confirm.
    pub fn wants_again(&self) -> bool {
        self.wants_again
    }

    /// True when a value lies over half of a high limit, or any limit is crossed: worth a faster pace.
    pub fn is_near_a_limit(&self) -> bool {
        self.channels.iter().any(|channel| channel.standing.is_near_a_limit())
    }

    /// True when the last answer showed another serial number than before, for the first time.
    pub fn doubts_who(&self) -> bool {
        self.other_serial.is_some()
    }

    fn fit(&mut self, device: &Device) {
        if self.channels.len() != device.channels.len() {
            self.begin_anew(device);
        }
    }

    /// Another device, or one that has started again: nothing that was seen of it holds.
    fn begin_anew(&mut self, device: &Device) {
        let fresh = |channel: &Channel| Remembered {
            quality: None,
            standing: Standing::new(channel, device.period_ms, device.profile.is_davy_node),
            sequence: None,
        };
        self.channels = device.channels.iter().map(fresh).collect();
        self.beat = None;
    }
}

/// The readings of one answer.
pub fn interpret(device: &Device, answer: &Answer, at: At, memory: &mut Memory) -> Vec<NewEntry> {
    memory.fit(device);
    memory.wants_again = false;
    let mut entries = Vec::with_capacity(device.channels.len());
    let mut words = std::mem::take(&mut memory.words);
    words.clear();
    let mut has_stopped = false;
    if let Answer::Words(blocks) = answer {
        if device.profile.is_davy_node {
            node::identify(device, blocks, at, memory, &mut entries);
        } else {
            blocks.iter().for_each(|(block, read)| words.add(*block, read));
            foreign::identify(device, &words, at, memory, &mut entries);
            has_stopped = foreign::has_stopped(device, &words, at, memory);
        }
    }
    for (place, channel) in device.channels.iter().enumerate() {
        let (outcome, sample_age_ms) = match answer {
            Answer::Nothing => (Outcome::Bad(Fault::NoCommunication), 0),
            Answer::Refused(_) => (Outcome::Bad(Fault::DeviceRefused), 0),
            Answer::Words(blocks) if device.profile.is_davy_node => node::channel(device, place, blocks, at, memory),
            Answer::Words(_) => (foreign::channel(device, channel, &words, has_stopped), 0),
        };
        // A number beyond the declared range says "high", whatever else it says.
        let outcome = beyond_range(channel, outcome);
        let sampled_at = at.wall.plus_ms(-i64::from(sample_age_ms));
        let remembered = &mut memory.channels[place];
        let (outcome, crossed) = match (remembered.standing.judge(outcome, sampled_at, at.mono), outcome.value()) {
            (Judgement::Believed { crossed }, _) => (outcome, crossed),
            (Judgement::Unconfirmed, Some(value)) => {
                memory.wants_again = true;
                (Outcome::Uncertain(value, Doubt::Unconfirmed), true)
            }
            (Judgement::Held | Judgement::Unconfirmed, _) => {
                memory.wants_again = true;
                continue;
            }
        };
        entries.push(told(remembered, channel, outcome, crossed, at, sample_age_ms));
    }
    memory.words = words;
    entries
}

/// No second reading came (the fault says why), or it contradicts the first once more: what was held back for it
/// is a fault, because it may not go untold. What was told as unconfirmed stays so.
pub fn unconfirmed(device: &Device, why: Fault, at: At, memory: &mut Memory) -> Vec<NewEntry> {
    memory.fit(device);
    memory.wants_again = false;
    let channels = device.channels.iter().zip(&mut memory.channels);
    let held = channels.filter_map(|(channel, remembered)| remembered.standing.was_held().then_some((channel, remembered)));
    held.map(|(channel, remembered)| told(remembered, channel, Outcome::Bad(why), false, at, 0)).collect()
}

/// An entry of a channel; urgent when a limit was crossed, or claimed to be, or when the quality is another than last.
fn told(remembered: &mut Remembered, channel: &Channel, outcome: Outcome, crossed: bool, at: At, sample_age_ms: u32) -> NewEntry {
    let before = remembered.quality.replace(outcome.quality());
    let urgent = crossed || before.is_some_and(|before| before != outcome.quality());
    let sampled_at = at.wall.plus_ms(-i64::from(sample_age_ms));
    let reading = Reading { channel: ChannelId(channel.number), sampled_at, outcome };
    NewEntry { content: Content::Reading { reading, parsed_at: at.mono, sample_age_ms }, urgent }
}

fn beyond_range(channel: &Channel, outcome: Outcome) -> Outcome {
    match (outcome, channel.range) {
        (Outcome::Good(value), Some((_, high))) if value.get() > high => Outcome::Uncertain(value, Doubt::OverRange),
        _ => outcome,
    }
}

fn happening(kind: HappeningKind, device: &Device, at: At, text: String) -> NewEntry {
    let happening = Happening { kind: kind.into(), at_ms: at.wall.0, text, about: device.name.clone() };
    NewEntry { content: Content::Happening(happening), urgent: true }
}

#[cfg(test)]
mod tests;
