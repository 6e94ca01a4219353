//! What is wrong with a site file that parses: one sentence, before anything is opened by it.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use measurement::{Direction, Limit, Unit, Value};
use telemetry::topic::GatewayId;
use toml::Spanned;

use super::{Bus, Channel, Device, DtuListener, Mistake, Site, Workarounds, raw};
use crate::device::{MOST_REGISTERS, Profile};
use crate::forward::BrokerConfig;
use crate::health;
use crate::poll::link::Road;
use crate::poll::plan::Plan;

/// What the whole site has used so far.
#[derive(Default)]
struct Used {
    /// Channels.
    channels: u32,
    devices: HashSet<String>,
    /// Which bus uses a road.
    roads: HashMap<String, String>,
    profiles: HashMap<String, Arc<Profile>>,
    keys: HashSet<Arc<str>>,
}

impl Used {
    /// The same profile for all devices of a kind.
    fn profile(&mut self, name: &str, beside: &Path) -> Result<Arc<Profile>, String> {
        if let Some(profile) = self.profiles.get(name) {
            return Ok(profile.clone());
        }
        let profile = Arc::new(Profile::find(name, beside)?);
        self.profiles.insert(name.to_owned(), profile.clone());
        Ok(profile)
    }

    /// The same text for the same key.
    fn key(&mut self, key: String) -> Arc<str> {
        let key: Arc<str> = key.into();
        if let Some(known) = self.keys.get(&key) {
            return known.clone();
        }
        self.keys.insert(key.clone());
        key
    }
}

pub fn site(raw: raw::Site, beside: &Path) -> Result<Site, Mistake> {
    let gateway = GatewayId::new(raw.gateway.get_ref().clone()).map_err(|error| (raw.gateway.span(), error.to_string()))?;
    let root = raw.broker.root.clone().unwrap_or_else(|| telemetry::topic::DEFAULT_ROOT.to_owned());
    let broker = checked_broker(raw.broker, beside)?;
    if !(1..=5_000).contains(raw.spool.group_ms.get_ref()) {
        return Err((raw.spool.group_ms.span(), format!("group_ms {} must lie between 1 and 5000", raw.spool.group_ms.get_ref())));
    }
    let health_every_ms = *raw.health.every_ms.get_ref();
    if health_every_ms != 0 && !(1_000..=3_600_000).contains(&health_every_ms) {
        return Err((
            raw.health.every_ms.span(),
            format!("every_ms {health_every_ms} must lie between 1000 and 3600000, or be 0 for never"),
        ));
    }
    let status = match raw.status.map(|status| status.listen) {
        Some(listen) if !listen.get_ref().ip().is_loopback() => {
            let why = "the status page is for this host only; write listen = \"127.0.0.1:8470\" or another loopback address, and reach it \
                       from elsewhere through ssh -L"
                .to_owned();
            return Err((listen.span(), why));
        }
        listen => listen.map(Spanned::into_inner),
    };
    let dtu = raw.dtu.map(|dtu| DtuListener { listen: dtu.listen, heartbeat: bytes_written(&dtu.heartbeat) });
    let mut used = Used::default();
    let mut buses = Vec::with_capacity(raw.bus.len());
    for bus in raw.bus {
        let span = bus.name.span();
        buses.push(checked_bus(bus, beside, &mut used)?);
        if let Some(Bus { name, road: Road::Dtu { .. }, .. }) = buses.last().filter(|_| dtu.is_none()) {
            return Err((
                span,
                format!("bus {name:?} waits for a DTU, so the site needs [dtu] with listen = \"0.0.0.0:9002\" or another port"),
            ));
        }
    }
    let name = if raw.name.is_empty() { gateway.to_string() } else { raw.name };
    Ok(Site {
        gateway,
        name,
        simulated: raw.simulated,
        clock_vouched: raw.clock_vouched,
        broker,
        root,
        spool_bytes: raw.spool.capacity_mb.max(1) << 20,
        spool: raw.spool.directory,
        group_ms: raw.spool.group_ms.into_inner(),
        status,
        health_every_ms,
        thermometer: health::thermometer(),
        dtu,
        buses,
    })
}

/// The files that prove who is who lie beside the site file, as profiles do, wherever the program was started.
fn checked_broker(raw: raw::Broker, beside: &Path) -> Result<BrokerConfig, Mistake> {
    let (_, _, is_tls) = crate::forward::mqtt::split_url(raw.url.get_ref()).map_err(|error| (raw.url.span(), error.to_string()))?;
    if is_tls && raw.ca.is_none() {
        let why =
            format!("{} needs ca = \"ca.pem\" or another PEM file of the authority that signs the broker's certificate", raw.url.get_ref());
        return Err((raw.url.span(), why));
    }
    let client_certificate = match (raw.certificate, raw.key) {
        (Some(certificate), Some(key)) => Some((beside.join(certificate.into_inner()), beside.join(key.into_inner()))),
        (None, None) => None,
        (Some(half), None) => return Err((half.span(), "certificate goes with key = \"key.pem\"; name both or neither".to_owned())),
        (None, Some(half)) => {
            return Err((half.span(), "key goes with certificate = \"certificate.pem\"; name both or neither".to_owned()));
        }
    };
    Ok(BrokerConfig {
        url: raw.url.into_inner(),
        user: raw.user,
        password: raw.password,
        ca: raw.ca.map(|ca| beside.join(ca)),
        client_certificate,
    })
}

fn checked_bus(bus: raw::Bus, beside: &Path, used: &mut Used) -> Result<Bus, Mistake> {
    let span = bus.name.span();
    let name = bus.name.into_inner();
    let (road, road_span) = match (bus.tcp, bus.rtu_over_tcp, bus.serial, bus.dtu) {
        (Some(tcp), None, None, None) => (Road::Tcp(address(&tcp)?), tcp.span()),
        (None, Some(tcp), None, None) => (Road::RtuOverTcp(address(&tcp)?), tcp.span()),
        (None, None, Some(path), None) => {
            if !(300..=921_600).contains(bus.baud.get_ref()) {
                return Err((bus.baud.span(), format!("baud {} is not a line speed; write for example 9600", bus.baud.get_ref())));
            }
            let parity = match bus.parity {
                raw::Parity::None => tokio_serial::Parity::None,
                raw::Parity::Even => tokio_serial::Parity::Even,
                raw::Parity::Odd => tokio_serial::Parity::Odd,
            };
            let stop_bits = match bus.stop_bits.get_ref() {
                1 => tokio_serial::StopBits::One,
                2 => tokio_serial::StopBits::Two,
                other => return Err((bus.stop_bits.span(), format!("stop_bits {other} must be 1 or 2"))),
            };
            let serial = path.span();
            (Road::Serial { path: path.into_inner(), baud: bus.baud.into_inner(), parity, stop_bits }, serial)
        }
        (None, None, None, Some(id)) => {
            let registration = bytes_written(id.get_ref());
            if !(1..=64).contains(&registration.len()) {
                return Err((
                    id.span(),
                    "dtu is the registration packet that the DTU sends first: 1 to 64 characters, or 0x and hex".to_owned(),
                ));
            }
            (Road::Dtu { registration }, id.span())
        }
        _ => return Err((span, format!("bus {name:?} needs exactly one of tcp, rtu_over_tcp, serial and dtu"))),
    };
    if let Some(other) = used.roads.insert(road.to_string(), name.clone()) {
        return Err((road_span, format!("bus {name:?} uses {road}, which bus {other:?} uses already; put their devices on one bus")));
    }
    if !(10..=60_000).contains(bus.timeout_ms.get_ref()) {
        return Err((bus.timeout_ms.span(), format!("timeout_ms {} must lie between 10 and 60000", bus.timeout_ms.get_ref())));
    }
    let mut units: HashMap<u16, String> = HashMap::new();
    let mut devices = Vec::with_capacity(bus.device.len());
    for device in bus.device {
        let unit = *device.unit.get_ref();
        // Modbus over serial line 2.2: 0 is broadcast; 248 to 255 are reserved, but a Senseair S8 answers to 0xFE whatever its
        // own id. TCP devices use 0 and 255 as well.
        let serial_line = !matches!(road, Road::Tcp(_));
        let (low, high) = if serial_line { (1, 254) } else { (0, 255) };
        if !(low..=high).contains(&unit) {
            return Err((device.unit.span(), format!("unit {unit} must lie between {low} and {high}")));
        }
        if let Some(other) = units.insert(unit, device.name.get_ref().clone()) {
            return Err((
                device.unit.span(),
                format!("unit {unit} is already device {other:?} on bus {name:?}; every device on a bus needs its own"),
            ));
        }
        devices.push(checked_device(device, beside, used)?);
    }
    let workarounds = checked_workarounds(bus.workarounds)?;
    let bus = Bus { name, road, timeout_ms: bus.timeout_ms.into_inner(), workarounds, flat_out: bus.flat_out, devices };
    match Plan::of(&bus).refusal() {
        Some(why) => Err((span, why)),
        None => Ok(bus),
    }
}

fn checked_workarounds(raw: raw::Workarounds) -> Result<Workarounds, Mistake> {
    let max_registers_per_request = match raw.max_registers_per_request {
        None => MOST_REGISTERS,
        Some(most) if (1..=MOST_REGISTERS).contains(most.get_ref()) => most.into_inner(),
        Some(most) => {
            return Err((most.span(), format!("max_registers_per_request {} must lie between 1 and {MOST_REGISTERS}", most.get_ref())));
        }
    };
    Ok(Workarounds {
        pause_after_connect: pause(raw.pause_after_connect)?,
        pause_between_requests: pause(raw.pause_between_requests)?,
        close_connection_after_gather: raw.close_connection_after_gather,
        one_request_per_field: raw.one_request_per_field,
        max_registers_per_request,
    })
}

/// `"150ms"` or `"2s"`, at most a minute.
fn pause(written: Option<Spanned<String>>) -> Result<Duration, Mistake> {
    let Some(written) = written else { return Ok(Duration::ZERO) };
    let text = written.get_ref();
    let ms = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => number.trim().parse::<u64>().ok(),
        (None, Some(number)) => number.trim().parse::<u64>().ok().and_then(|s| s.checked_mul(1_000)),
        (None, None) => None,
    };
    match ms.filter(|ms| *ms <= 60_000) {
        Some(ms) => Ok(Duration::from_millis(ms)),
        None => Err((written.span(), format!("{text:?} is not a pause; write for example \"150ms\" or \"2s\", at most \"60s\""))),
    }
}

/// Bytes as people write them: text as it stands, or `0x` and hex digits.
fn bytes_written(text: &str) -> Vec<u8> {
    let hex = text.strip_prefix("0x").filter(|digits| digits.len().is_multiple_of(2));
    let bytes = hex.and_then(|digits| {
        let pairs = digits.as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).ok());
        pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect::<Option<Vec<u8>>>()
    });
    bytes.unwrap_or_else(|| text.as_bytes().to_vec())
}

fn checked_device(raw: raw::Device, beside: &Path, used: &mut Used) -> Result<Device, Mistake> {
    let span = raw.name.span();
    let name = raw.name.into_inner();
    if name.is_empty() || name.contains('/') {
        return Err((span, format!("device name {name:?} must not be empty and must not contain '/'")));
    }
    if name == health::DEVICE {
        return Err((span, format!("device name {name:?} is taken by the gateway's own health; name it otherwise")));
    }
    if !used.devices.insert(name.clone()) {
        return Err((span, format!("device {name:?} is there twice; names are unique in a site")));
    }
    if !(100..=3_600_000).contains(raw.period_ms.get_ref()) {
        return Err((raw.period_ms.span(), format!("period_ms {} must lie between 100 and 3600000", raw.period_ms.get_ref())));
    }
    let profile = used.profile(raw.profile.get_ref(), beside).map_err(|why| (raw.profile.span(), why))?;
    let is_node = profile.is_davy_node;
    if let Some(hash) = raw.settings_hash.as_ref().filter(|_| !is_node) {
        return Err((hash.span(), format!("settings_hash is for Davy nodes; {} is none", profile.id)));
    }
    if raw.settings_writable && !is_node {
        return Err((
            raw.profile.span(),
            format!("settings_writable is for Davy nodes; {} is none, and Davy writes to nothing else", profile.id),
        ));
    }
    let settings_hash = match &raw.settings_hash {
        None => None,
        Some(hash) => Some(u32::from_str_radix(hash.get_ref(), 16).map_err(|_| {
            (hash.span(), format!("settings_hash {:?} must be eight hex digits, as `davy-gateway poll` shows them", hash.get_ref()))
        })?),
    };
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
        if let Some(step) = channel.max_step.as_ref().filter(|step| !step.get_ref().is_finite() || *step.get_ref() <= 0.0) {
            return Err((step.span(), format!("max_step {} must be a number above 0, in the channel's unit", step.get_ref())));
        }
        let limits = channel.limit.iter().map(|limit| checked_limit(limit, range)).collect::<Result<_, _>>()?;
        channels.push(Channel {
            number: used.channels,
            key: used.key(channel.key.into_inner()),
            name: if channel.name.is_empty() { tag.clone() } else { channel.name },
            tag,
            quantity: channel.quantity,
            unit,
            range,
            lel_percent_vol: channel.lel_percent_vol,
            reference_celsius: channel.reference_celsius,
            max_step: channel.max_step.map(Spanned::into_inner),
            limits,
        });
        used.channels += 1;
    }
    Ok(Device {
        name,
        unit: *raw.unit.get_ref() as u8,
        profile,
        period_ms: raw.period_ms.into_inner(),
        settings_writable: raw.settings_writable,
        settings_hash,
        channels,
    })
}

fn checked_limit(raw: &Spanned<raw::Limit>, range: Option<(f32, f32)>) -> Result<Limit, Mistake> {
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
