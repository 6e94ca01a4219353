//! Everything that is not a batch: birth, status, acknowledgement, commands, events.

use prost::Message;

/// How far a gateway's wall clock is to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum ClockQuality {
    /// Nobody vouches for it (fresh start, no time source, before the build date).
    Untrusted = 0,
    /// Disciplined by a time source.
    Synchronised = 1,
    /// Was disciplined earlier in this boot; drifting since.
    Holdover = 2,
}

/// Sent after each connect, before the first batch.
#[derive(Clone, PartialEq, Message)]
pub struct Birth {
    /// Random at spool creation; sequences only mean something within it.
    #[prost(fixed64, tag = "1")]
    pub epoch: u64,
    /// Random at each start of the gateway's host (not of its process where the host offers a boot id).
    #[prost(fixed64, tag = "2")]
    pub boot: u64,
    /// The catalogue in force.
    #[prost(fixed64, tag = "3")]
    pub catalogue: u64,
    /// Program version.
    #[prost(string, tag = "4")]
    pub version: String,
    /// Highest sequence appended so far.
    #[prost(uint64, tag = "5")]
    pub highest: u64,
    /// Oldest sequence still held.
    #[prost(uint64, tag = "6")]
    pub floor: u64,
}

/// The heartbeat, every five seconds; and, with `online = false`, the last will, which is only a hint.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// See [`Birth::epoch`].
    #[prost(fixed64, tag = "1")]
    pub epoch: u64,
    /// See [`Birth::boot`].
    #[prost(fixed64, tag = "2")]
    pub boot: u64,
    /// False only in the last will and in a clean goodbye.
    #[prost(bool, tag = "3")]
    pub online: bool,
    /// The gateway's monotonic clock when it sent this.
    #[prost(uint64, tag = "4")]
    pub sent_mono_ms: u64,
    /// The gateway's wall clock when it sent this, Unix ms.
    #[prost(int64, tag = "5")]
    pub sent_at_ms: i64,
    /// [`ClockQuality`].
    #[prost(enumeration = "ClockQuality", tag = "6")]
    pub clock: i32,
    /// Echoed by the collector in its next acknowledgement; zero asks for no echo.
    #[prost(fixed64, tag = "7")]
    pub nonce: u64,
    /// Highest sequence appended.
    #[prost(uint64, tag = "8")]
    pub highest: u64,
    /// Oldest sequence held.
    #[prost(uint64, tag = "9")]
    pub floor: u64,
    /// Entries not acknowledged yet.
    #[prost(uint64, tag = "10")]
    pub unacknowledged: u64,
    /// The catalogue in force.
    #[prost(fixed64, tag = "11")]
    pub catalogue: u64,
    /// Bytes the spool takes, and may take.
    #[prost(uint64, tag = "12")]
    pub spool_bytes: u64,
    /// See `spool_bytes`.
    #[prost(uint64, tag = "13")]
    pub spool_capacity: u64,
    /// True while the spool is thinning or the disk refuses writes.
    #[prost(bool, tag = "14")]
    pub degraded: bool,
}

/// A closed range of sequences.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Range {
    /// First sequence of the range.
    #[prost(uint64, tag = "1")]
    pub first: u64,
    /// Last sequence of the range.
    #[prost(uint64, tag = "2")]
    pub last: u64,
}

/// What the collector holds on its disk of one epoch. Sent after its fsync, never before.
#[derive(Clone, PartialEq, Message)]
pub struct Ack {
    /// The epoch spoken of.
    #[prost(fixed64, tag = "1")]
    pub epoch: u64,
    /// Every sequence up to this one is held (or its gap is); zero when none is. Sequences start at 1.
    #[prost(uint64, tag = "2")]
    pub contiguous: u64,
    /// What is held above `contiguous`: at most 64 ranges, ascending, disjoint. When there are more,
    /// the lowest are named, and the rest will be sent again.
    #[prost(message, repeated, tag = "3")]
    pub ranges: Vec<Range>,
    /// The nonce of the last status, echoed; zero when there is none to echo.
    #[prost(fixed64, tag = "4")]
    pub nonce: u64,
    /// A catalogue the collector needs before it can store batches that name it; zero for none.
    #[prost(fixed64, tag = "5")]
    pub wanted_catalogue: u64,
}

/// What the collector asks of a gateway.
#[derive(Clone, PartialEq, Message)]
pub struct Command {
    /// One order a message.
    #[prost(oneof = "Order", tags = "1, 2, 3, 4")]
    pub order: Option<Order>,
}

/// The orders there are. None of them writes to an actuator.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Order {
    /// On a birth: the highest sequence of this epoch the collector has seen. Higher than the gateway's own
    /// means a cloned or restored disk: the gateway starts a new epoch.
    #[prost(message, tag = "1")]
    Hello(Ack),
    /// A restored collector: send again from this sequence on, as far as still held.
    #[prost(message, tag = "2")]
    ResendFrom(Range),
    /// Send the catalogue with this hash again.
    #[prost(fixed64, tag = "3")]
    SendCatalogue(u64),
    /// The collector will not take this gateway's data, and why, for its log and status page.
    #[prost(string, tag = "4")]
    Refused(String),
}

/// Something that happened at the gateway, worth a sequence of its own.
#[derive(Clone, PartialEq, Message)]
pub struct Happening {
    /// What.
    #[prost(enumeration = "HappeningKind", tag = "1")]
    pub kind: i32,
    /// When, by the gateway's wall clock, Unix ms.
    #[prost(int64, tag = "2")]
    pub at_ms: i64,
    /// One sentence for the journal.
    #[prost(string, tag = "3")]
    pub text: String,
    /// The device or bus it is about; empty for the gateway itself.
    #[prost(string, tag = "4")]
    pub about: String,
}

/// Kinds of happenings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum HappeningKind {
    /// None of the below.
    Other = 0,
    /// The gateway's program started.
    Started = 1,
    /// The gateway's program is stopping as asked.
    Stopping = 2,
    /// A device restarted (its boot count or uptime says so).
    DeviceRestarted = 3,
    /// A device is not the one that was there (serial number).
    DeviceReplaced = 4,
    /// The wall clock was stepped.
    ClockStepped = 5,
    /// The disk is nearly full, full, read-only or failing.
    StorageTrouble = 6,
    /// The disk is well again.
    StorageRecovered = 7,
    /// The site file was loaded again.
    SiteReloaded = 8,
    /// A node's settings are not those that the site file has on file.
    SettingsDiffer = 9,
}
