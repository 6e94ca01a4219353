//! A city's broker is away for a while: thirty real posts lose it in one moment, keep what they read, come back spread
//! over time, send what is new before what is old, and lose nothing.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use end_to_end::broker::{Broker, Kind};
use end_to_end::room::Room;
use end_to_end::witness::{PATIENCE, Witness};
use gateway::clock::Clock;
use gateway::forward::{BrokerConfig, Content, NewEntry, Post, PostConfig};
use gateway::site::Site;
use measurement::{ChannelId, Outcome, Reading};
use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS};
use serde_json::{Value, json};
use telemetry::topic::{DEFAULT_ROOT, GatewayId};
use telemetry::{Entry, Lane, Letter};
use tokio_util::sync::CancellationToken;

const GATEWAYS: usize = 30;
const CHANNELS: u32 = 8;
const OUTAGE: Duration = Duration::from_secs(24);
/// Each gateway reads all its channels so often.
const PERIOD: Duration = Duration::from_millis(250);

/// What somebody at the broker saw since it is back.
#[derive(Default, Clone)]
struct Seen {
    /// When each gateway was first heard of, by the wall clock.
    first: HashMap<String, i64>,
    /// The oldest a live reading was when it arrived, ms.
    oldest_live_ms: u64,
    backlog: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_posts_come_back_spread_out_with_the_new_before_the_old_and_nothing_lost() -> Result<()> {
    let Some(mut broker) = Broker::start(Kind::Mosquitto).await? else { return Ok(()) };
    let witness = Witness::new(Kind::Mosquitto).await?;
    let mut collector = witness.start_collector(&broker)?;
    let first = collector.says("first sign-in: admin / ").await?;
    let room = Room::enter(&witness.base, first.split_whitespace().next()).await?;
    let catalogue = Site::load(&witness.enrol(&room).await?)?.catalogue();
    let (clock, stop, reading) = (Clock::system(true), CancellationToken::new(), CancellationToken::new());
    let mut posts = Vec::new();
    let mut feeders = tokio::task::JoinSet::new();
    for number in 0..GATEWAYS {
        let name = format!("city-{number}");
        let code = room.post("gateways/enrolments", json!({"name": name})).await?;
        room.post("enrol", json!({"code": code["code"].as_str().context("a code")?, "gateway": name})).await?;
        let config = PostConfig {
            gateway: GatewayId::new(name)?,
            root: DEFAULT_ROOT.to_owned(),
            broker: BrokerConfig { url: broker.url(), ..BrokerConfig::default() },
            spool: witness.path("city").join(number.to_string()),
            capacity_bytes: 8 << 20,
            group_ms: 200,
            version: "test".to_owned(),
        };
        let post = Post::start(config, clock.clone(), stop.clone());
        post.set_catalogue(catalogue.clone()).await;
        feeders.spawn(feed(post.clone(), clock.clone(), reading.clone()));
        posts.push(post);
    }
    until("all are connected", || posts.iter().all(|post| post.status().connected)).await?;

    broker.kill().await?;
    tokio::time::sleep(OUTAGE).await;
    let waiting: u64 = posts.iter().map(|post| post.status().unacknowledged).sum();
    broker.restart().await?;
    let back_at = clock.wall();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let watching = tokio::spawn(watch(broker.url(), clock.clone(), seen.clone()));
    until("all are back", || posts.iter().all(|post| post.status().connected)).await?;
    until("the backlog is drained", || posts.iter().all(|post| post.status().unacknowledged < 200)).await?;
    let drained_ms = clock.wall().since(back_at);
    reading.cancel();
    let fed: Vec<u64> = feeders.join_all().await;
    until("everything is acknowledged", || posts.iter().all(|post| post.status().unacknowledged == 0)).await?;

    let all_stored = |ledger: &Value| {
        let rows = ledger.as_array()?.iter().filter(|row| row["gateway"].as_str().is_some_and(|name| name.starts_with("city-")));
        let whole = rows.filter(|row| row["open"] == 0 && row["gaps"] == json!({}) && row["stored"] == row["expected"]);
        (whole.count() == GATEWAYS).then_some(())
    };
    room.until("every gateway's ledger is closed without a gap", PATIENCE, "ledger", all_stored).await?;
    let all: u64 = fed.iter().sum();
    let seen = seen.lock().expect("nobody panics here").clone();
    let firsts: Vec<i64> = seen.first.values().map(|at| at - back_at.0).collect();
    let spread = firsts.iter().max().unwrap_or(&0) - firsts.iter().min().unwrap_or(&0);
    println!(
        "REPORT: {GATEWAYS} posts, {waiting} entries waiting after {OUTAGE:?}; all stored of {all} readings; back within {} ms, spread over \
         {spread} ms; drained {drained_ms} ms after the broker's return; the oldest live reading was {} ms old",
        firsts.iter().max().unwrap_or(&0),
        seen.oldest_live_ms
    );
    assert_eq!(firsts.len(), GATEWAYS);
    assert!(spread >= 1_000, "they come back one after another, not together: {spread} ms");
    assert!(seen.backlog > 0, "what waited came as backlog");
    // Generous for a busy machine; were the old sent first, it would be the length of the outage.
    assert!(seen.oldest_live_ms < 10_000, "a live reading waited behind the backlog for {} ms", seen.oldest_live_ms);
    watching.abort();
    stop.cancel();
    for post in posts {
        post.stopped().await;
    }
    collector.stop().await
}

async fn until(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    for _ in 0..PATIENCE.as_millis() / 50 {
        if is_so() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("not so within {PATIENCE:?}: {what}")
}

/// Reads until told to stop; how many readings there were.
async fn feed(post: Post, clock: Clock, stop: CancellationToken) -> u64 {
    let mut fed = 0;
    while !stop.is_cancelled() {
        let now = clock.now();
        let entry = |channel: u32| {
            let reading = Reading { channel: ChannelId(channel), sampled_at: now.wall, outcome: Outcome::measured(fed as f32) };
            NewEntry { content: Content::Reading { reading, parsed_at: now.mono, sample_age_ms: 0 }, urgent: false }
        };
        assert_eq!(post.append((0..CHANNELS).map(entry).collect()).await, 0, "the post takes everything");
        fed += u64::from(CHANNELS);
        tokio::time::sleep(PERIOD).await;
    }
    fed
}

/// Listens at the broker.
async fn watch(url: String, clock: Clock, seen: Arc<Mutex<Seen>>) {
    let port = url.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
    let mut options = MqttOptions::new("somebody", "127.0.0.1", port);
    options.set_max_packet_size(telemetry::MAX_PAYLOAD + 1024, telemetry::MAX_PAYLOAD + 1024);
    let (client, mut events) = AsyncClient::new(options, 16);
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                let _ = client.try_subscribe(format!("{DEFAULT_ROOT}/+/+/birth"), QoS::AtMostOnce);
                let _ = client.try_subscribe(format!("{DEFAULT_ROOT}/+/+/up"), QoS::AtMostOnce);
            }
            Ok(Event::Incoming(Incoming::Publish(publish))) => {
                let now = clock.wall();
                let mut seen = seen.lock().expect("nobody panics here");
                let gateway = publish.topic.rsplit('/').nth(1).unwrap_or_default().to_owned();
                if gateway.starts_with("city-") {
                    seen.first.entry(gateway).or_insert(now.0);
                }
                let Ok(letter) = Letter::decode(&publish.payload) else { continue };
                if letter.lane == Lane::Backlog {
                    seen.backlog += letter.entries.len();
                    continue;
                }
                for (_, entry) in &letter.entries {
                    if let Entry::Reading(stamped) = entry {
                        seen.oldest_live_ms = seen.oldest_live_ms.max(now.since(stamped.reading.sampled_at).max(0) as u64);
                    }
                }
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
