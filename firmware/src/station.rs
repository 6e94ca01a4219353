//! A whole node behind its two serial lines: a gas module on one, the field bus on the other.
//!
//! A board gives it bytes with the µs they came at, calls the duties in turn, and puts the outputs on pins. The local
//! alarm is decided in the call that takes the byte which completes a frame.

use measurement::{ChannelId, MonotonicMs};

use crate::annunciator::Outputs;
use crate::conversion::Signal;
use crate::gas_module::GasModule;
use crate::modbus::{Framer, MAX_FRAME, answer_frame};
use crate::node::Node;

/// No thermometer beside the gas: calibration's reference temperature, at which nothing is compensated.
const UNCOMPENSATED_CELSIUS: f32 = 20.0;

/// Node, gas module and field bus.
#[derive(Debug, Clone)]
pub struct Station<const CHANNELS: usize> {
    node: Node<CHANNELS>,
    gas: GasModule,
    unit: u8,
    framer: Framer,
}

impl<const CHANNELS: usize> Station<CHANNELS> {
    /// A station whose module's gases are the node's first channels.
    pub const fn new(node: Node<CHANNELS>, gas: GasModule, unit: u8, framer: Framer) -> Station<CHANNELS> {
        Station { node, gas, unit, framer }
    }

    /// A byte of the gas module.
    pub fn gas_byte(&mut self, byte: u8, at_us: u64) {
        let now = ms(at_us);
        if let Some(signals) = self.gas.byte(byte, now) {
            self.take(&signals, now);
        }
    }

    /// The duty [`crate::Duty::Sample`]: notices silence, and gives what must be sent to the module.
    pub fn sample(&mut self, now_us: u64) -> Option<&'static [u8]> {
        let now = ms(now_us);
        if let Some(signal) = self.gas.silence(now) {
            self.take(&[signal; sensors::winsen::MAX_GASES], now);
        }
        self.gas.question(now)
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
        answer_frame(&self.node, self.unit, &frame[..length], out, ms(now_us))
    }

    /// As [`Station::answer`], for a line whose bytes do not keep time (see [`Framer::with_silence`]).
    pub fn answer_at_once(&mut self, now_us: u64, out: &mut [u8; MAX_FRAME]) -> Option<usize> {
        let mut frame = [0; MAX_FRAME];
        match self.framer.take_request(&mut frame) {
            Some(length) => answer_frame(&self.node, self.unit, &frame[..length], out, ms(now_us)),
            None => self.answer(now_us, out),
        }
    }

    /// The state the outputs must have: the duty [`crate::Duty::Annunciate`] puts it on the pins.
    pub fn outputs(&self) -> Outputs {
        self.node.outputs()
    }

    /// The node itself.
    pub const fn node(&self) -> &Node<CHANNELS> {
        &self.node
    }

    /// The node itself, for a person's silence and reset.
    pub const fn node_mut(&mut self) -> &mut Node<CHANNELS> {
        &mut self.node
    }

    fn take(&mut self, signals: &[Signal], now: MonotonicMs) {
        for (channel, signal) in (0..).zip(&signals[..self.gas.gases()]) {
            self.node.sample(ChannelId(channel), *signal, UNCOMPENSATED_CELSIUS, now);
        }
    }
}

const fn ms(us: u64) -> MonotonicMs {
    MonotonicMs(us / 1000)
}

#[cfg(test)]
mod tests;
