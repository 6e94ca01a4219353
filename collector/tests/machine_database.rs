//! A database that does not answer: storing, acknowledging and alarms on the screen go on, people are told, and
//! afterwards everything is on record.

#[path = "machine_support/mod.rs"]
mod support;

use alarm::Kind as AlarmKind;
use collector::api::present::Present;
use sea_orm::{ConnectOptions, ConnectionTrait, Database};
use support::*;
use telemetry::Lane;

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_stops_neither_storing_nor_alarms_on_the_screen() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let password = house.admit("gw-1").await;
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    let first = gateway.send_catalogue().await;
    gateway.send(first, &[reading(0, gateway.clock.wall(), 1.0, 0)], Lane::Live).await;
    gateway.acked_to(first).await;

    let mut options = ConnectOptions::new(format!("sqlite://{}", dir.path().join("davy.sqlite").display()));
    options.max_connections(1);
    let other = Database::connect(options).await.expect("opens");
    other.execute_unprepared("BEGIN EXCLUSIVE").await.expect("locked");

    gateway.send(first + 1, &[reading(0, gateway.clock.wall(), 95.0, 0)], Lane::Live).await;
    gateway.acked_to(first + 1).await;
    let shown = until("the alarm on the screen", async || {
        house.running.live.open_episodes().into_iter().find(|episode| episode.kind == AlarmKind::Limit)
    })
    .await;
    assert_eq!(shown.stages.t4, None, "it is not on record yet");
    until("the screen to say so", async || {
        let overview = Present::overview(&house.running.live);
        overview.protecting_reason_en.filter(|reason| reason.contains("the database does not answer"))
    })
    .await;

    other.execute_unprepared("ROLLBACK").await.expect("unlocked");
    until("the record", async || {
        let recorded = house.running.store.episode(&shown.id).await.expect("reads")?;
        recorded.episode.stages.t4
    })
    .await;
    until("the screen to be content", async || {
        let overview = Present::overview(&house.running.live);
        let content = overview.protecting_reason_en.is_none_or(|reason| !reason.contains("database"));
        content.then_some(())
    })
    .await;
    drop(other);
    house.stop().await;
}

/// What was stored but not judged when the process ended is judged after the start, and says that it is late.
#[tokio::test(flavor = "multi_thread")]
async fn readings_that_were_stored_and_not_recorded_as_judged_are_judged_after_the_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let password = house.admit("gw-1").await;
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    let first = gateway.send_catalogue().await;
    gateway.send(first, &[reading(0, gateway.clock.wall(), 1.0, 0)], Lane::Live).await;
    gateway.acked_to(first).await;
    house.stop().await;
    // What a crash between the commit and the record leaves: a row that nobody judged.
    let series = timeseries::Store::open(&dir.path().join("series"), timeseries::Options::default()).expect("opens");
    let last = series.latest(1).expect("reads").expect("stored");
    let row = timeseries::Row {
        position: last.position + 1,
        sampled_at: last.sampled_at.plus_ms(1000),
        outcome: measurement::Outcome::measured(95.0),
        ..last
    };
    series.commit(&[row], &[]).expect("stored");
    drop(series);

    let house = House::start(dir.path()).await;
    let alarm =
        until("the alarm", async || house.running.live.open_episodes().into_iter().find(|episode| episode.kind == AlarmKind::Limit)).await;
    assert!(alarm.late && alarm.opening.sequence == row.position && alarm.opening.epoch == EPOCH);
    house.stop().await;
}
