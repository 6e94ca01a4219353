//! What a reading is, shared by the node, the gateway and the collector.
//!
//! A [`Reading`] is one observation of one channel. Its [`Outcome`] is a value, a doubtful value or a
//! fault, and a fault carries no value: it cannot be drawn as a zero. A [`Value`] is finite by
//! construction, so NaN never reaches a comparison. This crate is no_std, allocates nothing and knows
//! no transport, disk or clock.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(feature = "std")]
extern crate std;

pub mod limit;
mod quality;
mod time;
pub mod unit;
mod value;

pub use limit::{Crossing, Direction, Limit, LimitMonitor};
pub use quality::{Doubt, Fault, Outcome, UnknownQuality};
pub use time::{MonotonicMs, Timestamp};
pub use unit::{Conversion, Gas, Unit};
pub use value::Value;

/// A channel's number within the house that uses it: a node's channel index, a gateway's place in its
/// catalogue, a collector's series. A number never leaves its house without the catalogue that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u32);

/// One observation of one channel, or the reason there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The channel observed.
    pub channel: ChannelId,
    /// When the sensor saw it, by the clock of whoever read the sensor.
    pub sampled_at: Timestamp,
    /// What was seen.
    pub outcome: Outcome,
}
