#![allow(clippy::unwrap_used, reason = "a test may stop here")]
use super::*;
use crate::site::Site;
use measurement::{Unit, Value};
use register_map::{ChannelBlock, Identity, ResetCause};

mod foreign;

fn device() -> Device {
    let text = "gateway = \"g\"\n[broker]\nurl = \"mqtt://127.0.0.1:1\"\n[[bus]]\nname = \"b\"\ntcp = \"127.0.0.1:502\"\n[[bus.device]]\nname = \"d\"\n\
        unit = 1\nprofile = \"davy-node\"\nperiod_ms = 1000\n[[bus.device.channel]]\nkey = \"0\"\ntag = \"CH4\"\nquantity = \"CH4\"\nunit = \"%LEL\"\n\
        range = [0.0, 100.0]\nlimit = [{ high = 10.0, release = 9.0 }]\n";
    Site::parse(std::path::Path::new("site.toml"), text).unwrap().buses.remove(0).devices.remove(0)
}

fn identity(serial: u64, boot_count: u32) -> Identity {
    Identity {
        serial,
        firmware: 1,
        boot_count,
        uptime_s: 1,
        reset_cause: ResetCause::PowerOn,
        channels: 1,
        settings_version: 1,
        settings_hash: 0,
    }
}

fn block(sequence: u16, outcome: Outcome, boot: u8) -> ChannelBlock {
    ChannelBlock {
        sequence,
        outcome,
        unit: Unit::PercentLel,
        quantity: 1,
        device_fault: 0,
        sample_age_ms: 40,
        range_low: 0.0,
        range_high: 100.0,
        local_alarm: 0,
        boot,
    }
}

fn answer(identity: Identity, block: ChannelBlock) -> Answer {
    let blocks = device().profile.blocks(&["0"], &crate::site::Workarounds::default());
    Answer::Words(vec![(blocks[0], identity.encode().to_vec()), (blocks[1], block.encode(0).to_vec())])
}

fn good(value: f32) -> Outcome {
    Outcome::Good(Value::new(value).unwrap())
}

fn at(ms: u64) -> At {
    At { wall: Timestamp(1_800_000_000_000 + ms as i64), mono: MonotonicMs(ms) }
}

fn outcome(entries: &[NewEntry]) -> (Outcome, bool) {
    entries
        .iter()
        .find_map(|entry| match &entry.content {
            Content::Reading { reading, .. } => Some((reading.outcome, entry.urgent)),
            Content::Happening(_) => None,
        })
        .unwrap()
}

fn happenings(entries: &[NewEntry]) -> Vec<(HappeningKind, &str)> {
    let said = entries.iter().filter_map(|entry| match &entry.content {
        Content::Happening(happening) => Some((happening.kind(), happening.text.as_str())),
        Content::Reading { .. } => None,
    });
    said.collect()
}

#[test]
fn a_reading_was_sampled_as_long_ago_as_the_node_says() {
    let entries = interpret(&device(), &answer(identity(1, 1), block(1, good(5.0), 1)), at(1000), &mut Memory::default());
    let Content::Reading { reading, sample_age_ms, .. } = &entries[1].content else { panic!() };
    assert_eq!((reading.sampled_at, *sample_age_ms), (Timestamp(1_800_000_000_960), 40));
}

#[test]
fn no_answer_is_a_fault_and_never_a_zero() {
    assert_eq!(outcome(&interpret(&device(), &Answer::Nothing, at(0), &mut Memory::default())).0, Outcome::Bad(Fault::NoCommunication));
    assert_eq!(outcome(&interpret(&device(), &Answer::Refused(2), at(0), &mut Memory::default())).0, Outcome::Bad(Fault::DeviceRefused));
}

#[test]
fn a_block_of_another_channel_is_corrupt() {
    let blocks = device().profile.blocks(&["0"], &crate::site::Workarounds::default());
    let words = block(1, good(5.0), 1).encode(3).to_vec();
    let answer = Answer::Words(vec![(blocks[0], identity(1, 1).encode().to_vec()), (blocks[1], words)]);
    assert_eq!(outcome(&interpret(&device(), &answer, at(0), &mut Memory::default())).0, Outcome::Bad(Fault::Corrupt));
}

#[test]
fn another_device_at_the_address_is_the_wrong_device() {
    let blocks = device().profile.blocks(&["0"], &crate::site::Workarounds::default());
    let answer = Answer::Words(vec![(blocks[0], vec![7; 18]), (blocks[1], vec![7; 16])]);
    assert_eq!(outcome(&interpret(&device(), &answer, at(0), &mut Memory::default())).0, Outcome::Bad(Fault::WrongDevice));
}

#[test]
fn crossing_a_limit_or_changing_quality_is_urgent_and_a_node_is_believed_at_once() {
    let mut memory = Memory::default();
    let mut urgent = |sequence, reading| {
        let answer = answer(identity(1, 1), block(sequence, reading, 1));
        let (told, urgent) = outcome(&interpret(&device(), &answer, at(u64::from(sequence) * 1000), &mut memory));
        assert!(told == reading && !memory.wants_again());
        urgent
    };
    assert!(!urgent(1, good(5.0)));
    assert!(urgent(2, good(10.0)));
    assert!(!urgent(3, good(11.0)));
    assert!(urgent(4, Outcome::Bad(Fault::WireBreak)));
}

#[test]
fn a_channel_that_answers_but_no_longer_samples_has_stopped() {
    let mut memory = Memory::default();
    let mut read = |ms| outcome(&interpret(&device(), &answer(identity(1, 1), block(1, good(5.0), 1)), at(ms), &mut memory)).0;
    assert_eq!(read(0), good(5.0));
    assert_eq!(read(4000), good(5.0));
    assert_eq!(read(6000), Outcome::Bad(Fault::HeartbeatStalled));
}

#[test]
fn beyond_the_range_counts_as_high() {
    let found = outcome(&interpret(&device(), &answer(identity(1, 1), block(1, good(101.0), 1)), at(0), &mut Memory::default())).0;
    assert_eq!(found, Outcome::Uncertain(Value::new(101.0).unwrap(), measurement::Doubt::OverRange));
}

#[test]
fn a_swapped_device_is_said_once_and_a_restart_with_its_cause_in_words() {
    let mut memory = Memory::default();
    let mut said = |serial, boots| {
        let entries = interpret(&device(), &answer(identity(serial, boots), block(1, good(5.0), boots as u8)), at(0), &mut memory);
        happenings(&entries).into_iter().map(|(kind, text)| (kind, text.to_owned())).collect::<Vec<_>>()
    };
    let settings = (HappeningKind::Other, "device d has settings version 1 with hash 00000000".to_owned());
    assert_eq!(said(1, 1), std::slice::from_ref(&settings));
    let replaced = (HappeningKind::DeviceReplaced, "device d has serial 0000000000000002 where 0000000000000001 was".to_owned());
    assert_eq!(said(2, 1), [replaced, settings]);
    assert_eq!(said(2, 1), []);
    assert_eq!(said(2, 2), [(HappeningKind::DeviceRestarted, "device d restarted: its power came on".to_owned())]);
}

#[test]
fn settings_that_are_not_those_on_file_are_said_once_a_change() {
    let mut device = device();
    device.settings_hash = Some(0xABCD);
    let mut memory = Memory::default();
    let mut said = |hash| {
        let identity = Identity { settings_hash: hash, ..identity(1, 1) };
        let entries = interpret(&device, &answer(identity, block(1, good(5.0), 1)), at(0), &mut memory);
        happenings(&entries).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    assert_eq!(said(0xABCD), [HappeningKind::Other], "the first sight");
    assert_eq!(said(0xABCD), []);
    assert_eq!(said(0xBEEF), [HappeningKind::SettingsDiffer]);
    assert_eq!(said(0xBEEF), []);
    assert_eq!(said(0xABCD), [HappeningKind::Other], "as on file again");
}
