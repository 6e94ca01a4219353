//! The board on the wall: the gateway's tasks write on it as they work; the status page, the health readings
//! and the watchdog read it. Cheap to clone; every clone is the same board. Asks no clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use measurement::MonotonicMs;

use crate::clock::Moment;
use crate::site::{Bus, Site};

/// What a task writes when it works: by when it will have moved again. A task that breaks its promise hangs.
#[derive(Debug, Clone, Default)]
pub struct Promise {
    due: Arc<AtomicU64>,
}

impl Promise {
    /// The task will have moved again by then (monotonic ms).
    pub fn until(&self, due: MonotonicMs) {
        self.due.store(due.0, Ordering::Relaxed);
    }

    /// Nothing is promised any more: the task has ended as it should.
    pub fn is_released(&self) {
        self.due.store(u64::MAX, Ordering::Relaxed);
    }

    /// How long the promise has been broken, ms; 0 while it is kept.
    pub fn overdue_ms(&self, now: MonotonicMs) -> u64 {
        match self.due.load(Ordering::Relaxed) {
            0 => 0,
            due => now.0.saturating_sub(due),
        }
    }
}

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
    /// Why there was no answer the last time, in one sentence; `None` when there was one.
    pub trouble: Option<String>,
}

/// One bus as its task sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BusStanding {
    /// Its name.
    pub name: String,
    /// How it is reached.
    pub road: String,
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
    promise: Promise,
    /// Longer than this one poll of a device never takes, ms.
    poll_most_ms: u64,
}

impl BusBoard {
    /// A board for this bus, on which nothing has been asked yet.
    pub fn new(bus: &Bus) -> BusBoard {
        let devices = bus.devices.iter().map(|device| DeviceStanding {
            name: device.name.clone(),
            profile: device.profile.id.clone(),
            unit: device.unit,
            ..DeviceStanding::default()
        });
        let standing = BusStanding { name: bus.name.clone(), road: bus.road.to_string(), devices: devices.collect() };
        let pause_ms = u64::try_from(bus.workarounds.pause_after_connect.as_millis()).unwrap_or(0);
        // A poll is a few requests; each may wait for its answer, and once for a late one, which takes four timeouts.
        let poll_most_ms = 30_000 + pause_ms + 20 * bus.timeout_ms;
        BusBoard { standing: Arc::new(Mutex::new(standing)), promise: Promise::default(), poll_most_ms }
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
        if let Some(device) = self.lock().devices.get_mut(place) {
            device.asked += 1;
            device.answered = Some(now);
            device.round_trip_ms = Some(now.mono.since(began));
            device.trouble = None;
        }
    }

    /// The device at this place was asked and gave none.
    pub fn failed(&self, place: usize, why: &dyn std::fmt::Display) {
        if let Some(device) = self.lock().devices.get_mut(place) {
            device.asked += 1;
            device.failed += 1;
            device.trouble = Some(why.to_string());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BusStanding> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of the site file at work.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SiteStanding {
    /// When the one at work was loaded.
    pub loaded: Option<Moment>,
    /// Why a newer one was refused, in one sentence; `None` when the one at work is the newest.
    pub refused: Option<String>,
    /// What the site file says and only a restart brings in.
    pub waits_for_restart: Vec<String>,
}

/// The board.
#[derive(Debug, Clone, Default)]
pub struct Board {
    inner: Arc<Mutex<Inner>>,
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
        let board = BusBoard::new(bus);
        self.lock().buses.insert(bus.name.clone(), board.clone());
        board
    }

    /// This site is at work now: buses it does not have leave the board.
    pub fn site(&self, site: &Site, now: Moment) {
        let mut inner = self.lock();
        inner.order = site.buses.iter().map(|bus| bus.name.clone()).collect();
        let order = inner.order.clone();
        inner.buses.retain(|name, _| order.contains(name));
        inner.site.loaded = Some(now);
        inner.site.refused = None;
    }

    /// A newer site file was refused.
    pub fn refused(&self, why: String) {
        self.lock().site.refused = Some(why);
    }

    /// What only a restart brings in.
    pub fn waits_for_restart(&self, what: Vec<String>) {
        self.lock().site.waits_for_restart = what;
    }

    /// The promise of a task that is no bus's.
    pub fn task(&self, name: &str) -> Promise {
        self.lock().tasks.entry(name.to_owned()).or_default().clone()
    }

    /// The buses, in the order of the site file.
    pub fn buses(&self) -> Vec<BusStanding> {
        let inner = self.lock();
        inner.order.iter().filter_map(|name| inner.buses.get(name)).map(|bus| bus.lock().clone()).collect()
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
        board.failed(0, &"no answer within 1000 ms");
        let device = board.lock().devices[0].clone();
        assert_eq!((device.asked, device.failed, device.round_trip_ms, device.answered), (2, 1, Some(40), Some(at(140))));
        assert_eq!(device.trouble.as_deref(), Some("no answer within 1000 ms"));
        board.answered(0, MonotonicMs(1_000), at(1_010));
        assert_eq!(board.lock().devices[0].trouble, None);
    }

    #[test]
    fn a_task_that_breaks_its_promise_hangs_and_one_that_rests_does_not() {
        let board = Board::default();
        let line = board.bus(&bus());
        let keeper = board.task("keeper");
        assert_eq!(board.hanging(MonotonicMs(1_000_000), 0), [], "who has promised nothing yet does not hang");
        line.rests(3_600_000, MonotonicMs(0));
        keeper.until(MonotonicMs(5_000));
        assert_eq!(board.hanging(MonotonicMs(30_000), 30_000), []);
        assert_eq!(board.hanging(MonotonicMs(35_001), 30_000), [("keeper".to_owned(), 30_001)]);
        keeper.until(MonotonicMs(40_000));
        line.asks(MonotonicMs(36_000));
        assert_eq!(board.hanging(MonotonicMs(40_000), 0), []);
        assert_eq!(board.hanging(MonotonicMs(86_001), 0), [("bus line".to_owned(), 1), ("keeper".to_owned(), 46_001)]);
    }
}
