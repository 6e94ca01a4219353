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
pub mod beacon;
pub mod boot_counter;
pub mod button;
pub mod cadence;
pub mod conversion;
pub mod desk;
pub mod duties;
pub mod event_log;
pub mod event_store;
pub mod gas_module;
pub mod inputs;
pub mod loop_models;
pub mod modbus;
pub mod node;
pub mod ram_flash;
#[cfg(test)]
mod readme;
pub mod self_test;
pub mod settings;
pub mod settings_store;
pub mod shipped;
pub mod station;
pub mod two_copies;

pub use annunciator::{Annunciator, LocalAlarm, Outputs};
pub use button::{Button, Wish};
pub use conversion::{Calibration, LoopBands, Signal};
pub use duties::{Duties, Duty};
pub use event_log::EventLog;
pub use gas_module::{GasModule, ModuleSettings};
pub use inputs::{InputKind, InputSettings};
pub use node::{ChannelSettings, Node, NodeSettings};
pub use settings::{Forgetful, Keep};
pub use settings_store::SettingsStore;
pub use station::Station;
