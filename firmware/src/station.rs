//! A whole node behind its lines: a gas module on a UART, parts on a bus, the field bus, the beacon's feedback.
//!
//! A board gives it bytes with the µs they came at, shows it its drivers, calls the duties in turn, and puts the outputs on pins.
//! The local alarm is decided in the call that takes the byte which completes a frame, or that reads the part.

use heapless::Vec;
use measurement::{ChannelId, Fault, MonotonicMs, Outcome};
use register_map::BoardFacts;
use sensors::Measure;
use sensors::winsen::MAX_GASES;

use crate::annunciator::Outputs;
use crate::conversion::Signal;
use crate::event_log::{LogMemory, OwnLog};
use crate::gas_module::GasModule;
use crate::inputs::{Input, InputKind, InputSettings};
use crate::modbus::{Framer, MAX_FRAME, answer_frame};
use crate::node::{ChannelSettings, Node, NodeSettings};
use crate::settings::{Forgetful, Keep};

/// Most parts on buses: four loops, CO2, temperature and humidity.
pub const MAX_INPUTS: usize = 6;
/// Without a thermometer beside the gas: calibration's reference temperature, at which nothing is compensated.
const UNCOMPENSATED_CELSIUS: f32 = 20.0;
/// A temperature that is older says nothing; the thermometer's own channel shows why.
const TEMPERATURE_LASTS_MS: u64 = 60_000;

/// Node, sensors and field bus; `K` keeps the settings, `M` the event log.
#[derive(Debug, Clone)]
pub struct Station<const CHANNELS: usize, K = Forgetful, M = OwnLog> {
    node: Node<CHANNELS, M>,
    keep: K,
    framer: Framer,
    gas: Option<GasModule>,
    inputs: Vec<Input, MAX_INPUTS>,
    air: Option<(f32, MonotonicMs)>,
}

impl<const CHANNELS: usize, K: Keep<CHANNELS>, M: LogMemory> Station<CHANNELS, K, M> {
    /// A station that has not begun: it measures nothing, answers nobody and is to be put where it stays, for it is large beside
    /// a small chip's stack.
    pub const fn new(log: M, keep: K, framer: Framer) -> Station<CHANNELS, K, M> {
        Station { node: Node::asleep(log), keep, framer, gas: None, inputs: Vec::new(), air: None }
    }

    /// Begins, with what is kept: the settings a person gave, or those it was shipped with (see [`Node::restore`]), and the events
    /// of its earlier starts.
    pub fn begin(&mut self, identity: NodeSettings, shipped: &[ChannelSettings]) {
        self.node.begin(identity, shipped);
        self.node.restore(&mut self.keep);
    }

    /// It has a gas module, whose gases are the node's first channels. To be called after [`Station::begin`], as the next is.
    pub const fn set_gas_module(&mut self, mut gas: GasModule) {
        if !self.node.started_cold() {
            gas.kept_its_power();
        }
        self.gas = Some(gas);
    }

    /// It has these parts on buses, which [`Station::attend`] knows by their place in this list. Parts beyond [`MAX_INPUTS`] are
    /// not taken.
    pub fn set_inputs(&mut self, inputs: &[InputSettings]) {
        let cold = self.node.started_cold();
        self.inputs.clear();
        for settings in inputs.iter().take(MAX_INPUTS) {
            let _ = self.inputs.push(Input::new(*settings, cold, MonotonicMs(0)));
        }
    }

    /// A byte of the gas module.
    pub fn gas_byte(&mut self, byte: u8, at_us: u64) {
        let now = ms(at_us);
        if let Some(signals) = self.gas.as_mut().and_then(|gas| gas.byte(byte, now)) {
            self.take_gases(&signals, now);
        }
    }

    /// The duty [`crate::Duty::Sample`]: notices the gas module's silence, and gives what must be sent to it. Parts on a bus
    /// belong to the same duty, see [`Station::attend`].
    pub fn sample(&mut self, now_us: u64) -> Option<&'static [u8]> {
        let now = ms(now_us);
        if let Some(signal) = self.gas.as_mut().and_then(|gas| gas.silence(now)) {
            self.take_gases(&[signal; MAX_GASES], now);
        }
        self.gas.as_mut().and_then(|gas| gas.question(now))
    }

    /// Shows the station the driver of one of its inputs: it is started or read when that is due, and what it says reaches its
    /// channels within this call. Call it in every round.
    pub fn attend<const NUMBERS: usize>(&mut self, input: usize, part: &mut impl Measure<NUMBERS>, now_us: u64) {
        let now = ms(now_us);
        let Some(settings) = self.inputs.get(input).map(Input::settings).copied() else { return };
        let others = || self.inputs.iter().enumerate().filter(|(place, _)| *place != input);
        let may_start = settings.converter.is_none_or(|converter| !others().any(|(_, other)| other.occupies(converter)));
        let Some(told) = self.inputs.get_mut(input).and_then(|input| input.attend(part, may_start, now)) else { return };
        let celsius = self.celsius(now);
        for (signal, channel) in told.signals.iter().zip(settings.channels).take(told.numbers) {
            let Some(channel) = channel else { continue };
            self.node.sample(channel, *signal, celsius, now);
            let broken = self.node.outcome(channel) == Some(Outcome::Bad(Fault::WireBreak));
            if let Some(input) = self.inputs.get_mut(input).filter(|_| broken) {
                input.was_without_power(now);
            }
        }
        if let (InputKind::AirTemperature, Signal::Number(celsius)) = (settings.kind, told.signals[0])
            && is_air(celsius)
        {
            self.air = Some((celsius, now));
        }
    }

    /// The temperature by which zeros are compensated.
    pub fn celsius(&self, now: MonotonicMs) -> f32 {
        match self.air {
            Some((celsius, at)) if now.since(at) < TEMPERATURE_LASTS_MS => celsius,
            _ => UNCOMPENSATED_CELSIUS,
        }
    }

    /// A byte of the field bus.
    pub fn line_byte(&mut self, byte: u8, at_us: u64) {
        self.framer.byte(byte, at_us);
    }

    /// The duty [`crate::Duty::Answer`]: gives the length of the answer in `out` when the silence on the line has ended
    /// a request that is for this node.
    pub fn answer(&mut self, now_us: u64, out: &mut [u8; MAX_FRAME]) -> Option<usize> {
        let mut frame = [0; MAX_FRAME];
        let length = self.framer.take(now_us, &mut frame)?;
        answer_frame(&mut self.node, &mut self.keep, &frame[..length], out, ms(now_us))
    }

    /// As [`Station::answer`], for a line whose bytes do not keep time (see [`Framer::with_silence`]).
    pub fn answer_at_once(&mut self, now_us: u64, out: &mut [u8; MAX_FRAME]) -> Option<usize> {
        let mut frame = [0; MAX_FRAME];
        match self.framer.take_request(&mut frame) {
            Some(length) => answer_frame(&mut self.node, &mut self.keep, &frame[..length], out, ms(now_us)),
            None => self.answer(now_us, out),
        }
    }

    /// The state the outputs must have: the duty [`crate::Duty::Annunciate`] puts it on the pins.
    pub fn outputs(&self) -> Outputs {
        self.node.outputs()
    }

    /// What a contact or a current sense at the beacon says, after the outputs were put on the pins. A board without one never
    /// calls it.
    pub fn beacon_feedback(&mut self, lit: bool, now_us: u64) {
        self.node.beacon_feedback(lit, ms(now_us));
    }

    /// What the board knows of its watchdog, stack and clock, for the health block.
    pub const fn set_board_facts(&mut self, facts: BoardFacts) {
        self.node.set_board_facts(facts);
    }

    /// The node itself.
    pub const fn node(&self) -> &Node<CHANNELS, M> {
        &self.node
    }

    /// The node itself, for a person's silence and reset.
    pub const fn node_mut(&mut self) -> &mut Node<CHANNELS, M> {
        &mut self.node
    }

    #[cfg(test)]
    pub(crate) const fn keep_mut(&mut self) -> &mut K {
        &mut self.keep
    }

    fn take_gases(&mut self, signals: &[Signal], now: MonotonicMs) {
        let gases = self.gas.as_ref().map_or(0, GasModule::gases);
        let celsius = self.celsius(now);
        for (channel, signal) in (0..).zip(signals.iter().take(gases)) {
            self.node.sample(ChannelId(channel), *signal, celsius, now);
        }
    }
}

/// No air that a person works in, nor one that any of these parts could measure, is colder or hotter.
fn is_air(celsius: f32) -> bool {
    (-40.0..=85.0).contains(&celsius)
}

const fn ms(us: u64) -> MonotonicMs {
    MonotonicMs(us / 1000)
}

#[cfg(test)]
mod tests;
