//! One node: the firmware's logic with a handle for whoever plays the air.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use firmware::conversion::Signal;
use firmware::modbus::MAX_FRAME;
use firmware::{ChannelSettings, Node, NodeSettings, Outputs};
use measurement::{ChannelId, Outcome};
use register_map::ResetCause;

use crate::clock::Uptime;

/// A node, cheap to clone; every clone is the same node.
#[derive(Clone)]
pub struct SimulatedNode {
    unit: u8,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    settings: NodeSettings,
    channels: Vec<ChannelSettings>,
    node: Node,
    uptime: Uptime,
    powered: bool,
}

impl SimulatedNode {
    /// A node that has just been switched on.
    pub fn new(unit: u8, settings: NodeSettings, channels: Vec<ChannelSettings>) -> SimulatedNode {
        let node = Node::new(settings, &channels);
        SimulatedNode { unit, inner: Arc::new(Mutex::new(Inner { settings, channels, node, uptime: Uptime::start(), powered: true })) }
    }

    /// Its address on the line.
    pub fn unit(&self) -> u8 {
        self.unit
    }

    /// What its sensor of one channel sees now. Gives the state of sounder, beacon and fault lamp.
    pub fn feed(&self, channel: ChannelId, signal: Signal, celsius: f32) -> Outputs {
        let mut inner = self.lock();
        let now = inner.uptime.now();
        if inner.powered { inner.node.sample(channel, signal, celsius, now) } else { Outputs::default() }
    }

    /// Takes the power away: it answers nothing, and nothing it knew is kept.
    pub fn power_off(&self) {
        self.lock().powered = false;
    }

    /// Gives the power back: it starts anew, with one boot more.
    pub fn power_on(&self) {
        let mut inner = self.lock();
        if !inner.powered {
            inner.settings.boot_count += 1;
            inner.settings.reset_cause = ResetCause::PowerOn;
            inner.node = Node::new(inner.settings, &inner.channels);
            inner.uptime = Uptime::start();
            inner.powered = true;
        }
    }

    /// The state of its outputs.
    pub fn outputs(&self) -> Outputs {
        self.lock().node.outputs()
    }

    /// What it made of the last signal of a channel.
    pub fn outcome(&self, channel: ChannelId) -> Option<Outcome> {
        self.lock().node.outcome(channel)
    }

    /// A person at the node resets its latches.
    pub fn reset(&self, channel: ChannelId) {
        self.lock().node.reset(channel);
    }

    /// Answers a request (function code and data), unless it has no power.
    pub(crate) fn answer(&self, request: &[u8]) -> Option<Vec<u8>> {
        let inner = self.lock();
        if !inner.powered {
            return None;
        }
        let mut answer = [0; MAX_FRAME];
        let length = firmware::modbus::answer(&inner.node, request, &mut answer, inner.uptime.now());
        Some(answer[..length].to_vec())
    }

    /// Answers a serial frame, if it is for this node, whole, and there is power.
    pub(crate) fn answer_frame(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let inner = self.lock();
        if !inner.powered {
            return None;
        }
        let mut answer = [0; MAX_FRAME];
        let length = firmware::modbus::answer_frame(&inner.node, self.unit, frame, &mut answer, inner.uptime.now())?;
        Some(answer[..length].to_vec())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
