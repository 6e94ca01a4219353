use measurement::{Direction, Doubt, Value};

use super::*;

const LEL: ChannelId = ChannelId(0);
const OXYGEN: ChannelId = ChannelId(1);

fn v(number: f32) -> Value {
    Value::new(number).unwrap()
}

fn node() -> Node {
    let settings = NodeSettings {
        serial: 42,
        firmware: 0x0100,
        boot_count: 3,
        reset_cause: ResetCause::PowerOn,
        settings_version: 1,
        settings_hash: 7,
    };
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
    };
    let oxygen = ChannelSettings {
        quantity: 2,
        unit: Unit::PercentVol,
        self_test: SelfTestSettings { range: (0.0, 30.0), catalytic: false, ..test },
        low: None,
        high: None,
        oxygen: true,
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
    node.silence();
    assert!(!node.outputs().sounder);
    assert!(node.sample(LEL, Signal::Number(30.0), 20.0, MonotonicMs(1)).sounder);
    node.silence();
    assert!(node.outputs().beacon);
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
