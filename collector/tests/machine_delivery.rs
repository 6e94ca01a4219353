//! Delivery, from a gateway's connection to the disk: what is acknowledged is stored, once, across restarts.
#![allow(clippy::expect_used, reason = "a test that cannot go on says where")]

#[path = "machine_support/mod.rs"]
mod support;

use measurement::{Outcome, Timestamp, Value};
use support::*;
use telemetry::{Entry, Gap, GapCause, Lane};

/// A hundred readings of channel 0, a second apart.
fn run_of(gateway: &Gateway, count: u64) -> Vec<Entry> {
    let now = gateway.clock.wall();
    (0..count).map(|n| reading(0, now.plus_ms(-(((count - n) * 1000) as i64)), n as f32 / 10.0, (count - n) * 1000)).collect()
}

/// The stored rows of the test's first channel, after the house has stopped.
fn stored(dir: &std::path::Path) -> Vec<timeseries::Row> {
    let series = timeseries::Store::open(&dir.join("series"), timeseries::Options::default()).expect("opens");
    series.query(1, Timestamp(0), Timestamp(i64::MAX)).expect("reads")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_stored_once_whatever_is_sent_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let password = house.admit("gw-1").await;
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    let first = gateway.send_catalogue().await;
    let entries = run_of(&gateway, 100);
    gateway.send(first, &entries, Lane::Live).await;
    gateway.acked_to(first + 99).await;
    // The same again in other letters, as after a lost acknowledgement, and ten more.
    let more = run_of(&gateway, 10);
    let mut again = entries[50..].to_vec();
    again.extend(more);
    gateway.send(first, &entries, Lane::Backlog).await;
    gateway.send(first + 50, &again, Lane::Backlog).await;
    gateway.acked_to(first + 109).await;
    house.stop().await;

    let house = House::start(dir.path()).await;
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    gateway.send(first, &entries, Lane::Backlog).await;
    let ack = gateway.acked_to(first + 109).await;
    assert!(ack.ranges.is_empty(), "held is remembered across the restart");
    gateway.send(first + 110, &run_of(&gateway, 5), Lane::Live).await;
    gateway.acked_to(first + 114).await;
    let day = collector::store::day_of(house.running.clock.wall());
    let row = until("the ledger", async || {
        let rows = house.running.store.ledger_day(&day).await.expect("reads");
        rows.into_iter().find(|row| row.gateway == "gw-1" && row.stored == (first + 114) as i64)
    })
    .await;
    assert_eq!((row.expected, row.open()), ((first + 114) as i64, 0));
    house.stop().await;

    let rows = stored(dir.path());
    let mut positions: Vec<u64> = rows.iter().map(|row| row.position).collect();
    positions.sort_unstable();
    assert_eq!(positions, (first..=first + 114).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn live_overtakes_backlog_and_the_hole_is_named_until_it_is_filled() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let password = house.admit("gw-1").await;
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    let first = gateway.send_catalogue().await;
    let entries = run_of(&gateway, 30);
    gateway.send(first + 20, &entries[20..], Lane::Live).await;
    let ack = gateway.ack_that(|ack| !ack.ranges.is_empty()).await;
    assert_eq!((ack.contiguous, ack.ranges[0].first, ack.ranges[0].last), (first - 1, first + 20, first + 29));
    gateway.send(first, &entries[..20], Lane::Backlog).await;
    let ack = gateway.acked_to(first + 29).await;
    assert!(ack.ranges.is_empty());
    house.stop().await;
    assert_eq!(stored(dir.path()).len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_catalogue_is_asked_for_and_nothing_is_acknowledged_before() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let password = house.admit("gw-1").await;
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    let entries = run_of(&gateway, 10);
    gateway.send(5, &entries, Lane::Live).await;
    let ack = gateway.ack_that(|ack| ack.wanted_catalogue != 0).await;
    assert_eq!((ack.wanted_catalogue, ack.contiguous, ack.ranges.len()), (catalogue().hash().0, 0, 0));
    let first = gateway.send_catalogue().await;
    gateway.send(first, &run_of(&gateway, 4 - (first - 1)), Lane::Backlog).await;
    gateway.send(5, &entries, Lane::Backlog).await;
    gateway.acked_to(14).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_are_closed_by_gap_records_and_by_the_floor_and_the_ledger_explains_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let password = house.admit("gw-1").await;
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    let first = gateway.send_catalogue().await;
    // Ten readings, ten that a full spool thinned, the gap that says so, and ten that simply are gone.
    gateway.send(first, &run_of(&gateway, 10), Lane::Live).await;
    let gap = Gap { first: first + 10, last: first + 19, why: GapCause::Thinned.into(), lost: 0 };
    gateway.send(first + 20, &[Entry::Gap(gap)], Lane::Live).await;
    gateway.acked_to(first + 20).await;
    gateway.floor = first + 31;
    gateway.send(first + 31, &run_of(&gateway, 3), Lane::Live).await;
    gateway.acked_to(first + 33).await;
    let day = collector::store::day_of(house.running.clock.wall());
    let row = until("the ledger", async || {
        let rows = house.running.store.ledger_day(&day).await.expect("reads");
        rows.into_iter().find(|row| row.gateway == "gw-1" && row.gaps.len() == 2)
    })
    .await;
    assert_eq!((row.gaps["thinned"], row.gaps["below_floor"], row.open()), (10, 10, 0), "{row:?}");
    // One of the thinned comes after all: it is stored, and the ledger takes it back.
    gateway.send(first + 15, &run_of(&gateway, 1), Lane::Backlog).await;
    until("the late one", async || {
        let rows = house.running.store.ledger_day(&day).await.expect("reads");
        rows.into_iter().find(|row| row.gateway == "gw-1" && row.gaps.values().sum::<i64>() == 19 && row.open() == 0)
    })
    .await;
    house.stop().await;
    assert_eq!(stored(dir.path()).len(), 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stored_sample_has_its_three_times() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let password = house.admit("gw-1").await;
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    let first = gateway.send_catalogue().await;
    let before = gateway.clock.wall();
    gateway.send(first, &run_of(&gateway, 3), Lane::Backlog).await;
    gateway.acked_to(first + 2).await;
    house.stop().await;
    let row = stored(dir.path())[1];
    assert_eq!(row.outcome, Outcome::Good(Value::new(0.1).expect("finite")));
    let series = timeseries::Store::open(&dir.path().join("series"), timeseries::Options::default()).expect("opens");
    let delivery = collector::ingest::keys::delivery_of(&series, row.stream, row.position).expect("reads").expect("on record");
    assert_eq!(delivery.last, first + 2);
    assert!(row.sampled_at < delivery.received_at && before <= delivery.received_at && delivery.received_at <= delivery.stored_at);
    assert_eq!(delivery.lane, Lane::Backlog);
}
