//! The control room: remembers, judges, grades, tells, shows.
#![forbid(unsafe_code)]

pub mod accounts;
pub mod api;
pub mod backup;
pub mod broker;
pub mod clock;
pub mod config;
pub mod figures;
pub mod ingest;
pub mod journal;
pub mod live;
pub mod notify;
pub mod pipeline;
pub mod registry;
mod run;
pub mod store;
pub mod watch;
pub mod web;

pub use config::Config;
pub use run::{RunError, Running, run, run_with};
