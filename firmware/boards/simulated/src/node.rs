//! One node: the firmware's logic with a handle for whoever plays the air.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use firmware::conversion::Signal;
use firmware::event_log::LOG_WORDS;
use firmware::modbus::{MAX_FRAME, MAX_PDU};
use firmware::ram_flash::RamFlash;
use firmware::{ChannelSettings, Node, NodeSettings, Outputs, SettingsStore};
use measurement::{ChannelId, Outcome};
use register_map::{MAX_CHANNELS, ResetCause};

use crate::clock::Uptime;

/// Its event log lies in words of its own, as in RAM that a reset leaves alone.
type SizedNode = Node<{ MAX_CHANNELS as usize }, Vec<u32>>;

/// A node, cheap to clone; every clone is the same node.
#[derive(Clone)]
pub struct SimulatedNode {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    identity: NodeSettings,
    channels: Vec<ChannelSettings>,
    node: SizedNode,
    store: SettingsStore<RamFlash<Vec<u8>>>,
    uptime: Uptime,
    powered: bool,
}

impl SimulatedNode {
    /// A node that has just been switched on for the first time.
    pub fn new(unit: u8, identity: NodeSettings, channels: Vec<ChannelSettings>) -> SimulatedNode {
        let identity = NodeSettings { unit, ..identity };
        let store = SettingsStore::new(RamFlash::blank(Vec::new()), 0, channels.len());
        let store = SettingsStore::new(RamFlash::blank(vec![0; store.bytes() as usize]), 0, channels.len());
        let mut node = Node::asleep(vec![0; LOG_WORDS]);
        node.begin(identity, &channels);
        SimulatedNode { inner: Arc::new(Mutex::new(Inner { identity, channels, node, store, uptime: Uptime::start(), powered: true })) }
    }

    /// Its address on the line. A master can change it.
    pub fn unit(&self) -> u8 {
        self.lock().node.unit()
    }

    /// What its sensor of one channel sees now. Gives the state of sounder, beacon and fault lamp.
    pub fn feed(&self, channel: ChannelId, signal: Signal, celsius: f32) -> Outputs {
        let mut inner = self.lock();
        let now = inner.uptime.now();
        if inner.powered { inner.node.sample(channel, signal, celsius, now) } else { Outputs::default() }
    }

    /// Takes the power away: it answers nothing, and of all it knew only the settings in its flash are kept.
    pub fn power_off(&self) {
        self.lock().powered = false;
    }

    /// Gives the power back: it starts anew, with one boot more.
    pub fn power_on(&self) {
        let inner = &mut *self.lock();
        if !inner.powered {
            inner.identity.boot_count += 1;
            inner.identity.reset_cause = ResetCause::PowerOn;
            inner.node = Node::asleep(vec![0; LOG_WORDS]);
            inner.node.begin(inner.identity, &inner.channels);
            inner.node.restore(&mut inner.store);
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
        let mut inner = self.lock();
        let now = inner.uptime.now();
        inner.node.reset(channel, now);
    }

    /// Answers a request (function code and data), unless it has no power.
    pub(crate) fn answer(&self, request: &[u8]) -> Option<Vec<u8>> {
        let mut inner = self.lock();
        let Inner { node, store, uptime, powered: true, .. } = &mut *inner else { return None };
        let mut answer = [0; MAX_PDU];
        let length = firmware::modbus::answer(node, store, request, &mut answer, uptime.now());
        Some(answer[..length].to_vec())
    }

    /// Answers a serial frame, if it is for this node, whole, and there is power.
    pub(crate) fn answer_frame(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let mut inner = self.lock();
        let Inner { node, store, uptime, powered: true, .. } = &mut *inner else { return None };
        let mut answer = [0; MAX_FRAME];
        let length = firmware::modbus::answer_frame(node, store, frame, &mut answer, uptime.now())?;
        Some(answer[..length].to_vec())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
