//! The clerk: everything that the database must do for the pipeline, one thing after another, tried until it works.
//!
//! Records that wait are put together, so that a database that was away catches up in few transactions. The
//! pipeline bounds what waits; the clerk only tells how much it is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alarm::{Episode, Event, Stage};
use measurement::{ChannelId, Timestamp};
use telemetry::Gap;
use telemetry::topic::GatewayId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::handle::Reply;
use crate::clock::Clock;
use crate::ingest::desk::Adoption;
use crate::store::{Judged, LedgerDelta, Store, StoreError};

/// Transitions that are recorded in one transaction.
const MOST_AT_ONCE: usize = 20_000;
/// Other jobs that may wait; more are not taken, because the ledger has the counts and what is missing is told again.
const MOST_JOBS: usize = 10_000;
/// After the shutdown the database gets this long for what is left.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Something for the database.
pub enum Job {
    /// What was judged, and who waits for it to be on record.
    Record { judged: Judged, replies: Vec<Reply> },
    /// A catalogue that became complete.
    Adopt { adoption: Adoption, at: Timestamp },
    /// Additions to the ledger.
    Ledger(Vec<LedgerDelta>),
    /// A declared gap.
    Gap { gateway: GatewayId, epoch: u64, gap: Gap, at: Timestamp },
    /// Stages that were reached after an episode was recorded.
    Stamp(Vec<(String, Stage, Timestamp)>),
    /// What is on record, to judge anew from there.
    Reload,
}

/// What the clerk says back.
#[derive(Debug)]
pub enum Report {
    /// On record since `at`: these episodes became known by it.
    Recorded { at: Timestamp, raised: Vec<String>, judged_to: Option<u64> },
    /// A catalogue is in the registry.
    Adopted { gateway: GatewayId, hash: u64, channels: Vec<ChannelId> },
    /// The database does not do what it should, and since when this is so; `None` when it does again.
    Trouble(Option<String>),
    /// What is on record.
    Reloaded { episodes: Vec<Episode>, judged_to: u64 },
}

/// The pipeline's side of the clerk.
#[derive(Clone)]
pub struct Clerk {
    jobs: mpsc::UnboundedSender<Job>,
    waiting: Arc<Waiting>,
}

/// How much waits.
#[derive(Default)]
struct Waiting {
    transitions: AtomicUsize,
    jobs: AtomicUsize,
}

impl Clerk {
    /// A clerk, and the other end for [`work`].
    pub fn new() -> (Clerk, Desk) {
        // Unbounded in itself: the bound is counted in transitions and jobs, by `hand` and by the pipeline.
        let (jobs, desk) = mpsc::unbounded_channel();
        let waiting = Arc::new(Waiting::default());
        (Clerk { jobs, waiting: waiting.clone() }, Desk { jobs: desk, waiting })
    }

    /// How many transitions wait.
    pub fn unrecorded(&self) -> usize {
        self.waiting.transitions.load(Ordering::Relaxed)
    }

    /// True when nothing waits.
    pub fn is_idle(&self) -> bool {
        self.waiting.jobs.load(Ordering::Relaxed) == 0
    }

    /// Hands a job in. One that can be spared is not taken when too many wait.
    pub fn hand(&self, job: Job) {
        let spared = matches!(job, Job::Gap { .. } | Job::Stamp(_));
        if spared && self.waiting.jobs.load(Ordering::Relaxed) >= MOST_JOBS {
            return;
        }
        if let Job::Record { judged, .. } = &job {
            self.waiting.transitions.fetch_add(judged.transitions.len(), Ordering::Relaxed);
        }
        self.waiting.jobs.fetch_add(1, Ordering::Relaxed);
        // The other end is gone only when the collector stops.
        let _ = self.jobs.send(job);
    }
}

/// Where the jobs arrive.
pub struct Desk {
    jobs: mpsc::UnboundedReceiver<Job>,
    waiting: Arc<Waiting>,
}

/// What the clerk works with.
pub struct Tools {
    pub store: Store,
    pub clock: Clock,
    pub reports: mpsc::UnboundedSender<Report>,
    /// Called after every record: there may be something to tell.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    pub shutdown: CancellationToken,
}

/// Works until every handle of the clerk is gone.
pub async fn work(mut desk: Desk, tools: Tools) {
    let mut backlog: VecDeque<Job> = VecDeque::new();
    loop {
        if backlog.is_empty() {
            match desk.jobs.recv().await {
                Some(job) => backlog.push_back(job),
                None => return,
            }
        }
        while let Ok(job) = desk.jobs.try_recv() {
            backlog.push_back(job);
        }
        let Some(mut job) = backlog.pop_front() else { continue };
        let mut done = 1;
        if let Job::Record { judged, replies } = &mut job {
            done += join(judged, replies, &mut backlog);
            desk.waiting.transitions.fetch_sub(judged.transitions.len(), Ordering::Relaxed);
        }
        tools.insist(job).await;
        desk.waiting.jobs.fetch_sub(done, Ordering::Relaxed);
    }
}

/// Takes further records from the backlog into this one; how many.
fn join(judged: &mut Judged, replies: &mut Vec<Reply>, backlog: &mut VecDeque<Job>) -> usize {
    let mut joined = 0;
    let mut rest = VecDeque::with_capacity(backlog.len());
    let mut full = false;
    for job in backlog.drain(..) {
        match job {
            Job::Record { judged: more, replies: waiting }
                if !full && judged.transitions.len() + more.transitions.len() <= MOST_AT_ONCE =>
            {
                judged.at = more.at;
                judged.transitions.extend(more.transitions);
                judged.levels.extend(more.levels);
                judged.facts.extend(more.facts);
                judged.judged_to = more.judged_to.max(judged.judged_to);
                replies.extend(waiting);
                joined += 1;
            }
            other => {
                // Records stay in order: the first that does not fit ends it.
                full |= matches!(other, Job::Record { .. });
                rest.push_back(other);
            }
        }
    }
    *backlog = rest;
    joined
}

impl Tools {
    /// Tries until it works, or until the shutdown has lasted long enough.
    async fn insist(&self, mut job: Job) {
        let mut pause = Duration::from_millis(100);
        let mut troubled = false;
        loop {
            match self.attempt(&mut job).await {
                Ok(()) => break,
                Err(error) => {
                    let because = super::chain(&error);
                    if !troubled {
                        tracing::error!(because, "the database does not do its part; it is tried again");
                        self.report(Report::Trouble(Some(because)));
                    }
                    troubled = true;
                }
            }
            let last_words = async {
                self.shutdown.cancelled().await;
                tokio::time::sleep(LAST_WORDS).await;
            };
            tokio::select! {
                () = last_words => return,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(5)),
            }
        }
        if troubled {
            tracing::info!("the database does its part again");
            self.report(Report::Trouble(None));
        }
    }

    async fn attempt(&self, job: &mut Job) -> Result<(), StoreError> {
        match job {
            Job::Record { judged, replies } => {
                self.store.record(judged).await?;
                let at = self.clock.wall();
                let raised = raised(judged);
                replies.drain(..).for_each(Reply::recorded);
                self.report(Report::Recorded { at, raised, judged_to: judged.judged_to });
                if !judged.transitions.is_empty() {
                    (self.wake)();
                }
            }
            Job::Adopt { adoption, at } => {
                let channels = self.store.adopt_catalogue(adoption.gateway.as_str(), adoption.hash, &adoption.catalogue, *at).await?;
                self.report(Report::Adopted { gateway: adoption.gateway.clone(), hash: adoption.hash, channels });
            }
            Job::Ledger(deltas) => self.store.add_to_ledger(deltas).await?,
            Job::Gap { gateway, epoch, gap, at } => {
                self.store.record_gap(gateway.as_str(), *epoch, *gap, *at).await?;
            }
            Job::Stamp(stamps) => self.store.stamp(stamps).await?,
            Job::Reload => {
                let (episodes, judged_to) = (self.store.open_episodes().await?, self.store.judged_to().await?);
                self.report(Report::Reloaded { episodes, judged_to });
            }
        }
        Ok(())
    }

    fn report(&self, report: Report) {
        // The pipeline is gone only when the collector stops.
        let _ = self.reports.send(report);
    }
}

/// The episodes that became known to people by this record and have no t4 yet.
fn raised(judged: &Judged) -> Vec<String> {
    let is_first = |event: Event| matches!(event, Event::Raised | Event::RecordedLate);
    let firsts = judged.transitions.iter().filter(|transition| is_first(transition.event) && transition.episode.stages.t4.is_none());
    firsts.map(|transition| transition.episode.id.clone()).collect()
}
