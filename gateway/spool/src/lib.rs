//! The store-and-forward queue on disk: bounded, checksummed, forgotten only on acknowledgement.
//!
//! A [`Spool`] is a log of preallocated segments in one directory. It numbers what it is given, has it on
//! the disk when [`Spool::commit`] returns, gives it out again from any sequence, and forgets a segment by
//! unlinking it once all of it is acknowledged. When space runs out it follows the plan in `room.rs`, and
//! never loses anything without declaring the loss first. It knows a class per record, never its content.
#![forbid(unsafe_code)]

mod disk;
#[cfg(test)]
mod example;
mod identity;
pub mod inspect;
mod open;
mod queue;
mod ranges;
mod record;
mod room;
mod segment;
#[cfg(any(test, feature = "simulated-disk"))]
pub mod simulated;

pub use disk::{DirDisk, Disk, DiskFile};
pub use open::{OpenError, Opened, Report};
pub use queue::{AppendError, Batch, Failed, Record, Spool};
pub use ranges::RangeSet;
pub use record::{Class, MAX_PAYLOAD, bytes_of_record};
pub use room::{Caretaker, Loss, LossCause, Room};
pub use segment::Level;

/// How large a spool is and who owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Bytes it may take on the disk, its reserve included. At least 1 MiB.
    pub capacity_bytes: u64,
    /// Length of a segment.
    pub segment_bytes: u64,
    /// Segments that only urgent and other records may begin, preallocated so that they exist on a full disk.
    pub reserve_segments: usize,
    /// At most this many segment files, whatever their size: a bound for inodes and memory.
    pub most_segments: usize,
    /// Becomes the epoch if the spool is made new. Random.
    pub new_epoch: u64,
    /// The caller's mark of the machine; [`Report::holder_changed`] says when it is another one.
    pub holder: u64,
}

/// The smallest spool that can follow its plan.
pub const LEAST_CAPACITY: u64 = 1 << 20;

impl Config {
    /// Sizes that suit a capacity: about 64 segments between 64 KiB and 4 MiB, a sixteenth of them in reserve.
    pub fn sized(capacity_bytes: u64, new_epoch: u64, holder: u64) -> Config {
        let segment_bytes = segment::blocks((capacity_bytes / 64).clamp(64 << 10, 4 << 20));
        let reserve_segments = ((capacity_bytes / segment_bytes / 16) as usize).max(2);
        Config { capacity_bytes, segment_bytes, reserve_segments, most_segments: 8192, new_epoch, holder }
    }
}
