use measurement::{Doubt, Fault, Value};
use proptest::prelude::*;

use super::*;

fn header(age_known: bool) -> Header {
    Header {
        epoch: 7,
        floor: 3,
        lane: Lane::Live,
        boot: 9,
        sent_at: Timestamp(1_790_000_000_000),
        clock: ClockQuality::Synchronised,
        catalogue: CatalogueHash(11),
        transit_ms: Some(20),
        age_known,
    }
}

fn reading(channel: u32, sampled_at: i64, outcome: Outcome, age_ms: Option<u64>) -> Entry {
    let reading = Reading { channel: ChannelId(channel), sampled_at: Timestamp(sampled_at), outcome };
    Entry::Reading(StampedReading { reading, parse_lag_ms: channel % 3, age_ms })
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let value = any::<f32>().prop_filter_map("finite", Value::new);
    prop_oneof![
        value.clone().prop_map(Outcome::Good),
        (value, proptest::sample::select(Doubt::ALL)).prop_map(|(v, d)| Outcome::Uncertain(v, d)),
        proptest::sample::select(Fault::ALL).prop_map(Outcome::Bad),
    ]
}

fn any_entry(age_known: bool) -> impl Strategy<Value = Entry> {
    prop_oneof![
        8 => (any::<u32>(), any::<i64>(), any_outcome(), 0..u64::MAX / 4).prop_map(move |(c, t, o, a)| reading(c, t, o, age_known.then_some(a))),
        1 => (1_u64..1000, 0_u64..1000).prop_map(|(first, n)| Entry::Gap(Gap { first, last: first + n, why: 2, lost: n })),
        1 => proptest::collection::vec(any::<u8>(), 0..64).prop_map(|bytes| Entry::CataloguePart(CataloguePart { hash: 5, part: 0, parts: 1, bytes })),
    ]
}

proptest! {
    #[test]
    fn what_is_put_in_comes_out(age_known: bool, first in 1_u64..u64::MAX / 2, seed in proptest::collection::vec(any_entry(true), 1..60)) {
        let entries: Vec<Entry> = seed.into_iter().map(|e| match e {
            Entry::Reading(r) if !age_known => Entry::Reading(StampedReading { age_ms: None, ..r }),
            other => other,
        }).collect();
        let mut builder = BatchBuilder::new(header(age_known), first);
        for entry in &entries {
            prop_assert!(builder.push(entry));
        }
        let letter = Letter::decode(&builder.finish()).expect("our own batch");
        prop_assert_eq!(letter.first(), first);
        prop_assert_eq!(letter.entries.into_iter().map(|(_, e)| e).collect::<Vec<_>>(), entries);
    }

    #[test]
    fn no_payload_panics(payload in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Letter::decode(&payload);
    }

    #[test]
    fn a_damaged_batch_never_panics(flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        let mut builder = BatchBuilder::new(header(true), 1);
        for i in 0..20 {
            builder.push(&reading(i, 1_790_000_000_000, Outcome::measured(20.9), Some(5)));
        }
        let mut payload = builder.finish();
        for (at, byte) in flips {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        let _ = Letter::decode(&payload);
    }
}

#[test]
fn a_full_batch_stays_below_the_payload_limit() {
    let mut builder = BatchBuilder::new(header(true), 1);
    let mut count = 0;
    while builder.push(&reading(u32::MAX, i64::MIN * (count % 2), Outcome::measured(f32::MAX), Some(u64::MAX / 2 * (count as u64 % 2)))) {
        count += 1;
    }
    assert!(count > 1000);
    assert!(builder.finish().len() <= MAX_PAYLOAD);
}

#[test]
fn a_column_that_is_too_short_is_refused_by_name() {
    let mut builder = BatchBuilder::new(header(true), 1);
    builder.push(&reading(1, 0, Outcome::measured(1.0), Some(1)));
    let mut batch = Batch::decode(builder.finish().as_slice()).expect("our own batch");
    batch.values.clear();
    let error = Letter::decode(&batch.encode_to_vec()).expect_err("no value");
    assert_eq!(error, BatchError::RaggedColumn { column: "values", have: 0, want: 1 });
}

#[test]
fn a_reading_that_claims_a_value_but_brings_nan_is_a_fault() {
    let mut builder = BatchBuilder::new(header(true), 1);
    builder.push(&reading(1, 0, Outcome::measured(1.0), Some(1)));
    let mut batch = Batch::decode(builder.finish().as_slice()).expect("our own batch");
    batch.values = vec![f32::NAN];
    let letter = Letter::decode(&batch.encode_to_vec()).expect("still a batch");
    assert!(matches!(letter.entries[0].1, Entry::Reading(r) if r.reading.outcome == Outcome::Bad(Fault::NotANumber)));
}
