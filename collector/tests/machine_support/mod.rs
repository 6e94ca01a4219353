//! A gateway for tests, by hand: it signs in with rumqttc, publishes letters and reads acknowledgements.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says where")]

use std::path::Path;
use std::time::Duration;

use collector::clock::Clock;
use collector::{Config, Running};
use measurement::{ChannelId, Outcome, Reading, Timestamp};
use prost::Message;
use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS};
use telemetry::topic::{GatewayId, Kind, topic};
use telemetry::{
    Ack, BatchBuilder, Birth, Catalogue, CatalogueChannel, CatalogueHash, ClockQuality, Command, Entry, Header, Lane, StampedReading,
    Status,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub const ROOT: &str = "davy/v1";
/// Generous: the machine may be busy. Nothing waits this long when it works.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const EPOCH: u64 = 0xE0;

pub fn config(dir: &Path) -> Config {
    let mut config = Config { data_dir: dir.to_owned(), simulated: true, ..Config::default() };
    config.http.listen.set_port(0);
    config.mqtt.listen.set_port(0);
    config
}

/// A collector that runs, with the token that stops it.
pub struct House {
    pub running: Running,
    pub shutdown: CancellationToken,
}

impl House {
    pub async fn start(dir: &Path) -> House {
        let shutdown = CancellationToken::new();
        let running = collector::run(config(dir), shutdown.clone()).await.expect("the collector starts");
        House { running, shutdown }
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.running.stopped().await.expect("a clean stop");
    }

    /// A gateway's secret, by the way an administrator would.
    pub async fn admit(&self, gateway: &str) -> String {
        let at = self.running.clock.wall();
        let new = collector::store::NewGateway { name: gateway.to_owned() };
        let code = self.running.store.new_enrolment_code(&new, at, "test").await.expect("a code");
        self.running.store.enrol(&code.code, gateway, at).await.expect("admitted").password
    }
}

/// Two methane channels of a simulated site, one read each second, one each five.
pub fn catalogue() -> Catalogue {
    let channel = |tag: &str, period_ms| CatalogueChannel {
        tag: tag.to_owned(),
        name: tag.to_owned(),
        device: "node".to_owned(),
        model: "davy-node".to_owned(),
        unit: u32::from(measurement::Unit::PercentLel.code()),
        quantity: "CH4".to_owned(),
        range_low: Some(0.0),
        range_high: Some(100.0),
        lel_percent_vol: Some(5.0),
        reference_celsius: None,
        period_ms,
        serial: "1".to_owned(),
        own_health: false,
    };
    Catalogue { channels: vec![channel("node/ch4", 1000), channel("node/ch4-b", 5000)], site: "test".to_owned(), simulated: true }
}

pub fn reading(channel: u32, at: Timestamp, value: f32, age_ms: u64) -> Entry {
    let reading = Reading { channel: ChannelId(channel), sampled_at: at, outcome: Outcome::measured(value) };
    Entry::Reading(StampedReading { reading, parse_lag_ms: 5, age_ms: Some(age_ms) })
}

/// A gateway's connection.
pub struct Gateway {
    pub id: GatewayId,
    pub client: AsyncClient,
    acks: mpsc::UnboundedReceiver<Ack>,
    pub commands: mpsc::UnboundedReceiver<Command>,
    pub connected: mpsc::UnboundedReceiver<bool>,
    poll: tokio::task::JoinHandle<()>,
    pub clock: Clock,
    pub epoch: u64,
    pub floor: u64,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.poll.abort();
    }
}

impl Gateway {
    pub async fn connect(house: &House, id: &str, password: &str) -> Gateway {
        let address = house.running.mqtt.expect("embedded");
        Gateway::connect_to(&address.ip().to_string(), address.port(), id, password, house.running.clock.clone()).await
    }

    pub async fn connect_to(host: &str, port: u16, id: &str, password: &str, clock: Clock) -> Gateway {
        let id = GatewayId::new(id).expect("legal");
        let mut options = MqttOptions::new(id.as_str(), host, port);
        options.set_credentials(id.as_str(), password).set_keep_alive(Duration::from_secs(10)).set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut events) = AsyncClient::new(options, 100);
        let (acked, acks) = mpsc::unbounded_channel();
        let (ordered, commands) = mpsc::unbounded_channel();
        let (up, mut connected) = mpsc::unbounded_channel();
        let poll = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Incoming::Publish(publish))) if publish.topic.ends_with("/ack") => {
                        let _ = acked.send(Ack::decode(&publish.payload[..]).expect("an ack"));
                    }
                    Ok(Event::Incoming(Incoming::Publish(publish))) => {
                        let _ = ordered.send(Command::decode(&publish.payload[..]).expect("a command"));
                    }
                    Ok(Event::Incoming(Incoming::SubAck(_))) => _ = up.send(true),
                    Ok(_) => {}
                    Err(_) => {
                        _ = up.send(false);
                        events.state.collision = None;
                        events.state.events.clear();
                        events.pending.clear();
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        for kind in [Kind::Ack, Kind::Cmd] {
            client.subscribe(topic(ROOT, &id, kind), QoS::AtLeastOnce).await.expect("queued");
        }
        // One answer for each subscription, or a refusal.
        for _ in 0..2 {
            if !tokio::time::timeout(PATIENCE, connected.recv()).await.expect("connects").expect("polls") {
                break;
            }
        }
        Gateway { id, client, acks, commands, connected, poll, clock, epoch: EPOCH, floor: 1 }
    }

    pub async fn publish(&self, kind: Kind, payload: Vec<u8>) {
        self.client.publish(topic(ROOT, &self.id, kind), QoS::AtLeastOnce, false, payload).await.expect("queued");
    }

    /// The payload of one letter.
    pub fn letter(&self, first: u64, entries: &[Entry], lane: Lane, age_known: bool) -> Vec<u8> {
        let header = Header {
            epoch: self.epoch,
            floor: self.floor,
            lane,
            boot: 1,
            sent_at: self.clock.wall(),
            clock: ClockQuality::Synchronised,
            catalogue: CatalogueHash(catalogue().hash().0),
            transit_ms: Some(5),
            age_known,
        };
        let mut builder = BatchBuilder::new(header, first);
        entries.iter().for_each(|entry| assert!(builder.push(entry), "one letter"));
        builder.finish()
    }

    pub async fn send(&self, first: u64, entries: &[Entry], lane: Lane) {
        let letter = self.letter(first, entries, lane, true);
        self.publish(Kind::Up, letter).await;
    }

    /// The catalogue as the first entries of the stream; gives the next sequence.
    pub async fn send_catalogue(&self) -> u64 {
        let parts: Vec<Entry> = catalogue().parts().into_iter().map(Entry::CataloguePart).collect();
        self.send(1, &parts, Lane::Live).await;
        1 + parts.len() as u64
    }

    pub async fn status(&self, highest: u64, nonce: u64) {
        let status = Status {
            epoch: self.epoch,
            boot: 1,
            online: true,
            sent_mono_ms: 1,
            sent_at_ms: self.clock.wall().0,
            clock: ClockQuality::Synchronised.into(),
            nonce,
            highest,
            floor: self.floor,
            unacknowledged: 0,
            catalogue: catalogue().hash().0,
            spool_bytes: 0,
            spool_capacity: 1,
            degraded: false,
        };
        self.publish(Kind::Status, status.encode_to_vec()).await;
    }

    pub async fn birth(&self, highest: u64) {
        let birth =
            Birth { epoch: self.epoch, boot: 1, catalogue: catalogue().hash().0, version: "test".to_owned(), highest, floor: self.floor };
        self.publish(Kind::Birth, birth.encode_to_vec()).await;
    }

    /// Waits for an acknowledgement that satisfies.
    pub async fn ack_that(&mut self, satisfies: impl Fn(&Ack) -> bool) -> Ack {
        let wait = async {
            loop {
                let ack = self.acks.recv().await.expect("polls");
                if satisfies(&ack) {
                    return ack;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("an acknowledgement in time")
    }

    /// Waits until everything up to this sequence is acknowledged, sending it again as a gateway would.
    pub async fn acked_to(&mut self, sequence: u64) -> Ack {
        self.ack_that(|ack| ack.contiguous >= sequence).await
    }

    /// True when no acknowledgement comes for a while that a working collector would have used.
    pub async fn hears_nothing(&mut self, ms: u64) -> bool {
        tokio::time::timeout(Duration::from_millis(ms), self.acks.recv()).await.is_err()
    }
}

/// Asks again until it is so.
pub async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("in time: {what}"))
}
