//! Nothing lost, nothing twice: the collector, the broker and the gateway are each killed for a minute while
//! readings flow through the real programs and a real Mosquitto in its default configuration; the same, shorter,
//! over NATS and RabbitMQ.
//!
//! The witness is a slave that counts: each of its channels answers every poll with the next number, so that
//! the numbers stored prove by themselves which answers came through.

use std::time::Duration;

use anyhow::{Context, Result};
use end_to_end::broker::{Broker, Kind};
use end_to_end::room::Room;
use end_to_end::witness::{CLEAN, COUNTERS, GAS, IN_FLIGHT, PATIENCE, Witness, gateway_spool_is_whole};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_for_a_minute_every_answer_is_stored_once_and_late_alarms_say_that_they_are_late() -> Result<()> {
    everything_is_stored_once(Kind::Mosquitto, Duration::from_secs(60)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_over_nats() -> Result<()> {
    everything_is_stored_once(Kind::Nats, Duration::from_secs(20)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_over_rabbitmq() -> Result<()> {
    everything_is_stored_once(Kind::RabbitMq, Duration::from_secs(20)).await
}

/// Each part is dead for `outage`.
async fn everything_is_stored_once(kind: Kind, outage: Duration) -> Result<()> {
    let Some(mut broker) = Broker::start(kind).await? else { return Ok(()) };
    let plant = Witness::new(kind).await?;
    let mut collector = plant.start_collector(&broker)?;
    let first = collector.says("first sign-in: admin / ").await?;
    let first = first.split_whitespace().next().context("the first password")?.to_owned();
    let mut room = Room::enter(&plant.base, Some(&first)).await?;
    let site = plant.enrol(&room).await?;
    let mut gateway = plant.start_gateway(&site, &plant.state())?;
    let channels = plant.register(&room).await?;
    let steady = channels["steady"];

    // A live alarm stands before anything is killed. Live: the gateway has learnt how long its post takes.
    room.until("readings are live", PATIENCE, "channels", |channels| {
        channels.as_array()?.iter().any(|channel| channel["id"] == steady && channel["live"] == true).then_some(())
    })
    .await?;
    plant.tell(|told| told.steady = GAS);
    let standing = room.until("the live alarm", PATIENCE, "alarms", |alarms| limit_of(alarms, steady)).await?;
    assert_eq!(standing["late"], false, "{standing}");
    // One reading raises it, a second one, asked for at once, confirms it: only then does nothing live still move it.
    let confirmed = format!("alarms/{}", standing["id"].as_str().context("an id")?);
    room.until("the alarm is confirmed", PATIENCE, &confirmed, |alarm| {
        alarm["transitions"].as_array()?.iter().any(|transition| transition["event"] == "confirmed").then_some(())
    })
    .await?;

    // 1. The collector. Gas comes and goes while it is dead.
    collector.kill().await?;
    tokio::time::sleep(outage / 4).await;
    plant.tell(|told| told.passing = GAS);
    tokio::time::sleep(outage / 4).await;
    plant.tell(|told| told.passing = CLEAN);
    tokio::time::sleep(outage / 2).await;
    collector = plant.start_collector(&broker)?;
    collector.says("pages:").await?;
    room = Room::enter(&plant.base, None).await?;
    plant.caught_up(&room).await?;
    let passing = channels["passing"];
    let late = room.until("the alarm of the outage", PATIENCE, "alarms?state=all", |alarms| limit_of(alarms, passing)).await?;
    assert_eq!(late["late"], true, "an alarm raised by backfill says so: {late}");
    let age = late["opened_at"].as_i64().context("opened_at")? - late["began_at"].as_i64().context("began_at")?;
    assert!(age > outage.as_millis() as i64 / 4, "it began while nobody listened: {late}");

    // 2. The broker. The steady place looks clean for a while, which only backfill will ever tell.
    broker.kill().await?;
    tokio::time::sleep(outage / 4).await;
    plant.tell(|told| told.steady = CLEAN);
    let lost = room.until("the lost gateway is an alarm", PATIENCE, "alarms", |alarms| {
        alarms.as_array()?.iter().find(|alarm| alarm["kind"] == "gateway_lost").cloned()
    });
    let lost = lost.await?;
    tokio::time::sleep(outage / 4).await;
    plant.tell(|told| told.steady = GAS);
    tokio::time::sleep(outage / 2).await;
    let before: Value = room.get(&format!("alarms/{}", standing["id"].as_str().context("an id")?)).await?;
    broker.restart().await?;
    plant.caught_up(&room).await?;
    let after: Value = room.get(&format!("alarms/{}", standing["id"].as_str().context("an id")?)).await?;
    assert_eq!(after["transitions"], before["transitions"], "backfill neither cleared nor refreshed the live alarm");
    assert_eq!(after["returned_at"], Value::Null, "{after}");
    let lost_id = lost["id"].as_str().context("an id")?.to_owned();
    room.until("the gateway is back", PATIENCE, &format!("alarms/{lost_id}"), |alarm| alarm["returned_at"].is_i64().then_some(())).await?;

    // 3. The gateway. What it had read and not yet committed dies with it; what it had committed does not.
    gateway.kill().await?;
    let counted_at_death = plant.told(|told| told.counted);
    tokio::time::sleep(outage).await;
    assert_eq!(plant.told(|told| told.counted), counted_at_death, "nobody polls while the gateway is dead");
    gateway = plant.start_gateway(&site, &plant.state())?;
    plant.counts_on(counted_at_death + 100).await?;
    gateway.stop().await?;
    let counted = plant.told(|told| told.counted);
    gateway = plant.start_gateway(&site, &plant.state())?;
    plant.counts_on(counted + 20).await?;
    plant.caught_up_to(&room, &channels, counted).await?;

    // Stored = sent: every number once, but for those in flight when the gateway died, and an answer that crossed
    // with the order to stop.
    let swallowed = [(counted_at_death.saturating_sub(IN_FLIGHT), counted_at_death), (counted, counted)];
    let missing = plant.everything_once(&room, &channels, counted, &swallowed).await?;
    println!("{counted} polls of {COUNTERS} counters: nothing twice, {missing} values were in flight when the gateway was killed");
    plant.ledger_is_closed(&room).await?;
    gateway.stop().await?;
    gateway_spool_is_whole(&plant.state()).await?;
    collector.stop().await
}

/// The open or closed limit alarm of highest priority of a channel.
fn limit_of(alarms: &Value, channel: u64) -> Option<Value> {
    let of = |alarm: &&Value| alarm["kind"] == "limit" && alarm["channel_id"].as_u64() == Some(channel) && alarm["priority"] == "urgent";
    alarms.as_array()?.iter().find(of).cloned()
}
