//! The forwarding task: wait for news from the spool, the broker or the clock, tell the machine, do what it
//! wants. All judgement is in `machine.rs`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use measurement::MonotonicMs;
use prost::Message;
use spool::{Class, Record};
use telemetry::topic::{Kind, topic};
use telemetry::{Ack, Birth, CatalogueHash, Command, Header, Order, Status};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::batch::batch;
use super::catalogues::{Catalogues, SentLately};
use super::inbox::{Ask, Inbox};
use super::keeper::Standing;
use super::machine::{Machine, Wanted};
use super::mqtt::{Connection, Destination, News};
use super::pace::Pace;
use super::record::Kept;
use super::renewal::Renewal;
use super::report::Reports;
use super::trouble::Trouble;
use super::{PostConfig, PostStatus};
use crate::clock::{Clock, Promise};

/// Heartbeat.
const STATUS_EVERY_MS: u64 = 5_000;
/// Records asked of the spool for one batch; more do not fit its 64 KiB anyway.
const BATCH_RECORDS: usize = 1_500;
/// Letters of one turn at most, so that news and what was just committed are heard of while a backlog drains.
const LETTERS_A_TURN: usize = 2;
/// The machine hears of the time at least this often.
const LOOK_EVERY_MS: u64 = 500;
/// News of the connection that may wait here; beyond that the connection waits, and TCP holds the broker back.
const MOST_NEWS: usize = 64;
/// A turn of the task waits for the keeper's disk at most; after this it hangs.
const MOVES_WITHIN_MS: u64 = 60_000;

/// Everything the task owns.
pub struct Carrier {
    config: PostConfig,
    clock: Clock,
    inbox: Arc<Inbox>,
    status: Arc<Mutex<PostStatus>>,
    catalogue: watch::Receiver<CatalogueHash>,
    catalogues: Catalogues,
    machine: Machine,
    trouble: Trouble,
    standing: Standing,
    connection: Option<Connection>,
    is_connected: bool,
    /// How many connections there were.
    connections: u64,
    pace: Pace,
    retry_at: MonotonicMs,
    renewal: Renewal,
    look: Arc<Notify>,
    status_at: MonotonicMs,
    /// The nonce out and when it was sent.
    nonce: Option<(u64, MonotonicMs)>,
    transit_ms: Option<u32>,
    catalogues_sent: SentLately,
    /// An epoch in which somebody else gave out sequences too: nothing that is said of it is believed.
    shared_epoch: Option<u64>,
    /// Kept as long as the task moves.
    pub promise: Promise,
}

impl Carrier {
    pub fn new(
        config: PostConfig,
        clock: Clock,
        inbox: Arc<Inbox>,
        status: Arc<Mutex<PostStatus>>,
        catalogue: watch::Receiver<CatalogueHash>,
        catalogues: Catalogues,
        look: Arc<Notify>,
    ) -> Carrier {
        Carrier {
            renewal: Renewal::new(&config, &clock, &inbox),
            config,
            clock,
            inbox,
            status,
            catalogue,
            catalogues,
            machine: Machine::default(),
            trouble: Trouble::default(),
            standing: Standing::default(),
            connection: None,
            is_connected: false,
            connections: 0,
            pace: Pace::default(),
            retry_at: MonotonicMs(0),
            look,
            status_at: MonotonicMs(0),
            nonce: None,
            transit_ms: None,
            catalogues_sent: SentLately::default(),
            shared_epoch: None,
            promise: Promise::default(),
        }
    }

    /// Runs until the shutdown.
    pub async fn run(mut self, reports: Arc<Reports>, shutdown: CancellationToken) {
        let (news_out, mut news) = mpsc::channel(MOST_NEWS);
        let look = self.look.clone();
        let mut has_more = false;
        loop {
            let rest = if has_more { Duration::ZERO } else { self.rest() };
            self.promise.until(MonotonicMs(self.clock.mono().0 + MOVES_WITHIN_MS));
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some((number, said)) = news.recv() => {
                    if self.connection.as_ref().is_some_and(|connection| connection.number() == number) {
                        self.heard(said);
                    }
                }
                standing = reports.next() => self.stored(standing),
                () = look.notified() => self.renewal.hurry(),
                () = tokio::time::sleep(rest) => {}
            }
            if let Some(standing) = reports.take() {
                self.stored(standing);
            }
            self.look_at_the_connection(&news);
            self.look_at_the_certificates().await;
            self.look_at_the_clock(&news_out);
            has_more = self.send_what_is_due().await;
        }
        // What still comes is let through, so that the goodbye does not wait behind it.
        tokio::select! {
            () = self.say_goodbye() => {}
            () = async { while news.recv().await.is_some() {} } => {}
        }
        self.promise.release();
    }

    fn stored(&mut self, standing: Standing) {
        let reopened = standing.acknowledged.is_some();
        if standing.epoch != 0 && (reopened || standing.epoch != self.standing.epoch) {
            let acknowledged = standing.acknowledged.clone().unwrap_or_default();
            self.machine = Machine::new(standing.floor, standing.highest, acknowledged);
            if self.is_connected {
                self.machine.connected(self.clock.mono());
                self.greet(standing.epoch, standing.floor, standing.highest);
            }
        } else if standing.epoch != 0 {
            self.machine.durable(standing.floor, standing.highest);
        }
        // Without a disk there is nothing new to say of sequences; an epoch of zero would be another gateway's to the collector.
        let before = std::mem::replace(&mut self.standing, standing);
        if self.standing.epoch == 0 {
            let Standing { epoch, floor, highest, unacknowledged, bytes, capacity, .. } = before;
            self.standing = Standing { epoch, floor, highest, unacknowledged, bytes, capacity, ..std::mem::take(&mut self.standing) };
        }
        self.note(|status| status.stands(&self.standing));
    }

    /// How long nothing is to be done by itself.
    fn rest(&self) -> Duration {
        let now = self.clock.mono();
        let due = match self.connection {
            Some(_) if self.is_connected => self.status_at,
            None if self.standing.epoch != 0 => self.retry_at,
            // It is being made, or the disk is not there: news will come.
            _ => return Duration::from_millis(LOOK_EVERY_MS),
        };
        Duration::from_millis(due.since(now).clamp(1, LOOK_EVERY_MS))
    }

    /// A connection says why it ends; one whose task fell, by a bug, has ended and nothing of it waits to be heard.
    fn look_at_the_connection(&mut self, news: &mpsc::Receiver<(u64, News)>) {
        if self.connection.as_ref().is_some_and(Connection::has_ended) && news.is_empty() {
            self.lost("the connection's task ended without saying why".to_owned());
        }
    }

    /// Renewed ones are taken into use: the connection is closed and made anew with them. What was out is sent again.
    async fn look_at_the_certificates(&mut self) {
        let Some(found) = self.renewal.look().await else { return };
        if found.renewed {
            self.retry_at = MonotonicMs(0);
            self.leave();
        }
        self.note(|status| status.certificates = found.trouble);
    }

    fn look_at_the_clock(&mut self, news: &mpsc::Sender<(u64, News)>) {
        let now = self.clock.mono();
        if self.machine.tick(now) {
            self.blame("the collector has acknowledged nothing for 30 s: the connection is made anew".to_owned());
            self.give_up();
        }
        if self.connection.is_none() && now >= self.retry_at && self.standing.epoch != 0 {
            self.connect(news.clone());
        }
        if self.is_connected && now >= self.status_at {
            self.status_at = MonotonicMs(now.0 + STATUS_EVERY_MS);
            let nonce = rand::random::<u64>() | 1;
            self.nonce = Some((nonce, now));
            let status = self.heartbeat(true, nonce);
            self.publish(Kind::Status, status.encode_to_vec());
        }
    }

    fn connect(&mut self, news: mpsc::Sender<(u64, News)>) {
        self.connections += 1;
        let begun = self.connections;
        self.note(|status| status.connections = begun);
        let will = Status { epoch: self.standing.epoch, boot: self.clock.boot(), ..Status::default() }.encode_to_vec();
        let PostConfig { broker, root, gateway, .. } = &self.config;
        let tls = self.renewal.tls();
        match Connection::open(Destination { broker, root, gateway, tls }, will, self.connections, news) {
            Ok(connection) => self.connection = Some(connection),
            Err(error) => {
                // Files that were not usable may be by the next attempt.
                self.renewal.hurry();
                self.lost(error.to_string());
            }
        }
    }

    /// Ends the connection in good order.
    fn leave(&mut self) {
        if let Some(connection) = self.connection.take() {
            tokio::spawn(connection.close());
        }
        self.trouble.connected();
        self.unlink();
    }

    fn heard(&mut self, news: News) {
        match news {
            News::Connected => {
                info!(broker = %self.config.broker.url, "connected to the broker");
                self.is_connected = true;
                self.machine.connected(self.clock.mono());
                self.trouble.connected();
                self.note(|status| status.connected = true);
                self.tell_trouble();
                self.status_at = MonotonicMs(0);
                self.greet(self.standing.epoch, self.standing.floor, self.standing.highest);
            }
            News::Lost(why) => self.lost(why),
            News::Ack(payload) => match Ack::decode(payload.as_slice()) {
                Ok(ack) => self.acknowledged(&ack),
                Err(error) => warn!(%error, "an acknowledgement that is none"),
            },
            News::Command(payload) => match Command::decode(payload.as_slice()) {
                Ok(Command { order: Some(order) }) => self.ordered(order),
                Ok(Command { order: None }) => debug!("an order of a later version"),
                Err(error) => warn!(%error, "a command that is none"),
            },
        }
    }

    fn acknowledged(&mut self, ack: &Ack) {
        let now = self.clock.mono();
        self.pace.heard();
        if let Some((_, sent_at)) = self.nonce.filter(|(nonce, _)| *nonce == ack.nonce && ack.nonce != 0) {
            self.transit_ms = Some(u32::try_from(now.since(sent_at)).unwrap_or(u32::MAX));
            self.nonce = None;
        }
        if ack.wanted_catalogue != 0 {
            self.send_catalogue(ack.wanted_catalogue);
        }
        let (wall, transit) = (self.clock.wall(), self.transit_ms);
        self.note(|status| status.transit_ms = transit);
        if !self.is_of_our_disk(ack) {
            return;
        }
        self.note(|status| (status.last_ack, status.last_ack_mono) = (Some(wall), Some(now)));
        let news = self.machine.acknowledge(ack, now);
        if news {
            let ranges = ack.ranges.iter().map(|range| (range.first, range.last));
            self.inbox.acknowledge(ack.epoch, std::iter::once((1, ack.contiguous)).chain(ranges));
        }
        if news || !self.machine.waits() {
            self.trouble.acknowledged();
            self.tell_trouble();
        }
    }

    /// False when it may speak of sequences that another disk gave out (a clone, or ours before it was restored).
    fn is_of_our_disk(&self, ack: &Ack) -> bool {
        let is_shared = self.shared_epoch == Some(ack.epoch);
        ack.epoch == self.standing.epoch && !is_shared && highest_of(ack) <= self.standing.highest
    }

    fn ordered(&mut self, order: Order) {
        match order {
            Order::Hello(seen) if seen.epoch == self.standing.epoch && !self.is_of_our_disk(&seen) => {
                let (seen, ours) = (highest_of(&seen), self.standing.highest);
                warn!(seen, ours, "the collector has seen sequences beyond ours: a new epoch begins");
                self.shared_epoch = Some(self.standing.epoch);
                self.inbox.renew(self.standing.epoch);
            }
            Order::Hello(seen) if seen.epoch == self.standing.epoch => self.acknowledged(&seen),
            Order::Hello(_) => {}
            Order::ResendFrom(range) => {
                info!(first = range.first, last = range.last, "the collector asks again for what it lost");
                let last = if range.last == 0 { u64::MAX } else { range.last };
                self.machine.unacknowledge(range.first, last);
                self.inbox.ask(Ask::Unacknowledge { first: range.first, last });
            }
            Order::SendCatalogue(hash) => self.send_catalogue(hash),
            Order::Refused(why) => self.blame(format!("the collector refuses our readings: {why}")),
        }
    }

    /// The catalogue goes through the spool like everything else, once it was read from the disk.
    fn send_catalogue(&mut self, hash: u64) {
        if !self.catalogues_sent.may_send(hash, self.clock.mono()) {
            return;
        }
        let (catalogues, inbox) = (self.catalogues.clone(), self.inbox.clone());
        tokio::task::spawn_blocking(move || {
            let Some(catalogue) = catalogues.find(CatalogueHash(hash)) else {
                warn!(hash, "the collector asks for a catalogue that is not here");
                return;
            };
            let parts: Vec<Kept> = catalogue.parts().into_iter().map(Kept::Part).collect();
            // Without room it is not sent now; the collector asks again.
            inbox.put(parts.len(), true, |sack| parts.iter().for_each(|part| sack.push(Class::Urgent, part)));
        });
    }

    /// True when there may be more.
    async fn send_what_is_due(&mut self) -> bool {
        for _ in 0..LETTERS_A_TURN {
            let Some(wanted) = self.machine.next() else { return false };
            let (reply, answer) = oneshot::channel();
            let (epoch, Wanted { from, to, .. }) = (self.standing.epoch, wanted);
            let ask = Ask::Read { epoch, from, to, most: BATCH_RECORDS, bytes: telemetry::MAX_PAYLOAD, reply };
            if !self.inbox.ask(ask) {
                return false;
            }
            let Ok(records) = answer.await else { return false };
            if !self.send(wanted, &records) {
                return false;
            }
        }
        true
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
        let header = Header {
            epoch: self.standing.epoch,
            floor: self.standing.floor,
            lane: wanted.lane,
            boot: self.clock.boot(),
            sent_at: moment.wall,
            clock: self.clock.quality(),
            catalogue: CatalogueHash(0),
            transit_ms: self.transit_ms,
            age_known: false,
        };
        let (batch, last) = batch(header, records, moment.mono);
        if !self.publish(Kind::Up, batch) {
            return false;
        }
        self.machine.sent(wanted.lane, first, last, moment.mono);
        true
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
        if self.trouble.lost(why.clone()) {
            warn!(broker = %self.config.broker.url, "no connection to the collector: {why}");
        }
        self.give_up();
    }

    /// The connection is dropped, and made anew when the pace says so.
    fn give_up(&mut self) {
        self.connection = None;
        self.retry_at = self.pace.lost(self.clock.mono(), rand::random());
        self.unlink();
    }

    fn blame(&mut self, why: String) {
        if self.trouble.blamed(why.clone()) {
            warn!("{why}");
        }
        self.tell_trouble();
    }

    fn tell_trouble(&self) {
        self.note(|status| status.trouble = self.trouble.told().map(str::to_owned));
    }

    fn unlink(&mut self) {
        self.is_connected = false;
        self.machine.disconnected();
        self.nonce = None;
        self.transit_ms = None;
        self.note(|status| {
            status.connected = false;
            status.transit_ms = None;
        });
        self.tell_trouble();
    }

    async fn say_goodbye(&mut self) {
        if self.is_connected {
            let status = self.heartbeat(false, 0);
            self.publish(Kind::Status, status.encode_to_vec());
            if let Some(connection) = self.connection.take() {
                connection.close().await;
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
}

/// The highest sequence that it speaks of.
fn highest_of(ack: &Ack) -> u64 {
    ack.ranges.iter().map(|range| range.last).fold(ack.contiguous, u64::max)
}

#[cfg(test)]
mod tests;
