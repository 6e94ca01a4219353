//! `settings`: what is in force on a Davy node, and a change of it where the site allows that.

use std::path::{Path, PathBuf};

use anyhow::Context;
use gateway::poll::link::Link;
use gateway::settings::{NodeSettings, SettingsError, Wanted, read, write};
use gateway::site::Site;
use serde_json::json;

use super::{dtu, say, tell};
use crate::Usage;

#[derive(clap::Args)]
pub struct Settings {
    /// The site file.
    site: PathBuf,
    /// The device's name in it.
    device: String,
    /// A file that names what is to change, in the words that this command prints. The site must say
    /// settings_writable = true for this device.
    #[arg(long, value_name = "FILE.toml")]
    write: Option<PathBuf>,
}

/// Shows, or changes and shows.
pub async fn settings(Settings { site: path, device: name, write: file }: Settings, as_json: bool) -> anyhow::Result<()> {
    let site = Site::load(&path)?;
    let found = site.buses.iter().find_map(|bus| Some((bus, bus.devices.iter().find(|device| device.name == name)?)));
    let (bus, device) = found.ok_or_else(|| Usage(format!("there is no device {name:?} in {}", path.display())))?;
    if !device.profile.is_davy_node {
        return Err(Usage(format!("device {name:?} is a {}; only a Davy node has settings here", device.profile.id)).into());
    }
    if file.is_some() && !device.settings_writable {
        return Err(Usage(format!(
            "the site does not allow it; write settings_writable = true under device {name:?} in {}",
            path.display()
        ))
        .into());
    }
    let wanted = file.as_deref().map(read_wanted).transpose()?;
    let door = dtu::open(&site, &[bus]).await?;
    door.wait_for(bus).await;
    let mut link = Link::new(bus, &door.dtus);
    let old = read(&mut link, device.unit).await.with_context(|| format!("cannot read the settings of {name}"))?;
    let Some(wanted) = wanted else { return show(&old, as_json) };
    let new = old.changed(&wanted).map_err(Usage)?;
    let differences = old.differences(&new);
    if !as_json {
        differences.iter().try_for_each(say)?;
    }
    let now = if differences.is_empty() {
        old.clone()
    } else {
        write(&mut link, device.unit, &old, &new).await.map_err(|error| {
            let may_be_changed = matches!(error, SettingsError::Unknown(_) | SettingsError::NotInForce { .. });
            let what = if may_be_changed { "the settings of" } else { "cannot change the settings of" };
            anyhow::Error::from(error).context(format!("{what} {name}"))
        })?
    };
    if as_json {
        return tell(&json!({
            "device": name, "changes": differences, "version_before": old.version, "version": now.version, "hash": hash(&now),
        }));
    }
    if differences.is_empty() {
        return say("nothing changes");
    }
    say(format_args!("in force as version {}; keep in the site file: settings_hash = \"{}\"", now.version, hash(&now)))
}

fn read_wanted(file: &Path) -> anyhow::Result<Wanted> {
    let text = std::fs::read_to_string(file).map_err(|error| Usage(format!("cannot read {}: {error}", file.display())))?;
    Ok(Wanted::parse(&file.display().to_string(), &text).map_err(Usage)?)
}

fn hash(settings: &NodeSettings) -> String {
    format!("{:08X}", settings.hash)
}

fn show(settings: &NodeSettings, as_json: bool) -> anyhow::Result<()> {
    if !as_json {
        return say(settings.text().trim_end());
    }
    let level = |level: &Option<measurement::Limit>| {
        level.as_ref().map(|level| {
            json!({
                "danger": if level.direction == measurement::Direction::High { "above" } else { "below" },
                "setpoint": level.setpoint.get(), "release": level.release.get(),
                "on_delay_ms": level.on_delay_ms, "off_delay_ms": level.off_delay_ms,
            })
        })
    };
    let text = |bytes: &[u8; 16]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    let channels = settings.channels.iter().enumerate().map(|(number, channel)| {
        json!({
            "number": number, "quantity": channel.quantity, "unit": channel.unit.symbol(), "latching": channel.latching,
            "range": [channel.range_low, channel.range_high], "low": level(&channel.low), "high": level(&channel.high),
            "calibration": {
                "zero": channel.zero, "span": channel.span, "zero_per_kelvin": channel.zero_per_kelvin, "date": channel.date,
                "gas": text(&channel.gas), "lot": text(&channel.lot), "operator": text(&channel.operator),
            },
        })
    });
    let channels: Vec<_> = channels.collect();
    tell(&json!({ "version": settings.version, "hash": hash(settings), "unit": settings.node.unit, "channels": channels }))
}
