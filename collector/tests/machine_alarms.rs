//! From a live reading to an alarm on record, and what may never count as life.
#![allow(clippy::expect_used, reason = "a test that cannot go on says where")]

#[path = "machine_support/mod.rs"]
mod support;

use alarm::{Episode, Kind as AlarmKind};
use collector::api::present::Orders;
use measurement::{ChannelId, Fault, Outcome, Reading};
use support::*;
use telemetry::topic::Kind;
use telemetry::{Entry, Lane, StampedReading};

const CH4: ChannelId = ChannelId(1);

fn bad(gateway: &Gateway, fault: Fault) -> Entry {
    let reading = Reading { channel: ChannelId(0), sampled_at: gateway.clock.wall(), outcome: Outcome::Bad(fault) };
    Entry::Reading(StampedReading { reading, parse_lag_ms: 0, age_ms: Some(0) })
}

async fn opened(house: &House, kind: AlarmKind, also: impl Fn(&Episode) -> bool) -> Episode {
    until("an alarm", async || {
        let all = house.running.store.episodes(&collector::store::AlarmFilter { limit: 100, ..Default::default() }).await.expect("reads");
        all.into_iter().map(|recorded| recorded.episode).find(|episode| episode.kind == kind && also(episode))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_crossing_is_on_record_with_its_stage_times_and_survives_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let password = house.admit("gw-1").await;
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    let first = gateway.send_catalogue().await;
    gateway.send(first, &[reading(0, gateway.clock.wall(), 90.0, 20)], Lane::Live).await;
    let episode = opened(&house, AlarmKind::Limit, |episode| episode.stages.t4.is_some()).await;
    let (t2, t4) = (episode.stages.t2.expect("t2"), episode.stages.t4.expect("t4"));
    assert!(!episode.late && t2 <= t4, "{t2:?} {t4:?}");
    assert!(house.running.live.figures().t2_t4.count() >= 1);
    assert!(house.running.live.channel(CH4).expect("known").live);
    let acknowledged = house.running.pipeline.acknowledge(&episode.id, "duty", "on my way").await.expect("acknowledged");
    assert_eq!(acknowledged.acknowledged_by.as_deref(), Some("duty"));
    let again = house.running.pipeline.acknowledge(&episode.id, "other", "").await;
    assert!(matches!(again, Err(collector::api::present::OrderError::Refused(_))));
    gateway.acked_to(first).await;
    house.stop().await;

    let house = House::start(dir.path()).await;
    let open = until("the open alarm", async || house.running.live.open_episodes().into_iter().find(|open| open.id == episode.id)).await;
    assert!(open.acknowledged_at.is_some() && open.active);
    // The same reading again makes no second alarm.
    let gateway = Gateway::connect(&house, "gw-1", &password).await;
    gateway.send(first, &[reading(0, gateway.clock.wall(), 90.0, 20)], Lane::Live).await;
    gateway.send(first + 1, &[reading(0, gateway.clock.wall(), 91.0, 20)], Lane::Live).await;
    let all = house.running.store.episodes(&collector::store::AlarmFilter { limit: 100, ..Default::default() }).await.expect("reads");
    let limits = all.iter().filter(|recorded| recorded.episode.rule == episode.rule).count();
    assert_eq!(limits, 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backlog_raises_late_refreshes_nothing_and_clears_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let password = house.admit("gw-1").await;
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    let first = gateway.send_catalogue().await;
    let now = gateway.clock.wall();
    // An hour old: a crossing.
    gateway.send(first, &[reading(0, now.plus_ms(-3_600_000), 90.0, 3_600_000)], Lane::Backlog).await;
    let late = opened(&house, AlarmKind::Limit, |episode| episode.late).await;
    assert!(late.opened_at.since(late.stages.t2.expect("t2")) > 3_590_000, "its stage times are as old as it is");
    assert!(house.running.live.channel(CH4).is_none(), "an old value is not what is now");
    // Live: high now. Then backlog that was low: clears nothing.
    gateway.send(first + 10, &[reading(0, gateway.clock.wall(), 95.0, 10)], Lane::Live).await;
    let live = until("live", async || house.running.live.channel(CH4)).await;
    let low: Vec<Entry> = (1..9).map(|n| reading(0, now.plus_ms(-3_500_000 + n * 1000), 1.0, 3_500_000)).collect();
    gateway.send(first + 1, &low, Lane::Backlog).await;
    gateway.ack_that(|ack| ack.contiguous >= first + 8).await;
    assert_eq!(house.running.live.channel(CH4).expect("known").sampled_at, live.sampled_at);
    let open = house.running.live.open_episodes();
    assert!(open.iter().any(|episode| episode.kind == AlarmKind::Limit && episode.active && !episode.late), "{open:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_of_unknown_age_is_stored_but_is_not_live() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let password = house.admit("gw-1").await;
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    let first = gateway.send_catalogue().await;
    let letter = gateway.letter(first, &[reading(0, gateway.clock.wall(), 3.0, 0)], Lane::Live, false);
    gateway.publish(Kind::Up, letter).await;
    gateway.acked_to(first).await;
    assert!(house.running.live.channel(CH4).is_none());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_an_alarm_and_so_is_a_fault_and_neither_shows_a_number() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let password = house.admit("gw-1").await;
    let gateway = Gateway::connect(&house, "gw-1", &password).await;
    let first = gateway.send_catalogue().await;
    gateway.send(first, &[bad(&gateway, Fault::WireBreak)], Lane::Live).await;
    let fault = opened(&house, AlarmKind::Fault, |_| true).await;
    assert_eq!((fault.value, fault.reason.as_deref()), (None, Some("WireBreak")));
    assert_eq!(house.running.live.channel(CH4).expect("known").outcome.value(), None);
    // The gateway lives on, the channel says nothing more: silence after the boot grace.
    let beating = async {
        for nonce in 1.. {
            gateway.status(first, nonce).await;
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = beating => {}
        silence = opened(&house, AlarmKind::Silence, |episode| episode.channel == Some(CH4)) => assert!(silence.active),
    }
    assert!(!house.running.live.channel(CH4).expect("known").live);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_falls_silent_is_one_alarm_that_names_what_is_unseen() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let password = house.admit("gw-1").await;
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    let first = gateway.send_catalogue().await;
    gateway.send(first, &[reading(0, gateway.clock.wall(), 3.0, 0)], Lane::Live).await;
    gateway.acked_to(first).await;
    drop(gateway);
    let lost = opened(&house, AlarmKind::GatewayLost, |_| true).await;
    assert_eq!(lost.unseen, ["node/ch4", "node/ch4-b"]);
    assert_eq!(house.running.live.overview().gateways.online, 0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sequence_with_two_contents_is_refused_and_an_identity_alarm() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let password = house.admit("gw-1").await;
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    let first = gateway.send_catalogue().await;
    let at = gateway.clock.wall();
    gateway.send(first, &[reading(0, at, 3.0, 0)], Lane::Live).await;
    gateway.acked_to(first).await;
    gateway.send(first, &[reading(0, at, 4.0, 0)], Lane::Live).await;
    let conflict = opened(&house, AlarmKind::Identity, |_| true).await;
    assert_eq!(conflict.gateway, "gw-1");
    gateway.send(first + 1, &[reading(0, gateway.clock.wall(), 5.0, 0)], Lane::Live).await;
    assert!(gateway.hears_nothing(1500).await, "nothing is acknowledged while it is disputed");
    house.running.pipeline.reset(&conflict.id, "admin", "the copy was switched off").await.expect("settled");
    gateway.send(first + 1, &[reading(0, gateway.clock.wall(), 5.0, 0)], Lane::Live).await;
    gateway.acked_to(first + 1).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_and_foreign_messages_are_journalled_once_and_harm_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let (password, other) = (house.admit("gw-1").await, house.admit("gw-2").await);
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    let first = gateway.send_catalogue().await;
    for garbage in [b"\xff\xff\xff\xff".to_vec(), b"{}".to_vec(), vec![0x08; 60_000], Vec::new()] {
        gateway.publish(Kind::Up, garbage).await;
    }
    gateway.publish(Kind::Status, b"\xff\x00\xff".to_vec()).await;
    // A channel that is not in the catalogue.
    gateway.send(first, &[reading(77, gateway.clock.wall(), 1.0, 0)], Lane::Live).await;
    gateway.send(first, &[reading(0, gateway.clock.wall(), 1.0, 0)], Lane::Live).await;
    gateway.acked_to(first).await;
    // Another gateway tries the first one's topic: its connection ends.
    let foreign = Gateway::connect(&house, "gw-2", &other).await;
    let topic = telemetry::topic::topic(ROOT, &gateway.id, Kind::Up);
    foreign.client.publish(topic, rumqttc::QoS::AtLeastOnce, false, vec![1]).await.expect("queued");
    let refused = until("the journal", async || {
        let page = house.running.store.journal_page(None, 1000, Some("payload.refused")).await.expect("reads");
        let about = |gateway: &str| page.entries.iter().filter(|entry| entry.about == gateway).count();
        (about("gw-2") == 1).then(|| about("gw-1"))
    })
    .await;
    assert_eq!(refused, 2, "one for malformed, one for the unknown channel");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_the_secret() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let password = house.admit("gw-1").await;
    for (user, password) in [("gw-1", "wrong"), ("gw-9", password.as_str()), ("gw-1", "")] {
        let mut gateway = Gateway::connect(&house, user, password).await;
        gateway.status(1, 9).await;
        assert!(gateway.hears_nothing(300).await, "{user} got in");
    }
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    gateway.status(1, 42).await;
    let ack = gateway.ack_that(|ack| ack.nonce != 0).await;
    assert_eq!((ack.nonce, ack.epoch), (42, EPOCH));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_birth_is_answered_with_what_is_held() {
    let dir = tempfile::tempdir().expect("a folder");
    let house = House::start(dir.path()).await;
    let password = house.admit("gw-1").await;
    let mut gateway = Gateway::connect(&house, "gw-1", &password).await;
    let first = gateway.send_catalogue().await;
    gateway.acked_to(first - 1).await;
    gateway.birth(first - 1).await;
    let command = tokio::time::timeout(PATIENCE, gateway.commands.recv()).await.expect("in time").expect("a command");
    let Some(telemetry::Order::Hello(hello)) = command.order else { panic!("{command:?}") };
    assert_eq!((hello.epoch, hello.contiguous), (EPOCH, first - 1));
    house.stop().await;
}
