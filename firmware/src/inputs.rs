//! Sensors on a bus: current loops through a converter, digital parts, the thermometer. One mechanism for all of them.
//!
//! A board owns the drivers and shows each of them to its [`Input`] in every round; the input runs it when it is due and gives the
//! signals for its channels. A part that fails now and then costs nothing but age; one that says nothing believable for
//! `silent_after_ms` is a fault.

use measurement::{ChannelId, MonotonicMs};
use sensors::Measure;

use crate::cadence::{Cadence, Done, Pace, Turn};
use crate::conversion::Signal;

/// Most numbers a part has.
pub const MAX_NUMBERS: usize = 3;

/// What a part's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// Currents of a loop, mA.
    Loop,
    /// Numbers in the channel's unit.
    Digital,
    /// As `Digital`; its first number is the temperature of the air at the gas sensors, °C.
    AirTemperature,
}

/// How one part is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputSettings {
    /// What its numbers are.
    pub kind: InputKind,
    /// The channel of each of its numbers, if it has one.
    pub channels: [Option<ChannelId>; MAX_NUMBERS],
    /// How often it is read.
    pub every_ms: u32,
    /// For so long after it had power its numbers are no measurement. Zero for a part that says so itself.
    pub warm_up_ms: u32,
    /// After this long without a believable number its channels are faults.
    pub silent_after_ms: u32,
    /// Parts of the same number share a converter and take turns.
    pub converter: Option<u8>,
}

/// What its channels are told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told {
    /// One signal a number; places beyond the part's numbers mean nothing.
    pub signals: [Signal; MAX_NUMBERS],
    /// How many there are.
    pub numbers: usize,
}

/// Remembers how one part does.
#[derive(Debug, Clone)]
pub struct Input {
    settings: InputSettings,
    cadence: Cadence,
    warm_from: Option<MonotonicMs>,
    heard_at: MonotonicMs,
    garbled: bool,
}

impl Input {
    /// A part that has had power since `now`, or, when the node alone was reset, for longer.
    pub const fn new(settings: InputSettings, cold: bool, now: MonotonicMs) -> Input {
        Input { settings, cadence: Cadence::new(), warm_from: if cold { Some(now) } else { None }, heard_at: now, garbled: false }
    }

    /// How it is read.
    pub const fn settings(&self) -> &InputSettings {
        &self.settings
    }

    /// True while it occupies the converter of this number.
    pub fn occupies(&self, converter: u8) -> bool {
        self.settings.converter == Some(converter) && self.cadence.is_measuring()
    }

    /// Does what is due with the part, and gives what its channels must be told. `may_start` is false while another part
    /// occupies its converter.
    pub fn attend<const NUMBERS: usize, P: Measure<NUMBERS>>(&mut self, part: &mut P, may_start: bool, now: MonotonicMs) -> Option<Told> {
        const { assert!(NUMBERS <= MAX_NUMBERS) };
        let pace = Pace { every_ms: self.settings.every_ms, ready_after_ms: P::READY_AFTER_MS, continuous: P::CONTINUOUS };
        let mut numbers = None;
        match self.cadence.turn(pace, now) {
            Some(Turn::Start) if may_start => {
                let done = self.outcome::<NUMBERS, P, ()>(part.start()).map_or(Done::Failed, |()| Done::Started);
                self.cadence.done(Turn::Start, done, pace, now);
            }
            Some(Turn::Read) => {
                let read = self.outcome::<NUMBERS, P, _>(part.read());
                let done = match read {
                    Some(Some(_)) => Done::Measured,
                    Some(None) => Done::NotYet,
                    None => Done::Failed,
                };
                numbers = read.flatten();
                self.cadence.done(Turn::Read, done, pace, now);
            }
            Some(Turn::Start) | None => {}
        }
        match numbers {
            Some(numbers) => {
                self.heard_at = now;
                Some(self.told(&numbers, now))
            }
            None if now.since(self.heard_at) >= u64::from(self.settings.silent_after_ms) => {
                // Told once in every `silent_after_ms`. A part that comes back may have been without power; a loop's transmitter shows
                // that by its current, whatever became of the converter.
                self.heard_at = now;
                if self.settings.kind != InputKind::Loop {
                    self.warm_from = Some(now);
                }
                let signal = if core::mem::take(&mut self.garbled) { Signal::Garbled } else { Signal::NoAnswer };
                Some(Told { signals: [signal; MAX_NUMBERS], numbers: NUMBERS })
            }
            None => None,
        }
    }

    /// A loop that was found broken: its transmitter warms up again when the wire is mended.
    pub const fn was_without_power(&mut self, now: MonotonicMs) {
        self.warm_from = Some(now);
    }

    /// True while what it says is no measurement yet.
    pub fn warms_up(&self, now: MonotonicMs) -> bool {
        self.warm_from.is_some_and(|from| now.since(from) < u64::from(self.settings.warm_up_ms))
    }

    fn told<const NUMBERS: usize>(&self, numbers: &[f32; NUMBERS], now: MonotonicMs) -> Told {
        let mut signals = [Signal::NoAnswer; MAX_NUMBERS];
        for (signal, number) in signals.iter_mut().zip(numbers) {
            *signal = match self.settings.kind {
                // Whether it is a fault although it warms up is for the channel's bands to say.
                InputKind::Loop if self.warms_up(now) => Signal::WarmingUpAt(*number),
                InputKind::Loop => Signal::Milliampere(*number),
                _ if self.warms_up(now) => Signal::WarmingUp,
                _ => Signal::Number(*number),
            };
        }
        Told { signals, numbers: NUMBERS }
    }

    fn outcome<const NUMBERS: usize, P: Measure<NUMBERS>, T>(&mut self, result: Result<T, P::Error>) -> Option<T> {
        self.garbled |= result.as_ref().is_err_and(|error| P::is_garbled(error));
        result.ok()
    }
}

#[cfg(test)]
mod tests;
