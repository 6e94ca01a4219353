//! Prints the figures that the README promises, measured on this machine.
#![forbid(unsafe_code)]

pub mod gateway;
pub mod letters;
pub mod rig;
pub mod usage;
