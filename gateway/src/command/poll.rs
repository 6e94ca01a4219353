//! `poll`: asks every device now, from here, and says what it answers. Stores and sends nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use gateway::clock::Clock;
use gateway::forward::Content;
use gateway::interpret::{Answer, At, Memory, interpret};
use gateway::poll::dtu::Dtus;
use gateway::poll::link::{Failure, Link, Road};
use gateway::site::{Bus, Device, Site, Workarounds};
use measurement::{Outcome, Reading};
use serde_json::json;
use telemetry::CatalogueChannel;
use tokio_util::sync::CancellationToken;

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
    let stop = CancellationToken::new();
    let dtus = dial_in(&site, &stop).await?;
    let _ends_with_us = stop.drop_guard();
    let mut lines: Vec<(&Bus, Link)> = site.buses.iter().map(|bus| (bus, Link::new(bus, &dtus))).collect();
    loop {
        for (bus, link) in &mut lines {
            await_dtu(bus, link).await;
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

/// The door that DTUs dial in at, when a bus of the site waits for one. A running gateway has it already.
async fn dial_in(site: &Site, stop: &CancellationToken) -> anyhow::Result<Dtus> {
    let known: Vec<Vec<u8>> = site.buses.iter().filter_map(|bus| registration(bus).map(<[u8]>::to_vec)).collect();
    let Some(door) = site.dtu.clone().filter(|_| !known.is_empty()) else { return Ok(Dtus::default()) };
    let listen = door.listen;
    let opened = Dtus::listen(door, known, stop.clone()).await;
    opened.with_context(|| format!("cannot listen for DTUs on {listen}; stop the gateway first when it runs"))
}

fn registration(bus: &Bus) -> Option<&[u8]> {
    match &bus.road {
        Road::Dtu { registration } => Some(registration),
        _ => None,
    }
}

/// A bus behind a DTU has no line until the DTU has dialled in.
async fn await_dtu(bus: &Bus, link: &mut Link) {
    let (Some(_), Some(device)) = (registration(bus), bus.devices.first()) else { return };
    let mut is_told = false;
    let dialled = async {
        while let Err(Failure::NoLine(_)) = gateway::poll::ask(link, device, &bus.workarounds).await {
            if !std::mem::replace(&mut is_told, true) {
                eprintln!("bus {}: its DTU must dial in first; waiting up to {} s", bus.name, DTU_WAIT.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let _ = tokio::time::timeout(DTU_WAIT, dialled).await;
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
