//! How a gateway stands at one moment, and what that means: is it alive, is it ready, is it well. Pure.

use telemetry::ClockQuality;

use super::board::{BusStanding, DeviceStanding, SiteStanding};
use crate::clock::Moment;
use crate::forward::PostStatus;

/// A task that broke its promise so long ago hangs.
pub const GRACE_MS: u64 = 10_000;
/// A collector that has something to acknowledge and does not for so long is away, though its broker may stand.
const ACKNOWLEDGES_WITHIN_MS: u64 = 30_000;

/// One moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Of this program.
    pub version: &'static str,
    /// When this was seen.
    pub now: Moment,
    /// Since the program started.
    pub up_ms: u64,
    /// How far the wall clock is to be trusted.
    pub clock: ClockQuality,
    /// See `Clock::offset_ms`.
    pub clock_offset_ms: Option<f64>,
    /// Bytes of memory.
    pub resident: Option<u64>,
    /// The site file.
    pub site: SiteStanding,
    /// The buses and their devices.
    pub buses: Vec<BusStanding>,
    /// Tasks that hang, and since how many ms.
    pub hanging: Vec<(String, u64)>,
    /// Spool and broker.
    pub post: PostStatus,
}

/// How a part stands, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// As it should be.
    Well,
    /// Works, and somebody should look.
    Attention,
    /// Does not work.
    Fault,
}

impl Snapshot {
    /// Why the process is not alive: tasks that hang. Empty when it is.
    pub fn alive(&self) -> Vec<String> {
        self.hanging
            .iter()
            .map(|(name, overdue_ms)| format!("{name} has not moved for {} s more than it should", overdue_ms / 1_000))
            .collect()
    }

    /// Why it does not do its work now. Empty when it polls, keeps and delivers.
    pub fn ready(&self) -> Vec<String> {
        let mut reasons = self.alive();
        let mut say = |is_so: bool, why: String| {
            if is_so {
                reasons.push(why);
            }
        };
        let mut devices = self.buses.iter().flat_map(|bus| &bus.devices).peekable();
        say(devices.peek().is_none(), "no device is in the site file".to_owned());
        let is_refused = self.buses.iter().flat_map(|bus| &bus.devices).any(|device| device.refuses);
        let nobody = if is_refused { "no device gives registers: they refuse or are silent" } else { "no device answers" };
        say(devices.peek().is_some() && !devices.any(answers), nobody.to_owned());
        let storage = self.post.degraded_because.clone().unwrap_or_else(|| "it is being opened".to_owned());
        say(!self.is_spool_open(), format!("the spool is not open: {storage}"));
        let broker = self.post.trouble.clone().unwrap_or_else(|| "connecting".to_owned());
        say(!self.post.connected, format!("no broker: {broker}"));
        reasons.extend(self.unheard().filter(|_| self.post.connected));
        reasons
    }

    /// How long ago the collector last acknowledged anything, ms; `None` when it has not since the start.
    pub fn acknowledged_ago_ms(&self) -> Option<u64> {
        self.post.last_ack_mono.map(|at| self.now.mono.since(at))
    }

    /// That the collector is away, when it is: entries wait and none has been acknowledged for long.
    pub fn unheard(&self) -> Option<String> {
        let ago_ms = self.acknowledged_ago_ms().unwrap_or(self.up_ms);
        let is_away = self.post.unacknowledged > 0 && ago_ms > ACKNOWLEDGES_WITHIN_MS;
        is_away.then(|| format!("the collector has acknowledged nothing for {} s", ago_ms / 1_000))
    }

    /// True once the spool has been opened.
    pub fn is_spool_open(&self) -> bool {
        self.post.spool_capacity > 0
    }

    /// Devices that answer, and all of them.
    pub fn answering(&self) -> (usize, usize) {
        let devices = self.buses.iter().flat_map(|bus| &bus.devices);
        devices.fold((0, 0), |(answering, all), device| (answering + usize::from(answers(device)), all + 1))
    }

    /// Polling.
    pub fn field_mark(&self) -> Mark {
        match self.answering() {
            _ if !self.hanging.is_empty() => Mark::Fault,
            (0, _) => Mark::Fault,
            (answering, all) if answering < all => Mark::Attention,
            _ if self.buses.iter().filter_map(|bus| bus.line.as_ref()).any(|line| line.is_noisy || line.is_blocked) => Mark::Attention,
            _ => Mark::Well,
        }
    }

    /// The spool.
    pub fn spool_mark(&self) -> Mark {
        match (self.is_spool_open(), self.post.degraded) {
            (false, _) => Mark::Fault,
            (true, true) => Mark::Attention,
            (true, false) => Mark::Well,
        }
    }

    /// The broker and the collector behind it.
    pub fn broker_mark(&self) -> Mark {
        match (self.post.connected, &self.post.trouble) {
            (false, _) => Mark::Fault,
            _ if self.unheard().is_some() => Mark::Fault,
            (true, Some(_)) => Mark::Attention,
            (true, None) if self.post.certificates.is_some() => Mark::Attention,
            (true, None) => Mark::Well,
        }
    }

    /// The clock.
    pub fn clock_mark(&self) -> Mark {
        if self.clock == ClockQuality::Synchronised { Mark::Well } else { Mark::Attention }
    }

    /// The site file.
    pub fn site_mark(&self) -> Mark {
        if self.site.refused.is_none() && self.site.waits_for_restart.is_empty() { Mark::Well } else { Mark::Attention }
    }

    /// The whole: the worst of its parts.
    pub fn mark(&self) -> Mark {
        let parts = [self.field_mark(), self.spool_mark(), self.broker_mark(), self.clock_mark(), self.site_mark()];
        parts.into_iter().max().unwrap_or(Mark::Well)
    }
}

/// True when the device gave registers the last time it was asked.
pub fn answers(device: &DeviceStanding) -> bool {
    device.answered.is_some() && device.trouble.is_none()
}
