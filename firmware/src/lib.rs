//! The node's logic without hardware: sample, convert, self-test, annunciate, present.
//!
//! A board gives raw signals and bytes with the time they came; the node gives registers, answers and the
//! state its outputs must have. It opens nothing, sleeps nowhere and allocates nothing. The local alarm
//! works with no gateway present, in the same call that takes the sample.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

pub mod annunciator;
pub mod calibration_store;
pub mod conversion;
pub mod duties;
pub mod gas_module;
pub mod modbus;
pub mod node;
#[cfg(test)]
mod readme;
pub mod self_test;
pub mod shipped;
pub mod station;

pub use annunciator::{Annunciator, LocalAlarm, Outputs};
pub use conversion::{Calibration, LoopBands, Signal};
pub use duties::{Duties, Duty};
pub use gas_module::{GasModule, ModuleSettings};
pub use node::{ChannelSettings, Node, NodeSettings};
pub use station::Station;
