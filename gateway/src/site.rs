//! The site file (TOML): who we are, where we deliver, which buses, devices and channels there are.
//!
//! Refused before anything starts when it cannot work: one sentence with file, line and what would be right.
//! The format is shown in the README of this house.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use measurement::{Limit, Unit};
use telemetry::topic::GatewayId;
use telemetry::{Catalogue, CatalogueChannel};

use crate::device::Profile;
use crate::forward::BrokerConfig;
use crate::health;
use crate::poll::link::Road;

mod check;
mod hint;
mod raw;

pub use hint::explained;

/// Why a site file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {why}")]
pub struct SiteError {
    /// The file.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub why: String,
}

/// A site that can work.
#[derive(Debug, Clone)]
pub struct Site {
    /// Our name to the collector.
    pub gateway: GatewayId,
    /// For people.
    pub name: String,
    /// True when all of it is simulated.
    pub simulated: bool,
    /// True when something we cannot see disciplines the wall clock.
    pub clock_vouched: bool,
    /// Where we deliver.
    pub broker: BrokerConfig,
    /// Topic root.
    pub root: String,
    /// Bytes the spool may take.
    pub spool_bytes: u64,
    /// The spool's directory, relative to the state directory.
    pub spool: String,
    /// An append that is not urgent waits so long for company before it is committed to the disk.
    pub group_ms: u64,
    /// Where the local status page listens; `None` when the site file does not say.
    pub status: Option<SocketAddr>,
    /// How often the gateway's own health is read; 0 is never.
    pub health_every_ms: u64,
    /// Where this host shows its temperature, if it does.
    pub thermometer: Option<PathBuf>,
    /// Where DTUs dial in; needed when a bus has the road `dtu`.
    pub dtu: Option<DtuListener>,
    /// The buses.
    pub buses: Vec<Bus>,
}

/// Where 4G DTUs dial in and say who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DtuListener {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Bytes that DTUs send now and then to keep their connection alive; thrown away. Empty when they send none.
    pub heartbeat: Vec<u8>,
}

/// What field experience has taught about lines and devices, under the names that users of Telegraf know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workarounds {
    /// Nothing is asked for so long after the line was opened.
    pub pause_after_connect: Duration,
    /// Quiet time between an answer and the next question.
    pub pause_between_requests: Duration,
    /// The line is closed after each device that was asked.
    pub close_connection_after_gather: bool,
    /// Each register of a profile is asked for by itself: nothing is merged.
    pub one_request_per_field: bool,
    /// Most registers in one question, whatever the profile allows.
    pub max_registers_per_request: u16,
}

impl Default for Workarounds {
    fn default() -> Workarounds {
        Workarounds {
            pause_after_connect: Duration::ZERO,
            pause_between_requests: Duration::ZERO,
            close_connection_after_gather: false,
            one_request_per_field: false,
            max_registers_per_request: crate::device::MOST_REGISTERS,
        }
    }
}

/// One line or connection and the devices on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Bus {
    /// Its name, in happenings and logs.
    pub name: String,
    /// How to reach it.
    pub road: Road,
    /// How long an answer may take.
    pub timeout_ms: u64,
    /// What its line and devices need.
    pub workarounds: Workarounds,
    /// Asks as fast as it goes: a device is due again as soon as every other has had its turn.
    pub flat_out: bool,
    /// The devices.
    pub devices: Vec<Device>,
}

/// One device.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Unique in the site.
    pub name: String,
    /// Modbus unit id.
    pub unit: u8,
    /// What its registers mean; one for all devices of a kind, so that it stays in the processor's cache.
    pub profile: Arc<Profile>,
    /// How often it is read.
    pub period_ms: u64,
    /// True when this site lets the settings block of this Davy node be written (FC16, nothing else is).
    pub settings_writable: bool,
    /// The settings hash on file; a node that shows another is told of.
    pub settings_hash: Option<u32>,
    /// What is taken from it.
    pub channels: Vec<Channel>,
}

/// One channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Its place in the catalogue.
    pub number: u32,
    /// The profile's key for it.
    pub key: Arc<str>,
    /// `device/tag`.
    pub tag: String,
    /// For people.
    pub name: String,
    /// `CH4`, `O2` …
    pub quantity: String,
    /// The unit its values are in.
    pub unit: Unit,
    /// Measuring range.
    pub range: Option<(f32, f32)>,
    /// LEL base, %vol.
    pub lel_percent_vol: Option<f32>,
    /// Reference temperature of mg/m3.
    pub reference_celsius: Option<f32>,
    /// A change between two readings larger than this is read again before it is believed.
    pub max_step: Option<f32>,
    /// Limits that make a reading urgent. The collector judges alarms by its own.
    pub limits: Vec<Limit>,
}

/// Where a mistake is, and what it is.
type Mistake = (Range<usize>, String);

impl Site {
    /// Reads a site file from disk.
    pub fn load(path: &Path) -> Result<Site, SiteError> {
        let text = std::fs::read_to_string(path).map_err(|error| SiteError {
            file: path.display().to_string(),
            line: 1,
            why: format!("cannot be read: {error}"),
        })?;
        Site::parse(path, &text)
    }

    /// Reads and checks a site. `path` is for errors, and profiles named by a file are looked for beside it.
    pub fn parse(path: &Path, text: &str) -> Result<Site, SiteError> {
        let at = |(span, why): Mistake| {
            let line = text.get(..span.start).map_or(1, |before| before.matches('\n').count() + 1);
            SiteError { file: path.display().to_string(), line, why }
        };
        let raw: raw::Site = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            at((span, hint::explained(error.message())))
        })?;
        check::site(raw, path.parent().unwrap_or(Path::new("."))).map_err(at)
    }

    /// The catalogue of this site's channels: the devices', then the gateway's own health.
    pub fn catalogue(&self) -> Catalogue {
        let channels = self.buses.iter().flat_map(|bus| &bus.devices).flat_map(|device| {
            device.channels.iter().map(|channel| CatalogueChannel {
                tag: channel.tag.clone(),
                name: channel.name.clone(),
                device: device.name.clone(),
                model: device.profile.id.clone(),
                unit: u32::from(channel.unit.code()),
                quantity: channel.quantity.clone(),
                range_low: channel.range.map(|(low, _)| low),
                range_high: channel.range.map(|(_, high)| high),
                lel_percent_vol: channel.lel_percent_vol,
                reference_celsius: channel.reference_celsius,
                period_ms: u32::try_from(device.period_ms).unwrap_or(u32::MAX),
                serial: String::new(),
                own_health: false,
            })
        });
        let channels = channels.chain(health::offered(self).into_iter().map(|measure| measure.channel(self.health_every_ms)));
        Catalogue { channels: channels.collect(), site: self.name.clone(), simulated: self.simulated }
    }
}

#[cfg(test)]
mod tests;
