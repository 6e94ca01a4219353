//! An external broker, by rumqttc v4 (MQTT 3.1.1): one connection that only consumes, one that only publishes.
//!
//! Sessions are clean: what a broker kept for us while we were away proves nothing, the gateways send it again.
//! A message is acknowledged to the broker when it is in the inbox, so a full inbox fills the broker's in-flight
//! window and nothing more. The event loop does nothing but poll: rumqttc pings and reconnects only there. After an
//! error the loop's own leftovers are thrown away, because acknowledging them on the next connection would hit
//! other messages' packet ids.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, Publish, QoS, SubscribeFilter};
use telemetry::topic::{self, Kind};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Counters, Inbox, Outgoing, Refusal, Taken};
use crate::config::MqttConfig;

/// Messages between the connection and the inbox: more than any broker's in-flight window.
const ON_THE_WAY: usize = 256;
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const FIRST_PAUSE_MS: u64 = 200;
const LONGEST_PAUSE_MS: u64 = 10_000;

/// Counts connections, so that nothing of an old one is acknowledged on a new one.
#[derive(Debug, Default)]
struct Link {
    generation: AtomicU64,
}

/// A message with the connection it came on.
struct Carried {
    publish: Publish,
    generation: u64,
}

/// Carries messages in and answers out until the shutdown.
pub async fn run(config: MqttConfig, inbox: Inbox, outgoing: mpsc::Receiver<Outgoing>, shutdown: CancellationToken) {
    let link = Arc::new(Link::default());
    let counters = inbox.counters().clone();
    counters.carrier_away.store(true, Ordering::SeqCst);
    let Some((host, port)) = crate::config::broker_address(&config.url) else {
        tracing::error!(url = config.url, "the broker's address is none");
        return;
    };
    let options = |role: &str, manual: bool| {
        // A random name: two collectors must never take turns in throwing each other out.
        let mut options = MqttOptions::new(format!("davy-collector-{role}-{:08x}", rand::rng().random::<u32>()), host.clone(), port);
        options.set_keep_alive(KEEP_ALIVE).set_clean_session(true).set_max_packet_size(1 << 20, 1 << 20).set_manual_acks(manual);
        if !config.user.is_empty() {
            options.set_credentials(config.user.clone(), config.password.clone());
        }
        options
    };
    let (consumer, consuming) = AsyncClient::new(options("in", true), ON_THE_WAY);
    let (publisher, publishing) = AsyncClient::new(options("out", false), ON_THE_WAY);
    let (carried, arriving) = mpsc::channel(ON_THE_WAY);
    let root = config.root.clone();
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = consume(consuming, consumer.clone(), root.clone(), carried, link.clone(), counters) => {}
        () = take_in(arriving, consumer, root.clone(), inbox, link) => {}
        () = publish(publisher, root, outgoing) => {}
        () = keep_publishing(publishing) => {}
    }
}

/// Polls the consuming connection, subscribes after each connect and hands messages over.
async fn consume(
    mut events: EventLoop,
    client: AsyncClient,
    root: String,
    carried: mpsc::Sender<Carried>,
    link: Arc<Link>,
    counters: Arc<Counters>,
) {
    let mut pause = FIRST_PAUSE_MS;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                link.generation.fetch_add(1, Ordering::SeqCst);
                pause = FIRST_PAUSE_MS;
                let filters = [Kind::Up, Kind::Birth, Kind::Status]
                    .map(|kind| SubscribeFilter::new(topic::every_shard_filter(&root, kind), QoS::AtLeastOnce));
                if client.try_subscribe_many(filters).is_err() {
                    tracing::error!("the subscription could not be queued; the next connection tries again");
                }
            }
            Ok(Event::Incoming(Incoming::SubAck(_))) => {
                counters.carrier_away.store(false, Ordering::SeqCst);
                tracing::info!("subscribed at the external broker");
            }
            Ok(Event::Incoming(Incoming::Publish(publish))) => {
                let generation = link.generation.load(Ordering::SeqCst);
                // Full only when the broker ignores its own window: what is not taken comes again from the gateway.
                let _ = carried.try_send(Carried { publish, generation });
            }
            Ok(_) => {}
            Err(error) => {
                if !counters.carrier_away.swap(true, Ordering::SeqCst) || pause == FIRST_PAUSE_MS {
                    tracing::warn!(%error, "the external broker is gone; connecting again");
                }
                forget(&mut events);
                tokio::time::sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE_MS);
            }
        }
    }
}

/// Puts messages into the inbox and acknowledges them to the broker then.
async fn take_in(mut arriving: mpsc::Receiver<Carried>, client: AsyncClient, root: String, inbox: Inbox, link: Arc<Link>) {
    while let Some(Carried { publish, generation }) = arriving.recv().await {
        let taken = match topic::parse(&root, &publish.topic) {
            None => Taken::Refused,
            Some((gateway, _)) if publish.retain => {
                // A retained message is an old one with a new arrival: it must not count as life.
                inbox.note(
                    gateway,
                    Refusal { kind: "retained", why: "measurements and status are never taken from retained messages".to_owned() },
                );
                Taken::Refused
            }
            Some((gateway, kind)) => inbox.take(gateway, kind, &publish.payload).await,
        };
        if taken == Taken::Refused {
            inbox.counters().refused.fetch_add(1, Ordering::Relaxed);
        }
        // Even what found no room is let go here: held back, it would block the window for good.
        if generation == link.generation.load(Ordering::SeqCst) {
            let _ = client.try_ack(&publish);
        }
    }
}

/// Queues answers on the publishing connection. One that finds no room is asked for again by the gateway.
async fn publish(client: AsyncClient, root: String, mut outgoing: mpsc::Receiver<Outgoing>) {
    while let Some(Outgoing { gateway, kind, payload }) = outgoing.recv().await {
        let topic = topic::topic(&root, &gateway, kind);
        if let Err(error) = client.try_publish(topic, QoS::AtLeastOnce, false, payload) {
            tracing::debug!(%error, "an answer to gateway {gateway} could not be queued");
        }
    }
}

async fn keep_publishing(mut events: EventLoop) {
    let mut pause = FIRST_PAUSE_MS;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => pause = FIRST_PAUSE_MS,
            Ok(_) => {}
            Err(_) => {
                // The consuming connection tells of the same broker.
                forget(&mut events);
                tokio::time::sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE_MS);
            }
        }
    }
}

fn forget(events: &mut EventLoop) {
    events.state.collision = None;
    events.state.events.clear();
    events.pending.clear();
}

fn jittered(ms: u64) -> Duration {
    Duration::from_millis(ms / 2 + rand::rng().random_range(0..=ms))
}
