//! Where letters come in, whoever carried them: the embedded broker or an external one.
//!
//! A [`Parcel`] is one message, taken apart and checked outside the pipeline's thread. The inbox is bounded in
//! messages and in bytes; when it is full, whoever carries waits for a while and then does not take the message:
//! it is not acknowledged, and the gateway sends it again. Foreign, malformed and oversized payloads become a
//! [`Refusal`], never a panic.

pub mod deliveries;
pub mod desk;
pub mod external;
pub mod keys;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use measurement::Timestamp;
use prost::Message;
use telemetry::topic::{GatewayId, Kind};
use telemetry::{Birth, Letter, MAX_PAYLOAD, Status};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::clock::{Clock, Moment};

/// Messages that may wait for the pipeline.
pub const INBOX_MESSAGES: usize = 8192;
/// Bytes of payload that may wait for the pipeline.
pub const INBOX_BYTES: usize = 64 * 1024 * 1024;
/// How long a carrier waits for room before it lets the message go.
const PATIENCE: Duration = Duration::from_secs(5);

/// One message of a gateway, taken apart.
#[derive(Debug)]
pub struct Parcel {
    /// Whose topic it came on; for the embedded broker also who signed in.
    pub gateway: GatewayId,
    /// When it arrived here.
    pub received: Moment,
    /// What it was.
    pub content: Content,
    /// Gives its bytes back to the inbox when the pipeline lets the parcel go.
    pub room: Option<OwnedSemaphorePermit>,
}

/// What a message was.
#[derive(Debug)]
pub enum Content {
    /// A batch.
    Letter(Box<Letter>),
    /// A gateway has connected.
    Birth(Birth),
    /// A heartbeat or a last will.
    Status(Status),
    /// Nothing we take.
    Refused(Refusal),
}

/// Why a message was not taken. The sender and the kind decide whether it was journalled before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Short and stable: `oversized`, `malformed`, `foreign_topic`, `wrong_direction`, `retained`, `sign_in`.
    pub kind: &'static str,
    /// One sentence.
    pub why: String,
}

/// What is to be sent to a gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// To whom.
    pub gateway: GatewayId,
    /// `Ack` or `Cmd`.
    pub kind: Kind,
    /// The encoded message.
    pub payload: Vec<u8>,
}

/// What ingest counted since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages taken.
    pub taken: AtomicU64,
    /// Messages refused for what they were.
    pub refused: AtomicU64,
    /// Messages let go because the inbox was full; the gateway sends them again.
    pub let_go: AtomicU64,
    /// Sign-ins refused.
    pub sign_ins_refused: AtomicU64,
    /// Answers that could not be queued for sending; the gateway asks again by sending again.
    pub unsent: AtomicU64,
    /// True while an external broker is not connected.
    pub carrier_away: AtomicBool,
}

/// The way in. Cheap to clone.
#[derive(Clone)]
pub struct Inbox {
    parcels: mpsc::Sender<Parcel>,
    bytes: Arc<Semaphore>,
    clock: Clock,
    counters: Arc<Counters>,
}

/// Whether a message was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It waits for the pipeline.
    Yes,
    /// It was refused for what it is; sending it again would not help.
    Refused,
    /// There was no room, or the collector is stopping.
    No,
}

impl Inbox {
    /// An inbox, and its other end for the pipeline.
    pub fn new(clock: Clock, counters: Arc<Counters>) -> (Inbox, mpsc::Receiver<Parcel>) {
        let (parcels, out) = mpsc::channel(INBOX_MESSAGES);
        (Inbox { parcels, bytes: Arc::new(Semaphore::new(INBOX_BYTES)), clock, counters }, out)
    }

    /// The clock that dates arrivals.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What was counted.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Takes one message that came on a gateway's topic.
    pub async fn take(&self, gateway: GatewayId, kind: Kind, payload: &[u8]) -> Taken {
        let received = self.clock.now();
        let content = open(kind, payload);
        let size = u32::try_from(payload.len().clamp(1, MAX_PAYLOAD)).unwrap_or(1);
        let refused = matches!(content, Content::Refused(_));
        let room = tokio::time::timeout(PATIENCE, self.bytes.clone().acquire_many_owned(size)).await;
        let Ok(Ok(room)) = room else { return self.let_go() };
        let parcel = Parcel { gateway, received, content, room: Some(room) };
        match tokio::time::timeout(PATIENCE, self.parcels.send(parcel)).await {
            Ok(Ok(())) if refused => Taken::Refused,
            Ok(Ok(())) => {
                self.counters.taken.fetch_add(1, Ordering::Relaxed);
                Taken::Yes
            }
            _ => self.let_go(),
        }
    }

    /// The same without waiting, for a carrier that must go on polling its connection.
    pub fn try_take(&self, gateway: GatewayId, kind: Kind, payload: &[u8]) -> Taken {
        let received = self.clock.now();
        let size = u32::try_from(payload.len().clamp(1, MAX_PAYLOAD)).unwrap_or(1);
        let Ok(room) = self.bytes.clone().try_acquire_many_owned(size) else { return self.let_go() };
        let Ok(place) = self.parcels.try_reserve() else { return self.let_go() };
        let content = open(kind, payload);
        let refused = matches!(content, Content::Refused(_));
        place.send(Parcel { gateway, received, content, room: Some(room) });
        if refused {
            return Taken::Refused;
        }
        self.counters.taken.fetch_add(1, Ordering::Relaxed);
        Taken::Yes
    }

    /// Notes a refusal that the carrier itself made. Dropped when the inbox is full: it is only a note.
    pub fn note(&self, gateway: GatewayId, refusal: Refusal) {
        let parcel = Parcel { gateway, received: self.clock.now(), content: Content::Refused(refusal), room: None };
        let _ = self.parcels.try_send(parcel);
    }

    fn let_go(&self) -> Taken {
        self.counters.let_go.fetch_add(1, Ordering::Relaxed);
        Taken::No
    }
}

/// Takes a payload apart.
fn open(kind: Kind, payload: &[u8]) -> Content {
    let refused = |kind, why: String| Content::Refused(Refusal { kind, why });
    if payload.len() > MAX_PAYLOAD {
        return refused("oversized", format!("a message of {} bytes exceeds {MAX_PAYLOAD}", payload.len()));
    }
    match kind {
        Kind::Up => match Letter::decode(payload) {
            Ok(letter) => Content::Letter(Box::new(letter)),
            Err(error) => refused("malformed", error.to_string()),
        },
        Kind::Birth => match Birth::decode(payload) {
            Ok(birth) => Content::Birth(birth),
            Err(error) => refused("malformed", format!("not a birth: {error}")),
        },
        Kind::Status => match Status::decode(payload) {
            Ok(status) => Content::Status(status),
            Err(error) => refused("malformed", format!("not a status: {error}")),
        },
        Kind::Ack | Kind::Cmd => refused("wrong_direction", format!("a gateway published on its own {} topic", kind.as_str())),
    }
}

/// The moment of a parcel for tests and benchmarks that make their own.
pub fn moment(wall: i64, mono: u64) -> Moment {
    Moment { wall: Timestamp(wall), mono: measurement::MonotonicMs(mono) }
}

#[cfg(test)]
mod tests;
