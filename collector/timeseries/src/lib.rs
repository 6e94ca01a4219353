//! Samples on disk: append, seal, query, retain.
//!
//! [`Store::commit`] returns after the rows are on the disk (fdatasync). Rows first stand in the *head*, one
//! entry a commit, and in memory a column a series; [`Store::seal_due`] turns a series' rows into compressed
//! *chunks* and their one-minute and one-hour extremes, in one atomic batch with the note up to which commit
//! the series is sealed, so that no crash stores a row twice or loses one. What a reading means, and where it
//! came from, is the caller's: a row carries a stream and a position for that, and nothing is interpreted.
#![forbid(unsafe_code)]

mod chunk;
mod columns;
mod extremes;
mod head;
mod store;

pub use extremes::{Extreme, Resolution};
pub use store::{Error, Figures, Options, SideWrite, Store};

use measurement::{Outcome, Timestamp};

/// Numbers the commits of a store, ascending from 1.
pub type CommitNumber = u64;

/// One reading to be stored, or stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Which series.
    pub series: u32,
    /// Where it came from: the caller's number of a gateway's epoch.
    pub stream: u32,
    /// Its sequence in that stream. With `stream` it names the row for ever.
    pub position: u64,
    /// When it was sampled. Never rewritten.
    pub sampled_at: Timestamp,
    /// What was seen.
    pub outcome: Outcome,
}
