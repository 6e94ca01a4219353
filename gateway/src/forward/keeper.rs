//! The thread that owns the spool: an fsync never blocks the runtime, and a failing disk never ends the
//! program. Appends come in order, are committed in groups, and are reported to the forwarding task.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use measurement::MonotonicMs;
use spool::{AppendError, Class, Config, DirDisk, Opened, RangeSet, Record, Spool};
use telemetry::{Gap, GapCause};
use tracing::{error, info, warn};

use super::inbox::{Ask, FULL_GROUP, Inbox, Work};
use super::record::{Kept, Note};
use super::report::Reports;
use super::rhythm::Rhythm;
use super::sack::{Mark, Sack};
use super::thin::{Thinning, gap};
use crate::clock::{Clock, Promise};

/// Entries kept in memory while the disk refuses them; beyond this they are counted as lost.
const MOST_WAITING: usize = 65_536;
/// It looks at least this often: acknowledgements do not wake it.
const LONGEST_SLEEP_MS: u64 = 1_000;
/// A failed spool is opened again this often.
const REOPEN_MS: u64 = 1_000;
/// Acknowledged records stay so long while space allows, for a collector that is restored from a backup.
const KEEP_ACKNOWLEDGED_MS: i64 = 72 * 3_600_000;

/// A disk may be this slow before the keeper counts as hanging.
const SLOW_DISK_MS: u64 = 60_000;

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
    /// Slowest commit of the last minute, ms.
    pub commit_ms: u64,
}

/// The keeper's side.
pub struct Keeper {
    pub directory: PathBuf,
    pub capacity_bytes: u64,
    /// When what is not urgent is committed.
    pub rhythm: Rhythm,
    pub holder: u64,
    pub clock: Clock,
    pub inbox: Arc<Inbox>,
    pub reports: Arc<Reports>,
    /// Kept as long as the thread moves.
    pub promise: Promise,
}

#[derive(Default)]
struct State {
    spool: Option<Spool>,
    waiting: Sack,
    /// What a spool had not committed when it stopped, and its epoch; settled when it is open again.
    taken_back: Option<(u64, Vec<Record>)>,
    note: Option<Note>,
    /// An epoch, and up to where the disk has confirmed it.
    confirmed: (u64, u64),
    /// Records appended and not committed.
    uncommitted: usize,
    uncommitted_bytes: u64,
    /// When the group that was begun is to be committed.
    commit_due: Option<u64>,
    lost: u64,
    undeclared: u64,
    trouble: Option<String>,
    /// The slowest commit lately, and until when it counts as that.
    slowest: (u64, u64),
    retry_at: u64,
    forget_at: u64,
    /// Something changed that nobody was told of.
    untold: bool,
}

impl State {
    /// True while the spool is open and its sequences are of this epoch.
    fn is_at(&self, epoch: u64) -> bool {
        self.spool.as_ref().is_some_and(|spool| spool.epoch() == epoch)
    }
}

impl Keeper {
    /// Runs until told to stop.
    pub fn run(mut self) {
        let mut state = State::default();
        self.open(&mut state);
        loop {
            let now = self.clock.mono().0;
            let retry = state.spool.is_none().then_some(state.retry_at);
            let until = [state.commit_due, retry, Some(now + LONGEST_SLEEP_MS)].into_iter().flatten().min().unwrap_or(now);
            self.promise.until(MonotonicMs(until.max(now) + SLOW_DISK_MS));
            let work = self.inbox.wait(Duration::from_millis(until.saturating_sub(now)), state.commit_due.is_some());
            if self.turn(&mut state, work) {
                self.promise.release();
                return;
            }
        }
    }

    /// Does what waited. True when it was told to stop.
    fn turn(&mut self, state: &mut State, work: Work) -> bool {
        let now = self.clock.mono().0;
        if state.spool.is_none() && now >= state.retry_at {
            self.open(state);
        }
        let lost = work.lost + state.waiting.append_within(work.sack, MOST_WAITING);
        state.lost += lost;
        state.undeclared += lost;
        self.write_waiting(state);
        if state.uncommitted > 0 && state.commit_due.is_none() {
            state.commit_due = Some(self.rhythm.due(MonotonicMs(now)).0);
        }
        let stop = work.asks.iter().any(|ask| matches!(ask, Ask::Stop));
        let is_due = state.uncommitted >= FULL_GROUP || state.commit_due.is_some_and(|due| now >= due);
        if work.urgent || stop || is_due {
            self.commit(state);
        }
        // What is acknowledged of an epoch that is to be left may be another disk's.
        if let Some((epoch, ranges)) = work.acknowledged.filter(|(epoch, _)| work.renew != Some(*epoch)) {
            self.acknowledge(state, epoch, &ranges);
        }
        if std::mem::take(&mut state.untold) {
            self.tell(state, None);
        }
        if let Some(epoch) = work.renew {
            self.renew(state, epoch);
        }
        for ask in work.asks {
            self.answer(state, ask);
        }
        // Last, because it may take the disk a while: the files that the next segments will need.
        let prepared = state.spool.as_mut().map_or(Ok(()), Spool::prepare);
        self.survive(state, prepared);
        stop
    }

    fn answer(&mut self, state: &mut State, ask: Ask) {
        match ask {
            // Under another epoch the same numbers are other records.
            Ask::Read { epoch, from, to, most, bytes, reply } if state.is_at(epoch) => {
                let records = self.read(state, from, to, most, bytes);
                let _ = reply.send(records);
            }
            Ask::Read { .. } => {}
            Ask::Unacknowledge { first, last } => {
                if let Some(spool) = &mut state.spool {
                    spool.unacknowledge(first, last);
                }
            }
            Ask::Stop => {}
        }
    }

    fn acknowledge(&mut self, state: &mut State, epoch: u64, ranges: &RangeSet) {
        let Some(spool) = state.spool.as_mut().filter(|spool| spool.epoch() == epoch) else { return };
        let ranges: Vec<(u64, u64)> = ranges.iter().collect();
        spool.acknowledge(0, &ranges);
        state.untold = true;
        let now = self.clock.mono().0;
        if now >= state.forget_at {
            state.forget_at = now + 60_000;
            let forgotten = spool.forget(self.clock.wall().0.saturating_sub(KEEP_ACKNOWLEDGED_MS));
            self.survive(state, forgotten.map(drop));
        }
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
                Ok(moved) => moved.iter().for_each(|loss| state.waiting.push(Class::Other, &Kept::Gap(gap(loss)))),
                Err(failed) => return self.trouble(state, format!("cannot begin a new epoch: {failed}; it is tried again")),
            }
        }
        if let Some((epoch, records)) = state.taken_back.take() {
            let again = not_recovered(records, epoch, spool.epoch(), spool.highest());
            let later = std::mem::replace(&mut state.waiting, packed(&again, state.note));
            state.waiting.append(later);
        }
        for hole in report.holes.iter().filter(|hole| !declared.covers(hole.first, hole.last)) {
            warn!(first = hole.first, last = hole.last, "the spool lost records to damage");
            state.waiting.push_first(Class::Other, &Kept::Gap(gap(hole)).to_bytes());
        }
        // A disk that forgets what it confirmed must not make us give a sequence twice: somebody may have seen it.
        let (epoch, highest) = state.confirmed;
        if epoch == spool.epoch() && spool.highest() < highest {
            let (first, last) = spool.skip(highest - spool.highest());
            error!(first, last, "the disk has lost records that it had confirmed");
            let declared = Gap { first, last, why: GapCause::StorageFailed.into(), lost: last - first + 1 };
            state.waiting.push_first(Class::Other, &Kept::Gap(declared).to_bytes());
        }
        if let Some(note) = state.note {
            spool.set_note(&note.encode());
        }
        state.trouble = None;
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
            state.waiting.push_first(Class::Other, &Kept::Gap(declared).to_bytes());
            state.undeclared = 0;
        }
        while let (Some(spool), Some((mark, bytes))) = (&mut state.spool, state.waiting.first()) {
            let Mark::Record(class) = mark else {
                state.note = Note::decode(bytes).or(state.note);
                spool.set_note(bytes);
                state.waiting.drop_first();
                continue;
            };
            match spool.append(class, bytes) {
                Ok(_) => {
                    state.uncommitted += 1;
                    state.uncommitted_bytes += spool::bytes_of_record(bytes.len());
                    state.waiting.drop_first();
                    tried_room = false;
                }
                Err(AppendError::TooLarge { have, most }) => {
                    error!(have, most, "an entry is larger than a segment");
                    state.waiting.drop_first();
                    state.lost += 1;
                    state.undeclared += 1;
                }
                Err(AppendError::Full) if !tried_room => {
                    tried_room = true;
                    self.make_room(state);
                }
                Err(AppendError::Full) => {
                    state.trouble = Some("the disk is full: new readings wait in memory and are lost beyond 65,536".to_owned());
                    return self.write_what_owns_the_reserve(state);
                }
                Err(AppendError::Failed(failed)) => self.survive(state, Err(failed)),
            }
        }
    }

    fn make_room(&mut self, state: &mut State) {
        let Some(spool) = &mut state.spool else { return };
        let room = spool.make_room(&mut Thinning);
        let is_thinned = spool.is_thinned();
        match room {
            Ok(room) if is_thinned || !room.losses.is_empty() => {
                state.trouble = Some("the spool is full: the oldest readings are thinned to one-minute extremes".to_owned());
            }
            Ok(_) => {}
            Err(failed) => self.survive(state, Err(failed)),
        }
    }

    /// No room for the first that waits, which is telemetry: what is behind it and owns the reserve goes ahead.
    fn write_what_owns_the_reserve(&mut self, state: &mut State) {
        let Some(spool) = &mut state.spool else { return };
        let (mut stays, mut failure) = (Sack::default(), None);
        while let Some((mark, bytes)) = state.waiting.first() {
            let taken = match mark {
                Mark::Record(Class::Telemetry) => false,
                Mark::Record(class) => match spool.append(class, bytes) {
                    Ok(_) => true,
                    Err(AppendError::Failed(failed)) => {
                        failure = Some(failed);
                        false
                    }
                    Err(_) => false,
                },
                Mark::Note => {
                    spool.set_note(bytes);
                    false
                }
            };
            state.uncommitted += usize::from(taken);
            if !taken {
                stays.push_bytes(mark, bytes);
            }
            state.waiting.drop_first();
        }
        state.waiting = stays;
        if let Some(note) = state.note {
            spool.set_note(&note.encode());
        }
        self.survive(state, failure.map_or(Ok(()), Err));
    }

    fn commit(&mut self, state: &mut State) {
        state.commit_due = None;
        state.untold = true;
        let Some(spool) = &mut state.spool else { return };
        let began = self.clock.mono().0;
        let committed = spool.commit(self.clock.wall().0);
        let now = self.clock.mono().0;
        self.rhythm.committed(MonotonicMs(now), std::mem::take(&mut state.uncommitted_bytes));
        let took = now.saturating_sub(began);
        if took >= state.slowest.0 || now >= state.slowest.1 {
            state.slowest = (took, now + 60_000);
        }
        state.uncommitted = 0;
        if committed.is_ok() && state.waiting.is_empty() && !spool.is_thinned() {
            state.trouble = None;
        }
        self.survive(state, committed.map(drop));
    }

    fn read(&mut self, state: &mut State, from: u64, to: u64, most: usize, bytes: usize) -> Vec<Record> {
        let Some(spool) = &mut state.spool else { return Vec::new() };
        match spool.read(from, to, most, bytes) {
            Ok(batch) => {
                for loss in &batch.damaged {
                    warn!(first = loss.first, last = loss.last, "the spool lost records to damage");
                    state.waiting.push(Class::Other, &Kept::Gap(gap(loss)));
                }
                batch.records
            }
            Err(failed) => {
                self.survive(state, Err(failed));
                Vec::new()
            }
        }
    }

    /// Leaves this epoch. A wish that comes twice, or to a spool that is not open, is passed over: whoever opens the
    /// spool again is told so, and learns again whether the epoch is to be left.
    fn renew(&mut self, state: &mut State, epoch: u64) {
        let Some(spool) = state.spool.as_mut().filter(|spool| spool.epoch() == epoch) else { return };
        let renewed = spool.renew_epoch(rand::random(), self.holder);
        match renewed {
            Ok(moved) => {
                moved.iter().for_each(|loss| state.waiting.push(Class::Other, &Kept::Gap(gap(loss))));
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
        (state.uncommitted, state.uncommitted_bytes, state.commit_due) = (0, 0, None);
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
        standing.commit_ms = state.slowest.0;
        if let Some(spool) = &state.spool {
            standing.epoch = spool.epoch();
            standing.floor = spool.floor();
            standing.highest = spool.highest();
            state.confirmed = (standing.epoch, standing.highest);
            standing.unacknowledged = spool.unacknowledged();
            standing.bytes = spool.bytes();
            standing.capacity = spool.capacity();
        }
        self.reports.tell(standing);
    }
}

/// Records to be written again, each under the note that stood over it, and `now` over what comes after them.
fn packed(records: &[Record], now: Option<Note>) -> Sack {
    let mut sack = Sack::default();
    let mut note = None;
    for record in records {
        if record.note != note
            && let Some(bytes) = &record.note
        {
            sack.push_bytes(Mark::Note, bytes);
            note = record.note.clone();
        }
        sack.push_bytes(Mark::Record(record.class), &record.payload);
    }
    if let Some(now) = now {
        sack.push_note(now);
    }
    sack
}

/// Of what a spool had not committed, that which it does not have after it was opened again: a write that failed
/// to be synced may have reached the disk all the same, and must not be stored twice.
fn not_recovered(records: Vec<Record>, epoch_then: u64, epoch_now: u64, highest: u64) -> Vec<Record> {
    records.into_iter().filter(|record| epoch_then != epoch_now || record.sequence > highest).collect()
}

#[cfg(test)]
mod tests;
