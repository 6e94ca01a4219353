use measurement::{Doubt, Fault, Outcome};
use register_map::ResetCause;
use sensors::winsen::check_sum;

use super::*;
use crate::modbus::crc16;
use crate::node::NodeSettings;
use crate::shipped::{FOUR_GAS_CHANNELS, FOUR_GAS_MODULE, settings_hash};

const UNIT: u8 = 17;

fn station() -> Station<4> {
    let settings = NodeSettings {
        serial: 1,
        firmware: 1,
        boot_count: 1,
        reset_cause: ResetCause::PowerOn,
        settings_version: 0,
        settings_hash: settings_hash(&FOUR_GAS_CHANNELS),
    };
    let gas = GasModule::new(FOUR_GAS_MODULE, MonotonicMs(0));
    Station::new(Node::sized(settings, &FOUR_GAS_CHANNELS), gas, UNIT, Framer::new(9600))
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
