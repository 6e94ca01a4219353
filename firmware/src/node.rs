//! The node: takes signals, keeps the newest reading of every channel, and shows all it knows as registers.

mod lost;
mod registers;
mod writing;

pub use writing::NotWritten;

use heapless::Vec;
use measurement::{ChannelId, Direction, Fault, Limit, MonotonicMs, Outcome, Timestamp, Unit, Value};
use register_map::{
    BoardFacts, ChannelSettingsBlock, EventKind, Health, MAX_CHANNELS, NodeSettingsBlock, ResetCause, SettingsCrc, Troubles,
};

use lost::{beyond_normal, without_settings};

use crate::annunciator::{Annunciator, LocalAlarm, Outputs};
use crate::beacon::{BeaconChange, BeaconProof};
use crate::conversion::{Calibration, LoopBands, Signal, convert};
use crate::desk::Desk;
use crate::event_log::{EventLog, Happening, LOG_WORDS, Latches, LogMemory, OwnLog};
use crate::self_test::{SelfTest, SelfTestSettings};
use crate::settings::{Bounds, CalibrationRecord, Keep, Kept, Sheet};

/// Everything that is set on one channel. What a person may change of it, and within which bounds, says [`crate::settings`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChannelSettings {
    /// What is measured; a number of the site's order list.
    pub quantity: u16,
    /// Unit of value, range and limits.
    pub unit: Unit,
    /// Measuring range and self-tests.
    pub self_test: SelfTestSettings,
    /// The last calibration.
    pub calibration: Calibration,
    /// Bands of the current loop, when it is one.
    pub bands: LoopBands,
    /// Levels of the local alarm.
    pub low: Option<Limit>,
    /// See `low`.
    pub high: Option<Limit>,
    /// Whether the local alarm is held until reset.
    pub latching: bool,
    /// True for the oxygen channel of this air, by which the catalytic ones are judged.
    pub oxygen: bool,
    /// What clean air and a working sensor show, from and to, in the channel's unit. No limit may be set within, and a node that
    /// has lost its settings alarms as soon as a value leaves it: earlier than any limit that could have been lost.
    pub normal: (f32, f32),
}

/// Who the node is, as its board knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeSettings {
    /// Unique to the device.
    pub serial: u64,
    /// High byte major, low byte minor.
    pub firmware: u16,
    /// How often it has started, this time included.
    pub boot_count: u32,
    /// Why it started.
    pub reset_cause: ResetCause,
    /// Modbus unit id it was shipped with; a person may give it another.
    pub unit: u8,
}

#[derive(Debug, Clone)]
struct Channel {
    settings: ChannelSettings,
    record: CalibrationRecord,
    needs_above: bool,
    needs_below: bool,
    self_test: SelfTest,
    annunciator: Annunciator,
    outcome: Outcome,
    sequence: u16,
    sampled_at: MonotonicMs,
}

/// The node's whole state. Time comes in with every call, as milliseconds since the node started. A board with little RAM
/// makes it no larger than its own `CHANNELS`, and keeps the event log in memory `M` that outlives a reset.
#[derive(Debug, Clone)]
pub struct Node<const CHANNELS: usize = { MAX_CHANNELS as usize }, M = OwnLog> {
    identity: NodeSettings,
    unit: u8,
    version: u16,
    hash: u32,
    channels: Vec<Channel, CHANNELS>,
    silenced: bool,
    desk: Desk<CHANNELS>,
    log: EventLog<M>,
    beacon: BeaconProof,
    health: Health,
}

impl Node {
    /// A node that has read nothing yet and nobody has set. Channels beyond the map's sixteen are not taken.
    pub fn new(identity: NodeSettings, channels: &[ChannelSettings]) -> Node {
        Node::sized(identity, channels)
    }
}

impl<const CHANNELS: usize> Node<CHANNELS> {
    /// As [`Node::new`], with room for `CHANNELS` only: those beyond are not taken.
    pub fn sized(identity: NodeSettings, channels: &[ChannelSettings]) -> Node<CHANNELS> {
        let mut node = Node::asleep([0; LOG_WORDS]);
        node.begin(identity, channels);
        node
    }
}

impl<const CHANNELS: usize, M: LogMemory> Node<CHANNELS, M> {
    /// A node that has not begun: it has no channels and answers nobody.
    pub const fn asleep(log: M) -> Node<CHANNELS, M> {
        const { assert!(CHANNELS <= MAX_CHANNELS as usize, "the register map has no more channels") };
        let nobody = NodeSettings { serial: 0, firmware: 0, boot_count: 0, reset_cause: ResetCause::Unknown, unit: 0 };
        Node {
            identity: nobody,
            unit: nobody.unit,
            version: 0,
            hash: 0,
            channels: Vec::new(),
            silenced: false,
            desk: Desk::new(),
            log: EventLog::asleep(log),
            beacon: BeaconProof::new(),
            health: Health::NOTHING_KNOWN,
        }
    }

    /// Begins, once: with the events of its earlier starts and what they latched, and with what it was shipped with, which holds where nobody has set
    /// anything (see [`Node::restore`]).
    pub fn begin(&mut self, identity: NodeSettings, shipped: &[ChannelSettings]) {
        (self.identity, self.unit) = (identity, identity.unit);
        self.channels.clear();
        for settings in shipped.iter().take(CHANNELS) {
            let _ = self.channels.push(Channel::new(settings));
        }
        self.hash = self.crc();
        let start = MonotonicMs(0);
        self.log.begin(identity.boot_count);
        let latches = self.log.latches();
        for (index, channel) in self.channels.iter_mut().enumerate() {
            channel.latch(latches, 1 << index);
        }
        if self.log.was_lost() {
            self.health.troubles.events_lost = true;
            self.log.note(Happening::node(EventKind::LogLost, 0), start);
        }
        self.log.note(Happening::node(EventKind::Started, identity.reset_cause as u32), start);
    }

    /// Puts in force what a person has set, before the first sample. Settings that are damaged, or that do not fit these channels,
    /// are lost: the node then alarms as soon as a value leaves what clean air shows, holds that alarm, and calls no value good
    /// until a person sets it again. (It judges the uncalibrated number then: the calibration is lost as well.)
    #[inline(never)]
    pub fn restore(&mut self, keep: &mut impl Keep<CHANNELS>) {
        self.health.troubles.settings_not_kept = !keep.lasts();
        let mut sheet = Sheet::new();
        let version = match keep.kept(&mut sheet) {
            Kept::Nothing => return,
            Kept::Version(version) => version,
            Kept::Damaged => return self.lose_settings(MonotonicMs(0)),
        };
        let Ok(unit) = sheet.examine(&self.bounds()) else { return self.lose_settings(MonotonicMs(0)) };
        for (channel, content) in self.channels.iter_mut().zip(&sheet.channels) {
            channel.put_in_force(content);
        }
        (self.unit, self.version, self.hash) = (unit, version, sheet.crc());
    }

    /// Takes one signal of one channel and gives the state the outputs must have from now on. An unknown
    /// channel changes nothing.
    pub fn sample(&mut self, channel: ChannelId, signal: Signal, celsius: f32, now: MonotonicMs) -> Outputs {
        let oxygen = self.oxygen_percent();
        let lost = self.health.troubles.settings_lost;
        if let Some(at) = self.channels.get_mut(channel.0 as usize) {
            let settings = &at.settings;
            let converted = convert(signal, &settings.calibration, &settings.bands, settings.self_test.range, celsius);
            let measured = at.self_test.observe(converted, oxygen.filter(|_| !settings.oxygen), now);
            let judged = if lost { beyond_normal(measured, settings.normal) } else { measured };
            let outcome = if lost { without_settings(measured) } else { measured };
            let (alarm_before, outcome_before) = (at.annunciator.shown(), core::mem::replace(&mut at.outcome, outcome));
            at.sequence = at.sequence.wrapping_add(1);
            at.sampled_at = now;
            let alarm = at.annunciator.observe(judged, Timestamp(now.0 as i64));
            // A new alarm is heard even when an older one was silenced, and when the latch has held its level all the while.
            if at.annunciator.is_new() {
                self.silenced = false;
            }
            let number = measured.value().map_or(f32::NAN, Value::get);
            note_change(&mut self.log, channel.0 as u8, (outcome_before, outcome), (alarm_before, alarm), number, now);
            self.keep_latches();
        }
        self.outputs()
    }

    fn oxygen_percent(&self) -> Option<f32> {
        let channel = self.channels.iter().find(|channel| channel.settings.oxygen)?;
        channel.outcome.value().map(|value| value.get())
    }

    /// The state the outputs must have.
    pub fn outputs(&self) -> Outputs {
        let alarms = || self.channels.iter().map(|channel| channel.annunciator.shown());
        let troubled = self.channels.iter().any(|channel| !matches!(channel.outcome, Outcome::Good(_)));
        Outputs {
            sounder: !self.silenced && alarms().any(|alarm| alarm.low || alarm.high),
            beacon: alarms().any(|alarm| alarm.high),
            fault: troubled || self.beacon.has_failed() || self.health.troubles.settings_lost,
        }
    }

    /// A person at the node silences the sounder; the beacon stays, and a new alarm sounds again.
    pub fn silence(&mut self, now: MonotonicMs) {
        self.silenced = true;
        self.log.note(Happening::node(EventKind::Silenced, 0), now);
    }

    /// A person at the node resets latched alarms and the over-range latch of one channel.
    pub fn reset(&mut self, channel: ChannelId, now: MonotonicMs) {
        if let Some(at) = self.channels.get_mut(channel.0 as usize) {
            at.self_test.reset();
            at.annunciator.reset();
            self.log.note(Happening::channel(EventKind::AlarmReset, channel.0 as u8, 0), now);
            self.keep_latches();
        }
    }

    /// As [`Node::reset`], of every channel.
    pub fn reset_all(&mut self, now: MonotonicMs) {
        for index in 0..self.channels.len() as u32 {
            self.reset(ChannelId(index), now);
        }
    }

    /// What is latched outlives a reset, which nobody may take for a person's.
    pub(super) fn keep_latches(&mut self) {
        let mut latches = Latches::default();
        for (index, channel) in self.channels.iter().enumerate() {
            let (bit, held) = (1 << index, channel.annunciator.held());
            latches.over_range |= if channel.self_test.is_latched() { bit } else { 0 };
            latches.low |= if held.low { bit } else { 0 };
            latches.high |= if held.high { bit } else { 0 };
        }
        self.log.set_latches(latches);
    }

    /// What a contact or a current sense at the beacon says. A beacon that stays dark although it must be lit is a fault of
    /// the node, and of no gas.
    pub fn beacon_feedback(&mut self, lit: bool, now: MonotonicMs) {
        let kind = match self.beacon.observe(self.outputs().beacon, lit, now) {
            Some(BeaconChange::Failed) => EventKind::BeaconFailed,
            Some(BeaconChange::Works) => EventKind::BeaconWorks,
            None => return,
        };
        self.log.note(Happening::node(kind, 0), now);
    }

    /// What the board knows of its processor; shown in the health block.
    pub const fn set_board_facts(&mut self, facts: BoardFacts) {
        self.health.board = facts;
    }

    /// The newest outcome of a channel.
    pub fn outcome(&self, channel: ChannelId) -> Option<Outcome> {
        self.channels.get(channel.0 as usize).map(|channel| channel.outcome)
    }

    /// What is set on a channel.
    pub fn settings(&self, channel: ChannelId) -> Option<&ChannelSettings> {
        self.channels.get(channel.0 as usize).map(|channel| &channel.settings)
    }

    /// The Modbus unit id in force.
    pub const fn unit(&self) -> u8 {
        self.unit
    }

    /// Version and hash of the settings in force.
    pub const fn settings_version(&self) -> (u16, u32) {
        (self.version, self.hash)
    }

    /// True when this start may have found the sensors without power.
    pub const fn started_cold(&self) -> bool {
        !matches!(self.identity.reset_cause, ResetCause::Watchdog | ResetCause::Panic | ResetCause::Software | ResetCause::Pin)
    }

    /// What happened to it.
    pub const fn events(&self) -> &EventLog<M> {
        &self.log
    }

    /// What it knows of itself.
    pub fn health(&self) -> Health {
        let troubles = Troubles { beacon_failed: self.beacon.has_failed(), ..self.health.troubles };
        Health { troubles, ..self.health }
    }

    fn bounds(&self) -> Vec<Bounds, CHANNELS> {
        let bounds = |channel: &Channel| Bounds {
            quantity: channel.settings.quantity,
            unit: channel.settings.unit,
            range: channel.settings.self_test.range,
            normal: channel.settings.normal,
            needs_above: channel.needs_above,
            needs_below: channel.needs_below,
        };
        self.channels.iter().map(bounds).collect()
    }

    /// CRC-32 of the settings in force, as of their sheet.
    fn crc(&self) -> u32 {
        let mut crc = SettingsCrc::new();
        crc.words(&self.settings_head().content());
        self.channels.iter().for_each(|channel| crc.words(&channel.settings_block().content()));
        crc.end()
    }

    fn settings_head(&self) -> NodeSettingsBlock {
        NodeSettingsBlock { unit: self.unit, channels: self.channels.len() as u16 }
    }

    /// The settings in force, as words.
    fn sheet(&self) -> Sheet<CHANNELS> {
        let head = self.settings_head().content();
        Sheet { head, channels: self.channels.iter().map(|channel| channel.settings_block().content()).collect() }
    }
}

impl Channel {
    fn new(settings: &ChannelSettings) -> Channel {
        let shipped_with = |direction| [settings.low, settings.high].into_iter().flatten().any(|limit| limit.direction == direction);
        Channel {
            settings: *settings,
            record: CalibrationRecord::NONE,
            needs_above: shipped_with(Direction::High),
            needs_below: shipped_with(Direction::Low),
            self_test: SelfTest::new(settings.self_test),
            annunciator: Annunciator::new(settings.low, settings.high, settings.latching),
            outcome: Outcome::Bad(Fault::NotYetRead),
            sequence: 0,
            sampled_at: MonotonicMs(0),
        }
    }

    fn latch(&mut self, latches: Latches, bit: u16) {
        if latches.over_range & bit != 0 {
            self.self_test.latch();
        }
        self.annunciator.hold(LocalAlarm { low: latches.low & bit != 0, high: latches.high & bit != 0, latched: false });
    }

    fn settings_block(&self) -> ChannelSettingsBlock {
        let Channel { settings, record, .. } = self;
        let Calibration { zero, span, zero_per_kelvin } = settings.calibration;
        let CalibrationRecord { date, gas, lot, operator } = *record;
        ChannelSettingsBlock {
            quantity: settings.quantity,
            unit: settings.unit,
            latching: settings.latching,
            range_low: settings.self_test.range.0,
            range_high: settings.self_test.range.1,
            low: settings.low,
            high: settings.high,
            zero,
            span,
            zero_per_kelvin,
            date,
            gas,
            lot,
            operator,
        }
    }
}

fn note_change<M: LogMemory>(
    log: &mut EventLog<M>,
    channel: u8,
    (before, after): (Outcome, Outcome),
    (alarm_before, alarm): (LocalAlarm, LocalAlarm),
    number: f32,
    now: MonotonicMs,
) {
    let mut note = |kind, detail| log.note(Happening::channel(kind, channel, detail), now);
    let (old, new) = (before.quality(), after.quality());
    if old != new {
        match before {
            Outcome::Good(_) | Outcome::Bad(Fault::NotYetRead) => {}
            Outcome::Bad(Fault::WarmUp) => note(EventKind::WarmUpEnded, 0),
            Outcome::Uncertain(..) | Outcome::Bad(_) => note(EventKind::TroubleEnded, u32::from(old)),
        }
        if !matches!(after, Outcome::Good(_) | Outcome::Bad(Fault::WarmUp)) {
            note(EventKind::TroubleBegan, u32::from(new));
        }
    }
    for (was, is, raised, returned) in [
        (alarm_before.low, alarm.low, EventKind::LowRaised, EventKind::LowReturned),
        (alarm_before.high, alarm.high, EventKind::HighRaised, EventKind::HighReturned),
    ] {
        if was != is {
            note(if is { raised } else { returned }, number.to_bits());
        }
    }
    if alarm.latched && !alarm_before.latched {
        note(EventKind::Latched, number.to_bits());
    }
}

#[cfg(test)]
mod tests;
