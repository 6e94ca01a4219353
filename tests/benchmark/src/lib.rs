//! Prints the figures that the README promises, measured on this machine.
#![forbid(unsafe_code)]

pub mod backlog;
pub mod bare;
pub mod flood;
pub mod gateway;
pub mod letters;
pub mod rig;
pub mod subscriber;
pub mod usage;
