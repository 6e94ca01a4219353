//! The site file (TOML): who we are, where we deliver, which buses, devices and channels there are.
//!
//! Refused before anything starts when it cannot work: one sentence with file, line and what would be right.
//! The format is shown in the README of this house.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use measurement::{Direction, Limit, Unit, Value};
use serde::Deserialize;
use telemetry::topic::GatewayId;
use telemetry::{Catalogue, CatalogueChannel};
use toml::Spanned;

use crate::device::Profile;
use crate::forward::BrokerConfig;
use crate::poll::link::Road;
use crate::poll::plan::Plan;

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
    /// The buses.
    pub buses: Vec<Bus>,
}

/// One line or connection and the devices on it.
#[derive(Debug, Clone)]
pub struct Bus {
    /// Its name, in happenings and logs.
    pub name: String,
    /// How to reach it.
    pub road: Road,
    /// How long an answer may take.
    pub timeout_ms: u64,
    /// Quiet time between requests that some devices need.
    pub pause_ms: u64,
    /// The devices.
    pub devices: Vec<Device>,
}

/// One device.
#[derive(Debug, Clone)]
pub struct Device {
    /// Unique in the site.
    pub name: String,
    /// Modbus unit id.
    pub unit: u8,
    /// What its registers mean.
    pub profile: Profile,
    /// How often it is read.
    pub period_ms: u64,
    /// What is taken from it.
    pub channels: Vec<Channel>,
}

/// One channel.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its place in the catalogue.
    pub number: u32,
    /// The profile's key for it.
    pub key: String,
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
    /// Limits that make a reading urgent. The collector judges alarms by its own.
    pub limits: Vec<Limit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSite {
    gateway: Spanned<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    simulated: bool,
    #[serde(default)]
    clock_vouched: bool,
    broker: RawBroker,
    #[serde(default)]
    spool: RawSpool,
    #[serde(default)]
    bus: Vec<RawBus>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBroker {
    url: Spanned<String>,
    user: Option<String>,
    password: Option<String>,
    root: Option<String>,
    ca: Option<std::path::PathBuf>,
    certificate: Option<std::path::PathBuf>,
    key: Option<std::path::PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawSpool {
    directory: String,
    capacity_mb: u64,
}

impl Default for RawSpool {
    fn default() -> RawSpool {
        RawSpool { directory: "spool".to_owned(), capacity_mb: 512 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBus {
    name: Spanned<String>,
    tcp: Option<Spanned<String>>,
    rtu_over_tcp: Option<Spanned<String>>,
    serial: Option<Spanned<String>>,
    #[serde(default = "baud")]
    baud: Spanned<u32>,
    #[serde(default)]
    parity: RawParity,
    #[serde(default = "one")]
    stop_bits: Spanned<u8>,
    #[serde(default = "timeout")]
    timeout_ms: Spanned<u64>,
    #[serde(default)]
    pause_ms: u64,
    #[serde(default)]
    device: Vec<RawDevice>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum RawParity {
    #[default]
    None,
    Even,
    Odd,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDevice {
    name: Spanned<String>,
    unit: Spanned<u16>,
    profile: Spanned<String>,
    #[serde(default = "period")]
    period_ms: Spanned<u64>,
    #[serde(default)]
    channel: Vec<RawChannel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChannel {
    key: Spanned<String>,
    tag: Spanned<String>,
    #[serde(default)]
    name: String,
    quantity: String,
    unit: Spanned<String>,
    range: Option<Spanned<(f32, f32)>>,
    lel_percent_vol: Option<f32>,
    reference_celsius: Option<f32>,
    #[serde(default)]
    limit: Vec<Spanned<RawLimit>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimit {
    high: Option<f32>,
    low: Option<f32>,
    release: Option<f32>,
}

fn baud() -> Spanned<u32> {
    Spanned::new(0..0, 9600)
}
fn one() -> Spanned<u8> {
    Spanned::new(0..0, 1)
}
fn timeout() -> Spanned<u64> {
    Spanned::new(0..0, 1000)
}
fn period() -> Spanned<u64> {
    Spanned::new(0..0, 5000)
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
        let raw: RawSite = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            at((span, error.message().trim().replace('\n', ", ")))
        })?;
        checked(raw, path.parent().unwrap_or(Path::new("."))).map_err(at)
    }

    /// The catalogue of this site's channels.
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
        Catalogue { channels: channels.collect(), site: self.name.clone(), simulated: self.simulated }
    }
}

fn checked(raw: RawSite, beside: &Path) -> Result<Site, Mistake> {
    let gateway = GatewayId::new(raw.gateway.get_ref().clone()).map_err(|error| (raw.gateway.span(), error.to_string()))?;
    crate::forward::mqtt::split_url(raw.broker.url.get_ref()).map_err(|error| (raw.broker.url.span(), error.to_string()))?;
    let broker = BrokerConfig {
        url: raw.broker.url.into_inner(),
        user: raw.broker.user,
        password: raw.broker.password,
        ca: raw.broker.ca,
        client_certificate: raw.broker.certificate.zip(raw.broker.key),
    };
    let mut number = 0;
    let mut names = HashMap::new();
    let mut roads = HashMap::new();
    let mut buses = Vec::with_capacity(raw.bus.len());
    for bus in raw.bus {
        buses.push(checked_bus(bus, beside, &mut number, &mut names, &mut roads)?);
    }
    let name = if raw.name.is_empty() { gateway.to_string() } else { raw.name };
    Ok(Site {
        gateway,
        name,
        simulated: raw.simulated,
        clock_vouched: raw.clock_vouched,
        broker,
        root: raw.broker.root.unwrap_or_else(|| telemetry::topic::DEFAULT_ROOT.to_owned()),
        spool_bytes: raw.spool.capacity_mb.max(1) << 20,
        spool: raw.spool.directory,
        buses,
    })
}

fn checked_bus(
    bus: RawBus,
    beside: &Path,
    number: &mut u32,
    names: &mut HashMap<String, ()>,
    roads: &mut HashMap<String, String>,
) -> Result<Bus, Mistake> {
    let span = bus.name.span();
    let name = bus.name.into_inner();
    let (road, road_span) = match (bus.tcp, bus.rtu_over_tcp, bus.serial) {
        (Some(tcp), None, None) => (Road::Tcp(address(&tcp)?), tcp.span()),
        (None, Some(tcp), None) => (Road::RtuOverTcp(address(&tcp)?), tcp.span()),
        (None, None, Some(path)) => {
            if !(300..=921_600).contains(bus.baud.get_ref()) {
                return Err((bus.baud.span(), format!("baud {} is not a line speed; write for example 9600", bus.baud.get_ref())));
            }
            let parity = match bus.parity {
                RawParity::None => tokio_serial::Parity::None,
                RawParity::Even => tokio_serial::Parity::Even,
                RawParity::Odd => tokio_serial::Parity::Odd,
            };
            let stop_bits = match bus.stop_bits.get_ref() {
                1 => tokio_serial::StopBits::One,
                2 => tokio_serial::StopBits::Two,
                other => return Err((bus.stop_bits.span(), format!("stop_bits {other} must be 1 or 2"))),
            };
            let serial = path.span();
            (Road::Serial { path: path.into_inner(), baud: bus.baud.into_inner(), parity, stop_bits }, serial)
        }
        _ => return Err((span, format!("bus {name:?} needs exactly one of tcp, rtu_over_tcp and serial"))),
    };
    if let Some(other) = roads.insert(road.to_string(), name.clone()) {
        return Err((road_span, format!("bus {name:?} uses {road}, which bus {other:?} uses already; put their devices on one bus")));
    }
    if !(10..=60_000).contains(bus.timeout_ms.get_ref()) {
        return Err((bus.timeout_ms.span(), format!("timeout_ms {} must lie between 10 and 60000", bus.timeout_ms.get_ref())));
    }
    let mut units: HashMap<u16, String> = HashMap::new();
    let mut devices = Vec::with_capacity(bus.device.len());
    for device in bus.device {
        let unit = *device.unit.get_ref();
        // Modbus over serial line 2.2: 0 is broadcast, 248-255 are reserved. TCP devices use 0 and 255 as well.
        let serial_line = !matches!(road, Road::Tcp(_));
        let (low, high) = if serial_line { (1, 247) } else { (0, 255) };
        if !(low..=high).contains(&unit) {
            return Err((device.unit.span(), format!("unit {unit} must lie between {low} and {high}")));
        }
        if let Some(other) = units.insert(unit, device.name.get_ref().clone()) {
            return Err((
                device.unit.span(),
                format!("unit {unit} is already device {other:?} on bus {name:?}; every device on a bus needs its own"),
            ));
        }
        devices.push(checked_device(device, beside, number, names)?);
    }
    let bus = Bus { name, road, timeout_ms: bus.timeout_ms.into_inner(), pause_ms: bus.pause_ms, devices };
    match Plan::of(&bus).refusal() {
        Some(why) => Err((span, why)),
        None => Ok(bus),
    }
}

fn checked_device(raw: RawDevice, beside: &Path, number: &mut u32, names: &mut HashMap<String, ()>) -> Result<Device, Mistake> {
    let span = raw.name.span();
    let name = raw.name.into_inner();
    if name.is_empty() || name.contains('/') {
        return Err((span, format!("device name {name:?} must not be empty and must not contain '/'")));
    }
    if names.insert(name.clone(), ()).is_some() {
        return Err((span, format!("device {name:?} is there twice; names are unique in a site")));
    }
    if !(100..=3_600_000).contains(raw.period_ms.get_ref()) {
        return Err((raw.period_ms.span(), format!("period_ms {} must lie between 100 and 3600000", raw.period_ms.get_ref())));
    }
    let profile = Profile::find(raw.profile.get_ref(), beside).map_err(|why| (raw.profile.span(), why))?;
    let mut channels: Vec<Channel> = Vec::with_capacity(raw.channel.len());
    for channel in raw.channel {
        let key = channel.key.get_ref();
        if !profile.has(key) {
            let there = profile.keys().join(", ");
            return Err((channel.key.span(), format!("profile {} has no value {key:?}; it has {there}", profile.id)));
        }
        let tag = format!("{name}/{}", channel.tag.get_ref());
        if channels.iter().any(|other| other.tag == tag) {
            return Err((channel.tag.span(), format!("tag {tag:?} is there twice")));
        }
        let unit = Unit::from_symbol(channel.unit.get_ref()).ok_or_else(|| {
            (channel.unit.span(), format!("{:?} is not a unit; write for example %LEL, %vol, ppm or mg/m3", channel.unit.get_ref()))
        })?;
        let range = match channel.range {
            Some(range) if range.get_ref().0 < range.get_ref().1 => Some(range.into_inner()),
            Some(range) => return Err((range.span(), "range must be [low, high] with low below high".to_owned())),
            None => None,
        };
        let limits = channel.limit.iter().map(|limit| checked_limit(limit, range)).collect::<Result<_, _>>()?;
        channels.push(Channel {
            number: *number,
            key: channel.key.into_inner(),
            name: if channel.name.is_empty() { tag.clone() } else { channel.name },
            tag,
            quantity: channel.quantity,
            unit,
            range,
            lel_percent_vol: channel.lel_percent_vol,
            reference_celsius: channel.reference_celsius,
            limits,
        });
        *number += 1;
    }
    Ok(Device { name, unit: *raw.unit.get_ref() as u8, profile, period_ms: raw.period_ms.into_inner(), channels })
}

fn checked_limit(raw: &Spanned<RawLimit>, range: Option<(f32, f32)>) -> Result<Limit, Mistake> {
    let wrong = |why: String| (raw.span(), why);
    let (direction, setpoint) = match (raw.get_ref().high, raw.get_ref().low) {
        (Some(high), None) => (Direction::High, high),
        (None, Some(low)) => (Direction::Low, low),
        _ => return Err(wrong("a limit needs exactly one of high and low".to_owned())),
    };
    let release = raw.get_ref().release.unwrap_or(setpoint);
    let (Some(setpoint), Some(release)) = (Value::new(setpoint), Value::new(release)) else {
        return Err(wrong("a limit's numbers must be finite".to_owned()));
    };
    if let Some((low, high)) = range
        && !(low..=high).contains(&setpoint.get())
    {
        return Err(wrong(format!("limit {setpoint} lies outside the range {low} to {high}, so it could never be crossed")));
    }
    let limit = Limit { direction, setpoint, release, on_delay_ms: 0, off_delay_ms: 0 };
    if !limit.is_consistent() {
        return Err(wrong(format!("release {release} lies beyond the setpoint {setpoint}; it must lie on the safe side of it")));
    }
    Ok(limit)
}

fn address(given: &Spanned<String>) -> Result<String, Mistake> {
    let text = given.get_ref();
    let good = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
    if good { Ok(text.clone()) } else { Err((given.span(), format!("address {text:?} must be host:port, for example 192.168.1.20:502"))) }
}

#[cfg(test)]
mod tests;
