//! `poll`: asks every device now, from here, and says what it answers. Stores and sends nothing.

use std::path::Path;
use std::time::Duration;

use gateway::clock::Clock;
use gateway::forward::Content;
use gateway::interpret::{Answer, At, Memory, interpret};
use gateway::poll::link::{Failure, Link};
use gateway::site::{Bus, Device, Site, Workarounds};
use measurement::{Outcome, Reading};
use serde_json::json;
use telemetry::CatalogueChannel;

use super::{dtu, say, tell};

/// Without `--once` the devices are asked again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// Asks once, or again and again.
pub async fn poll(path: &Path, once: bool, as_json: bool) -> anyhow::Result<()> {
    let site = Site::load(path)?;
    let clock = Clock::system(site.clock_vouched);
    let catalogue = site.catalogue();
    let door = dtu::open(&site, &site.buses.iter().collect::<Vec<_>>()).await?;
    let mut lines: Vec<(&Bus, Link)> = site.buses.iter().map(|bus| (bus, Link::new(bus, &door.dtus))).collect();
    loop {
        for (bus, link) in &mut lines {
            door.wait_for(bus).await;
            for device in &bus.devices {
                let (answer, why) = ask(link, device, &bus.workarounds).await;
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

async fn ask(link: &mut Link, device: &Device, workarounds: &Workarounds) -> (Answer, String) {
    match gateway::poll::ask(link, device, workarounds).await {
        Ok(answer) => (answer, String::new()),
        Err(Failure::Refused(code)) => (Answer::Refused(code), format!("exception {code}")),
        Err(failure) => (Answer::Nothing, failure.to_string()),
    }
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
