//! The store: one fjall database with a keyspace for each kind of thing, and the open columns in memory.
//!
//! | Keyspace | Key (big-endian, so that order is number order) | Value |
//! |---|---|---|
//! | `head` | commit | head entry |
//! | `sealed` | series | the commit up to which its rows are in chunks |
//! | `frames` | frame | times and positions |
//! | `chunks` | series, first time, last time, serial | chunk |
//! | `minutes`, `hours` | series, first bucket, serial | extremes |
//! | `side` | the caller's | the caller's |
//!
//! Times in keys are shifted so that negative ones sort first. A chunk spans at most [`MAX_SPAN_MS`], which
//! bounds how far back a query must look.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable};
use measurement::Timestamp;

use crate::chunk::{self, Frame};
use crate::columns::Damaged;
use crate::extremes::{self, Extreme, Resolution};
use crate::{CommitNumber, Row, head};

/// No chunk spans more time than this.
pub const MAX_SPAN_MS: i64 = 3_600_000;

/// When a series' open rows become a chunk.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// At this many rows.
    pub chunk_rows: usize,
    /// Or when the oldest has been open this long.
    pub chunk_age_ms: i64,
}

impl Default for Options {
    fn default() -> Options {
        Options { chunk_rows: 512, chunk_age_ms: 900_000 }
    }
}

/// What the caller stores beside the rows, in the same commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SideWrite {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
}

/// What can fail.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk, or the engine over it. After a failed commit nothing of it is acknowledged; open again.
    #[error("the time series store failed to {what}")]
    Engine {
        what: &'static str,
        #[source]
        source: fjall::Error,
    },
    /// Something on the disk fails its checksum. It is reported and never served.
    #[error("{what} {key} is damaged on disk")]
    Damaged { what: &'static str, key: String },
}

/// How large the store is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// Rows in chunks, counted since this store was opened.
    pub sealed_rows: u64,
    /// Bytes of chunks, frames and extremes written for them.
    pub sealed_bytes: u64,
    /// Rows in memory and in the head.
    pub open_rows: u64,
    /// Commits still in the head.
    pub head_commits: u64,
    /// Bytes the whole database takes on disk.
    pub disk_bytes: u64,
}

/// The store. Shared by reference; every method takes `&self`.
pub struct Store {
    db: Database,
    head: Keyspace,
    sealed: Keyspace,
    frames: Keyspace,
    chunks: Keyspace,
    minutes: Keyspace,
    hours: Keyspace,
    side: Keyspace,
    options: Options,
    writer: Mutex<Writer>,
    open: RwLock<HashMap<u32, Column>>,
}

struct Writer {
    next_commit: CommitNumber,
    next_serial: u64,
    next_frame: u64,
    released: CommitNumber,
    /// Rows of each commit that are not in chunks yet.
    unsealed: BTreeMap<CommitNumber, u32>,
    /// The newest frames, to be shared with the next siblings.
    recent: Vec<(u64, Frame)>,
    figures: Figures,
}

/// The open rows of one series.
#[derive(Default)]
struct Column {
    rows: Vec<Row>,
    commits: Vec<CommitNumber>,
    /// When `seal_due` first saw it open.
    open_since: Option<Timestamp>,
}

type Result<T> = std::result::Result<T, Error>;

fn engine(what: &'static str) -> impl Fn(fjall::Error) -> Error {
    move |source| Error::Engine { what, source }
}

fn damaged(what: &'static str, key: impl std::fmt::Debug) -> impl Fn(Damaged) -> Error {
    let key = format!("{key:?}");
    move |Damaged| Error::Damaged { what, key: key.clone() }
}

impl Store {
    /// Opens or makes the store in a folder, and takes up the rows that no chunk holds yet.
    pub fn open(path: &Path, options: Options) -> Result<Store> {
        let db = Database::builder(path).open().map_err(engine("open"))?;
        let keyspace = |name: &str| db.keyspace(name, KeyspaceCreateOptions::default).map_err(engine("open"));
        let store = Store {
            head: keyspace("head")?,
            sealed: keyspace("sealed")?,
            frames: keyspace("frames")?,
            chunks: keyspace("chunks")?,
            minutes: keyspace("minutes")?,
            hours: keyspace("hours")?,
            side: keyspace("side")?,
            options,
            writer: Mutex::new(Writer {
                next_commit: 1,
                next_serial: 1,
                next_frame: 1,
                released: 0,
                unsealed: BTreeMap::new(),
                recent: Vec::new(),
                figures: Figures::default(),
            }),
            open: RwLock::new(HashMap::new()),
            db,
        };
        store.recover()?;
        Ok(store)
    }

    fn recover(&self) -> Result<()> {
        let mut writer = self.writer();
        let mut sealed: HashMap<u32, CommitNumber> = HashMap::new();
        let mut highest = 0;
        for entry in self.sealed.iter() {
            let (key, value) = entry.into_inner().map_err(engine("read"))?;
            let (series, commit) = (number(&key, 0) as u32, number_64(&value, 0));
            highest = highest.max(commit);
            writer.next_serial = writer.next_serial.max(number_64(&value, 8) + 1);
            sealed.insert(series, commit);
        }
        if let Some(last) = self.frames.last_key_value() {
            writer.next_frame = number_64(&last.key().map_err(engine("read"))?, 0) + 1;
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        for entry in self.head.iter() {
            let (key, value) = entry.into_inner().map_err(engine("read"))?;
            let commit = number_64(&key, 0);
            highest = highest.max(commit);
            let rows = head::decode(&value).map_err(damaged("head entry", commit))?;
            let still: Vec<Row> = rows.into_iter().filter(|row| sealed.get(&row.series).is_none_or(|to| *to < commit)).collect();
            writer.unsealed.insert(commit, still.len() as u32);
            take_up(&mut open, commit, &still);
        }
        writer.next_commit = highest + 1;
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores rows and side writes together. On the disk when it returns; nothing of it is when it fails.
    pub fn commit(&self, rows: &[Row], side: &[SideWrite]) -> Result<CommitNumber> {
        let mut writer = self.writer();
        let commit = writer.next_commit;
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        if !rows.is_empty() {
            batch.insert(&self.head, commit.to_be_bytes(), head::encode(rows));
        }
        for write in side {
            match write {
                SideWrite::Put(key, value) => batch.insert(&self.side, key.as_slice(), value.as_slice()),
                SideWrite::Delete(key) => batch.remove(&self.side, key.as_slice()),
            }
        }
        batch.commit().map_err(engine("commit"))?;
        if !rows.is_empty() {
            writer.next_commit += 1;
            writer.unsealed.insert(commit, rows.len() as u32);
            take_up(&mut self.open.write().unwrap_or_else(PoisonError::into_inner), commit, rows);
        }
        Ok(commit)
    }

    /// The caller's value under a key.
    pub fn side(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.side.get(key).map_err(engine("read"))?.map(|value| value.to_vec()))
    }

    /// The caller's keys and values under a prefix, ascending.
    pub fn side_range(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let entries = self.side.prefix(prefix).map(|entry| entry.into_inner().map(|(key, value)| (key.to_vec(), value.to_vec())));
        entries.collect::<fjall::Result<_>>().map_err(engine("read"))
    }

    /// Visits the commits after one, as far as the head still has them: all that were never released.
    pub fn replay(&self, after: CommitNumber, mut visit: impl FnMut(CommitNumber, &[Row])) -> Result<()> {
        for entry in self.head.range((after + 1).to_be_bytes()..) {
            let (key, value) = entry.into_inner().map_err(engine("read"))?;
            let commit = number_64(&key, 0);
            visit(commit, &head::decode(&value).map_err(damaged("head entry", commit))?);
        }
        Ok(())
    }

    /// Says that nobody will ask for the commits up to this one again.
    pub fn release(&self, judged_to: CommitNumber) {
        let mut writer = self.writer();
        writer.released = writer.released.max(judged_to);
    }

    /// Seals up to `most` series whose time has come, in one atomic batch, and gives how many. Call it again
    /// while it gives `most`; small slices keep commits from waiting.
    pub fn seal_due(&self, now: Timestamp, most: usize) -> Result<usize> {
        let due: Vec<u32> = {
            let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
            let mut due: Vec<u32> = open
                .iter_mut()
                .filter(|(_, column)| !column.rows.is_empty())
                .filter_map(|(series, column)| {
                    let since = *column.open_since.get_or_insert(now);
                    // A clock that was stepped back must not keep a column open for ever.
                    let old = now.since(since).abs() >= self.options.chunk_age_ms;
                    (old || column.rows.len() >= self.options.chunk_rows).then_some(*series)
                })
                .collect();
            due.sort_unstable();
            due.truncate(most);
            due
        };
        self.seal(&due)?;
        Ok(due.len())
    }

    /// Seals every open row; for an orderly stop and for measuring.
    pub fn seal_all(&self) -> Result<()> {
        let mut all: Vec<u32> = self.open.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        all.sort_unstable();
        all.chunks(1024).try_for_each(|slice| self.seal(slice))
    }

    fn seal(&self, series: &[u32]) -> Result<()> {
        if series.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer();
        let mut batch = self.db.batch();
        let mut sealed: Vec<(u32, usize)> = Vec::with_capacity(series.len());
        {
            // Rows are only taken away below, under the same writer lock, so reading suffices while packing.
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
            for series in series {
                let Some(column) = open.get(series).filter(|column| !column.rows.is_empty()) else { continue };
                self.pack(*series, column, &mut writer, &mut batch);
                sealed.push((*series, column.rows.len()));
                for commit in &column.commits {
                    if let Some(left) = writer.unsealed.get_mut(commit) {
                        *left = left.saturating_sub(1);
                    }
                }
            }
        }
        let released = writer.released;
        while let Some(first) = writer.unsealed.first_entry() {
            if *first.get() > 0 || *first.key() > released {
                break;
            }
            let (commit, _) = first.remove_entry();
            batch.remove(&self.head, commit.to_be_bytes());
        }
        batch.commit().map_err(engine("seal"))?;
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        for (series, count) in sealed {
            if let Some(column) = open.get_mut(&series) {
                column.rows.drain(..count);
                column.commits.drain(..count);
                column.open_since = None;
            }
        }
        Ok(())
    }

    fn pack(&self, series: u32, column: &Column, writer: &mut Writer, batch: &mut OwnedWriteBatch) {
        let mut rows = column.rows.clone();
        rows.sort_by_key(|row| (row.stream, row.sampled_at, row.position));
        let mut start = 0;
        while start < rows.len() {
            let first = rows[start];
            let fits = |row: &Row| row.stream == first.stream && row.sampled_at.since(first.sampled_at) < MAX_SPAN_MS;
            let end = start + rows[start..].iter().take(self.options.chunk_rows).take_while(|row| fits(row)).count();
            self.pack_chunk(series, &rows[start..end], writer, batch);
            start = end;
        }
        let last_commit = column.commits.last().copied().unwrap_or(0);
        let mut note = last_commit.to_be_bytes().to_vec();
        note.extend(writer.next_serial.to_be_bytes());
        batch.insert(&self.sealed, series.to_be_bytes(), note);
    }

    fn pack_chunk(&self, series: u32, rows: &[Row], writer: &mut Writer, batch: &mut OwnedWriteBatch) {
        let serial = writer.next_serial;
        writer.next_serial += 1;
        let frame = Frame::of(rows);
        let frame_number = match writer.recent.iter().find(|(_, recent)| *recent == frame) {
            Some((number, _)) => *number,
            None => {
                let number = writer.next_frame;
                writer.next_frame += 1;
                let bytes = frame.encode();
                writer.figures.sealed_bytes += bytes.len() as u64 + 8;
                batch.insert(&self.frames, number.to_be_bytes(), bytes);
                if writer.recent.len() >= 8 {
                    writer.recent.remove(0);
                }
                writer.recent.push((number, frame));
                number
            }
        };
        let bytes = chunk::encode(rows, frame_number);
        writer.figures.sealed_bytes += bytes.len() as u64 + 28;
        writer.figures.sealed_rows += rows.len() as u64;
        let (first, last) = (rows[0].sampled_at, rows[rows.len() - 1].sampled_at);
        batch.insert(&self.chunks, chunk_key(series, first, last, serial), bytes);
        for (keyspace, resolution) in [(&self.minutes, Resolution::Minute), (&self.hours, Resolution::Hour)] {
            let list = extremes::extremes(rows, resolution);
            let bytes = extremes::encode(&list, resolution);
            writer.figures.sealed_bytes += bytes.len() as u64 + 20;
            batch.insert(keyspace, extreme_key(series, list[0].from, serial), bytes);
        }
    }

    /// The rows of a series sampled in `from..to`, ascending by sampling time.
    pub fn query(&self, series: u32, from: Timestamp, to: Timestamp) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let within = |row: &Row| row.sampled_at >= from && row.sampled_at < to;
        // Read before the chunks: a row sealed in between is then seen twice and collapses below, never missed.
        if let Some(column) = self.open.read().unwrap_or_else(PoisonError::into_inner).get(&series) {
            rows.extend(column.rows.iter().copied().filter(within));
        }
        let start = chunk_key(series, from.plus_ms(-MAX_SPAN_MS), Timestamp(i64::MIN), 0);
        let end = chunk_key(series, to, Timestamp(i64::MIN), 0);
        for entry in self.chunks.range(start..end) {
            let (key, bytes) = entry.into_inner().map_err(engine("read"))?;
            if time(&key, 12) >= from.0 {
                rows.extend(self.unpack(series, &bytes)?.into_iter().filter(within));
            }
        }
        rows.sort_by_key(|row| (row.sampled_at, row.stream, row.position));
        rows.dedup_by_key(|row| (row.stream, row.position));
        Ok(rows)
    }

    fn unpack(&self, series: u32, bytes: &[u8]) -> Result<Vec<Row>> {
        let number = chunk::frame_of(bytes).map_err(damaged("chunk of series", series))?;
        let frame = self.frames.get(number.to_be_bytes()).map_err(engine("read"))?;
        let frame = frame.ok_or(Damaged).and_then(|bytes| Frame::decode(&bytes)).map_err(damaged("frame", number))?;
        chunk::decode(series, bytes, &frame).map_err(damaged("chunk of series", series))
    }

    /// The extremes of a series for buckets in `from..to`, ascending; open rows included.
    pub fn extremes(&self, series: u32, from: Timestamp, to: Timestamp, resolution: Resolution) -> Result<Vec<Extreme>> {
        let mut list = Vec::new();
        if let Some(column) = self.open.read().unwrap_or_else(PoisonError::into_inner).get(&series) {
            let mut rows = column.rows.clone();
            rows.sort_by_key(|row| row.sampled_at);
            list.extend(extremes::extremes(&rows, resolution));
        }
        let keyspace = match resolution {
            Resolution::Minute => &self.minutes,
            Resolution::Hour => &self.hours,
        };
        let start = extreme_key(series, from.plus_ms(-MAX_SPAN_MS - resolution.ms()), 0);
        for entry in keyspace.range(start..extreme_key(series, to, 0)) {
            let (key, bytes) = entry.into_inner().map_err(engine("read"))?;
            list.extend(extremes::decode(&bytes, resolution).map_err(damaged("extremes of series", number(&key, 0)))?);
        }
        list.retain(|one| one.from.0 > from.0 - resolution.ms() && one.from < to);
        list.sort_by_key(|one| one.from);
        Ok(extremes::merged(list))
    }

    /// The row of a series that was sampled last.
    pub fn latest(&self, series: u32) -> Result<Option<Row>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).get(&series).and_then(|column| {
            let rows = column.rows.iter().copied();
            rows.max_by_key(|row| (row.sampled_at, row.position))
        });
        let whole = chunk_key(series, Timestamp(i64::MIN), Timestamp(i64::MIN), 0)
            ..=chunk_key(series, Timestamp(i64::MAX), Timestamp(i64::MAX), u64::MAX);
        let sealed = match self.chunks.range(whole).next_back() {
            Some(entry) => {
                let bytes = entry.value().map_err(engine("read"))?;
                self.unpack(series, &bytes)?.into_iter().max_by_key(|row| (row.sampled_at, row.position))
            }
            None => None,
        };
        Ok(open.into_iter().chain(sealed).max_by_key(|row| row.sampled_at))
    }

    /// Forgets raw rows sampled before a time, up to `most` chunks a call, and gives how many it forgot.
    /// Extremes stay.
    pub fn retain_raw(&self, since: Timestamp, most: usize) -> Result<usize> {
        let _writer = self.writer();
        let mut batch = self.db.batch();
        let mut forgotten = 0;
        for entry in self.chunks.iter() {
            let key = entry.key().map_err(engine("read"))?;
            if time(&key, 12) < since.0 {
                batch.remove(&self.chunks, key);
                forgotten += 1;
                if forgotten == most {
                    break;
                }
            }
        }
        // Frames come in sealing order; one whose last time is past has no chunk that is still kept.
        for entry in self.frames.iter().take(most) {
            let (key, bytes) = entry.into_inner().map_err(engine("read"))?;
            if Frame::peek_last_time(&bytes).map_err(damaged("frame", number_64(&key, 0)))? >= since.0 || forgotten == most {
                break;
            }
            batch.remove(&self.frames, key);
        }
        batch.commit().map_err(engine("forget"))?;
        Ok(forgotten)
    }

    /// How large the store is.
    pub fn figures(&self) -> Result<Figures> {
        let writer = self.writer();
        let open_rows = writer.unsealed.values().map(|rows| u64::from(*rows)).sum();
        let disk_bytes = self.db.disk_space().map_err(engine("measure"))?;
        Ok(Figures { open_rows, head_commits: writer.unsealed.len() as u64, disk_bytes, ..writer.figures })
    }

    /// Writes a consistent copy into an empty folder.
    pub fn backup(&self, path: &Path) -> Result<()> {
        let snapshot = {
            let _writer = self.writer();
            self.db.snapshot()
        };
        let copy = Database::builder(path).open().map_err(engine("back up"))?;
        let all = [
            ("head", &self.head),
            ("sealed", &self.sealed),
            ("frames", &self.frames),
            ("chunks", &self.chunks),
            ("minutes", &self.minutes),
            ("hours", &self.hours),
            ("side", &self.side),
        ];
        for (name, from) in all {
            let to = copy.keyspace(name, KeyspaceCreateOptions::default).map_err(engine("back up"))?;
            for entry in snapshot.iter(from) {
                let (key, value) = entry.into_inner().map_err(engine("back up"))?;
                to.insert(key, value).map_err(engine("back up"))?;
            }
        }
        copy.persist(PersistMode::SyncAll).map_err(engine("back up"))
    }
}

fn take_up(open: &mut HashMap<u32, Column>, commit: CommitNumber, rows: &[Row]) {
    for row in rows {
        let column = open.entry(row.series).or_default();
        column.rows.push(*row);
        column.commits.push(commit);
    }
}

fn chunk_key(series: u32, first: Timestamp, last: Timestamp, serial: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(28);
    key.extend(series.to_be_bytes());
    key.extend(shifted(first.0));
    key.extend(shifted(last.0));
    key.extend(serial.to_be_bytes());
    key
}

fn extreme_key(series: u32, first: Timestamp, serial: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(20);
    key.extend(series.to_be_bytes());
    key.extend(shifted(first.0));
    key.extend(serial.to_be_bytes());
    key
}

/// Negative times sort before positive ones.
fn shifted(time: i64) -> [u8; 8] {
    ((time as u64) ^ 1 << 63).to_be_bytes()
}

fn time(key: &[u8], at: usize) -> i64 {
    (number_64(key, at) ^ 1 << 63) as i64
}

fn number(key: &[u8], at: usize) -> u64 {
    u64::from(u32::from_be_bytes(key.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or_default()))
}

fn number_64(key: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(key.get(at..at + 8).and_then(|b| b.try_into().ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests;
