//! One datasheet part a file, over embedded-hal and embedded-io.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

pub mod ads1115;
mod measure;
pub mod scd4x;
pub mod sensirion;
pub mod sht4x;
pub mod winsen;

pub use measure::Measure;
