use super::*;
use crate::ingest::{Content, moment};
use measurement::{Reading, Unit, Value};
use prost::Message;
use telemetry::{BatchBuilder, CatalogueChannel, CatalogueHash, ClockQuality, Entry, Header, Lane, Letter, StampedReading};

const NOW: i64 = 1_800_000_000_000;

fn gateway() -> GatewayId {
    GatewayId::new("gw-1").expect("legal")
}

fn catalogue() -> Catalogue {
    let channel =
        CatalogueChannel { tag: "a/ch4".to_owned(), unit: Unit::Ppm.code().into(), period_ms: 1000, ..CatalogueChannel::default() };
    Catalogue { channels: vec![channel], site: String::new(), simulated: true }
}

fn reading(value: f32, age_ms: Option<u64>) -> Entry {
    let reading = Reading { channel: ChannelId(0), sampled_at: Timestamp(NOW - 500), outcome: Outcome::measured(value) };
    Entry::Reading(StampedReading { reading, parse_lag_ms: 7, age_ms })
}

/// A desk, what it took last, and the time.
struct Bench {
    desk: Desk,
    intake: Intake,
    mono: u64,
    clock: ClockQuality,
    transit_ms: Option<u32>,
    floor: u64,
}

impl Bench {
    /// With the catalogue adopted: channel 0 is series 9.
    fn new() -> Bench {
        let mut bench = Bench {
            desk: Desk::default(),
            intake: Intake::default(),
            mono: 1000,
            clock: ClockQuality::Synchronised,
            transit_ms: Some(10),
            floor: 1,
        };
        bench.desk.adopted(&gateway(), catalogue().hash().0, vec![ChannelId(9)], &mut bench.intake);
        bench
    }

    fn take(&mut self, content: Content) {
        let parcel = Parcel { gateway: gateway(), received: moment(NOW, self.mono), content, room: None };
        self.intake.clear();
        let around = Around { periods: &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1000], now: Timestamp(NOW) };
        self.desk.take(parcel, &around, &mut self.intake);
        self.desk.write_notes(&mut self.intake);
    }

    fn letter(&mut self, epoch: u64, first: u64, entries: &[Entry]) {
        let age_known = !entries.iter().any(|entry| matches!(entry, Entry::Reading(stamped) if stamped.age_ms.is_none()));
        let header = Header {
            epoch,
            floor: self.floor,
            lane: Lane::Live,
            boot: 1,
            sent_at: Timestamp(NOW),
            clock: self.clock,
            catalogue: CatalogueHash(catalogue().hash().0),
            transit_ms: self.transit_ms,
            age_known,
        };
        let mut builder = BatchBuilder::new(header, first);
        entries.iter().for_each(|entry| assert!(builder.push(entry)));
        let letter = Letter::decode(&builder.finish()).expect("a letter");
        self.take(Content::Letter(Box::new(letter)));
    }

    fn acks(&mut self) -> Vec<telemetry::Ack> {
        let outgoing = self.desk.acknowledgements(&mut self.intake.touched);
        outgoing.iter().map(|one| telemetry::Ack::decode(one.payload.as_slice()).expect("an ack")).collect()
    }

    fn status(&mut self, epoch: u64, highest: u64) {
        let status = Status { epoch, online: true, highest, floor: self.floor, nonce: 5, ..Status::default() };
        self.take(Content::Status(status));
    }

    fn orders(&self) -> Vec<Order> {
        self.intake.orders.iter().filter_map(|one| Command::decode(one.payload.as_slice()).expect("a command").order).collect()
    }
}

#[test]
fn a_fresh_reading_is_a_row_and_a_live_observation_with_its_t2_and_t3() {
    let mut bench = Bench::new();
    bench.letter(1, 1, &[reading(3.0, Some(400))]);
    let row = Row {
        series: 9,
        stream: 0,
        position: 1,
        sampled_at: Timestamp(NOW - 500),
        outcome: Outcome::Good(Value::new(3.0).expect("finite")),
    };
    assert_eq!(bench.intake.rows, [row]);
    let seen = bench.intake.seen[0];
    // Arrival less age and transit bound, plus the 7 ms from sampling to the parsed frame.
    assert_eq!((seen.live, seen.age_ms, seen.t2), (true, 410, Some(Timestamp(NOW - 403))));
    assert_eq!(seen.t3, Some(Timestamp(NOW - 10)), "it left the gateway the transit before it arrived");
    assert_eq!(bench.acks()[0].contiguous, 1);
}

#[test]
fn two_periods_and_a_second_is_the_end_of_life() {
    let mut bench = Bench::new();
    for (first, age, live) in [(1, Some(2990), true), (2, Some(2991), false), (3, None, false)] {
        bench.letter(1, first, &[reading(3.0, age)]);
        assert_eq!(bench.intake.seen[0].live, live, "{age:?}");
    }
    bench.transit_ms = None;
    bench.letter(1, 4, &[reading(3.0, Some(0))]);
    assert!(!bench.intake.seen[0].live, "an unknown transit is not a short one");
}

#[test]
fn an_untrusted_clock_is_not_what_a_reading_is_indexed_by() {
    let mut bench = Bench::new();
    bench.clock = ClockQuality::Untrusted;
    bench.letter(1, 1, &[reading(3.0, Some(400))]);
    assert_eq!(bench.intake.rows[0].sampled_at, Timestamp(NOW - 400));
}

#[test]
fn what_came_before_is_checked_and_not_stored() {
    let mut bench = Bench::new();
    bench.letter(1, 1, &[reading(3.0, Some(0)), reading(4.0, Some(0))]);
    bench.letter(1, 1, &[reading(3.0, Some(0)), reading(4.0, Some(0)), reading(5.0, Some(0))]);
    assert_eq!(bench.intake.rows.iter().map(|row| row.position).collect::<Vec<_>>(), [3]);
    assert_eq!((bench.intake.rechecks.len(), bench.intake.duplicates), (2, 2));
}

#[test]
fn a_former_epoch_may_straggle_but_not_come_back() {
    let mut bench = Bench::new();
    bench.letter(1, 1, &[reading(3.0, Some(0))]);
    bench.letter(2, 1, &[reading(3.0, Some(0))]);
    bench.mono += 5_000;
    bench.letter(1, 2, &[reading(3.0, Some(0))]);
    assert!(bench.intake.rows.is_empty() && bench.intake.conflicts.is_empty() && bench.acks().is_empty());
    bench.mono += 10_000;
    bench.letter(1, 2, &[reading(3.0, Some(0))]);
    assert_eq!(bench.intake.conflicts.len(), 1);
    assert!(bench.intake.rows.is_empty() && bench.acks().is_empty());
    // The gateway is told why; the epoch that counts goes on.
    bench.letter(1, 2, &[reading(3.0, Some(0))]);
    assert!(matches!(bench.orders()[..], [Order::Refused(_)]), "{:?}", bench.orders());
    bench.letter(2, 2, &[reading(3.0, Some(0))]);
    assert_eq!(bench.intake.rows.len(), 1);
    // After a person has settled it, whoever speaks first counts.
    bench.desk.settle("gw-1");
    bench.letter(1, 2, &[reading(3.0, Some(0))]);
    assert_eq!(bench.intake.rows.len(), 1);
}

#[test]
fn a_hole_that_the_gateway_still_holds_is_asked_for_once_it_does_not_shrink() {
    let mut bench = Bench::new();
    bench.letter(1, 11, &[reading(3.0, Some(0))]);
    bench.status(1, 11);
    assert!(bench.orders().is_empty());
    bench.mono += 20_000;
    bench.status(1, 11);
    assert_eq!(bench.orders(), [Order::ResendFrom(telemetry::Range { first: 1, last: 10 })]);
    bench.status(1, 11);
    assert!(bench.orders().is_empty(), "not with every heartbeat");
}

#[test]
fn a_cloned_gateway_is_told_the_highest_that_was_seen() {
    let mut bench = Bench::new();
    bench.letter(1, 1, &[reading(3.0, Some(0)), reading(3.0, Some(0))]);
    bench.take(Content::Birth(telemetry::Birth { epoch: 1, highest: 1, floor: 1, ..telemetry::Birth::default() }));
    let [Order::Hello(hello)] = &bench.orders()[..] else { panic!("{:?}", bench.orders()) };
    assert!(hello.contiguous == 2 || hello.ranges.iter().any(|range| range.last == 2));
}

#[test]
fn a_catalogue_in_its_own_letter_is_adopted_before_the_readings_are_taken() {
    let mut bench = Bench { desk: Desk::default(), ..Bench::new() };
    let mut entries: Vec<Entry> = catalogue().parts().into_iter().map(Entry::CataloguePart).collect();
    entries.push(reading(3.0, Some(0)));
    bench.letter(1, 1, &entries);
    assert_eq!((bench.intake.adoptions.len(), bench.intake.rows.len()), (1, 0));
    assert!(bench.acks().is_empty());
    let hash = catalogue().hash().0;
    let parked = bench.desk.adopted(&gateway(), hash, vec![ChannelId(9)], &mut bench.intake);
    assert_eq!(parked.len(), 1);
    for parcel in parked {
        bench.take(parcel.content);
    }
    assert_eq!((bench.intake.rows.len(), bench.acks()[0].contiguous), (1, 2));
}

#[test]
fn one_kind_of_refusal_is_journalled_once_a_sender() {
    let mut bench = Bench::new();
    for (kind, told) in [("malformed", 1), ("malformed", 0), ("oversized", 1)] {
        bench.take(Content::Refused(Refusal { kind, why: "why".to_owned() }));
        assert_eq!(bench.intake.facts.len(), told, "{kind}");
    }
}

#[test]
fn a_last_will_is_no_sign_of_life() {
    let mut bench = Bench::new();
    bench.take(Content::Status(Status { online: false, ..Status::default() }));
    assert!(bench.intake.heard.is_empty());
    bench.status(1, 0);
    assert_eq!(bench.intake.heard.len(), 1);
    assert_eq!(bench.acks()[0].nonce, 5);
}
