//! Somebody who subscribes to what a gateway publishes, and measures how old it is when it arrives. Ages are the
//! gateway's own (monotonic) up to sending; from there on both ends read the same host's clock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use collector::clock::Clock;
use measurement::Timestamp;
use prost::Message;
use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS};
use telemetry::topic::Kind;
use telemetry::{Ack, Entry, Lane, Letter};

/// Ages in whole milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Ages(Vec<u32>);

impl Ages {
    fn add(&mut self, ms: u64) {
        self.0.push(u32::try_from(ms).unwrap_or(u32::MAX));
    }

    /// The age that this share of all is not older than; `None` when nothing was heard.
    pub fn quantile(&self, share: f64) -> Option<u32> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1));
        sorted.get(place - 1).copied()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl std::fmt::Display for Ages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.quantile(0.5), self.quantile(0.99)) {
            (Some(half), Some(most)) => write!(f, "p50 {half} ms, p99 {most} ms"),
            _ => f.write_str("nothing heard"),
        }
    }
}

/// What was heard since the last time it was taken. Only the live lane's readings whose age is known count.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// From the frame's arrival at the gateway to the batch's handing to MQTT.
    pub to_publish: Ages,
    /// To its arrival here.
    pub to_subscriber: Ages,
    /// The same, for the channels that are urgent every time.
    pub urgent: Ages,
    /// To the collector's acknowledgement: it is on the collector's disk then.
    pub to_acknowledged: Ages,
}

#[derive(Default)]
struct State {
    heard: Heard,
    /// Live batches not acknowledged: last sequence, and when their oldest reading was read.
    open: VecDeque<(u64, i64)>,
    contiguous: u64,
}

/// The subscriber.
pub struct Subscriber {
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Subscriber {
    /// Subscribes at a broker that asks nobody's name. `urgent` says which channels are urgent every time.
    pub async fn start(port: u16, urgent: impl Fn(u32) -> bool + Send + 'static) -> Result<Subscriber> {
        let mut options = MqttOptions::new("benchmark-subscriber", "127.0.0.1", port);
        options.set_keep_alive(Duration::from_secs(30));
        options.set_max_packet_size(telemetry::MAX_PAYLOAD + 1024, telemetry::MAX_PAYLOAD + 1024);
        let (client, mut events) = AsyncClient::new(options, 16);
        events.network_options.set_tcp_nodelay(true);
        let state = Arc::new(Mutex::new(State::default()));
        let (kept, clock) = (state.clone(), Clock::system());
        let (tell, told) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let mut tell = Some(tell);
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                        let _ = client.try_subscribe("davy/v1/+/+/up", QoS::AtMostOnce);
                        let _ = client.try_subscribe("davy/v1/+/+/ack", QoS::AtMostOnce);
                    }
                    Ok(Event::Incoming(Incoming::SubAck(_))) => drop(tell.take().map(|tell| tell.send(()))),
                    Ok(Event::Incoming(Incoming::Publish(publish))) => {
                        let now = clock.wall();
                        let mut state = lock(&kept);
                        if publish.topic.ends_with(Kind::Up.as_str()) {
                            state.letter(&publish.payload, now, &urgent);
                        } else {
                            state.acknowledgement(&publish.payload, now);
                        }
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        tokio::time::timeout(Duration::from_secs(10), told).await??;
        Ok(Subscriber { state, task })
    }

    /// What was heard since the last time.
    pub fn take(&self) -> Heard {
        std::mem::take(&mut lock(&self.state).heard)
    }

    /// Up to where the collector has acknowledged everything.
    pub fn contiguous(&self) -> u64 {
        lock(&self.state).contiguous
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn letter(&mut self, payload: &[u8], now: Timestamp, urgent: &impl Fn(u32) -> bool) {
        let Ok(letter) = Letter::decode(payload) else { return };
        if letter.lane != Lane::Live {
            return;
        }
        let (travelled, mut oldest) = (now.since(letter.sent_at).max(0) as u64, 0);
        for (_, entry) in &letter.entries {
            let Entry::Reading(stamped) = entry else { continue };
            let Some(age) = stamped.age_ms else { continue };
            self.heard.to_publish.add(age);
            self.heard.to_subscriber.add(age + travelled);
            if urgent(stamped.reading.channel.0) {
                self.heard.urgent.add(age + travelled);
            }
            oldest = oldest.max(age);
        }
        if oldest > 0 {
            self.open.push_back((letter.last(), letter.sent_at.0 - oldest as i64));
        }
    }

    fn acknowledgement(&mut self, payload: &[u8], now: Timestamp) {
        let Ok(ack) = Ack::decode(payload) else { return };
        self.contiguous = self.contiguous.max(ack.contiguous);
        let held = |last: u64| last <= ack.contiguous || ack.ranges.iter().any(|range| (range.first..=range.last).contains(&last));
        let heard = &mut self.heard;
        self.open.retain(|(last, read_at)| {
            let is_held = held(*last);
            if is_held {
                heard.to_acknowledged.add((now.0 - read_at).max(0) as u64);
            }
            !is_held
        });
    }
}
