//! Register map v1, pinned word by word. If this fails, nodes in the field would be misread: a new meaning is a
//! new version of the map, never a change of these words.
#![allow(clippy::expect_used, reason = "a test program: what it cannot do is its failure")]

use measurement::{Fault, Outcome, Unit, Value};
use register_map::{CHANNEL_WORDS, ChannelBlock, IDENTITY_WORDS, Identity, ResetCause, channel_address};

const IDENTITY: Identity = Identity {
    serial: 0x0123_4567_89AB_CDEF,
    firmware: 0x0102,
    boot_count: 7,
    uptime_s: 86_400,
    reset_cause: ResetCause::Watchdog,
    channels: 2,
    settings_version: 3,
    settings_hash: 0xDEAD_BEEF,
};

const IDENTITY_GOLDEN: [u16; IDENTITY_WORDS] = [
    0xDA57, 0x0001, 0x0123, 0x4567, 0x89AB, 0xCDEF, 0x0102, 0x0000, 0x0007, 0x0001, 0x5180, 0x0003, 0x0002, 0x0003, 0xDEAD, 0xBEEF, 0x0000,
    0xE6B5,
];

fn gas() -> ChannelBlock {
    ChannelBlock {
        sequence: 42,
        outcome: Outcome::Good(Value::new(12.5).expect("finite")),
        unit: Unit::PercentLel,
        quantity: 1,
        device_fault: 0,
        sample_age_ms: 250,
        range_low: 0.0,
        range_high: 100.0,
        local_alarm: 0b001,
        boot: 7,
    }
}

const GAS_GOLDEN: [u16; CHANNEL_WORDS] =
    [0x002A, 0x4148, 0x0000, 0x0200, 0x0001, 0x0000, 0x0000, 0x00FA, 0x0000, 0x0000, 0x42C8, 0x0000, 0x0107, 0x0000, 0x0000, 0x483E];
const FAULT_GOLDEN: [u16; CHANNEL_WORDS] =
    [0x002A, 0x7FC0, 0x0000, 0x0285, 0x0001, 0x0000, 0x0000, 0x00FA, 0x0000, 0x0000, 0x42C8, 0x0000, 0x0007, 0x0000, 0x0000, 0xF114];

#[test]
fn the_identity_block_is_these_words() {
    assert_eq!(IDENTITY.encode(), IDENTITY_GOLDEN, "{:#06X?}", IDENTITY.encode());
    assert_eq!(Identity::decode(&IDENTITY_GOLDEN), Ok(IDENTITY));
}

#[test]
fn a_good_reading_is_these_words() {
    assert_eq!(gas().encode(0), GAS_GOLDEN, "{:#06X?}", gas().encode(0));
    assert_eq!(ChannelBlock::decode(0, &GAS_GOLDEN), Ok(gas()));
}

#[test]
fn a_cut_wire_is_these_words_and_its_number_is_no_number() {
    let block = ChannelBlock { outcome: Outcome::Bad(Fault::WireBreak), local_alarm: 0, ..gas() };
    assert_eq!(block.encode(1), FAULT_GOLDEN, "{:#06X?}", block.encode(1));
    assert_eq!(ChannelBlock::decode(1, &FAULT_GOLDEN), Ok(block));
    assert!(f32::from_bits(u32::from(FAULT_GOLDEN[1]) << 16 | u32::from(FAULT_GOLDEN[2])).is_nan());
}

#[test]
fn a_block_read_from_another_address_is_refused() {
    assert!(ChannelBlock::decode(1, &GAS_GOLDEN).is_err());
}

#[test]
fn channels_lie_where_the_table_says() {
    assert_eq!([channel_address(0), channel_address(1), channel_address(15)], [0x0100, 0x0110, 0x01F0]);
}
