//! `profile`: the shipped profiles, and the vectors of any.

use std::path::Path;

use clap::Subcommand;
use serde_json::json;

use super::{say, tell};
use crate::Usage;

#[derive(Subcommand)]
pub enum Profile {
    /// Runs the vectors of a profile file, or of a shipped profile, and explains each failure.
    Test {
        /// A file ending in .toml, or the name of a shipped profile.
        profile: String,
    },
    /// Names the shipped profiles.
    Ls,
}

/// Does it.
pub fn profile(command: Profile, as_json: bool) -> anyhow::Result<()> {
    match command {
        Profile::Ls => ls(as_json),
        Profile::Test { profile } => test(&profile, as_json),
    }
}

fn ls(as_json: bool) -> anyhow::Result<()> {
    let find = |name| gateway::device::Profile::find(name, Path::new("."));
    let profiles = gateway::device::Profile::shipped_names().map(find).collect::<Result<Vec<_>, _>>().map_err(anyhow::Error::msg)?;
    if as_json {
        let told = profiles.iter().map(|profile| {
            json!({ "id": profile.id, "maker": profile.maker, "model": profile.model, "source": profile.source, "values": profile.keys() })
        });
        return tell(&told.collect::<Vec<_>>().into());
    }
    profiles.iter().try_for_each(|profile| say(&profile.id))
}

fn test(name: &str, as_json: bool) -> anyhow::Result<()> {
    let profile = gateway::device::Profile::find(name, Path::new(".")).map_err(Usage)?;
    let failures: Vec<String> = profile.test().into_iter().map(|failure| failure.to_string()).collect();
    let vectors = profile.vectors.len();
    if as_json {
        tell(&json!({ "profile": profile.id, "vectors": vectors, "failures": failures }))?;
    } else {
        failures.iter().try_for_each(|failure| say(format_args!("FAILED {failure}")))?;
    }
    anyhow::ensure!(failures.is_empty(), "{} of {vectors} vectors of {} failed", failures.len(), profile.id);
    if as_json { Ok(()) } else { say(format_args!("{}: {vectors} vectors passed", profile.id)) }
}
