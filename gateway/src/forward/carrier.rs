//! The forwarding task: wait for news from the spool, the broker or the clock, tell the machine, do what it
//! wants. All judgement is in `machine.rs`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use measurement::{MonotonicMs, Timestamp};
use prost::Message;
use spool::{Class, Record};
use telemetry::topic::{Kind, topic};
use telemetry::{Ack, BatchBuilder, Birth, Catalogue, CatalogueHash, Command, Entry, Header, Order, Status};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::keeper::{Ask, Standing};
use super::machine::{Machine, Wanted};
use super::mqtt::{Connection, News};
use super::record::{Kept, Note};
use super::{PostConfig, PostStatus};
use crate::clock::{Clock, Promise};

/// Heartbeat.
const STATUS_EVERY_MS: u64 = 5_000;
/// Records asked of the spool for one batch; more do not fit its 64 KiB anyway.
const BATCH_RECORDS: usize = 1_500;
/// First pause after a lost connection; doubled up to the last.
const FIRST_RETRY_MS: u64 = 500;
const LAST_RETRY_MS: u64 = 30_000;
/// The same catalogue is not sent more often than this.
const CATALOGUE_EVERY_MS: u64 = 5_000;

/// A turn of the task waits for the keeper's disk at most; after this it hangs.
const MOVES_WITHIN_MS: u64 = 60_000;

/// Everything the task owns.
pub struct Carrier {
    config: PostConfig,
    clock: Clock,
    asks: mpsc::Sender<Ask>,
    status: Arc<Mutex<PostStatus>>,
    catalogue: watch::Receiver<CatalogueHash>,
    catalogues: PathBuf,
    machine: Machine,
    standing: Standing,
    connection: Option<Connection>,
    retry_at: MonotonicMs,
    retry_ms: u64,
    status_at: MonotonicMs,
    /// The nonce out and when it was sent.
    nonce: Option<(u64, MonotonicMs)>,
    transit_ms: Option<u32>,
    catalogue_sent: Option<(u64, MonotonicMs)>,
    renewed_epoch: Option<u64>,
    /// Kept as long as the task moves.
    promise: Promise,
}

impl Carrier {
    pub fn new(
        config: PostConfig,
        clock: Clock,
        asks: mpsc::Sender<Ask>,
        status: Arc<Mutex<PostStatus>>,
        catalogue: watch::Receiver<CatalogueHash>,
        catalogues: PathBuf,
        promise: Promise,
    ) -> Carrier {
        Carrier {
            config,
            clock,
            asks,
            status,
            catalogue,
            catalogues,
            machine: Machine::default(),
            standing: Standing::default(),
            connection: None,
            retry_at: MonotonicMs(0),
            retry_ms: FIRST_RETRY_MS,
            status_at: MonotonicMs(0),
            nonce: None,
            transit_ms: None,
            catalogue_sent: None,
            renewed_epoch: None,
            promise,
        }
    }

    /// Runs until the shutdown.
    pub async fn run(mut self, mut reports: mpsc::UnboundedReceiver<Standing>, shutdown: CancellationToken) {
        let (news_out, mut news) = mpsc::unbounded_channel();
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.promise.until(MonotonicMs(self.clock.mono().0 + MOVES_WITHIN_MS));
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(said) = news.recv() => self.heard(said).await,
                Some(standing) = reports.recv() => self.stored(standing),
                _ = tick.tick() => self.tick(&news_out),
            }
            while let Ok(standing) = reports.try_recv() {
                self.stored(standing);
            }
            self.send_what_is_due().await;
            self.publish_status();
        }
        self.say_goodbye().await;
        self.promise.release();
    }

    fn stored(&mut self, standing: Standing) {
        let reopened = standing.acknowledged.is_some();
        if standing.epoch != 0 && (reopened || standing.epoch != self.standing.epoch) {
            let acknowledged = standing.acknowledged.clone().unwrap_or_default();
            self.machine = Machine::new(standing.floor, standing.highest, acknowledged);
            if self.connection.is_some() && self.status().connected {
                self.machine.connected(self.clock.mono());
                self.greet(standing.epoch, standing.floor, standing.highest);
            }
        } else if standing.epoch != 0 {
            self.machine.durable(standing.floor, standing.highest);
        }
        self.standing = standing;
    }

    fn tick(&mut self, news: &mpsc::UnboundedSender<News>) {
        let now = self.clock.mono();
        if self.machine.tick(now) {
            self.lost("the collector has acknowledged nothing for 30 s".to_owned());
        }
        if self.connection.is_none() && now >= self.retry_at && self.standing.epoch != 0 {
            let will = Status { epoch: self.standing.epoch, boot: self.clock.boot(), ..Status::default() }.encode_to_vec();
            match Connection::open(&self.config.broker, &self.config.root, &self.config.gateway, will, news.clone()) {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => self.lost(error.to_string()),
            }
        }
        if self.status().connected && now >= self.status_at {
            self.status_at = MonotonicMs(now.0 + STATUS_EVERY_MS);
            let nonce = rand::random::<u64>() | 1;
            self.nonce = Some((nonce, now));
            let status = self.heartbeat(true, nonce);
            self.publish(Kind::Status, status.encode_to_vec());
        }
    }

    async fn heard(&mut self, news: News) {
        match news {
            News::Connected => {
                info!(broker = %self.config.broker.url, "connected to the broker");
                self.retry_ms = FIRST_RETRY_MS;
                self.machine.connected(self.clock.mono());
                self.note(|status| {
                    status.connected = true;
                    status.trouble = None;
                });
                self.status_at = MonotonicMs(0);
                self.greet(self.standing.epoch, self.standing.floor, self.standing.highest);
            }
            News::Lost(why) => self.lost(why),
            News::Ack(payload) => match Ack::decode(payload.as_slice()) {
                Ok(ack) => self.acknowledged(ack).await,
                Err(error) => warn!(%error, "an acknowledgement that is none"),
            },
            News::Command(payload) => match Command::decode(payload.as_slice()) {
                Ok(Command { order: Some(order) }) => self.ordered(order).await,
                Ok(Command { order: None }) => debug!("an order of a later version"),
                Err(error) => warn!(%error, "a command that is none"),
            },
        }
    }

    async fn acknowledged(&mut self, ack: Ack) {
        let now = self.clock.mono();
        if let Some((nonce, sent_at)) = self.nonce.filter(|(nonce, _)| *nonce == ack.nonce && ack.nonce != 0) {
            let _ = nonce;
            self.transit_ms = Some(u32::try_from(now.since(sent_at)).unwrap_or(u32::MAX));
            self.nonce = None;
        }
        if ack.wanted_catalogue != 0 {
            self.send_catalogue(ack.wanted_catalogue).await;
        }
        if ack.epoch != self.standing.epoch {
            return;
        }
        if self.machine.acknowledge(&ack, now) {
            let wall = self.clock.wall();
            self.note(|status| status.last_ack = Some(wall));
            let ranges = ack.ranges.iter().map(|range| (range.first, range.last)).collect();
            let _ = self.asks.send(Ask::Acknowledge { epoch: ack.epoch, contiguous: ack.contiguous, ranges }).await;
        }
    }

    async fn ordered(&mut self, order: Order) {
        match order {
            Order::Hello(seen) if seen.epoch == self.standing.epoch => {
                let highest = seen.ranges.iter().map(|range| range.last).fold(seen.contiguous, u64::max);
                if highest > self.standing.highest && self.renewed_epoch != Some(seen.epoch) {
                    warn!(seen = highest, ours = self.standing.highest, "the collector has seen sequences beyond ours: a new epoch begins");
                    self.renewed_epoch = Some(seen.epoch);
                    let _ = self.asks.send(Ask::Renew).await;
                } else {
                    self.acknowledged(seen).await;
                }
            }
            Order::Hello(_) => {}
            Order::ResendFrom(range) => {
                info!(first = range.first, last = range.last, "the collector asks again for what it lost");
                let last = if range.last == 0 { u64::MAX } else { range.last };
                self.machine.unacknowledge(range.first, last);
                let _ = self.asks.send(Ask::Unacknowledge { first: range.first, last }).await;
            }
            Order::SendCatalogue(hash) => self.send_catalogue(hash).await,
            Order::Refused(why) => {
                warn!(%why, "the collector refuses our readings");
                self.note(|status| status.trouble = Some(format!("the collector refuses our readings: {why}")));
            }
        }
    }

    /// The catalogue goes through the spool like everything else.
    async fn send_catalogue(&mut self, hash: u64) {
        let now = self.clock.mono();
        if self.catalogue_sent.is_some_and(|(sent, at)| sent == hash && now.since(at) < CATALOGUE_EVERY_MS) {
            return;
        }
        self.catalogue_sent = Some((hash, now));
        let Some(catalogue) = kept_catalogue(&self.catalogues, hash) else {
            warn!(hash, "the collector asks for a catalogue that is not here");
            return;
        };
        let parts = catalogue.parts().into_iter().map(|part| (Class::Urgent, Kept::Part(part).encode()));
        let _ = self.asks.send(Ask::Append(parts.collect())).await;
    }

    async fn send_what_is_due(&mut self) {
        // A bound on one turn, so that news is heard while a backlog drains.
        for _ in 0..8 {
            let Some(wanted) = self.machine.next() else { return };
            let (reply, answer) = oneshot::channel();
            let ask = Ask::Read { from: wanted.from, to: wanted.to, most: BATCH_RECORDS, bytes: telemetry::MAX_PAYLOAD, reply };
            if self.asks.send(ask).await.is_err() {
                return;
            }
            let Ok(records) = answer.await else { return };
            if !self.send(wanted, &records) {
                return;
            }
        }
    }

    /// Sends one batch of these records. False when the client takes no more now.
    fn send(&mut self, wanted: Wanted, records: &[Record]) -> bool {
        let Some(first) = records.first().map(|record| record.sequence) else {
            self.machine.absent(wanted, wanted.from, wanted.to);
            return true;
        };
        if first > wanted.from {
            self.machine.absent(wanted, wanted.from, first - 1);
        }
        let moment = self.clock.now();
        let (batch, last) = self.batch(wanted, records, moment.mono, moment.wall);
        if !self.publish(Kind::Up, batch) {
            return false;
        }
        self.machine.sent(wanted.lane, first, last, moment.mono);
        true
    }

    /// As many of the records as share a note and fit.
    fn batch(&self, wanted: Wanted, records: &[Record], now: MonotonicMs, wall: Timestamp) -> (Vec<u8>, u64) {
        let note_of = |record: &Record| record.note.as_deref().and_then(Note::decode);
        let note = records.iter().find_map(note_of).unwrap_or(Note { boot: 0, catalogue: CatalogueHash(0) });
        let age_known = note.boot == self.clock.boot();
        let header = Header {
            epoch: self.standing.epoch,
            floor: self.standing.floor,
            lane: wanted.lane,
            boot: self.clock.boot(),
            sent_at: wall,
            clock: self.clock.quality(),
            catalogue: note.catalogue,
            transit_ms: self.transit_ms,
            age_known,
        };
        let first = records.first().map_or(0, |record| record.sequence);
        let mut batch = BatchBuilder::new(header, first);
        let mut last = first;
        for record in records {
            if note_of(record).unwrap_or(note) != note && !batch.is_empty() {
                break;
            }
            let kept = Kept::decode(&record.payload);
            let entry = kept.map(|kept| kept.into_entry(age_known.then_some(now))).unwrap_or_else(|| unreadable(record.sequence));
            if !batch.push(&entry) {
                break;
            }
            last = record.sequence;
        }
        (batch.finish(), last)
    }

    fn greet(&mut self, epoch: u64, floor: u64, highest: u64) {
        let catalogue = self.catalogue.borrow().0;
        let birth = Birth { epoch, boot: self.clock.boot(), catalogue, version: self.config.version.clone(), highest, floor };
        self.publish(Kind::Birth, birth.encode_to_vec());
    }

    fn heartbeat(&self, online: bool, nonce: u64) -> Status {
        let moment = self.clock.now();
        Status {
            epoch: self.standing.epoch,
            boot: self.clock.boot(),
            online,
            sent_mono_ms: moment.mono.0,
            sent_at_ms: moment.wall.0,
            clock: self.clock.quality().into(),
            nonce,
            highest: self.standing.highest,
            floor: self.standing.floor,
            unacknowledged: self.standing.unacknowledged,
            catalogue: self.catalogue.borrow().0,
            spool_bytes: self.standing.bytes,
            spool_capacity: self.standing.capacity,
            degraded: self.standing.degraded_because.is_some(),
        }
    }

    fn publish(&self, kind: Kind, payload: Vec<u8>) -> bool {
        let topic = topic(&self.config.root, &self.config.gateway, kind);
        self.connection.as_ref().is_some_and(|connection| connection.publish(&topic, payload))
    }

    fn lost(&mut self, why: String) {
        let first_word = self.status().trouble.as_ref() != Some(&why);
        if first_word {
            warn!(broker = %self.config.broker.url, "no connection to the collector: {why}");
        }
        self.connection = None;
        self.machine.disconnected();
        self.nonce = None;
        self.transit_ms = None;
        // Jitter keeps a city's gateways from coming back in step.
        let jitter = rand::random::<u64>() % (self.retry_ms / 2 + 1);
        self.retry_at = MonotonicMs(self.clock.mono().0 + self.retry_ms + jitter);
        self.retry_ms = (self.retry_ms * 2).min(LAST_RETRY_MS);
        self.note(|status| {
            status.connected = false;
            status.trouble = Some(why);
            status.transit_ms = None;
        });
    }

    async fn say_goodbye(&mut self) {
        if self.status().connected {
            let status = self.heartbeat(false, 0);
            self.publish(Kind::Status, status.encode_to_vec());
            if let Some(connection) = &self.connection {
                connection.goodbye();
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        self.connection = None;
    }

    fn status(&self) -> std::sync::MutexGuard<'_, PostStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut PostStatus)) {
        change(&mut self.status());
    }

    fn publish_status(&self) {
        let standing = &self.standing;
        let mut status = self.status();
        status.epoch = standing.epoch;
        status.unacknowledged = standing.unacknowledged;
        status.highest = standing.highest;
        status.floor = standing.floor;
        status.spool_bytes = standing.bytes;
        status.spool_capacity = standing.capacity;
        status.degraded = standing.degraded_because.is_some();
        status.degraded_because = standing.degraded_because.clone();
        status.lost = standing.lost;
        status.transit_ms = self.transit_ms;
        status.commit_ms = standing.commit_ms;
    }
}

/// A record of a later version of this program: its sequence is declared, never silently left out.
fn unreadable(sequence: u64) -> Entry {
    Entry::Gap(telemetry::Gap { first: sequence, last: sequence, why: telemetry::GapCause::Unknown.into(), lost: 1 })
}

/// Keeps a catalogue beside the spool, so that readings of an older one can still be explained. True when it
/// was here before.
pub fn keep_catalogue(directory: &Path, catalogue: &Catalogue) -> bool {
    let path = directory.join(format!("{:016x}", catalogue.hash().0));
    if path.exists() {
        return true;
    }
    let written = std::fs::create_dir_all(directory).and_then(|()| {
        let new = path.with_extension("new");
        std::fs::write(&new, catalogue.encode_to_vec())?;
        std::fs::File::open(&new)?.sync_all()?;
        std::fs::rename(&new, &path)
    });
    if let Err(error) = written {
        warn!(%error, path = %path.display(), "the catalogue cannot be kept");
    }
    false
}

fn kept_catalogue(directory: &Path, hash: u64) -> Option<Catalogue> {
    let bytes = std::fs::read(directory.join(format!("{hash:016x}"))).ok()?;
    Catalogue::decode(bytes.as_slice()).ok().filter(|catalogue| catalogue.hash().0 == hash)
}
