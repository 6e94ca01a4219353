//! The board on the wall: the gateway's tasks write on it as they work; the status page, the health readings
//! and the watchdog read it. Cheap to clone; every clone is the same board. Asks no clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use measurement::MonotonicMs;

use crate::clock::{Moment, Promise};
use crate::poll::link::{Failure, LineCounters, LineSnapshot};
use crate::site::{Bus, Device, Site, Workarounds};

/// One device as its bus's task last saw it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeviceStanding {
    /// Its name.
    pub name: String,
    /// Its profile.
    pub profile: String,
    /// Its unit id.
    pub unit: u8,
    /// When it last answered.
    pub answered: Option<Moment>,
    /// How long that took, ms.
    pub round_trip_ms: Option<u64>,
    /// Polls asked, and those of them that brought no registers.
    pub asked: u64,
    pub failed: u64,
    /// Why there were no registers the last time, in one sentence; `None` when there were.
    pub trouble: Option<String>,
    /// True when it answered the last time, and the answer was no.
    pub refuses: bool,
}

/// One bus as its task sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BusStanding {
    /// Its name.
    pub name: String,
    /// How it is reached.
    pub road: String,
    /// What its line has gone through; `None` until its task has begun.
    pub line: Option<LineSnapshot>,
    /// Its devices, as in the site file.
    pub devices: Vec<DeviceStanding>,
}

impl BusStanding {
    /// Polls asked, and those of them that brought no registers.
    pub fn polls(&self) -> (u64, u64) {
        self.devices.iter().fold((0, 0), |(asked, failed), device| (asked + device.asked, failed + device.failed))
    }
}

/// The part of the board that belongs to one bus.
#[derive(Debug, Clone, Default)]
pub struct BusBoard {
    standing: Arc<Mutex<BusStanding>>,
    line: Arc<Mutex<Option<Arc<LineCounters>>>>,
    promise: Promise,
    /// Longer than this one poll of a device never takes, ms.
    poll_most_ms: u64,
    totals: Arc<Totals>,
}

/// Polls of all buses since the program started, those of buses that are gone among them.
#[derive(Debug, Default)]
struct Totals {
    asked: AtomicU64,
    failed: AtomicU64,
}

impl BusBoard {
    /// A board for this bus, on which nothing has been asked yet.
    pub fn new(bus: &Bus) -> BusBoard {
        BusBoard::counting(bus, Arc::default())
    }

    fn counting(bus: &Bus, totals: Arc<Totals>) -> BusBoard {
        let devices = bus.devices.iter().map(|device| DeviceStanding {
            name: device.name.clone(),
            profile: device.profile.id.clone(),
            unit: device.unit,
            ..DeviceStanding::default()
        });
        let standing = BusStanding { name: bus.name.clone(), road: bus.road.to_string(), line: None, devices: devices.collect() };
        let poll_most_ms = poll_most_ms(bus);
        BusBoard { standing: Arc::new(Mutex::new(standing)), line: Arc::default(), promise: Promise::default(), poll_most_ms, totals }
    }

    /// The bus's line counts here from now on.
    pub fn line(&self, counters: Arc<LineCounters>) {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = Some(counters);
    }

    /// How the bus stands now.
    pub fn standing(&self) -> BusStanding {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|counters| counters.snapshot());
        BusStanding { line, ..self.lock().clone() }
    }

    /// Nothing is due on this bus before then.
    pub fn rests(&self, until: u64, now: MonotonicMs) {
        self.promise.until(MonotonicMs(until.max(now.0).saturating_add(5_000)));
    }

    /// A device is asked now.
    pub fn asks(&self, now: MonotonicMs) {
        self.promise.until(MonotonicMs(now.0.saturating_add(self.poll_most_ms)));
    }

    /// The device at this place was asked at `began` and gave registers.
    pub fn answered(&self, place: usize, began: MonotonicMs, now: Moment) {
        self.totals.asked.fetch_add(1, Ordering::Relaxed);
        if let Some(device) = self.lock().devices.get_mut(place) {
            device.asked += 1;
            device.answered = Some(now);
            device.round_trip_ms = Some(now.mono.since(began));
            device.trouble = None;
            device.refuses = false;
        }
    }

    /// The device at this place was asked and gave none.
    pub fn failed(&self, place: usize, why: &Failure) {
        self.totals.asked.fetch_add(1, Ordering::Relaxed);
        self.totals.failed.fetch_add(1, Ordering::Relaxed);
        if let Some(device) = self.lock().devices.get_mut(place) {
            device.asked += 1;
            device.failed += 1;
            device.trouble = Some(why.to_string());
            device.refuses = matches!(why, Failure::Refused(_));
        }
    }

    fn lock(&self) -> MutexGuard<'_, BusStanding> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Longer than this no poll of a device of this bus takes, ms, however slow it is: to restart the gateway helps nobody who
/// is only slow.
fn poll_most_ms(bus: &Bus) -> u64 {
    let Workarounds { pause_after_connect, pause_between_requests, .. } = bus.workarounds;
    let pauses = u64::try_from((pause_after_connect + pause_between_requests).as_millis()).unwrap_or(0);
    // A request may find the line closed and open it anew; it waits for its answer, and before that once for a late one, which
    // takes four timeouts. One that fails ends the poll, and takes up to three times as long.
    let request_ms = pauses + 5 * bus.timeout_ms;
    let requests = bus.devices.iter().map(|device| requests(device, &bus.workarounds)).max().unwrap_or(0);
    30_000 + (requests + 2) * request_ms
}

/// How often a device is asked in one poll, for its serial number too.
fn requests(device: &Device, workarounds: &Workarounds) -> u64 {
    let keys: Vec<&str> = device.channels.iter().map(|channel| &*channel.key).collect();
    let asked = device.profile.blocks(&keys, workarounds).len() + device.profile.serial_blocks(&keys, workarounds).len();
    asked as u64
}

/// What is known of the site file at work.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SiteStanding {
    /// Our name to the collector.
    pub gateway: String,
    /// The site's, for people.
    pub name: String,
    /// True when all of it is simulated.
    pub simulated: bool,
    /// Where we deliver.
    pub broker: String,
    /// When the one at work was loaded.
    pub loaded: Option<Moment>,
    /// Why a newer one was refused, in one sentence; `None` when the one at work is the newest.
    pub refused: Option<String>,
    /// What the newest says and only a restart brings in.
    pub waits_for_restart: Vec<&'static str>,
}

/// The board.
#[derive(Debug, Clone, Default)]
pub struct Board {
    inner: Arc<Mutex<Inner>>,
    totals: Arc<Totals>,
}

#[derive(Debug, Default)]
struct Inner {
    buses: BTreeMap<String, BusBoard>,
    /// Order of the buses in the site file.
    order: Vec<String>,
    tasks: BTreeMap<String, Promise>,
    site: SiteStanding,
}

impl Board {
    /// The part of a bus whose task starts now. Counts of an earlier bus of this name are forgotten.
    pub fn bus(&self, bus: &Bus) -> BusBoard {
        let board = BusBoard::counting(bus, self.totals.clone());
        self.lock().buses.insert(bus.name.clone(), board.clone());
        board
    }

    /// This site is at work now: buses it does not have leave the board.
    pub fn site(&self, site: &Site, now: Moment) {
        let mut inner = self.lock();
        inner.order = site.buses.iter().map(|bus| bus.name.clone()).collect();
        let order = inner.order.clone();
        inner.buses.retain(|name, _| order.contains(name));
        inner.site = SiteStanding {
            gateway: site.gateway.to_string(),
            name: site.name.clone(),
            simulated: site.simulated,
            broker: site.broker.url.clone(),
            loaded: Some(now),
            refused: None,
            waits_for_restart: std::mem::take(&mut inner.site.waits_for_restart),
        };
    }

    /// A newer site file was refused.
    pub fn refused(&self, why: String) {
        self.lock().site.refused = Some(why);
    }

    /// What only a restart brings in.
    pub fn waits_for_restart(&self, what: Vec<&'static str>) {
        self.lock().site.waits_for_restart = what;
    }

    /// A task that is no bus's, and its promise.
    pub fn task(&self, name: &'static str, promise: Promise) {
        self.lock().tasks.insert(name.to_owned(), promise);
    }

    /// The buses, in the order of the site file.
    pub fn buses(&self) -> Vec<BusStanding> {
        let inner = self.lock();
        inner.order.iter().filter_map(|name| inner.buses.get(name)).map(BusBoard::standing).collect()
    }

    /// Polls asked on all buses since the program started, and those of them that brought no registers.
    pub fn polls(&self) -> (u64, u64) {
        // Failures first: a poll that comes between the two never makes more failures than polls.
        let failed = self.totals.failed.load(Ordering::Relaxed);
        (self.totals.asked.load(Ordering::Relaxed).max(failed), failed)
    }

    /// The site file.
    pub fn site_standing(&self) -> SiteStanding {
        self.lock().site.clone()
    }

    /// Tasks that hang: those that broke their promise more than `grace_ms` ago, each with how long ago.
    pub fn hanging(&self, now: MonotonicMs, grace_ms: u64) -> Vec<(String, u64)> {
        let inner = self.lock();
        let buses = inner.buses.iter().map(|(name, bus)| (format!("bus {name}"), bus.promise.overdue_ms(now)));
        let tasks = inner.tasks.iter().map(|(name, promise)| (name.clone(), promise.overdue_ms(now)));
        buses.chain(tasks).filter(|(_, overdue_ms)| *overdue_ms > grace_ms).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop here")]
    use super::*;
    use measurement::Timestamp;
    use std::path::Path;

    fn bus() -> Bus {
        let text = "gateway = \"g\"\n[broker]\nurl = \"mqtt://b:1883\"\n[[bus]]\nname = \"line\"\ntcp = \"b:502\"\n\
                    [[bus.device]]\nname = \"d\"\nunit = 1\nprofile = \"davy-node\"\n";
        Site::parse(Path::new("site.toml"), text).unwrap().buses.remove(0)
    }

    fn at(mono: u64) -> Moment {
        Moment { wall: Timestamp(0), mono: MonotonicMs(mono) }
    }

    #[test]
    fn a_device_shows_its_last_answer_and_its_last_trouble() {
        let board = BusBoard::new(&bus());
        board.answered(0, MonotonicMs(100), at(140));
        board.failed(0, &Failure::NoAnswer(1_000));
        let device = board.lock().devices[0].clone();
        assert_eq!((device.asked, device.failed, device.round_trip_ms, device.answered), (2, 1, Some(40), Some(at(140))));
        assert_eq!(device.trouble.as_deref(), Some("no answer within 1000 ms"));
        board.failed(0, &Failure::Refused(2));
        assert!(board.lock().devices[0].refuses);
        board.answered(0, MonotonicMs(1_000), at(1_010));
        let device = board.lock().devices[0].clone();
        assert_eq!((device.trouble, device.refuses), (None, false));
    }

    #[test]
    fn a_task_that_breaks_its_promise_hangs_and_one_that_rests_does_not() {
        let board = Board::default();
        let line = board.bus(&bus());
        let keeper = Promise::default();
        board.task("keeper", keeper.clone());
        assert_eq!(board.hanging(MonotonicMs(1_000_000), 0), [], "who has promised nothing yet does not hang");
        line.rests(3_600_000, MonotonicMs(0));
        keeper.until(MonotonicMs(5_000));
        assert_eq!(board.hanging(MonotonicMs(30_000), 30_000), []);
        assert_eq!(board.hanging(MonotonicMs(35_001), 30_000), [("keeper".to_owned(), 30_001)]);
        keeper.until(MonotonicMs(40_000));
        line.asks(MonotonicMs(36_000));
        assert_eq!(board.hanging(MonotonicMs(40_000), 0), []);
        let late = 36_000 + poll_most_ms(&bus()) + 1;
        assert_eq!(board.hanging(MonotonicMs(late), 0), [("bus line".to_owned(), 1), ("keeper".to_owned(), late - 40_000)]);
    }

    #[test]
    fn a_slow_bus_has_time_for_every_request_and_every_pause() {
        let mut bus = bus();
        let few = poll_most_ms(&bus);
        assert!((30_000..120_000).contains(&few), "{few}");
        bus.timeout_ms = 10_000;
        bus.workarounds.pause_after_connect = std::time::Duration::from_secs(60);
        bus.workarounds.pause_between_requests = std::time::Duration::from_secs(20);
        let requests = requests(&bus.devices[0], &bus.workarounds);
        assert!(requests > 0);
        // Each request with its pause, an opening and a full timeout.
        assert!(poll_most_ms(&bus) > 60_000 + requests * (20_000 + 2 * 10_000));
    }
}
