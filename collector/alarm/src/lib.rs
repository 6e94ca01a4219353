//! Pure: limits, silence, faults and over-range become alarms, and the alarms' life (ISA-18.2).
//!
//! The [`Engine`] takes observations, time and people's orders, and answers with [`Transition`]s. It does no
//! IO, reads no clock and decides nothing by wall time: silence runs on the collector's monotonic time,
//! delays on sample age, order on a stream's sequence numbers. A late reading may raise, never clear.
#![forbid(unsafe_code)]

mod engine;
mod episode;
pub mod invariants;
mod life;
mod rule;
pub mod serial;

pub use engine::{Channel, Config, Engine, Observation, RefusedOrder, Shelving, UnusableRule};
pub use episode::{Aside, Cause, Episode, Event, Place, SetAside, Stage, Stages, State, Transition};
pub use rule::{Kind, Priority, Rule, RuleKind};
