//! The contract between a gateway and a collector: topics, payloads, acknowledgement. Version 1.
//!
//! MQTT 3.1.1, QoS 1, nothing retained that anything relies on. Payloads are Protocol Buffers, at most
//! [`MAX_PAYLOAD`] bytes. Fields are only ever added; a new meaning is a new version and a new topic root.
//! Every sequence number of a gateway's epoch is exactly one [`Entry`]: a reading, a gap, a part of the
//! channel catalogue or an event. This crate has never heard of Modbus, a disk or a broker's client.
#![forbid(unsafe_code)]

mod batch;
mod catalogue;
mod control;
pub mod topic;

pub use batch::{
    Batch, BatchBuilder, BatchError, Entry, Gap, GapCause, Header, Lane, Letter, NumberedGap, NumberedHappening, NumberedPart,
    StampedReading,
};
pub use catalogue::{Catalogue, CatalogueChannel, CatalogueError, CatalogueHash, CataloguePart};
pub use control::{Ack, Birth, ClockQuality, Command, Happening, HappeningKind, Order, Range, Status};

/// No payload is larger than this. A larger one is refused by both ends.
pub const MAX_PAYLOAD: usize = 64 * 1024;
