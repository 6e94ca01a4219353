use measurement::{Doubt, Fault, Outcome, Unit};
use register_map::ResetCause;
use sensors::winsen::check_sum;

use super::*;
use crate::conversion::{Calibration, LoopBands};
use crate::event_log::LOG_WORDS;
use crate::modbus::crc16;
use crate::shipped::{FOUR_GAS_CHANNELS, FOUR_GAS_MODULE};

const UNIT: u8 = 17;
const IDENTITY: NodeSettings = NodeSettings { serial: 1, firmware: 1, boot_count: 1, reset_cause: ResetCause::PowerOn, unit: UNIT };

fn station() -> Station<4> {
    let gas = GasModule::new(FOUR_GAS_MODULE, MonotonicMs(0));
    let mut station = Station::new([0; LOG_WORDS], Forgetful, Framer::new(9600));
    station.begin(IDENTITY, &FOUR_GAS_CHANNELS);
    station.set_gas_module(gas);
    station
}

fn say(station: &mut Station<4>, gases: [u16; 4], at_ms: u64) {
    let mut frame = std::vec![0xFF, 0x86];
    frame.extend(gases.iter().flat_map(|gas| gas.to_be_bytes()));
    frame.push(check_sum(&frame[1..]));
    for _ in 0..2 {
        frame.iter().for_each(|byte| station.gas_byte(*byte, at_ms * 1000));
    }
}

#[test]
fn gas_rises_and_the_sounder_is_on_in_the_call_that_takes_the_last_byte() {
    let mut station = station();
    say(&mut station, [0, 0, 209, 0], 0);
    assert_eq!(station.outputs(), Outputs { sounder: false, beacon: false, fault: false });
    say(&mut station, [0, 0, 209, 12], 1000);
    assert_eq!(station.outputs(), Outputs { sounder: true, beacon: false, fault: false });
    say(&mut station, [0, 0, 209, 30], 2000);
    assert_eq!(station.outputs(), Outputs { sounder: true, beacon: true, fault: false });
}

#[test]
fn a_module_that_falls_silent_is_a_fault_on_every_channel_and_the_alarm_stays() {
    let mut station = station();
    say(&mut station, [40, 0, 209, 0], 0);
    station.sample(3_000_000);
    for channel in 0..4 {
        assert_eq!(station.node().outcome(ChannelId(channel)), Some(Outcome::Bad(Fault::NotConnected)));
    }
    assert_eq!(station.outputs(), Outputs { sounder: true, beacon: true, fault: true });
}

#[test]
fn little_oxygen_in_a_frame_casts_doubt_on_the_methane_of_the_same_frame() {
    let mut station = station();
    say(&mut station, [0, 0, 90, 3], 0);
    assert!(matches!(station.node().outcome(ChannelId(3)), Some(Outcome::Uncertain(_, Doubt::OxygenStarved))));
}

#[test]
fn a_request_is_answered_after_three_and_a_half_characters_of_silence() {
    let mut station = station();
    let mut request = std::vec![UNIT, 3, 0, 0, 0, 2];
    request.extend(crc16(&request).to_le_bytes());
    let mut out = [0; MAX_FRAME];
    for (i, byte) in (0..).zip(&request) {
        station.line_byte(*byte, i * 1146);
    }
    let last = 7 * 1146;
    assert_eq!(station.answer(last + 4009, &mut out), None);
    assert_eq!(station.answer(last + 4010, &mut out), Some(9));
    assert_eq!(out[..7], [UNIT, 3, 4, 0xDA, 0x57, 0, 1]);
}

#[test]
fn on_a_line_without_time_a_whole_request_is_answered_at_once_and_a_broken_one_is_cleared() {
    let mut station = station();
    station.framer = Framer::with_silence(100_000);
    let mut request = std::vec![UNIT, 4, 0, 0, 0, 1];
    request.extend(crc16(&request).to_le_bytes());
    let mut out = [0; MAX_FRAME];
    request[..5].iter().for_each(|byte| station.line_byte(*byte, 0));
    assert_eq!(station.answer_at_once(100_000, &mut out), None);
    request.iter().for_each(|byte| station.line_byte(*byte, 200_000));
    assert_eq!(station.answer_at_once(200_000, &mut out), Some(7));
}

/// A part whose numbers and troubles the test gives.
struct Part<const N: usize> {
    says: Option<[f32; N]>,
    starts: usize,
}

#[derive(Debug)]
struct Silent;

impl<const N: usize> Measure<N> for Part<N> {
    type Error = Silent;
    const READY_AFTER_MS: u32 = 9;

    fn start(&mut self) -> Result<(), Silent> {
        self.starts += 1;
        self.says.map(|_| ()).ok_or(Silent)
    }

    fn read(&mut self) -> Result<Option<[f32; N]>, Silent> {
        self.says.map(Some).ok_or(Silent)
    }

    fn is_garbled(_: &Silent) -> bool {
        false
    }
}

const LOOP: InputSettings = InputSettings {
    kind: InputKind::Loop,
    channels: [Some(ChannelId(0)), None, None],
    every_ms: 500,
    warm_up_ms: 60_000,
    silent_after_ms: 3000,
    converter: Some(0),
};
const AIR: InputSettings = InputSettings {
    kind: InputKind::AirTemperature,
    channels: [Some(ChannelId(1)), None, None],
    every_ms: 5000,
    warm_up_ms: 0,
    silent_after_ms: 15_000,
    converter: None,
};

/// A methane loop of 0 to 100 %LEL and a thermometer, on a station that was only reset, so that nothing warms up.
fn looped(reset_cause: ResetCause) -> Station<2> {
    let drifting = Calibration { zero_per_kelvin: 0.5, ..Calibration::NONE };
    let methane = ChannelSettings { calibration: drifting, bands: LoopBands::NE43, ..FOUR_GAS_CHANNELS[3] };
    let celsius = ChannelSettings { unit: Unit::Celsius, low: None, high: None, ..FOUR_GAS_CHANNELS[0] };
    let mut station = Station::new([0; LOG_WORDS], Forgetful, Framer::new(9600));
    station.begin(NodeSettings { reset_cause, ..IDENTITY }, &[methane, celsius]);
    station.set_inputs(&[LOOP, AIR]);
    station
}

/// Shows the part to the station every 5 ms.
fn attend<const N: usize>(station: &mut Station<2>, input: usize, part: &mut Part<N>, from_ms: u64, to_ms: u64) {
    (from_ms..to_ms).step_by(5).for_each(|at| station.attend(input, part, at * 1000));
}

#[test]
fn a_loop_is_sampled_at_its_own_pace_and_alarms_in_the_call_that_reads_it() {
    let mut station = looped(ResetCause::Watchdog);
    let mut part = Part { says: Some([12.0]), starts: 0 };
    for at in 0..2 {
        station.attend(0, &mut part, at * 9000);
    }
    assert_eq!(station.node().outcome(ChannelId(0)), Some(Outcome::measured(50.0)));
    assert!(station.outputs().sounder && station.outputs().beacon, "9 ms after the conversion was started");
    attend(&mut station, 0, &mut part, 10, 5000);
    assert_eq!(part.starts, 10, "every half second, and not with every round");
}

#[test]
fn with_no_gateway_the_alarm_is_there_within_100_ms_of_the_gas() {
    let mut station = looped(ResetCause::Watchdog);
    let fast = InputSettings { every_ms: 50, ..LOOP };
    station.set_inputs(&[fast, AIR]);
    let mut part = Part { says: Some([4.0]), starts: 0 };
    attend(&mut station, 0, &mut part, 0, 1003);
    assert!(!station.outputs().sounder);
    part.says = Some([20.0]);
    let heard = (1003..).find(|at| {
        station.attend(0, &mut part, at * 1000);
        station.outputs().sounder
    });
    assert!(heard.unwrap() - 1003 <= 100, "{heard:?}");
}

#[test]
fn after_power_came_a_loop_warms_up_and_no_spike_of_it_alarms() {
    let mut station = looped(ResetCause::PowerOn);
    let mut part = Part { says: Some([20.0]), starts: 0 };
    attend(&mut station, 0, &mut part, 0, 59_000);
    assert_eq!(station.node().outcome(ChannelId(0)), Some(Outcome::Bad(Fault::WarmUp)));
    assert!(!station.outputs().sounder && station.outputs().fault, "not protecting, and it shows");
    part.says = Some([8.0]);
    attend(&mut station, 0, &mut part, 59_000, 61_000);
    assert_eq!(station.node().outcome(ChannelId(0)), Some(Outcome::measured(25.0)));
}

#[test]
fn a_broken_wire_is_seen_even_while_it_warms_up_and_starts_the_warm_up_anew() {
    let mut station = looped(ResetCause::PowerOn);
    let mut part = Part { says: Some([0.0]), starts: 0 };
    attend(&mut station, 0, &mut part, 0, 50_000);
    assert_eq!(station.node().outcome(ChannelId(0)), Some(Outcome::Bad(Fault::WireBreak)));
    part.says = Some([8.0]);
    attend(&mut station, 0, &mut part, 50_000, 100_000);
    assert_eq!(station.node().outcome(ChannelId(0)), Some(Outcome::Bad(Fault::WarmUp)));
    attend(&mut station, 0, &mut part, 100_000, 112_000);
    assert_eq!(station.node().outcome(ChannelId(0)), Some(Outcome::measured(25.0)));
}

#[test]
fn a_converter_that_falls_silent_is_a_fault_after_its_time_and_not_before() {
    let mut station = looped(ResetCause::Watchdog);
    let mut part = Part { says: Some([8.0]), starts: 0 };
    attend(&mut station, 0, &mut part, 0, 1000);
    part.says = None;
    attend(&mut station, 0, &mut part, 1000, 3000);
    assert_eq!(station.node().outcome(ChannelId(0)), Some(Outcome::measured(25.0)));
    attend(&mut station, 0, &mut part, 3000, 4000);
    assert_eq!(station.node().outcome(ChannelId(0)), Some(Outcome::Bad(Fault::NotConnected)));
    // The transmitter behind it had its power all the while.
    part.says = Some([8.0]);
    attend(&mut station, 0, &mut part, 4000, 5000);
    assert_eq!(station.node().outcome(ChannelId(0)), Some(Outcome::measured(25.0)));
}

#[test]
fn the_thermometer_beside_the_gas_compensates_the_zero_until_it_falls_silent() {
    let mut station = looped(ResetCause::Watchdog);
    let (mut part, mut air) = (Part { says: Some([12.0]), starts: 0 }, Part { says: Some([30.0]), starts: 0 });
    attend(&mut station, 1, &mut air, 0, 20);
    attend(&mut station, 0, &mut part, 20, 40);
    assert_eq!(station.node().outcome(ChannelId(0)), Some(Outcome::measured(45.0)), "ten kelvin of half a %LEL");
    air.says = None;
    attend(&mut station, 1, &mut air, 1000, 60_000);
    attend(&mut station, 0, &mut part, 60_000, 62_000);
    assert_eq!(station.node().outcome(ChannelId(0)), Some(Outcome::measured(50.0)));
    assert_eq!(station.node().outcome(ChannelId(1)), Some(Outcome::Bad(Fault::NotConnected)), "and its own channel says why");
}

#[test]
fn parts_that_share_a_converter_take_turns() {
    let loops: [InputSettings; 4] = core::array::from_fn(|i| InputSettings { channels: [Some(ChannelId(i as u32)), None, None], ..LOOP });
    let mut station: Station<4> = Station::new([0; LOG_WORDS], Forgetful, Framer::new(9600));
    station.begin(NodeSettings { reset_cause: ResetCause::Watchdog, ..IDENTITY }, &FOUR_GAS_CHANNELS);
    station.set_inputs(&loops);
    let mut parts: [Part<1>; 4] = core::array::from_fn(|_| Part { says: Some([12.0]), starts: 0 });
    let mut before = [0; 4];
    for at in 0..2000 {
        for (i, part) in parts.iter_mut().enumerate() {
            station.attend(i, part, at * 1000);
        }
        let starts: [usize; 4] = core::array::from_fn(|i| parts[i].starts);
        let at_once = starts.iter().zip(before).filter(|(now, before)| *now != before).count();
        assert!(at_once <= 1, "two conversions at once on one converter");
        before = starts;
    }
    assert!(before.iter().all(|starts| (3..=4).contains(starts)), "{before:?}");
}

#[test]
fn a_part_that_nobody_listed_changes_nothing() {
    let mut station = looped(ResetCause::PowerOn);
    station.attend(7, &mut Part { says: Some([20.0]), starts: 0 }, 0);
    assert_eq!(station.outputs(), Outputs { sounder: false, beacon: false, fault: true });
}
