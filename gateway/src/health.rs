//! The gateway's own health as readings of its own channels, stored and forwarded like the plant's. What cannot
//! be known is Bad, never zero. What a number means is decided here; nobody here judges whether it is too high.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use measurement::{ChannelId, Fault, MonotonicMs, Outcome, Reading, Unit};
use telemetry::CatalogueChannel;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Moment, Promise};
use crate::forward::{Content, NewEntry, Post, PostStatus};
use crate::poll::Gate;
use crate::site::Site;
use crate::status::board::Board;

/// The device that the channels belong to; no device of a site may have this name.
pub const DEVICE: &str = "gateway";
/// Errors on the buses are counted over this time.
const ERRORS_OVER_MS: u64 = 60_000;
/// A host within this may run.
const POSSIBLE_CELSIUS: std::ops::RangeInclusive<f64> = -60.0..=150.0;

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    DiskFree,
    SpoolUsed,
    SpoolDepth,
    ClockOffset,
    BusErrors,
    Memory,
    Temperature,
}

impl Measure {
    const ALL: [Measure; 7] = [
        Measure::DiskFree,
        Measure::SpoolUsed,
        Measure::SpoolDepth,
        Measure::ClockOffset,
        Measure::BusErrors,
        Measure::Memory,
        Measure::Temperature,
    ];

    /// Key, name, unit and range.
    fn described(self) -> (&'static str, &'static str, Unit, Option<(f32, f32)>) {
        match self {
            Measure::DiskFree => ("disk-free", "space left on the spool's disk", Unit::Mebibyte, None),
            Measure::SpoolUsed => ("spool-used", "share of the spool in use", Unit::Percent, Some((0.0, 100.0))),
            Measure::SpoolDepth => ("spool-depth", "entries the collector has not acknowledged", Unit::None, None),
            Measure::ClockOffset => ("clock-offset", "what the kernel still corrects of the wall clock", Unit::Second, None),
            Measure::BusErrors => {
                ("bus-errors", "share of the polls of the last minute that brought nothing", Unit::Percent, Some((0.0, 100.0)))
            }
            Measure::Memory => ("memory", "resident memory of the gateway's program", Unit::Mebibyte, None),
            Measure::Temperature => ("temperature", "temperature of the gateway's host", Unit::Celsius, None),
        }
    }

    /// Its channel.
    pub fn channel(self, every_ms: u64) -> CatalogueChannel {
        let (key, name, unit, range) = self.described();
        CatalogueChannel {
            tag: format!("{DEVICE}/{key}"),
            name: name.to_owned(),
            device: DEVICE.to_owned(),
            model: "davy-gateway".to_owned(),
            unit: u32::from(unit.code()),
            quantity: key.to_owned(),
            range_low: range.map(|(low, _)| low),
            range_high: range.map(|(_, high)| high),
            period_ms: u32::try_from(every_ms).unwrap_or(u32::MAX),
            own_health: true,
            ..CatalogueChannel::default()
        }
    }
}

/// What a site measures of its gateway, in the order of the channels. A clock that the site vouches for is
/// disciplined by something that cannot be seen from here, so there is nothing to measure.
pub fn offered(site: &Site) -> Vec<Measure> {
    let offers = |measure: &Measure| match measure {
        Measure::ClockOffset => !site.clock_vouched,
        Measure::Temperature => site.thermometer.is_some(),
        _ => true,
    };
    if site.health_every_ms == 0 { Vec::new() } else { Measure::ALL.into_iter().filter(offers).collect() }
}

/// What was seen at one moment; `None` is what could not be seen.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Bytes left for us on the spool's disk.
    pub disk_free: Option<u64>,
    /// How the post stands.
    pub post: PostStatus,
    /// See [`Clock::offset_ms`].
    pub clock_offset_ms: Option<f64>,
    /// Share of the last minute's polls that brought nothing, %.
    pub bus_errors: Option<f64>,
    /// Bytes of memory.
    pub resident: Option<u64>,
    /// °C.
    pub celsius: Option<f64>,
}

/// What a measure is, of what was seen.
pub fn outcome(measure: Measure, seen: &Seen) -> Outcome {
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let is_spool_open = seen.post.spool_capacity > 0;
    let (number, fault) = match measure {
        Measure::DiskFree => (seen.disk_free.map(mebibytes), Fault::DeviceFailure),
        Measure::SpoolUsed => {
            let share = seen.post.spool_bytes as f64 / seen.post.spool_capacity.max(1) as f64;
            (is_spool_open.then_some(share * 100.0), Fault::DeviceFailure)
        }
        Measure::SpoolDepth => (is_spool_open.then_some(seen.post.unacknowledged as f64), Fault::DeviceFailure),
        Measure::ClockOffset => (seen.clock_offset_ms.map(|ms| ms / 1e3), Fault::NotConnected),
        Measure::BusErrors => (seen.bus_errors, Fault::NotYetRead),
        Measure::Memory => (seen.resident.map(mebibytes), Fault::DeviceFailure),
        Measure::Temperature => (seen.celsius, Fault::NotConnected),
    };
    number.map_or(Outcome::Bad(fault), |number| Outcome::measured(number as f32))
}

/// Polls and failures of the last minute, from counts that only grow.
#[derive(Debug, Default)]
pub struct ErrorShare {
    looks: VecDeque<(MonotonicMs, u64, u64)>,
}

impl ErrorShare {
    /// The share of polls that brought nothing, %, over a minute or as long as is known; `None` when nothing was asked.
    pub fn observe(&mut self, now: MonotonicMs, asked: u64, failed: u64) -> Option<f64> {
        self.looks.push_back((now, asked, failed));
        while self.looks.len() > 2 && self.looks.get(1).is_some_and(|(at, ..)| now.since(*at) >= ERRORS_OVER_MS) {
            self.looks.pop_front();
        }
        let (_, asked_then, failed_then) = self.looks.front()?;
        let polls = asked.saturating_sub(*asked_then);
        (polls > 0).then(|| failed.saturating_sub(*failed_then) as f64 / polls as f64 * 100.0)
    }
}

/// What is to be measured, and under which numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Duty {
    every_ms: u64,
    first: u32,
    measures: Vec<Measure>,
    thermometer: Option<PathBuf>,
}

impl Duty {
    /// The duty of a site.
    pub fn of(site: &Site) -> Duty {
        let devices = site.buses.iter().flat_map(|bus| &bus.devices);
        let first = devices.map(|device| device.channels.len()).sum::<usize>();
        Duty {
            every_ms: site.health_every_ms,
            first: u32::try_from(first).unwrap_or(u32::MAX),
            measures: offered(site),
            thermometer: site.thermometer.clone(),
        }
    }

    fn readings(&self, seen: &Seen, now: Moment) -> Vec<NewEntry> {
        let entry = |(number, measure): (u32, &Measure)| {
            let reading = Reading { channel: ChannelId(number), sampled_at: now.wall, outcome: outcome(*measure, seen) };
            NewEntry { content: Content::Reading { reading, parsed_at: now.mono, sample_age_ms: 0 }, urgent: false }
        };
        (self.first..).zip(&self.measures).map(entry).collect()
    }
}

/// Measures until the shutdown. `spool` lies on the disk that is looked at.
pub async fn run(
    mut duty: watch::Receiver<Duty>,
    spool: PathBuf,
    gate: Gate,
    post: Post,
    board: Board,
    clock: Clock,
    shutdown: CancellationToken,
) {
    let promise = Promise::default();
    board.task("health", promise.clone());
    let mut errors = ErrorShare::default();
    errors.observe(clock.mono(), 0, 0);
    loop {
        let every_ms = duty.borrow().every_ms;
        // One that is switched off looks up now and then all the same, and keeps its promise.
        let wait_ms = if every_ms == 0 { 60_000 } else { every_ms };
        promise.until(MonotonicMs(clock.mono().0 + wait_ms + 60_000));
        tokio::select! {
            () = shutdown.cancelled() => return promise.release(),
            changed = duty.changed() => if changed.is_err() { return promise.release() } else { continue },
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
        }
        if every_ms == 0 {
            continue;
        }
        let now = clock.now();
        let (asked, failed) = board.polls();
        let (spool, thermometer) = (spool.clone(), duty.borrow().thermometer.clone());
        // A disk or a sensor's bus that takes its time holds up no other task.
        let host = tokio::task::spawn_blocking(move || Seen {
            disk_free: disk_free(&spool),
            resident: resident(),
            celsius: thermometer.as_deref().and_then(celsius),
            ..Seen::default()
        });
        let seen = Seen {
            post: post.status(),
            clock_offset_ms: clock.offset_ms(),
            bus_errors: errors.observe(now.mono, asked, failed),
            ..host.await.unwrap_or_default()
        };
        let keeping = gate.keeping().await;
        let readings = duty.borrow_and_update().readings(&seen, now);
        post.append(readings).await;
        drop(keeping);
    }
}

fn disk_free(spool: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(spool).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

/// Bytes of memory that this program holds (proc_pid_status(5), VmRSS).
pub fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    kibibytes.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The first thermometer of this host that shows something.
pub fn thermometer() -> Option<PathBuf> {
    let zones = (0..16).map(|zone| PathBuf::from(format!("/sys/class/thermal/thermal_zone{zone}/temp")));
    let chips = (0..16).map(|chip| PathBuf::from(format!("/sys/class/hwmon/hwmon{chip}/temp1_input")));
    zones.chain(chips).find(|path| celsius(path).is_some())
}

/// Both places show thousandths of a degree.
fn celsius(path: &Path) -> Option<f64> {
    degrees(&std::fs::read_to_string(path).ok()?)
}

/// What no host that runs can have is a sensor's way to say that it has no value, for example -274000.
fn degrees(shown: &str) -> Option<f64> {
    let celsius = shown.trim().parse::<f64>().ok()? / 1e3;
    POSSIBLE_CELSIUS.contains(&celsius).then_some(celsius)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop here")]
    use super::*;

    const SITE: &str = "gateway = \"g\"\n[broker]\nurl = \"mqtt://b:1883\"\n[[bus]]\nname = \"line\"\ntcp = \"b:502\"\n\
                        [[bus.device]]\nname = \"d\"\nunit = 1\nprofile = \"davy-node\"\n\
                        [[bus.device.channel]]\nkey = \"0\"\ntag = \"CH4\"\nquantity = \"CH4\"\nunit = \"%LEL\"\n";

    fn site(head: &str) -> Site {
        Site::parse(Path::new("site.toml"), &format!("{head}{SITE}")).unwrap()
    }

    #[test]
    fn own_channels_come_after_all_others_under_the_numbers_their_readings_have() {
        let site = Site { thermometer: None, ..site("") };
        let catalogue = site.catalogue();
        let tags: Vec<(&str, bool)> = catalogue.channels.iter().map(|channel| (channel.tag.as_str(), channel.own_health)).collect();
        let own = ["disk-free", "spool-used", "spool-depth", "clock-offset", "bus-errors", "memory"];
        assert_eq!(tags[0], ("d/CH4", false));
        assert_eq!(
            tags[1..].to_vec(),
            own.map(|key| (format!("gateway/{key}"), true)).iter().map(|(t, o)| (t.as_str(), *o)).collect::<Vec<_>>()
        );
        let now = Clock::manual(1, measurement::Timestamp(5)).now();
        let numbers: Vec<u32> = Duty::of(&site)
            .readings(&Seen::default(), now)
            .into_iter()
            .map(|entry| match entry.content {
                Content::Reading { reading, .. } => reading.channel.0,
                Content::Happening(_) => u32::MAX,
            })
            .collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_site_may_have_no_health_and_a_clock_that_is_vouched_for_is_not_measured() {
        assert_eq!(offered(&Site { health_every_ms: 0, ..site("") }), []);
        assert!(!offered(&site("clock_vouched = true\n")).contains(&Measure::ClockOffset));
        assert!(offered(&site("")).contains(&Measure::ClockOffset));
    }

    #[test]
    fn what_cannot_be_seen_is_bad_and_never_zero() {
        for measure in Measure::ALL {
            assert!(matches!(outcome(measure, &Seen::default()), Outcome::Bad(_)), "{measure:?}");
        }
        assert_eq!(outcome(Measure::ClockOffset, &Seen::default()), Outcome::Bad(Fault::NotConnected));
    }

    #[test]
    fn what_is_seen_is_in_the_units_of_the_catalogue() {
        let post = PostStatus { spool_bytes: 25, spool_capacity: 100, unacknowledged: 7, ..PostStatus::default() };
        let seen = Seen {
            disk_free: Some(3 << 20),
            post,
            clock_offset_ms: Some(-2.5),
            bus_errors: Some(50.0),
            resident: Some(1 << 19),
            celsius: Some(41.5),
        };
        let numbers = Measure::ALL.map(|measure| outcome(measure, &seen).value().map(|value| value.get()));
        assert_eq!(numbers, [3.0, 25.0, 7.0, -0.0025, 50.0, 0.5, 41.5].map(Some));
    }

    #[test]
    fn errors_are_those_of_the_last_minute() {
        let mut share = ErrorShare::default();
        assert_eq!(share.observe(MonotonicMs(0), 0, 0), None);
        assert_eq!(share.observe(MonotonicMs(10_000), 10, 5), Some(50.0));
        assert_eq!(share.observe(MonotonicMs(70_000), 70, 5), Some(0.0));
        assert_eq!(share.observe(MonotonicMs(140_000), 70, 5), None, "nothing was asked for a minute");
        assert_eq!(share.observe(MonotonicMs(150_000), 72, 7), Some(100.0));
    }

    #[test]
    fn a_thermometer_without_a_value_shows_none() {
        let check = |shown, celsius| assert_eq!(degrees(shown), celsius, "{shown}");
        check("41500\n", Some(41.5));
        check("-40000", Some(-40.0));
        check("-274000\n", None);
        check("255000", None);
        check("", None);
        check("NaN", None);
    }

    #[test]
    fn this_program_holds_memory() {
        assert!(resident().is_some_and(|bytes| bytes > 1 << 20), "{:?}", resident());
    }
}
