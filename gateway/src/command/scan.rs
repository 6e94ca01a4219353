//! `scan`: who is on a bus, and by which profile. Only reads.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use gateway::poll::dtu::Dtus;
use gateway::poll::link::{Link, Road};
use gateway::scan::{Found, Progress, Stage, scan};
use gateway::site::{Site, Workarounds};
use serde_json::json;

use super::{dtu, say, tell};
use crate::Usage;

#[derive(clap::Args)]
pub struct Scan {
    /// A bus of the site file named by --site, or a road: tcp:HOST:PORT, rtu:HOST:PORT (a serial server), or a serial
    /// port such as /dev/ttyUSB0.
    bus: String,
    /// The site file that the bus stands in.
    #[arg(long)]
    site: Option<PathBuf>,
    /// Unit ids to look for.
    #[arg(long, default_value = "1-247", value_parser = range)]
    units: RangeInclusive<u8>,
    /// Of a serial port.
    #[arg(long, default_value_t = 9600)]
    baud: u32,
    /// How long an answer may take, ms.
    #[arg(long, default_value_t = 1000)]
    timeout_ms: u64,
}

fn range(written: &str) -> Result<RangeInclusive<u8>, String> {
    let (first, last) = written.split_once('-').unwrap_or((written, written));
    match (first.parse::<u8>(), last.parse::<u8>()) {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        _ => Err("write a unit id, or a range such as 1-32".to_owned()),
    }
}

/// Looks, tells how far it is on standard error (or as JSON lines), and who was found.
pub async fn look(arguments: Scan, as_json: bool) -> anyhow::Result<()> {
    let units = arguments.units.clone();
    let (mut link, _door) = link(&arguments).await?;
    let mut last = None;
    let progress = |progress: Progress| {
        let Progress { unit, stage, found } = progress;
        if as_json {
            let _ = tell(&json!({ "progress": { "unit": unit, "stage": stage_name(stage), "found": found } }));
        } else if last.replace(stage) != Some(stage) {
            eprintln!("{} from unit {unit} on; {found} found so far", stage_name(stage));
        }
    };
    let found = scan(&mut link, units, progress).await.with_context(|| format!("cannot scan {}", arguments.bus))?;
    for found in &found {
        if as_json { tell(&document(found))? } else { say(found)? }
    }
    if found.is_empty() && !as_json {
        say("nobody answers; look at wiring, speed and parity")?;
    }
    Ok(())
}

/// The line, and the door that it came through.
async fn link(arguments: &Scan) -> anyhow::Result<(Link, Option<dtu::Door>)> {
    let timeout = Duration::from_millis(arguments.timeout_ms);
    if let Some(path) = &arguments.site {
        let site = Site::load(path)?;
        let bus = site.buses.iter().find(|bus| bus.name == arguments.bus);
        let bus = bus.ok_or_else(|| Usage(format!("there is no bus {:?} in {}", arguments.bus, path.display())))?;
        let door = dtu::open(&site, &[bus]).await?;
        door.wait_for(bus).await;
        return Ok((Link::new(bus, &door.dtus), Some(door)));
    }
    let road = match (arguments.bus.strip_prefix("tcp:"), arguments.bus.strip_prefix("rtu:")) {
        (Some(address), _) => Road::Tcp(address.to_owned()),
        (None, Some(address)) => Road::RtuOverTcp(address.to_owned()),
        (None, None) if Path::new(&arguments.bus).is_absolute() => Road::Serial {
            path: arguments.bus.clone(),
            baud: arguments.baud,
            parity: tokio_serial::Parity::None,
            stop_bits: tokio_serial::StopBits::One,
        },
        _ => {
            let why = format!(
                "{:?} is no road; write tcp:HOST:PORT, rtu:HOST:PORT or a serial port, or name the --site it is a bus of",
                arguments.bus
            );
            return Err(Usage(why).into());
        }
    };
    Ok((Link::along(&road, timeout, &Workarounds::default(), &Dtus::default()), None))
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Seeking => "seeking",
        Stage::SeekingAgain => "seeking again",
        Stage::Guessing => "guessing",
    }
}

fn document(found: &Found) -> serde_json::Value {
    let guesses: Vec<_> =
        found.guesses.iter().map(|guess| json!({ "profile": guess.profile, "sure_percent": guess.sure_percent })).collect();
    let identification: Vec<_> = found.identification.iter().map(|(object, text)| json!({ "object": object, "text": text })).collect();
    json!({
        "unit": found.unit, "is_contested": found.is_contested, "serial": found.serial, "guesses": guesses, "identification": identification,
    })
}
