//! Register map v1, pinned word by word. If this fails, nodes in the field would be misread: a new meaning is a
//! new version of the map, never a change of these words.
#![allow(clippy::expect_used, reason = "a test program: what it cannot do is its failure")]

use measurement::{Direction, Fault, Limit, Outcome, Unit, Value};
use register_map::{
    BoardFacts, CHANNEL_SETTINGS_WORDS, CHANNEL_WORDS, ChannelBlock, ChannelSettingsBlock, DESK_COMMIT, DESK_KEY, DESK_WORDS, DeskBlock,
    EVENT_WORDS, EVENTS_WORDS, EventKind, EventRecord, EventsHead, HEALTH_WORDS, Health, IDENTITY_WORDS, Identity, NodeSettingsBlock,
    Refusal, ResetCause, SETTINGS_WORDS, SettingsCrc, Troubles, WRITE_ENABLE_KEY, channel_address, channel_settings_address, event_address,
};

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

fn limit(direction: Direction, setpoint: f32, release: f32, on_delay_ms: u32, off_delay_ms: u32) -> Option<Limit> {
    Some(Limit { direction, setpoint: Value::new(setpoint)?, release: Value::new(release)?, on_delay_ms, off_delay_ms })
}

fn text(text: &[u8]) -> [u8; 16] {
    core::array::from_fn(|i| text.get(i).copied().unwrap_or(0))
}

/// Oxygen, whose first level is below and whose second is above: every kind of word is in use.
fn oxygen() -> ChannelSettingsBlock {
    ChannelSettingsBlock {
        quantity: 3,
        unit: Unit::PercentVol,
        latching: true,
        range_low: 0.0,
        range_high: 25.0,
        low: limit(Direction::Low, 19.5, 19.75, 1_000, 70_000),
        high: limit(Direction::High, 23.5, 23.25, 0, 0),
        zero: -0.25,
        span: 1.125,
        zero_per_kelvin: 0.0625,
        date: 20_261_124,
        gas: text(b"O2 20.9 %vol"),
        lot: text(b"LOT 4711"),
        operator: text(b"Wang Fang"),
    }
}

const OXYGEN_GOLDEN: [u16; CHANNEL_SETTINGS_WORDS] = [
    0x0003, 0x0101, 0x0000, 0x0000, 0x41C8, 0x0000, 0x0003, 0x419C, 0x0000, 0x419E, 0x0000, 0x0000, 0x03E8, 0x0001, 0x1170, 0x0001, 0x41BC,
    0x0000, 0x41BA, 0x0000, 0x0000, 0x0000, 0x0000, 0x0000, 0xBE80, 0x0000, 0x3F90, 0x0000, 0x3D80, 0x0000, 0x0135, 0x2904, 0x4F32, 0x2032,
    0x302E, 0x3920, 0x2576, 0x6F6C, 0x0000, 0x0000, 0x4C4F, 0x5420, 0x3437, 0x3131, 0x0000, 0x0000, 0x0000, 0x0000, 0x5761, 0x6E67, 0x2046,
    0x616E, 0x6700, 0x0000, 0x0000, 0x0000, 0x0000, 0x0000, 0x0000, 0x0000, 0x0000, 0x0000, 0x0000, 0x524C,
];
const NODE_SETTINGS: NodeSettingsBlock = NodeSettingsBlock { unit: 17, channels: 4 };
const NODE_SETTINGS_GOLDEN: [u16; SETTINGS_WORDS] = [0x0011, 0x0004, 0x0000, 0x0000, 0x0000, 0x0000, 0x0000, 0xE848];
const DESK: DeskBlock =
    DeskBlock { version: 3, content_crc: 0xDEAD_BEEF, open_s: 42, refusal: Refusal::Inconsistent, refused_channel: Some(2) };
const DESK_GOLDEN: [u16; DESK_WORDS] =
    [0x0000, 0x0000, 0x0003, 0xDEAD, 0xBEEF, 0x002A, 0x000A, 0x0002, 0x0000, 0x0000, 0x0000, 0x0000, 0x0000, 0x0000, 0x0000, 0x54CB];
const HEALTH: Health = Health {
    troubles: Troubles { beacon_failed: true, settings_lost: false, events_lost: true, settings_not_kept: true },
    board: BoardFacts {
        watchdog_ms: Some(1000),
        longest_round_ms: Some(17),
        stack_free: Some(2048),
        stack_size: None,
        clock_source: Some(1),
    },
    answered: 70_000,
    bad_frames: 3,
};
const HEALTH_GOLDEN: [u16; HEALTH_WORDS] =
    [0x000D, 0x03E8, 0x0011, 0x0800, 0xFFFF, 0x0001, 0x0001, 0x1170, 0x0000, 0x0003, 0x0000, 0x0000, 0x0000, 0x0000, 0x0000, 0x126E];
const EVENTS: EventsHead = EventsHead { oldest: 70_000, newest: 70_183, capacity: 184 };
const EVENTS_GOLDEN: [u16; EVENTS_WORDS] = [0x0001, 0x1170, 0x0001, 0x1227, 0x00B8, 0x000A, 0x0000, 0x4685];
const RAISED: EventRecord = EventRecord {
    sequence: 70_001,
    kind: EventKind::HighRaised,
    channel: Some(3),
    boot: 7,
    uptime_s: 86_400,
    detail: 0x41C8_0000,
    more: 0x0305,
};
const RAISED_GOLDEN: [u16; EVENT_WORDS] = [0x0001, 0x1171, 0x0403, 0x0007, 0x0001, 0x5180, 0x41C8, 0x0000, 0x0305, 0xAF5C];

#[test]
fn the_settings_of_a_channel_are_these_words() {
    assert_eq!(oxygen().encode(2), OXYGEN_GOLDEN, "{:#06X?}", oxygen().encode(2));
    assert_eq!(ChannelSettingsBlock::decode(2, &OXYGEN_GOLDEN), Ok(oxygen()));
}

#[test]
fn the_settings_of_the_node_and_its_desk_are_these_words() {
    assert_eq!(NODE_SETTINGS.encode(), NODE_SETTINGS_GOLDEN, "{:#06X?}", NODE_SETTINGS.encode());
    assert_eq!(NodeSettingsBlock::decode(&NODE_SETTINGS_GOLDEN), Ok(NODE_SETTINGS));
    assert_eq!(DESK.encode(), DESK_GOLDEN, "{:#06X?}", DESK.encode());
    assert_eq!(DeskBlock::decode(&DESK_GOLDEN), Ok(DESK));
}

#[test]
fn the_settings_hash_covers_content_and_no_check_words() {
    let mut crc = SettingsCrc::new();
    crc.words(&NODE_SETTINGS_GOLDEN[..7]);
    crc.words(&OXYGEN_GOLDEN[..63]);
    assert_eq!(crc.end(), 0x771B_F5A4, "{:#010X}", crc.end());
}

#[test]
fn the_health_block_is_these_words() {
    assert_eq!(HEALTH.encode(), HEALTH_GOLDEN, "{:#06X?}", HEALTH.encode());
    assert_eq!(Health::decode(&HEALTH_GOLDEN), Ok(HEALTH));
}

#[test]
fn the_event_window_is_these_words() {
    assert_eq!(EVENTS.encode(), EVENTS_GOLDEN, "{:#06X?}", EVENTS.encode());
    assert_eq!(EventsHead::decode(&EVENTS_GOLDEN), Ok(EVENTS));
    assert_eq!(RAISED.encode(184), RAISED_GOLDEN, "{:#06X?}", RAISED.encode(184));
    assert_eq!(EventRecord::decode(70_001, 184, &RAISED_GOLDEN), Ok(Some(RAISED)));
}

#[test]
fn settings_desk_and_events_lie_where_the_table_says() {
    assert_eq!([channel_settings_address(0), channel_settings_address(15)], [0x0500, 0x08C0]);
    assert_eq!([DESK_KEY, DESK_COMMIT], [0x0410, 0x0412]);
    assert_eq!([register_map::HEALTH, register_map::SETTINGS, register_map::EVENTS], [0x0300, 0x0400, 0x1000]);
    assert_eq!([event_address(184, 184), event_address(183, 184), event_address(1, 184)], [0x1010, 0x1010 + 1830, 0x101A]);
    assert_eq!(WRITE_ENABLE_KEY, 0x5E77_1E5A);
}

#[test]
fn every_kind_of_event_and_every_refusal_keeps_its_code() {
    let kinds: Vec<u8> = EventKind::ALL.iter().map(|kind| *kind as u8).collect();
    assert_eq!(kinds, (1..=18).collect::<Vec<u8>>());
    assert_eq!((EventKind::Started as u8, EventKind::TroubleBegan as u8, EventKind::SettingsChanged as u8), (1, 9, 12));
    assert_eq!((EventKind::BeaconFailed as u8, EventKind::LogLost as u8), (16, 18));
    assert_eq!((Refusal::Shut as u16, Refusal::Content as u16, Refusal::Noise as u16, Refusal::NotKept as u16), (1, 4, 9, 15));
}
