//! The thread that owns the spool: an fsync never blocks the runtime, and a failing disk never ends the
//! program. Appends come in order, are committed in groups, and are reported to the forwarding task.

use std::collections::VecDeque;
use std::path::PathBuf;

use measurement::MonotonicMs;
use spool::{AppendError, Class, Config, DirDisk, Opened, RangeSet, Record, Spool};
use telemetry::{Gap, GapCause};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::record::{Kept, Note};
use super::thin::{Thinning, gap};
use crate::clock::{Clock, Promise};

/// Entries kept in memory while the disk refuses them; beyond this they are counted as lost.
const MOST_WAITING: usize = 65_536;
/// A failed spool is opened again this often.
const REOPEN_MS: u64 = 1_000;
/// Acknowledged records stay so long while space allows, for a collector that is restored from a backup.
const KEEP_ACKNOWLEDGED_MS: i64 = 72 * 3_600_000;

/// The keeper looks up so often although nobody asks.
const IDLE_MS: u64 = 5_000;
/// A disk may be this slow before the keeper counts as hanging.
const SLOW_DISK_MS: u64 = 60_000;

/// What the keeper is asked.
#[derive(Debug)]
pub enum Ask {
    /// Keep these, in order.
    Append(Vec<(Class, Vec<u8>)>),
    /// What stands over the records appended from now on.
    Note(Note),
    /// The records of a range, as far as they fit.
    Read { from: u64, to: u64, most: usize, bytes: usize, reply: oneshot::Sender<Vec<Record>> },
    /// The collector has these.
    Acknowledge { epoch: u64, contiguous: u64, ranges: Vec<(u64, u64)> },
    /// The collector lost these.
    Unacknowledge { first: u64, last: u64 },
    /// Begin a new epoch: these sequences have been seen with another disk.
    Renew,
    /// Commit and end.
    Stop,
}

/// How the spool stands after a commit.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Names the sequences.
    pub epoch: u64,
    /// Oldest held.
    pub floor: u64,
    /// Highest durable.
    pub highest: u64,
    /// Not acknowledged.
    pub unacknowledged: u64,
    /// What is acknowledged; only after opening and renewing.
    pub acknowledged: Option<RangeSet>,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes allowed.
    pub capacity: u64,
    /// Why it is not as it should be.
    pub degraded_because: Option<String>,
    /// Entries lost before they had a sequence.
    pub lost: u64,
    /// Slowest commit since the last report, ms.
    pub commit_ms: u64,
}

/// The keeper's side.
pub struct Keeper {
    pub directory: PathBuf,
    pub capacity_bytes: u64,
    /// Commits wait so long for company, unless something is urgent.
    pub group_ms: u64,
    pub holder: u64,
    pub clock: Clock,
    pub asks: mpsc::Receiver<Ask>,
    pub report: mpsc::UnboundedSender<Standing>,
    pub runtime: tokio::runtime::Handle,
    /// Kept as long as the thread moves.
    pub promise: Promise,
}

struct State {
    spool: Option<Spool>,
    waiting: VecDeque<(Class, Vec<u8>)>,
    /// What a spool had not committed when it stopped, and its epoch; settled when it is open again.
    taken_back: Option<(u64, Vec<Record>)>,
    note: Option<Note>,
    uncommitted: bool,
    lost: u64,
    undeclared: u64,
    trouble: Option<String>,
    commit_ms: u64,
    opened: bool,
    retry_at: u64,
    forget_at: u64,
}

impl Keeper {
    /// Runs until told to stop.
    pub fn run(mut self) {
        let mut state = State {
            spool: None,
            waiting: VecDeque::new(),
            taken_back: None,
            note: None,
            uncommitted: false,
            lost: 0,
            undeclared: 0,
            trouble: None,
            commit_ms: 0,
            opened: false,
            retry_at: 0,
            forget_at: 0,
        };
        self.open(&mut state);
        let mut commit_due: Option<u64> = None;
        loop {
            let now = self.clock.mono().0;
            let until = [commit_due, state.spool.is_none().then_some(state.retry_at), Some(now + IDLE_MS)].into_iter().flatten().min();
            let wait = std::time::Duration::from_millis(until.unwrap_or(now).saturating_sub(now));
            self.promise.until(MonotonicMs(now + IDLE_MS + SLOW_DISK_MS));
            let asked = self.runtime.block_on(async { tokio::time::timeout(wait, self.asks.recv()).await });
            let mut urgent = false;
            let mut ended = false;
            if let Ok(ask) = asked {
                let mut next = ask;
                loop {
                    match next {
                        None | Some(Ask::Stop) => ended = true,
                        Some(ask) => urgent |= self.handle(&mut state, ask),
                    }
                    match self.asks.try_recv() {
                        Ok(ask) if !ended => next = Some(ask),
                        _ => break,
                    }
                }
            }
            let now = self.clock.mono().0;
            if state.spool.is_none() && now >= state.retry_at {
                self.open(&mut state);
            }
            self.write_waiting(&mut state);
            if state.uncommitted && commit_due.is_none() {
                commit_due = Some(now + self.group_ms);
            }
            if urgent || ended || commit_due.is_some_and(|due| self.clock.mono().0 >= due) {
                self.commit(&mut state);
                commit_due = None;
            }
            if ended {
                self.promise.release();
                return;
            }
        }
    }

    fn handle(&mut self, state: &mut State, ask: Ask) -> bool {
        match ask {
            Ask::Append(entries) => {
                let urgent = entries.iter().any(|(class, _)| *class == Class::Urgent);
                for entry in entries {
                    if state.waiting.len() < MOST_WAITING {
                        state.waiting.push_back(entry);
                    } else {
                        state.lost += 1;
                        state.undeclared += 1;
                    }
                }
                self.write_waiting(state);
                return urgent;
            }
            Ask::Note(note) => {
                self.write_waiting(state);
                state.note = Some(note);
                if let Some(spool) = &mut state.spool {
                    spool.set_note(&note.encode());
                }
            }
            Ask::Read { from, to, most, bytes, reply } => {
                let records = self.read(state, from, to, most, bytes);
                let _ = reply.send(records);
            }
            Ask::Acknowledge { epoch, contiguous, ranges } => {
                if let Some(spool) = state.spool.as_mut().filter(|spool| spool.epoch() == epoch) {
                    spool.acknowledge(contiguous, &ranges);
                    if self.clock.mono().0 >= state.forget_at {
                        state.forget_at = self.clock.mono().0 + 60_000;
                        let before = self.clock.wall().0.saturating_sub(KEEP_ACKNOWLEDGED_MS);
                        let forgotten = spool.forget(before);
                        self.survive(state, forgotten.map(drop));
                    }
                }
                self.tell(state, None);
            }
            Ask::Unacknowledge { first, last } => {
                if let Some(spool) = &mut state.spool {
                    spool.unacknowledge(first, last);
                }
            }
            Ask::Renew => self.renew(state),
            Ask::Stop => {}
        }
        false
    }

    fn open(&mut self, state: &mut State) {
        state.retry_at = self.clock.mono().0 + REOPEN_MS;
        let config = Config::sized(self.capacity_bytes, rand::random(), self.holder);
        let mut declared = RangeSet::new();
        let mut show = |record: &Record| {
            if let Some(Kept::Gap(gap)) = Kept::decode(&record.payload) {
                declared.insert(gap.first, gap.last);
            }
        };
        let disk = match DirDisk::lock(&self.directory) {
            Ok(disk) => disk,
            Err(error) => return self.trouble(state, format!("cannot open the spool {}: {error}", self.directory.display())),
        };
        let Opened { mut spool, report } = match Spool::open(disk, config, self.clock.wall().0, &mut show) {
            Ok(opened) => opened,
            Err(error) => {
                let why = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
                return self.trouble(state, format!("cannot open the spool {}: {error}{why}", self.directory.display()));
            }
        };
        info!(epoch = spool.epoch(), records = report.records, damaged = report.damaged, "spool open");
        if report.holder_changed && !report.fresh {
            warn!("this spool was written on another machine: a new epoch begins");
            match spool.renew_epoch(rand::random(), self.holder) {
                Ok(moved) => state.waiting.extend(moved.iter().map(|loss| (Class::Other, Kept::Gap(gap(loss)).encode()))),
                Err(failed) => return self.trouble(state, format!("cannot begin a new epoch: {failed}; it is tried again")),
            }
        }
        if let Some((epoch, records)) = state.taken_back.take() {
            let lost = not_recovered(records, epoch, spool.epoch(), spool.highest());
            lost.into_iter().rev().for_each(|record| state.waiting.push_front((record.class, record.payload)));
        }
        for hole in report.holes.iter().filter(|hole| !declared.covers(hole.first, hole.last)) {
            warn!(first = hole.first, last = hole.last, "the spool lost records to damage");
            state.waiting.push_front((Class::Other, Kept::Gap(gap(hole)).encode()));
        }
        if let Some(note) = state.note {
            spool.set_note(&note.encode());
        }
        state.trouble = None;
        state.opened = true;
        state.spool = Some(spool);
        let acknowledged = state.spool.as_ref().map(Spool::acknowledged);
        self.tell(state, acknowledged);
    }

    /// Puts what waits into the spool, making room when it is full.
    fn write_waiting(&mut self, state: &mut State) {
        let mut tried_room = false;
        // What was lost without a sequence is declared first: a gap over sequences nobody will ever have.
        if state.undeclared > 0
            && let Some(spool) = &mut state.spool
        {
            let (first, last) = spool.skip(state.undeclared);
            let declared = Gap { first, last, why: GapCause::StorageFailed.into(), lost: state.undeclared };
            state.waiting.push_front((Class::Other, Kept::Gap(declared).encode()));
            state.undeclared = 0;
        }
        while let (Some(spool), Some((class, payload))) = (&mut state.spool, state.waiting.front()) {
            match spool.append(*class, payload) {
                Ok(_) => {
                    state.waiting.pop_front();
                    state.uncommitted = true;
                    tried_room = false;
                }
                Err(AppendError::TooLarge { have, most }) => {
                    error!(have, most, "an entry is larger than a segment");
                    state.waiting.pop_front();
                    state.lost += 1;
                    state.undeclared += 1;
                }
                Err(AppendError::Full) if !tried_room => {
                    tried_room = true;
                    let room = spool.make_room(&mut Thinning);
                    let spool_thinned = spool.is_thinned();
                    match room {
                        Ok(room) => {
                            if spool_thinned || !room.losses.is_empty() {
                                state.trouble =
                                    Some("the spool is full: the oldest readings are thinned to one-minute extremes".to_owned());
                            }
                        }
                        Err(failed) => self.survive(state, Err(failed)),
                    }
                }
                Err(AppendError::Full) => {
                    state.trouble = Some("the disk is full: new readings wait in memory and are lost beyond 65,536".to_owned());
                    return;
                }
                Err(AppendError::Failed(failed)) => self.survive(state, Err(failed)),
            }
        }
    }

    fn commit(&mut self, state: &mut State) {
        let Some(spool) = &mut state.spool else { return self.tell(state, None) };
        let began = self.clock.mono().0;
        let committed = spool.commit(self.clock.wall().0);
        state.commit_ms = state.commit_ms.max(self.clock.mono().0.saturating_sub(began));
        state.uncommitted = false;
        let thinned = spool.is_thinned();
        if committed.is_ok() && state.waiting.is_empty() && !thinned {
            state.trouble = None;
        }
        self.survive(state, committed.map(drop));
        self.tell(state, None);
    }

    fn read(&mut self, state: &mut State, from: u64, to: u64, most: usize, bytes: usize) -> Vec<Record> {
        let Some(spool) = &mut state.spool else { return Vec::new() };
        match spool.read(from, to, most, bytes) {
            Ok(batch) => {
                for loss in &batch.damaged {
                    warn!(first = loss.first, last = loss.last, "the spool lost records to damage");
                    state.waiting.push_back((Class::Other, Kept::Gap(gap(loss)).encode()));
                }
                batch.records
            }
            Err(failed) => {
                self.survive(state, Err(failed));
                Vec::new()
            }
        }
    }

    fn renew(&mut self, state: &mut State) {
        let Some(spool) = &mut state.spool else { return };
        let renewed = spool.renew_epoch(rand::random(), self.holder);
        match renewed {
            Ok(moved) => {
                let moved: Vec<_> = moved.iter().map(|loss| (Class::Other, Kept::Gap(gap(loss)).encode())).collect();
                state.waiting.extend(moved);
                let acknowledged = state.spool.as_ref().map(Spool::acknowledged);
                self.tell(state, acknowledged);
            }
            Err(failed) => self.survive(state, Err(failed)),
        }
    }

    /// After a failure: what was not committed is taken back to memory, and the spool is opened again later.
    fn survive(&mut self, state: &mut State, result: Result<(), spool::Failed>) {
        let Err(failed) = result else { return };
        error!(%failed, "the spool stopped; it is opened again in a second");
        if let Some(spool) = state.spool.take() {
            state.taken_back = Some((spool.epoch(), spool.uncommitted()));
        }
        state.uncommitted = false;
        state.retry_at = self.clock.mono().0 + REOPEN_MS;
        state.trouble = Some(failed.to_string());
        self.tell(state, None);
    }

    fn trouble(&self, state: &mut State, why: String) {
        if state.trouble.as_ref() != Some(&why) {
            error!("{why}");
        }
        state.trouble = Some(why);
        self.tell(state, None);
    }

    fn tell(&self, state: &mut State, acknowledged: Option<RangeSet>) {
        let mut standing = Standing { lost: state.lost, degraded_because: state.trouble.clone(), acknowledged, ..Standing::default() };
        standing.commit_ms = std::mem::take(&mut state.commit_ms);
        if let Some(spool) = &state.spool {
            standing.epoch = spool.epoch();
            standing.floor = spool.floor();
            standing.highest = spool.highest();
            standing.unacknowledged = spool.unacknowledged();
            standing.bytes = spool.bytes();
            standing.capacity = spool.capacity();
        }
        let _ = self.report.send(standing);
    }
}

/// Of what a spool had not committed, that which it does not have after it was opened again: a write that failed
/// to be synced may have reached the disk all the same, and must not be stored twice.
fn not_recovered(records: Vec<Record>, epoch_then: u64, epoch_now: u64, highest: u64) -> Vec<Record> {
    records.into_iter().filter(|record| epoch_then != epoch_now || record.sequence > highest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(sequences: std::ops::RangeInclusive<u64>) -> Vec<Record> {
        sequences.map(|sequence| Record { sequence, class: Class::Telemetry, payload: vec![sequence as u8], note: None }).collect()
    }

    #[test]
    fn what_reached_the_disk_after_all_is_not_stored_again() {
        assert_eq!(not_recovered(records(4..=9), 1, 1, 6), records(7..=9));
    }

    #[test]
    fn in_a_new_epoch_nothing_uncommitted_is_on_the_disk() {
        assert_eq!(not_recovered(records(4..=9), 1, 2, 6), records(4..=9));
    }
}
