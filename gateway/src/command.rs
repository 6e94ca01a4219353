//! The commands, one a file.

use std::io::Write;

use serde_json::Value;

pub mod check;
mod dtu;
pub mod enrol;
pub mod plan;
pub mod poll;
pub mod profile;
pub mod run;
pub mod scan;
pub mod settings;
pub mod spool;

/// One line on standard output. An error when nobody reads it any more, instead of a panic.
pub fn say(line: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

/// A JSON document on one line.
pub fn tell(document: &Value) -> anyhow::Result<()> {
    say(document)
}
