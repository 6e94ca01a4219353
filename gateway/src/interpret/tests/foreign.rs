//! Devices of other makers: the heartbeat, and the unit the device states.
use super::*;

/// An XNX whose gas is taken in a unit, with this more in the channel's table.
fn xnx(unit: &str, more: &str) -> Device {
    let text = format!(
        "gateway = \"g\"\n[broker]\nurl = \"mqtt://127.0.0.1:1\"\n[[bus]]\nname = \"b\"\ntcp = \"127.0.0.1:502\"\n[[bus.device]]\nname = \"d\"\n\
         unit = 1\nprofile = \"honeywell-xnx\"\nperiod_ms = 1000\n[[bus.device.channel]]\nkey = \"gas\"\ntag = \"gas\"\nquantity = \"CH4\"\n\
         unit = \"{unit}\"\n{more}\n"
    );
    Site::parse(std::path::Path::new("site.toml"), &text).unwrap().buses.remove(0).devices.remove(0)
}

/// 50.0 in the unit with this code; state 1 is normal.
fn words(beat: u16, unit_code: u16, state: u16) -> Answer {
    let words = vec![0x2401, 0x2401, 0x4248, 0x0000, 0, 0, state, beat, 0, 0, unit_code];
    Answer::Words(vec![(Block { function: 3, address: 0, count: 11 }, words)])
}

/// What is believed after two readings.
fn read(device: &Device, answer: &Answer) -> Outcome {
    let mut memory = Memory::default();
    interpret(device, answer, at(0), &mut memory);
    outcome(&interpret(device, answer, at(100), &mut memory)).0
}

#[test]
fn a_device_whose_heartbeat_stands_still_has_stopped_although_it_answers() {
    let (device, mut memory) = (xnx("%LEL", ""), Memory::default());
    let mut read = |ms, beat| outcome(&interpret(&device, &words(beat, 5, 1), at(ms), &mut memory)).0;
    assert_eq!(read(0, 7), good(50.0));
    assert_eq!(read(15_000, 7), good(50.0));
    assert_eq!(read(15_001, 7), Outcome::Bad(Fault::HeartbeatStalled));
    assert!(interpret(&device, &words(8, 5, 1), at(16_000), &mut memory).is_empty() && memory.wants_again(), "a fault is over");
    let mut read = |ms, beat| outcome(&interpret(&device, &words(beat, 5, 1), at(ms), &mut memory)).0;
    assert_eq!(read(16_100, 8), good(50.0));
    assert_eq!(read(31_000, 8), good(50.0));
    assert_eq!(read(31_001, 8), Outcome::Bad(Fault::HeartbeatStalled));
}

#[test]
fn silence_on_the_line_is_not_a_heartbeat_that_stands_still() {
    let (device, mut memory) = (xnx("%LEL", ""), Memory::default());
    let mut read = |ms, answer: Answer| outcome(&interpret(&device, &answer, at(ms), &mut memory)).0;
    assert_eq!(read(0, words(7, 5, 1)), good(50.0));
    assert_eq!(read(60_000, Answer::Nothing), Outcome::Bad(Fault::NoCommunication));
    assert_eq!(read(61_000, words(9, 5, 1)), good(50.0));
}

#[test]
fn a_heartbeat_that_wraps_still_beats() {
    let (device, mut memory) = (xnx("%LEL", ""), Memory::default());
    for (ms, beat) in [(0, 65_535), (14_000, 0), (28_000, 1)] {
        assert_eq!(outcome(&interpret(&device, &words(beat, 5, 1), at(ms), &mut memory)).0, good(50.0));
    }
}

#[test]
fn a_fault_that_the_device_names_is_said_rather_than_its_heartbeat() {
    let (device, mut memory) = (xnx("%LEL", ""), Memory::default());
    interpret(&device, &words(7, 5, 3), at(0), &mut memory);
    assert_eq!(outcome(&interpret(&device, &words(7, 5, 3), at(60_000), &mut memory)).0, Outcome::Bad(Fault::Inhibited));
}

#[test]
fn another_unit_of_the_same_quantity_is_converted() {
    assert_eq!(read(&xnx("%LEL", ""), &words(1, 5, 1)), good(50.0));
    assert_eq!(read(&xnx("ppm", ""), &words(1, 3, 1)), good(500_000.0));
    assert_eq!(read(&xnx("%vol", "lel_percent_vol = 5.0"), &words(1, 5, 1)), good(2.5));
    assert_eq!(read(&xnx("%LEL", "lel_percent_vol = 5.0\nrange = [0, 100]"), &words(1, 4, 1)), good(0.1));
}

#[test]
fn a_doubt_outlives_the_conversion_and_the_range_is_that_of_the_channel() {
    let doubtful = Outcome::Uncertain(Value::new(2.5).unwrap(), measurement::Doubt::Maintenance);
    assert_eq!(read(&xnx("%vol", "lel_percent_vol = 5.0"), &words(1, 5, 10)), doubtful);
    let over = Outcome::Uncertain(Value::new(500_000.0).unwrap(), measurement::Doubt::OverRange);
    assert_eq!(read(&xnx("ppm", "range = [0, 10000]"), &words(1, 3, 1)), over);
}

#[test]
fn a_unit_that_cannot_become_the_sites_is_a_fault_and_never_the_bare_number() {
    let configuration = Outcome::Bad(Fault::Configuration);
    assert_eq!(read(&xnx("%vol", ""), &words(1, 5, 1)), configuration, "no LEL base");
    assert_eq!(read(&xnx("mg/m3", ""), &words(1, 4, 1)), configuration, "no molar mass");
    assert_eq!(read(&xnx("°C", ""), &words(1, 4, 1)), configuration, "another quantity");
    assert_eq!(read(&xnx("ppm", ""), &words(1, 9, 1)), configuration, "a unit the profile does not know");
}

#[test]
fn a_channel_without_a_unit_and_a_device_that_states_none_take_the_number_as_it_stands() {
    assert_eq!(read(&xnx("1", ""), &words(1, 4, 1)), good(50.0));
    assert_eq!(read(&xnx("1", ""), &words(1, 9, 1)), good(50.0));
    assert_eq!(read(&xnx("ppm", ""), &words(1, 0, 1)), good(50.0));
}

#[test]
fn another_serial_number_seen_twice_is_another_device_and_nothing_is_remembered_of_the_last() {
    let text = "gateway = \"g\"\n[broker]\nurl = \"mqtt://127.0.0.1:1\"\n[[bus]]\nname = \"b\"\ntcp = \"127.0.0.1:502\"\n[[bus.device]]\nname = \"d\"\n\
        unit = 1\nprofile = \"senseair-s8\"\n[[bus.device.channel]]\nkey = \"co2\"\ntag = \"co2\"\nquantity = \"CO2\"\nunit = \"ppm\"\n\
        limit = [{ high = 1000.0, release = 900.0 }]\n";
    let device = Site::parse(std::path::Path::new("site.toml"), text).unwrap().buses.remove(0).devices.remove(0);
    let polled = device.profile.blocks(&["co2"], &crate::site::Workarounds::default());
    let who = device.profile.serial_blocks(&["co2"], &crate::site::Workarounds::default());
    let answer = |co2: u16, serial: Option<u16>| {
        let mut words: Vec<(Block, Vec<u16>)> = polled.iter().map(|block| (*block, vec![0; usize::from(block.count)])).collect();
        let (block, gas) = words.iter_mut().find(|(block, _)| block.address <= 3 && block.address + block.count > 3).unwrap();
        gas[usize::from(3 - block.address)] = co2;
        if let Some(serial) = serial {
            words.extend(who.iter().map(|block| (*block, vec![serial; usize::from(block.count)])));
        }
        Answer::Words(words)
    };
    let mut memory = Memory::default();
    let mut told = |ms, co2, serial| {
        let entries = interpret(&device, &answer(co2, serial), at(ms), &mut memory);
        let said: Vec<HappeningKind> = happenings(&entries).into_iter().map(|(kind, _)| kind).collect();
        let readings = entries.len() - said.len();
        (said, readings, memory.doubts_who())
    };
    let replaced = HappeningKind::DeviceReplaced;
    assert_eq!(told(0, 1200, Some(1)), (vec![], 1, false));
    assert_eq!(told(100, 1200, None), (vec![], 1, false), "the alarm is believed");
    assert_eq!(told(200, 500, Some(2)), (vec![], 0, true), "one wrong frame could be all of this");
    assert_eq!(told(300, 1200, Some(1)), (vec![], 1, false), "it was");
    assert_eq!(told(400, 500, Some(2)), (vec![], 0, true));
    assert_eq!(told(500, 500, Some(2)), (vec![replaced], 1, false));
}
