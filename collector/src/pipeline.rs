//! The walk of a letter, in one straight function: take, store, acknowledge, judge, grade, journal, tell.
//!
//! Promises: nothing is acknowledged before its commit returned; an alarm is journalled after its reading is stored,
//! or the screen says that storing fails; a slow or dead database stops neither storing nor alarms on the screen. The
//! walk runs on a thread of its own and waits for no one but the time series' disk. What the database must do is
//! handed to the clerk; when more than [`MOST_UNRECORDED`] transitions wait there, judging goes on for the screen
//! only, and once the clerk is through, everything after `judged_to` is judged again from the stored readings, as
//! after a start.

mod clerk;
mod grade;
mod handle;
mod keeper;
mod ledger;
mod machine;
mod start;
mod tick;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use alarm::{Engine, Episode, Kind as AlarmKind, Transition};
use measurement::{MonotonicMs, Timestamp};
use risk::Level;
use telemetry::ClockQuality;
use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::ingest::desk::{Around, Desk, Intake, says_the_same};
use crate::ingest::{Counters, Outgoing, Parcel, keys};
use crate::journal::Fact;
use crate::live::Live;
use crate::registry::{PointId, Snapshot};
use crate::store::{Judged, LevelChange};

pub use clerk::{Clerk, Job, Report, Tools, work};
pub use handle::{Order, PipelineHandle};
pub use keeper::keep_series;
pub use machine::Ends;
pub use start::{Parts, StartError};

/// Transitions that may wait for the database. About 100 MB; ten times the largest flood that is promised.
pub const MOST_UNRECORDED: usize = 100_000;
/// The time series may refuse commits for this long before the process ends loudly, to be started again.
const STORAGE_PATIENCE_MS: u64 = 60_000;

/// The pipeline, without its thread: usable with bytes in and acknowledgements out, no MQTT and no HTTP.
pub struct Pipeline {
    clock: Clock,
    series: Arc<timeseries::Store>,
    live: Live,
    registry: watch::Receiver<Snapshot>,
    outgoing: mpsc::Sender<Outgoing>,
    clerk: Clerk,
    counters: Arc<Counters>,

    desk: Desk,
    engine: Engine,
    known: Snapshot,
    /// Poll period by channel number.
    periods: Vec<u32>,
    /// How many channels hang on each gateway.
    channels_on: HashMap<String, usize>,
    levels: HashMap<PointId, Level>,
    ledger: ledger::Told,

    intake: Intake,
    transitions: Vec<Transition>,
    facts: Vec<Fact>,
    changes: Vec<LevelChange>,
    /// Everything up to this commit is judged.
    judged_to: u64,
    /// Everything up to this commit was handed to the clerk as judged.
    handed_to: u64,
    /// More waited for the database than there is room for; from then on judging was for the screen only.
    overflowed: bool,
    storage_failed: Option<(MonotonicMs, String)>,
    state: tick::State,
}

/// The time series has refused commits for too long: the process must end and be started again.
#[derive(Debug, thiserror::Error)]
#[error("the time series has refused to store for more than a minute: {0}")]
pub struct StorageLost(String);

impl Pipeline {
    /// Walks a group of parcels from the inbox to the screen.
    pub fn walk(&mut self, parcels: &mut Vec<Parcel>) -> Result<(), StorageLost> {
        self.notice_registry();
        self.take(parcels);
        let stored = self.store()?;
        if stored {
            self.recheck();
            self.acknowledge();
        }
        self.judge(stored);
        self.grade_changed();
        self.journal();
        self.ask_for_adoptions();
        self.intake.clear();
        Ok(())
    }

    fn take(&mut self, parcels: &mut Vec<Parcel>) {
        let around = Around { periods: &self.periods, now: self.clock.wall() };
        for parcel in parcels.drain(..) {
            self.desk.take(parcel, &around, &mut self.intake);
        }
    }

    /// Commits rows and notes together. False when the disk refused; then nothing of it is acknowledged.
    fn store(&mut self) -> Result<bool, StorageLost> {
        self.desk.write_notes(&mut self.intake);
        if !self.intake.has_data() {
            return Ok(true);
        }
        match self.series.commit(&self.intake.rows, &self.intake.side) {
            Ok(commit) => {
                if !self.intake.rows.is_empty() {
                    self.judged_to = self.judged_to.max(commit);
                }
                self.storage_failed = None;
                Ok(true)
            }
            Err(error) => self.storage_refused(&error).map(|()| false),
        }
    }

    fn storage_refused(&mut self, error: &timeseries::Error) -> Result<(), StorageLost> {
        let now = self.clock.mono();
        let because = chain(error);
        if self.storage_failed.is_none() {
            tracing::error!(because, "the time series refused a commit; nothing is acknowledged until it stores again");
        }
        let (since, _) = self.storage_failed.get_or_insert((now, because.clone()));
        if now.since(*since) > STORAGE_PATIENCE_MS {
            return Err(StorageLost(because));
        }
        // The desk believes what the disk refused: it is read again. Alarms on the screen go on meanwhile.
        if let Ok(mut desk) = Desk::load(&self.series) {
            desk.take_over_presence(&mut self.desk);
            self.desk = desk;
        }
        Ok(())
    }

    /// What came again must say what is stored.
    fn recheck(&mut self) {
        for recheck in std::mem::take(&mut self.intake.rechecks) {
            let row = recheck.row;
            if self.contradicts(&row) {
                self.desk.contradicted(&recheck.gateway, recheck.epoch, row.position, &mut self.intake);
            }
        }
    }

    /// True when what is stored of a sequence is something else. What cannot be read, what retention forgot and
    /// what was indexed by another time than its own, because its clock was not trusted then, contradicts nothing.
    fn contradicts(&self, again: &timeseries::Row) -> bool {
        if self.state.is_forgotten(again.sampled_at, self.clock.wall()) {
            return false;
        }
        match self.series.query(again.series, again.sampled_at, again.sampled_at.plus_ms(1)) {
            Ok(stored) if says_the_same(&stored, again) => false,
            Ok(_) => {
                let delivery = keys::delivery_of(&self.series, again.stream, again.position);
                delivery.is_ok_and(|delivery| delivery.is_some_and(|delivery| delivery.clock != ClockQuality::Untrusted))
            }
            Err(_) => false,
        }
    }

    /// Only now: the commit has returned.
    fn acknowledge(&mut self) {
        let answers = self.desk.acknowledgements(&mut self.intake.touched);
        for answer in answers.into_iter().chain(self.intake.orders.drain(..)) {
            // Unsent because the way out is full: the gateway sends again and is answered then.
            if self.outgoing.try_send(answer).is_err() {
                self.counters.unsent.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    /// Judged even when the disk refused: an alarm that cannot be stored is still an alarm, and comes again.
    fn judge(&mut self, stored: bool) {
        let at = self.clock.wall();
        self.live.note(&self.intake.seen, if stored { self.intake.rows.len() as u64 } else { 0 });
        for (gateway, heard) in &self.intake.heard {
            self.engine.gateway_heard(gateway.as_str(), heard.mono, heard.wall, &mut self.transitions);
        }
        for seen in &self.intake.seen {
            self.engine.observe(seen, &mut self.transitions);
        }
        for conflict in std::mem::take(&mut self.intake.conflicts) {
            self.engine.identity_conflict(conflict.gateway.as_str(), conflict.what, conflict.place, at, &mut self.transitions);
        }
        self.facts.append(&mut self.intake.facts);
        for (gateway, epoch, gap) in self.intake.gaps.drain(..) {
            self.clerk.hand(Job::Gap { gateway, epoch, gap, at });
        }
    }

    /// Hands what was judged to the clerk, and tells it to the pages at once: they must not wait for a database.
    fn journal(&mut self) {
        self.settle_disputes();
        for transition in &self.transitions {
            self.live.tell_alarm(&transition.episode);
        }
        if self.transitions.is_empty() && self.changes.is_empty() {
            // Facts and progress alone wait for the next tick.
            return;
        }
        self.hand_over(Vec::new());
    }

    /// Hands everything that is not recorded yet to the clerk.
    fn hand_over(&mut self, replies: Vec<handle::Reply>) {
        if self.clerk.unrecorded() + self.transitions.len() > MOST_UNRECORDED && !self.overflowed {
            self.overflowed = true;
            tracing::error!("the database is too far behind; alarms go on for the screen only until it has caught up");
        }
        if self.overflowed {
            self.transitions.clear();
            self.changes.clear();
            handle::refuse(replies);
            return;
        }
        let judged = Judged {
            at: self.clock.wall(),
            transitions: std::mem::take(&mut self.transitions),
            levels: std::mem::take(&mut self.changes),
            facts: std::mem::take(&mut self.facts),
            judged_to: Some(self.judged_to),
        };
        self.handed_to = self.judged_to;
        self.clerk.hand(Job::Record { judged, replies });
    }

    /// A person who resets an identity alarm has settled the dispute.
    fn settle_disputes(&mut self) {
        let settled: HashSet<String> = self
            .transitions
            .iter()
            .filter(|transition| transition.episode.kind == AlarmKind::Identity && !transition.episode.is_open())
            .map(|transition| transition.episode.gateway.clone())
            .collect();
        settled.iter().for_each(|gateway| self.desk.settle(gateway));
    }

    fn ask_for_adoptions(&mut self) {
        for adoption in self.intake.adoptions.drain(..) {
            self.clerk.hand(Job::Adopt { adoption, at: self.clock.wall() });
        }
    }

    /// Every open alarm, as the judge holds it.
    pub fn open_episodes(&self) -> impl Iterator<Item = &Episode> {
        self.engine.open_episodes()
    }

    /// What was delivered, for tests and measurements.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Everything up to this commit is judged.
    pub fn judged_to(&self) -> u64 {
        self.judged_to
    }

    fn at(&self) -> Timestamp {
        self.clock.wall()
    }
}

/// An error with its causes in one sentence.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
