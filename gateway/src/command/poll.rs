//! `poll`: asks every device now, from here, and says what it answers. Stores and sends nothing.

use std::path::Path;
use std::time::Duration;

use gateway::clock::Clock;
use gateway::forward::Content;
use gateway::interpret::{Answer, At, Memory, interpret};
use gateway::poll::dtu::Dtus;
use gateway::poll::link::{Failure, Link, Road};
use gateway::site::{Bus, Device, Site};
use measurement::{Outcome, Reading};
use serde_json::json;
use telemetry::CatalogueChannel;

use super::{say, tell};

/// A DTU dials in when it likes; it is waited for so long.
const DTU_WAIT: Duration = Duration::from_secs(60);
/// Without `--once` the devices are asked again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// Asks once, or again and again.
pub async fn poll(path: &Path, once: bool, as_json: bool) -> anyhow::Result<()> {
    let site = Site::load(path)?;
    let clock = Clock::system(site.clock_vouched);
    let catalogue = site.catalogue();
    let dtus = Dtus::default();
    for bus in &site.buses {
        await_dtu(bus, &dtus).await;
    }
    loop {
        for bus in &site.buses {
            let mut link = Link::new(bus, &dtus);
            for device in &bus.devices {
                let (answer, why) = ask(&mut link, device).await;
                let now = clock.now();
                for entry in interpret(device, &answer, At { wall: now.wall, mono: now.mono }, &mut Memory::default()) {
                    let Content::Reading { reading, .. } = entry.content else { continue };
                    let Some(channel) = catalogue.channels.get(reading.channel.0 as usize) else { continue };
                    if as_json { tell(&document(channel, &reading, &why))? } else { say(line(channel, &reading, &why))? }
                }
            }
        }
        if once {
            return Ok(());
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn ask(link: &mut Link, device: &Device) -> (Answer, String) {
    match gateway::poll::ask(link, device).await {
        Ok(answer) => (answer, String::new()),
        Err(Failure::Refused(code)) => (Answer::Refused(code), format!("exception {code}")),
        Err(failure) => (Answer::Nothing, failure.to_string()),
    }
}

/// A bus behind a DTU has no line until the DTU has dialled in.
async fn await_dtu(bus: &Bus, dtus: &Dtus) {
    let Road::Dtu { registration } = &bus.road else { return };
    eprintln!("bus {}: its DTU must dial in first; waiting up to {} s", bus.name, DTU_WAIT.as_secs());
    let dialled = async {
        while dtus.line(registration).await.is_err() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let _ = tokio::time::timeout(DTU_WAIT, dialled).await;
}

fn line(channel: &CatalogueChannel, reading: &Reading, why: &str) -> String {
    let unit = channel.measured_in().map_or("", |unit| unit.symbol());
    match reading.outcome {
        Outcome::Good(value) => format!("{}\t{value} {unit}", channel.tag),
        Outcome::Uncertain(value, doubt) => format!("{}\t{value} {unit}\t{}", channel.tag, doubt.name()),
        Outcome::Bad(fault) => format!("{}\t-\t{}\t{why}", channel.tag, fault.name()),
    }
}

fn document(channel: &CatalogueChannel, reading: &Reading, why: &str) -> serde_json::Value {
    let (doubt, fault) = match reading.outcome {
        Outcome::Good(_) => (None, None),
        Outcome::Uncertain(_, doubt) => (Some(doubt.name()), None),
        Outcome::Bad(fault) => (None, Some(fault.name())),
    };
    json!({
        "tag": channel.tag, "sampled_at_ms": reading.sampled_at.0, "value": reading.outcome.value().map(|value| value.get()),
        "unit": channel.measured_in().map(|unit| unit.symbol()), "doubt": doubt, "fault": fault,
        "why": (!why.is_empty()).then_some(why),
    })
}
