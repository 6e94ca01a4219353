//! `check`: what is wrong with a site file, or what is in it.

use std::path::Path;

use gateway::site::Site;
use serde_json::json;

use super::{say, tell};

/// Reads the file and says what there is. A wrong one is told of on standard output too when that is for machines.
pub fn check(path: &Path, as_json: bool) -> anyhow::Result<()> {
    let site = Site::load(path).inspect_err(|error| {
        if as_json {
            let told = json!({ "ok": false, "file": error.file, "line": error.line, "why": error.why });
            let _ = tell(&told);
        }
    })?;
    let devices: usize = site.buses.iter().map(|bus| bus.devices.len()).sum();
    let channels = site.catalogue().channels.len();
    let (file, buses) = (path.display().to_string(), site.buses.len());
    if as_json {
        return tell(&json!({
            "ok": true, "file": file, "gateway": site.gateway.to_string(), "name": site.name,
            "buses": buses, "devices": devices, "channels": channels,
        }));
    }
    say(format_args!(
        "{file}: gateway {} with {buses} buses, {devices} devices, {channels} channels (its own health among them)",
        site.gateway
    ))
}
