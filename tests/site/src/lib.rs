//! A simulated plant, and what starts it together with real gateways and a real collector.
//!
//! Everything from the node's registers upward is the real product over real sockets; only the air and the
//! sensing elements are simulated, and everything shown carries the mark SIMULATED.
#![forbid(unsafe_code)]

pub mod city;
pub mod demo;
pub mod plant;
mod registration;
pub mod script;
pub mod sensor;
pub mod sitefile;
pub mod slave;
pub mod world;
