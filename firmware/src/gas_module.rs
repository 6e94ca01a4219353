//! A gas module on a UART: asks it, listens to it, and says when it is silent or not to be understood.
//!
//! The module's check sum has eight bits, so a frame that is wrong in two bytes passes now and then. A number that leaps
//! further than `leap` is therefore held back until a second frame says the same; a module that answers questions is asked
//! again at once. The very first number is such a leap. A leap costs one frame, never more: while the held number is
//! confirmed by its successor the node follows it.

use measurement::MonotonicMs;
use sensors::winsen::{Frame, MAX_GASES, Model, Parser};

use crate::conversion::Signal;

/// How one module is listened to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModuleSettings {
    /// What it sends.
    pub model: Model,
    /// How often it is asked, if it must be asked.
    pub ask_every_ms: u64,
    /// After this long without a believed frame its channels are faults.
    pub silent_after_ms: u64,
    /// For so long after it had power its numbers are no measurement. Zero for a model that says so itself.
    pub warm_up_ms: u64,
    /// How far a number may move, per gas in its own unit, and be believed without a second frame.
    pub leap: [f32; MAX_GASES],
}

/// Within a frame no byte is later than this after the one before it.
const WITHIN_FRAME_MS: u64 = 200;
/// A leap is asked again this soon.
const ASK_AGAIN_MS: u64 = 30;

/// Remembers what one module said.
#[derive(Debug, Clone)]
pub struct GasModule {
    settings: ModuleSettings,
    parser: Parser,
    believed: Option<[f32; MAX_GASES]>,
    held: Option<[f32; MAX_GASES]>,
    last_byte: MonotonicMs,
    asked_at: Option<MonotonicMs>,
    /// The last believed frame or the last time that silence was reported.
    reported_at: MonotonicMs,
    /// Bytes have come since the last believed frame.
    babbled: bool,
    /// Since when it has power, when that is not long known.
    warm_from: Option<MonotonicMs>,
}

impl GasModule {
    /// A module that has said nothing by `now`, and may have had its power since then only.
    pub const fn new(settings: ModuleSettings, now: MonotonicMs) -> GasModule {
        GasModule {
            settings,
            parser: Parser::new(settings.model),
            believed: None,
            held: None,
            last_byte: now,
            asked_at: None,
            reported_at: now,
            babbled: false,
            warm_from: Some(now),
        }
    }

    /// Only the node was reset: the module is as warm as it was.
    pub const fn kept_its_power(&mut self) {
        self.warm_from = None;
    }

    /// Takes a byte; gives the signals of its gases when a frame is whole and believed. Places beyond the model's gases
    /// mean nothing.
    pub fn byte(&mut self, byte: u8, now: MonotonicMs) -> Option<[Signal; MAX_GASES]> {
        if now.since(self.last_byte) > WITHIN_FRAME_MS {
            self.parser.clear();
        }
        self.last_byte = now;
        self.babbled = true;
        let signals = match self.parser.push(byte)? {
            Frame::WarmingUp => {
                self.believed = None;
                self.held = None;
                [Signal::WarmingUp; MAX_GASES]
            }
            Frame::Concentrations(numbers) => {
                let near = |before: &[f32; MAX_GASES]| {
                    before.iter().zip(&numbers).zip(&self.settings.leap).all(|((a, b), leap)| (a - b).abs() <= *leap)
                };
                if !self.believed.as_ref().is_some_and(near) && !self.held.as_ref().is_some_and(near) {
                    self.held = Some(numbers);
                    return None;
                }
                self.believed = Some(numbers);
                self.held = None;
                let warms_up = self.warm_from.is_some_and(|from| now.since(from) < self.settings.warm_up_ms);
                if warms_up { [Signal::WarmingUp; MAX_GASES] } else { numbers.map(Signal::Number) }
            }
        };
        self.reported_at = now;
        self.babbled = false;
        Some(signals)
    }

    /// What must be sent to the module now, if anything.
    pub fn question(&mut self, now: MonotonicMs) -> Option<&'static [u8]> {
        let question = self.settings.model.question()?;
        let pause = if self.held.is_some() { ASK_AGAIN_MS.min(self.settings.ask_every_ms) } else { self.settings.ask_every_ms };
        if self.asked_at.is_some_and(|at| now.since(at) < pause) {
            return None;
        }
        self.asked_at = Some(now);
        Some(question)
    }

    /// What its channels are told once in every `silent_after_ms` without a believed frame: nobody answers, or what is
    /// answered is not to be understood. Afterwards nothing it said before helps to believe it.
    pub fn silence(&mut self, now: MonotonicMs) -> Option<Signal> {
        if now.since(self.reported_at) < self.settings.silent_after_ms {
            return None;
        }
        self.reported_at = now;
        self.believed = None;
        self.held = None;
        // What comes back may have been without power.
        self.warm_from = Some(now);
        let signal = if self.babbled { Signal::Garbled } else { Signal::NoAnswer };
        self.babbled = false;
        Some(signal)
    }

    /// How many gases it has.
    pub const fn gases(&self) -> usize {
        self.settings.model.gases()
    }
}

#[cfg(test)]
mod tests;
