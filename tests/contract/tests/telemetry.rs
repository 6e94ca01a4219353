//! Telemetry v1, pinned byte by byte. If this fails, a gateway in the field and a collector would no longer
//! understand each other: fields are only ever added, a new meaning is a new version and a new topic root.
#![allow(clippy::expect_used, reason = "a test program: what it cannot do is its failure")]

use measurement::{ChannelId, Doubt, Fault, Outcome, Reading, Timestamp, Value};
use prost::Message;
use telemetry::topic::{DEFAULT_ROOT, GatewayId, Kind, topic};
use telemetry::{
    Ack, BatchBuilder, Birth, CatalogueHash, CataloguePart, ClockQuality, Command, Entry, Gap, GapCause, Happening, HappeningKind, Header,
    Lane, Letter, Order, Range, StampedReading, Status,
};

const SAMPLED: Timestamp = Timestamp(1_795_500_000_000);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn reading(channel: u32, later_ms: i64, outcome: Outcome) -> Entry {
    let reading = Reading { channel: ChannelId(channel), sampled_at: SAMPLED.plus_ms(later_ms), outcome };
    Entry::Reading(StampedReading { reading, parse_lag_ms: 3, age_ms: Some(120) })
}

fn entries() -> Vec<Entry> {
    let value = |number| Value::new(number).expect("finite");
    vec![
        reading(0, 0, Outcome::Good(value(0.52))),
        reading(1, 40, Outcome::Uncertain(value(101.0), Doubt::OverRange)),
        reading(2, 41, Outcome::Bad(Fault::WireBreak)),
        Entry::Gap(Gap { first: 5, last: 9, why: GapCause::Thinned.into(), lost: 5 }),
        Entry::CataloguePart(CataloguePart { hash: 7, part: 0, parts: 1, bytes: vec![1, 2, 3] }),
        Entry::Happening(Happening { kind: HappeningKind::Started.into(), at_ms: SAMPLED.0, text: "started".into(), about: String::new() }),
    ]
}

fn batch() -> Vec<u8> {
    let header = Header {
        epoch: 0xE0E1_E2E3_E4E5_E6E7,
        floor: 10,
        lane: Lane::Live,
        boot: 0xB0,
        sent_at: SAMPLED.plus_ms(160),
        clock: ClockQuality::Synchronised,
        catalogue: CatalogueHash(7),
        transit_ms: Some(4),
        age_known: true,
    };
    let mut builder = BatchBuilder::new(header, 10);
    for entry in entries() {
        assert!(builder.push(&entry), "there is room");
    }
    builder.finish()
}

const BATCH_GOLDEN: &str = concat!(
    "09e7e6e5e4e3e2e1e0100a1806200a31b00000000000000038a0878fe1a0344001490700000000000000500158048a0103000102920104bf0250029a",
    "0103030303a20104f0010000aa0103004185b20108b81e053f0000ca4282020c080d120808051009180120058a0214080e1210090700000000000000",
    "18012203010203920216080f121208011080868fe1a0341a0773746172746564",
);
const BIRTH_GOLDEN: &str = "0901000000000000001102000000000000001903000000000000002205302e312e3028053004";
const STATUS_GOLDEN: &str =
    "090100000000000000110200000000000000180120e8072880868fe1a034300239090000000000000040054804500159030000000000000060802068808004";
const ACK_GOLDEN: &str = "09010000000000000010641a040869106e210900000000000000";
const COMMAND_GOLDEN: &str = "120408011002";

#[test]
fn a_batch_of_every_kind_of_entry_is_these_bytes() {
    assert_eq!(hex(&batch()), BATCH_GOLDEN);
}

#[test]
fn those_bytes_are_read_back_as_the_same_entries() {
    let letter = Letter::decode(&batch()).expect("a whole batch");
    let numbered: Vec<(u64, Entry)> = (10..).zip(entries()).collect();
    assert_eq!(letter.entries, numbered);
}

#[test]
fn a_birth_is_these_bytes() {
    let birth = Birth { epoch: 1, boot: 2, catalogue: 3, version: "0.1.0".into(), highest: 5, floor: 4 };
    assert_eq!(hex(&birth.encode_to_vec()), BIRTH_GOLDEN);
}

#[test]
fn a_status_is_these_bytes() {
    let status = Status {
        epoch: 1,
        boot: 2,
        online: true,
        sent_mono_ms: 1000,
        sent_at_ms: SAMPLED.0,
        clock: ClockQuality::Holdover.into(),
        nonce: 9,
        highest: 5,
        floor: 4,
        unacknowledged: 1,
        catalogue: 3,
        spool_bytes: 4096,
        spool_capacity: 65_536,
        degraded: false,
    };
    assert_eq!(hex(&status.encode_to_vec()), STATUS_GOLDEN);
}

#[test]
fn an_acknowledgement_is_these_bytes() {
    let ack = Ack { epoch: 1, contiguous: 100, ranges: vec![Range { first: 105, last: 110 }], nonce: 9, wanted_catalogue: 0 };
    assert_eq!(hex(&ack.encode_to_vec()), ACK_GOLDEN);
}

#[test]
fn an_order_is_these_bytes() {
    let command = Command { order: Some(Order::ResendFrom(Range { first: 1, last: 2 })) };
    assert_eq!(hex(&command.encode_to_vec()), COMMAND_GOLDEN);
}

#[test]
fn topics_are_these() {
    let gateway = GatewayId::new("g1").expect("legal");
    let topics = Kind::ALL.map(|kind| topic(DEFAULT_ROOT, &gateway, kind));
    assert_eq!(topics, ["davy/v1/21/g1/up", "davy/v1/21/g1/birth", "davy/v1/21/g1/status", "davy/v1/21/g1/ack", "davy/v1/21/g1/cmd"]);
}
