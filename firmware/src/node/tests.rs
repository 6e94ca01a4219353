use measurement::{Direction, Doubt};
use register_map::{CHANNEL_WORDS, ChannelBlock, FIRST_CHANNEL, IDENTITY_WORDS, Identity};

use super::*;

const LEL: ChannelId = ChannelId(0);
const OXYGEN: ChannelId = ChannelId(1);

fn v(number: f32) -> Value {
    Value::new(number).unwrap()
}

/// Combustible gas with two levels, and oxygen with none.
fn node() -> Node {
    let settings = NodeSettings { serial: 42, firmware: 0x0100, boot_count: 3, reset_cause: ResetCause::PowerOn, unit: 5 };
    let test = SelfTestSettings { range: (0.0, 100.0), below_tolerance: 3.0, stuck_after_ms: 0, stuck_step: 0.0, catalytic: true };
    let limit = |setpoint| {
        Some(Limit { direction: Direction::High, setpoint: v(setpoint), release: v(setpoint - 1.0), on_delay_ms: 0, off_delay_ms: 0 })
    };
    let lel = ChannelSettings {
        quantity: 1,
        unit: Unit::PercentLel,
        self_test: test,
        calibration: Calibration::NONE,
        bands: LoopBands::NE43,
        low: limit(10.0),
        high: limit(25.0),
        latching: false,
        oxygen: false,
        normal: (f32::MIN, 5.0),
    };
    let oxygen = ChannelSettings {
        quantity: 2,
        unit: Unit::PercentVol,
        self_test: SelfTestSettings { range: (0.0, 30.0), catalytic: false, ..test },
        low: None,
        high: None,
        oxygen: true,
        normal: (20.0, 22.0),
        ..lel
    };
    Node::new(settings, &[lel, oxygen])
}

fn block(node: &Node, channel: u16, now: u64) -> ChannelBlock {
    let mut words = [0; CHANNEL_WORDS];
    node.registers(register_map::channel_address(channel), &mut words, MonotonicMs(now)).unwrap();
    ChannelBlock::decode(channel, &words).unwrap()
}

#[test]
fn before_the_first_sample_a_channel_is_a_fault() {
    assert_eq!(block(&node(), 0, 0).outcome, Outcome::Bad(Fault::NotYetRead));
}

#[test]
fn a_sample_stands_in_the_registers_with_its_age_and_moves_the_sequence() {
    let mut node = node();
    node.sample(LEL, Signal::Number(5.0), 20.0, MonotonicMs(1000));
    let seen = block(&node, 0, 1250);
    assert_eq!((seen.outcome, seen.sample_age_ms, seen.sequence), (Outcome::measured(5.0), 250, 1));
}

#[test]
fn the_sounder_goes_on_in_the_call_that_takes_the_sample() {
    let mut node = node();
    assert!(!node.sample(LEL, Signal::Number(9.9), 20.0, MonotonicMs(0)).sounder);
    let outputs = node.sample(LEL, Signal::Number(26.0), 20.0, MonotonicMs(1));
    assert!(outputs.sounder && outputs.beacon);
}

#[test]
fn a_silenced_node_sounds_again_at_the_next_level_and_keeps_its_beacon() {
    let mut node = node();
    node.sample(LEL, Signal::Number(12.0), 20.0, MonotonicMs(0));
    node.silence(MonotonicMs(1));
    assert!(!node.outputs().sounder);
    assert!(node.sample(LEL, Signal::Number(30.0), 20.0, MonotonicMs(1)).sounder);
    node.silence(MonotonicMs(1));
    assert!(node.outputs().beacon);
}

/// Whether the sounder is on after a silence and each of these numbers.
fn sounds_after_silence(node: &mut Node, before: &[f32], after: &[f32]) -> bool {
    let feed = |node: &mut Node, number: f32| node.sample(LEL, Signal::Number(number), 20.0, MonotonicMs(0)).sounder;
    assert!(before.iter().fold(false, |_, number| feed(node, *number)));
    node.silence(MonotonicMs(1));
    after.iter().fold(false, |_, number| feed(node, *number))
}

#[test]
fn a_silence_does_not_hold_over_a_second_alarm_that_the_latch_already_shows() {
    let mut latching = node();
    latching.channels[0].annunciator = Annunciator::new(latching.channels[0].settings.low, latching.channels[0].settings.high, true);
    assert!(!sounds_after_silence(&mut latching, &[20.0], &[21.0, 0.0]), "the first alarm stays silenced");
    assert!(latching.sample(LEL, Signal::Number(12.0), 20.0, MonotonicMs(2)).sounder);
}

#[test]
fn a_silence_does_not_hold_over_gas_beyond_the_range_whatever_was_latched_before() {
    assert!(sounds_after_silence(&mut node(), &[30.0], &[120.0]));
    let mut once_over = node();
    assert!(!sounds_after_silence(&mut once_over, &[120.0], &[4.0, 50.0]));
    assert!(once_over.sample(LEL, Signal::Number(120.0), 20.0, MonotonicMs(2)).sounder);
    let mut lost = lost();
    assert!(!sounds_after_silence(&mut lost, &[5.0], &[60.0]));
    assert!(lost.sample(LEL, Signal::Number(120.0), 20.0, MonotonicMs(2)).sounder);
}

/// The same node after a reset that its memory outlives.
fn restarted(before: &Node) -> Node {
    let settings: std::vec::Vec<ChannelSettings> = before.channels.iter().map(|channel| channel.settings).collect();
    let mut node = before.clone();
    node.begin(NodeSettings { reset_cause: ResetCause::Watchdog, ..before.identity }, &settings);
    node.silenced = false;
    node
}

#[test]
fn a_bead_that_was_over_range_is_not_believed_after_a_reset_until_a_person_resets_it() {
    let mut before = node();
    before.sample(LEL, Signal::Number(120.0), 20.0, MonotonicMs(0));
    let mut node = restarted(&restarted(&before));
    let outputs = node.sample(LEL, Signal::Number(3.0), 20.0, MonotonicMs(1));
    assert_eq!(node.outcome(LEL), Some(Outcome::Uncertain(v(3.0), Doubt::OverRangeLatched)));
    assert!(outputs.sounder && outputs.beacon);
    node.reset_all(MonotonicMs(2));
    let mut node = restarted(&node);
    assert!(!node.sample(LEL, Signal::Number(3.0), 20.0, MonotonicMs(3)).sounder);
    assert_eq!(node.outcome(LEL), Some(Outcome::measured(3.0)));
}

#[test]
fn a_latched_alarm_is_held_at_its_level_over_a_reset() {
    let mut before = node();
    before.channels[0].settings.latching = true;
    let mut node = restarted(&before);
    node.sample(LEL, Signal::Number(15.0), 20.0, MonotonicMs(0));
    node.sample(LEL, Signal::Number(0.0), 20.0, MonotonicMs(1));
    let mut node = restarted(&node);
    let outputs = node.outputs();
    assert!(outputs.sounder && !outputs.beacon, "before anything is measured");
    let outputs = node.sample(LEL, Signal::Number(0.0), 20.0, MonotonicMs(2));
    assert!(outputs.sounder && !outputs.beacon);
    assert_eq!(block(&node, 0, 2).local_alarm, 0b101);
    node.reset(LEL, MonotonicMs(3));
    assert!(!restarted(&node).outputs().sounder);
}

#[test]
fn what_a_node_without_settings_holds_it_holds_over_a_reset() {
    let mut before = lost();
    before.sample(LEL, Signal::Number(6.0), 20.0, MonotonicMs(0));
    let mut node = restarted(&before);
    node.restore(&mut Held(Kept::Damaged, Sheet::new()));
    let outputs = node.sample(LEL, Signal::Number(0.0), 20.0, MonotonicMs(1));
    assert!(outputs.sounder && outputs.beacon);
}

#[test]
fn an_unplugged_module_is_a_fault_and_lights_the_fault_lamp() {
    let mut node = node();
    let outputs = node.sample(LEL, Signal::NoAnswer, 20.0, MonotonicMs(0));
    assert!(outputs.fault);
    assert_eq!(block(&node, 0, 0).outcome, Outcome::Bad(Fault::NotConnected));
}

#[test]
fn a_bead_is_doubted_while_the_same_node_sees_no_oxygen() {
    let mut node = node();
    node.sample(OXYGEN, Signal::Number(8.0), 20.0, MonotonicMs(0));
    node.sample(LEL, Signal::Number(2.0), 20.0, MonotonicMs(1));
    assert_eq!(block(&node, 0, 1).outcome, Outcome::Uncertain(v(2.0), Doubt::OxygenStarved));
}

#[test]
fn the_identity_block_counts_uptime_and_channels() {
    let mut words = [0; IDENTITY_WORDS];
    node().registers(0, &mut words, MonotonicMs(5_500)).unwrap();
    let identity = Identity::decode(&words).unwrap();
    assert_eq!((identity.serial, identity.uptime_s, identity.channels), (42, 5, 2));
}

#[test]
fn a_register_outside_the_map_is_named() {
    let mut words = [0; 40];
    assert_eq!(node().registers(FIRST_CHANNEL, &mut words, MonotonicMs(0)), Err(FIRST_CHANNEL + 32));
    assert_eq!(node().register(100, MonotonicMs(0)), None);
}

fn kinds<const N: usize, M: LogMemory>(node: &Node<N, M>) -> std::vec::Vec<(EventKind, Option<u8>, u32)> {
    let head = node.events().head();
    (head.oldest..=head.newest).filter_map(|sequence| node.events().record(sequence)).map(|r| (r.kind, r.channel, r.detail)).collect()
}

#[test]
fn what_happens_to_a_channel_stands_in_the_log_in_order() {
    let mut node = node();
    let steps =
        [Signal::WarmingUp, Signal::Number(5.0), Signal::Number(12.0), Signal::Number(26.0), Signal::Milliampere(0.0), Signal::Number(1.0)];
    for (signal, at) in steps.into_iter().zip(1..) {
        node.sample(LEL, signal, 20.0, MonotonicMs(at * 1000));
    }
    node.reset(LEL, MonotonicMs(9000));
    let broken = u32::from(Fault::WireBreak.code());
    assert_eq!(
        kinds(&node),
        [
            (EventKind::Started, None, 1),
            (EventKind::WarmUpEnded, Some(0), 0),
            (EventKind::LowRaised, Some(0), 12.0_f32.to_bits()),
            (EventKind::HighRaised, Some(0), 26.0_f32.to_bits()),
            (EventKind::TroubleBegan, Some(0), broken),
            (EventKind::TroubleEnded, Some(0), broken),
            (EventKind::LowReturned, Some(0), 1.0_f32.to_bits()),
            (EventKind::HighReturned, Some(0), 1.0_f32.to_bits()),
            (EventKind::AlarmReset, Some(0), 0),
        ]
    );
}

#[test]
fn a_dead_beacon_lights_the_fault_lamp_stands_in_health_and_log_and_touches_no_gas() {
    let mut node = node();
    node.sample(OXYGEN, Signal::Number(20.9), 20.0, MonotonicMs(0));
    node.sample(LEL, Signal::Number(30.0), 20.0, MonotonicMs(0));
    for at in [0, 1000, 1900] {
        node.beacon_feedback(false, MonotonicMs(at));
        assert!(!node.outputs().fault);
    }
    node.beacon_feedback(false, MonotonicMs(2000));
    assert!(node.outputs().fault && node.health().troubles.beacon_failed);
    assert_eq!(node.outcome(LEL), Some(Outcome::measured(30.0)));
    node.beacon_feedback(true, MonotonicMs(3000));
    assert!(!node.outputs().fault && !node.health().troubles.beacon_failed);
    assert_eq!(kinds(&node)[3..], [(EventKind::BeaconFailed, None, 0), (EventKind::BeaconWorks, None, 0)]);
}

/// Has kept this.
struct Held(Kept, Sheet<16>);

impl Keep<16> for Held {
    fn kept(&mut self, sheet: &mut Sheet<16>) -> Kept {
        *sheet = self.1.clone();
        self.0
    }

    fn keep(&mut self, _: u16, _: &Sheet<16>) -> Result<(), crate::settings::NotKept> {
        Ok(())
    }

    fn lasts(&self) -> bool {
        true
    }
}

fn lost() -> Node {
    let whole = node();
    let settings: std::vec::Vec<ChannelSettings> = whole.channels.iter().map(|channel| channel.settings).collect();
    let mut node = Node::new(whole.identity, &settings);
    node.restore(&mut Held(Kept::Damaged, Sheet::new()));
    node
}

#[test]
fn lost_settings_call_no_value_good_and_alarm_before_any_limit_that_can_be_set() {
    let mut node = lost();
    assert!(node.outputs().fault && node.health().troubles.settings_lost);
    let outputs = node.sample(LEL, Signal::Number(4.9), 20.0, MonotonicMs(0));
    assert!(!outputs.sounder);
    assert_eq!(node.outcome(LEL), Some(Outcome::Bad(Fault::Configuration)));
    let outputs = node.sample(LEL, Signal::Number(5.0), 20.0, MonotonicMs(1));
    assert!(outputs.sounder && outputs.beacon);
    let outputs = node.sample(LEL, Signal::Number(0.0), 20.0, MonotonicMs(2));
    assert!(outputs.beacon, "held until a person resets it");
    node.sample(LEL, Signal::NoAnswer, 20.0, MonotonicMs(3));
    assert_eq!(node.outcome(LEL), Some(Outcome::Bad(Fault::NotConnected)), "the sensor's own fault is not hidden");
}

#[test]
fn what_was_held_for_want_of_settings_ends_when_a_person_gives_some() {
    let mut node = lost();
    node.sample(LEL, Signal::Number(6.0), 20.0, MonotonicMs(0));
    let sheet = node.sheet();
    let mut keep = Held(Kept::Nothing, Sheet::new());
    node.write(register_map::DESK_KEY, &[0x5E77, 0x1E5A], &mut keep, MonotonicMs(1)).unwrap();
    let crc = sheet.crc();
    node.write(register_map::DESK_COMMIT, &[0, (crc >> 16) as u16, crc as u16], &mut keep, MonotonicMs(2)).unwrap();
    let outputs = node.sample(LEL, Signal::Number(6.0), 20.0, MonotonicMs(3));
    assert!(!outputs.sounder && !outputs.beacon);
}

#[test]
fn lost_settings_alarm_on_both_sides_of_the_air() {
    for number in [19.9, 22.1] {
        let mut node = lost();
        assert!(!node.sample(OXYGEN, Signal::Number(20.9), 20.0, MonotonicMs(0)).sounder);
        assert!(node.sample(OXYGEN, Signal::Number(number), 20.0, MonotonicMs(0)).beacon, "{number}");
    }
}

#[test]
fn settings_for_another_device_are_lost_settings() {
    let (own, mut other) = (node(), node());
    other.channels[0].settings.self_test.range.1 = 5.0;
    let settings: std::vec::Vec<ChannelSettings> = own.channels.iter().map(|channel| channel.settings).collect();
    let mut restored = Node::new(own.identity, &settings);
    restored.restore(&mut Held(Kept::Version(4), other.sheet()));
    assert!(restored.health().troubles.settings_lost);
    let mut kept = Node::new(own.identity, &settings);
    kept.restore(&mut Held(Kept::Version(4), own.sheet()));
    assert_eq!((kept.health().troubles.settings_lost, kept.settings_version()), (false, (4, own.sheet().crc())));
}

#[test]
fn every_block_of_the_map_is_shown_whole_and_none_beside_it() {
    let node = node();
    let read = |address: u16, count: usize| {
        let mut words = std::vec![0; count];
        node.registers(address, &mut words, MonotonicMs(0)).map(|()| words)
    };
    assert!(register_map::Health::decode(&read(register_map::HEALTH, 16).unwrap()).is_ok());
    let head = register_map::NodeSettingsBlock::decode(&read(register_map::SETTINGS, 8).unwrap()).unwrap();
    assert_eq!((head.unit, head.channels), (5, 2));
    assert_eq!(register_map::DeskBlock::decode(&read(register_map::DESK, 16).unwrap()).unwrap().open_s, 0);
    for channel in 0..2 {
        let words = read(register_map::channel_settings_address(channel), 64).unwrap();
        assert!(ChannelSettingsBlock::decode(channel, &words).is_ok());
    }
    let events = register_map::EventsHead::decode(&read(register_map::EVENTS, 8).unwrap()).unwrap();
    assert_eq!((events.oldest, events.newest, events.capacity), (1, 1, 184));
    for (address, count, missing) in [
        (18, 1, 18),
        (0x02FF, 1, 0x02FF),
        (0x0300, 17, 0x0310),
        (0x0400, 9, 0x0408),
        (0x0410, 17, 0x0420),
        (0x0500, 125, 0xFFFF),
        (0x0580, 1, 0x0580),
        (0x1000, 9, 0x1008),
        (0x1010 + 1839, 2, 0x1010 + 1840),
        (0xFFFF, 2, 0xFFFF),
    ] {
        let found = read(address, count);
        if missing == 0xFFFF && address != 0xFFFF {
            assert!(found.is_ok());
        } else {
            assert_eq!(found, Err(missing), "{address:#06X}");
        }
    }
}

#[test]
fn a_master_pages_through_the_events_by_their_sequence() {
    let mut node = node();
    for at in 1..=300_u64 {
        // Each takes a record of its own: the wire breaks and is mended, once in four hours.
        let signal = if at.is_multiple_of(2) { Signal::Number(1.0) } else { Signal::Milliampere(0.0) };
        node.sample(LEL, signal, 20.0, MonotonicMs(at * 4 * 3_600_000));
    }
    let head = node.events().head();
    assert_eq!((head.oldest, head.newest), (118, 301));
    for sequence in head.oldest..=head.newest {
        let mut words = [0; register_map::EVENT_WORDS];
        node.registers(register_map::event_address(sequence, head.capacity), &mut words, MonotonicMs(0)).unwrap();
        let record = register_map::EventRecord::decode(sequence, head.capacity, &words).unwrap().unwrap();
        assert_eq!((record.sequence, record.channel), (sequence, Some(0)));
        // A master that asks for what stood there a turn ago is told that it is gone.
        if let Some(earlier) = sequence.checked_sub(u32::from(head.capacity)) {
            assert_eq!(register_map::EventRecord::decode(earlier, head.capacity, &words), Ok(None));
        }
    }
}
