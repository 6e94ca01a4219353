//! The post: keeps every entry on this gateway's own disk and forwards it until the collector has it.
//!
//! Promises: stored before published, forgotten only on the collector's acknowledgement. [`Post`] is the
//! handle for the rest of the gateway; it is cheap to clone. Behind it stand one thread that owns the
//! spool (fsync never blocks the runtime) and one that owns the machine and the broker connection.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use measurement::{MonotonicMs, Reading, Timestamp};
use spool::Class;
use telemetry::topic::GatewayId;
use telemetry::{Catalogue, CatalogueHash, Happening};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::clock::{Clock, Promise};
use carrier::Carrier;
use catalogues::Catalogues;
use inbox::{Ask, Inbox};
use keeper::{Keeper, Standing};
use record::{Kept, Note};
use report::Reports;
use rhythm::Rhythm;
use sack::Sack;

mod batch;
mod carrier;
mod catalogues;
mod certificates;
pub mod inbox;
pub mod keeper;
pub mod machine;
pub mod mqtt;
mod pace;
pub mod record;
mod renewal;
mod report;
mod rhythm;
mod sack;
mod thin;
mod trouble;

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
    /// What is not urgent is committed this often on average, and an entry waits no longer than this.
    pub group_ms: u64,
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
    /// How many broker connections were begun since the start.
    pub connections: u64,
    /// Why nothing reaches the collector, in one sentence. A connection does not end what only the collector's
    /// acknowledgement can: it may be there while the connection stands.
    pub trouble: Option<String>,
    /// Names this spool's sequences.
    pub epoch: u64,
    /// What is to be done about certificates, in one sentence: ours ends soon, or renewed ones cannot be used.
    pub certificates: Option<String>,
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
    /// When the last acknowledgement of this spool's sequences came, by our wall clock. The collector answers every
    /// heartbeat (5 s) with one, also when there is nothing new.
    pub last_ack: Option<Timestamp>,
    /// The same moment on the monotonic clock of this boot, which nobody steps: for how long ago it was.
    pub last_ack_mono: Option<MonotonicMs>,
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

impl PostStatus {
    /// Takes over how the spool stands.
    fn stands(&mut self, standing: &Standing) {
        self.epoch = standing.epoch;
        self.unacknowledged = standing.unacknowledged;
        self.highest = standing.highest;
        self.floor = standing.floor;
        self.spool_bytes = standing.bytes;
        self.spool_capacity = standing.capacity;
        self.degraded = standing.degraded_because.is_some();
        self.degraded_because.clone_from(&standing.degraded_because);
        self.lost = standing.lost;
        self.commit_ms = standing.commit_ms;
    }
}

/// A catalogue that was kept, as far as the disk takes anything: ready to be put in force.
#[derive(Debug)]
pub struct KeptCatalogue {
    catalogue: Catalogue,
    /// It was kept, and spooled, before.
    known: bool,
}

/// An append waits so long for room in memory.
const APPEND_WAIT: std::time::Duration = std::time::Duration::from_secs(2);

/// The handle of the post. Dropping every handle does not stop it; the token given to [`Post::start`] does.
#[derive(Debug, Clone)]
pub struct Post {
    inbox: Arc<Inbox>,
    status: Arc<Mutex<PostStatus>>,
    stopped: watch::Receiver<bool>,
    catalogues: Catalogues,
    boot: u64,
    look: Arc<Notify>,
    in_force: watch::Sender<CatalogueHash>,
    keeper_promise: Promise,
    carrier_promise: Promise,
}

impl Post {
    /// Starts the spool's thread and the forwarding task. Never fails because of a disk or a broker: both
    /// are tried again for ever, and [`Post::status`] says how it stands. Cancelling `shutdown` commits what
    /// was appended, says goodbye to the broker and ends within two seconds; await [`Post::stopped`].
    pub fn start(config: PostConfig, clock: Clock, shutdown: CancellationToken) -> Post {
        let inbox = Arc::new(Inbox::default());
        let reports = Arc::new(Reports::default());
        let (done, stopped) = watch::channel(false);
        let (in_force, catalogue) = watch::channel(CatalogueHash(0));
        let status = Arc::new(Mutex::new(PostStatus::default()));
        let look = Arc::new(Notify::new());
        let catalogues = Catalogues::new(config.spool.join("catalogues"));
        let (keeper_promise, carrier_promise) = (Promise::default(), Promise::default());
        let keeper = Keeper {
            directory: config.spool.join("log"),
            capacity_bytes: config.capacity_bytes,
            rhythm: Rhythm::new(config.group_ms, clock.mono()),
            holder: holder(),
            clock: clock.clone(),
            inbox: inbox.clone(),
            reports: reports.clone(),
            promise: keeper_promise.clone(),
        };
        let thread = tokio::task::spawn_blocking(move || keeper.run());
        let mut carrier = Carrier::new(config, clock.clone(), inbox.clone(), status.clone(), catalogue, catalogues.clone(), look.clone());
        carrier.promise = carrier_promise.clone();
        let boot = clock.boot();
        let (stop, leave) = (StopsKeeper(inbox.clone()), shutdown.child_token());
        let leaving = leave.clone().drop_guard();
        let forwarding = on_a_thread_of_its_own(carrier.run(reports, leave));
        tokio::spawn(async move {
            let _ = forwarding.await;
            drop((leaving, stop));
            let _ = thread.await;
            let _ = done.send(true);
        });
        Post { inbox, status, stopped, catalogues, boot, look, in_force, keeper_promise, carrier_promise }
    }

    /// Hands entries in, in order. Waits up to two seconds when memory is full (the disk is too slow); what
    /// still finds no room is returned as the number of entries lost, so that polling never stops for a disk.
    pub async fn append(&self, entries: Vec<NewEntry>) -> usize {
        let (count, urgent) = (entries.len(), is_urgent(&entries));
        let fill = |sack: &mut Sack| pack(&entries, sack);
        if self.inbox.put(count, urgent, fill) || self.inbox.put_within(APPEND_WAIT, count, urgent, fill).await {
            return 0;
        }
        self.inbox.lose(count as u64);
        count
    }

    /// Hands entries in, in order, without waiting. False when memory is full; nothing was taken then.
    pub fn try_append(&self, entries: &[NewEntry]) -> bool {
        self.inbox.put(entries.len(), is_urgent(entries), |sack| pack(entries, sack))
    }

    /// Keeps a channel catalogue and puts it in force. Must be called before the first reading; readings appended
    /// afterwards mean this catalogue's channel numbers.
    pub async fn set_catalogue(&self, catalogue: Catalogue) {
        self.put_in_force(self.keep_catalogue(catalogue).await).await;
    }

    /// Has a channel catalogue on the disk, as long as that takes: the first half of [`Post::set_catalogue`].
    pub async fn keep_catalogue(&self, catalogue: Catalogue) -> KeptCatalogue {
        let (catalogues, asked) = (self.catalogues.clone(), catalogue.clone());
        let known = tokio::task::spawn_blocking(move || catalogues.keep(&asked)).await.unwrap_or(false);
        KeptCatalogue { catalogue, known }
    }

    /// Puts a kept catalogue in force, without waiting for a disk: the second half of [`Post::set_catalogue`].
    pub async fn put_in_force(&self, KeptCatalogue { catalogue, known }: KeptCatalogue) {
        let hash = catalogue.hash();
        let note = Note { boot: self.boot, catalogue: hash };
        self.inbox.put(0, false, |sack| sack.push_note(note));
        // One that was spooled before is not spooled again: the collector asks when it lacks it.
        if !known {
            let parts: Vec<Kept> = catalogue.parts().into_iter().map(Kept::Part).collect();
            let fill = |sack: &mut Sack| parts.iter().for_each(|part| sack.push(Class::Other, part));
            self.inbox.put_within(APPEND_WAIT, parts.len(), true, fill).await;
        }
        let _ = self.in_force.send(hash);
    }

    /// The promises of its thread and its task: kept as long as they move.
    pub fn promises(&self) -> [(&'static str, Promise); 2] {
        [("keeper", self.keeper_promise.clone()), ("carrier", self.carrier_promise.clone())]
    }

    /// Has the certificates' files looked at now rather than within a minute.
    pub fn look_at_certificates(&self) {
        self.look.notify_one();
    }

    /// How it stands now.
    pub fn status(&self) -> PostStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns once everything appended is on disk and the task has ended after a shutdown.
    pub async fn stopped(&self) {
        let mut stopped = self.stopped.clone();
        let _ = stopped.wait_for(|done| *done).await;
    }
}

fn is_urgent(entries: &[NewEntry]) -> bool {
    entries.iter().any(|entry| entry.urgent)
}

fn pack(entries: &[NewEntry], sack: &mut Sack) {
    for NewEntry { content, urgent } in entries {
        match content {
            Content::Reading { reading, parsed_at, sample_age_ms } => {
                let class = if *urgent { Class::Urgent } else { Class::Telemetry };
                sack.push(class, &Kept::Reading { reading: *reading, parsed_at: *parsed_at, sample_age_ms: *sample_age_ms });
            }
            Content::Happening(happening) => sack.push(Class::Other, &Kept::Happening(happening.clone())),
        }
    }
}

/// What a reading takes of the spool at most, its share of notes and segment headers left out (under 1 %).
pub const SPOOL_BYTES_PER_READING: u64 = spool::bytes_of_record(record::READING_BYTES_MOST);

/// Sending waits for no poll and no poll for it (names, handshakes, a backlog): in one runtime each step of a letter would
/// come after all buses that are ready. Where no second runtime can be had it is done in ours, rather than not at all.
fn on_a_thread_of_its_own(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => tokio::task::spawn_blocking(move || {
            runtime.block_on(work);
            // A name that is still being looked up is not waited for.
            runtime.shutdown_background();
        }),
        Err(error) => {
            warn!("sending has no thread of its own and may wait for polls: {error}");
            tokio::spawn(work)
        }
    }
}

/// Ends the keeper, also when the runtime falls before a shutdown was asked for: its thread would hold the runtime up for ever.
struct StopsKeeper(Arc<Inbox>);

impl Drop for StopsKeeper {
    fn drop(&mut self) {
        self.0.ask(Ask::Stop);
    }
}

/// This machine's mark, from its machine id: a spool carried to another machine begins a new epoch.
pub fn holder() -> u64 {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    telemetry::topic::fnv1a_64(id.trim().as_bytes())
}
