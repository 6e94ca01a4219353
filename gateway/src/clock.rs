//! The only file of the gateway that asks what time it is.
//!
//! Two clocks, never mixed: the wall clock dates a reading for people, the monotonic clock (since the
//! host's boot, counting suspend) measures ages and delays. A monotonic time means something only beside
//! the boot it was taken in, so each clock names its boot. Tests use [`Clock::manual`] and move it themselves.

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use measurement::{MonotonicMs, Timestamp};
use telemetry::ClockQuality;

/// 2026-01-01T00:00:00Z. No reading of this program can be older, so a wall clock before it is wrong.
pub const BUILD_FLOOR: Timestamp = Timestamp(1_767_225_600_000);

/// systemd-timesyncd creates this once it has disciplined the clock in this boot.
const TIMESYNC_MARK: &str = "/run/systemd/timesync/synchronized";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Both clocks read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Wall clock.
    pub wall: Timestamp,
    /// Since boot.
    pub mono: MonotonicMs,
}

/// The clocks of this host, or a test's. Cheap to clone; every clone is the same clock.
#[derive(Clone)]
pub struct Clock {
    source: Arc<Source>,
}

enum Source {
    System { boot: u64, vouched: bool, steps: Mutex<StepWatch>, discipline: Mutex<Discipline> },
    Runtime { boot: u64, wall: Timestamp, began: tokio::time::Instant },
    Manual { boot: u64, wall_ms: AtomicI64, mono_ms: AtomicU64, quality: Mutex<ClockQuality> },
}

impl Clock {
    /// The host's clocks. `vouched` is the site's word that something disciplines the wall clock even
    /// though we cannot see it (GPS, chrony, a virtual machine's host).
    pub fn system(vouched: bool) -> Clock {
        Clock {
            source: Arc::new(Source::System {
                boot: boot_id(Path::new(BOOT_ID)),
                vouched,
                steps: Mutex::default(),
                discipline: Mutex::default(),
            }),
        }
    }

    /// A clock that stands still until it is moved; for tests and simulations.
    pub fn manual(boot: u64, wall: Timestamp) -> Clock {
        let quality = Mutex::new(ClockQuality::Synchronised);
        Clock { source: Arc::new(Source::Manual { boot, wall_ms: AtomicI64::new(wall.0), mono_ms: AtomicU64::new(1_000), quality }) }
    }

    /// A clock that goes with the async runtime's own, which tests pause; for tests and simulations.
    #[expect(clippy::disallowed_methods, reason = "this is the file that asks the time")]
    pub fn of_runtime(boot: u64, wall: Timestamp) -> Clock {
        Clock { source: Arc::new(Source::Runtime { boot, wall, began: tokio::time::Instant::now() }) }
    }

    /// Wall clock.
    pub fn wall(&self) -> Timestamp {
        match &*self.source {
            Source::System { .. } => system_wall(),
            Source::Runtime { wall, .. } => wall.plus_ms(i64::try_from(self.mono().0).unwrap_or(i64::MAX)),
            Source::Manual { wall_ms, .. } => Timestamp(wall_ms.load(Ordering::SeqCst)),
        }
    }

    /// Milliseconds since the host's boot, suspend included.
    pub fn mono(&self) -> MonotonicMs {
        match &*self.source {
            Source::System { .. } => system_mono(),
            Source::Runtime { began, .. } => MonotonicMs(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)),
            Source::Manual { mono_ms, .. } => MonotonicMs(mono_ms.load(Ordering::SeqCst)),
        }
    }

    /// Both.
    pub fn now(&self) -> Moment {
        Moment { wall: self.wall(), mono: self.mono() }
    }

    /// Names this boot; monotonic times of different boots cannot be compared.
    pub fn boot(&self) -> u64 {
        match &*self.source {
            Source::System { boot, .. } | Source::Runtime { boot, .. } | Source::Manual { boot, .. } => *boot,
        }
    }

    /// How far the wall clock is to be trusted now; whether something disciplines it was asked within the last second.
    pub fn quality(&self) -> ClockQuality {
        match &*self.source {
            Source::System { vouched, discipline, .. } => {
                let look = || kernel_offset_ms().is_some() || Path::new(TIMESYNC_MARK).exists();
                let mut discipline = discipline.lock().unwrap_or_else(PoisonError::into_inner);
                judge(self.wall(), *vouched || discipline.known(self.mono(), look))
            }
            Source::Runtime { .. } => ClockQuality::Synchronised,
            Source::Manual { quality, .. } => *quality.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// What the kernel still has to correct of the wall clock, ms; `None` when nobody disciplines it.
    pub fn offset_ms(&self) -> Option<f64> {
        match &*self.source {
            Source::System { .. } => kernel_offset_ms(),
            Source::Runtime { .. } | Source::Manual { .. } => (self.quality() == ClockQuality::Synchronised).then_some(0.0),
        }
    }

    /// By how many milliseconds the wall clock was stepped since the last call, when by more than a second.
    pub fn stepped(&self) -> Option<i64> {
        match &*self.source {
            Source::System { steps, .. } => steps.lock().unwrap_or_else(PoisonError::into_inner).observe(self.now()),
            Source::Runtime { .. } | Source::Manual { .. } => None,
        }
    }

    /// Moves a manual clock's both hands forward; a system clock stays as it is.
    pub fn advance(&self, ms: u64) {
        if let Source::Manual { wall_ms, mono_ms, .. } = &*self.source {
            wall_ms.fetch_add(i64::try_from(ms).unwrap_or(i64::MAX), Ordering::SeqCst);
            mono_ms.fetch_add(ms, Ordering::SeqCst);
        }
    }

    /// Says how far a manual clock is to be trusted.
    pub fn set_quality(&self, of_now: ClockQuality) {
        if let Source::Manual { quality, .. } = &*self.source {
            *quality.lock().unwrap_or_else(PoisonError::into_inner) = of_now;
        }
    }

    /// Steps only the wall clock of a manual clock, as an operator or NTP would.
    pub fn step_wall(&self, by_ms: i64) {
        if let Source::Manual { wall_ms, .. } = &*self.source {
            wall_ms.fetch_add(by_ms, Ordering::SeqCst);
        }
    }
}

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
    pub fn release(&self) {
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

/// A clock before the build floor is wrong whatever anyone says; a disciplined one is trusted; one that
/// nobody vouches for is not.
fn judge(wall: Timestamp, disciplined: bool) -> ClockQuality {
    if wall < BUILD_FLOOR || !disciplined { ClockQuality::Untrusted } else { ClockQuality::Synchronised }
}

/// Whether something disciplines the clock, as it was seen lately: each batch that is sent asks for it.
#[derive(Debug, Default)]
struct Discipline {
    seen: Option<(MonotonicMs, bool)>,
}

impl Discipline {
    const LOOK_EVERY_MS: u64 = 1_000;

    fn known(&mut self, now: MonotonicMs, look: impl FnOnce() -> bool) -> bool {
        match self.seen {
            Some((at, was)) if now.since(at) < Discipline::LOOK_EVERY_MS => was,
            _ => self.seen.insert((now, look())).1,
        }
    }
}

/// Notices a stepped wall clock by comparing it with the monotonic one.
#[derive(Debug, Default)]
pub struct StepWatch {
    offset_ms: Option<i64>,
}

impl StepWatch {
    /// Slower drift than this between two looks is discipline, not a step.
    const STEP_MS: i64 = 1_000;

    /// The step since the last look, if there was one.
    pub fn observe(&mut self, now: Moment) -> Option<i64> {
        let offset = now.wall.0.saturating_sub(i64::try_from(now.mono.0).unwrap_or(i64::MAX));
        let step = offset.saturating_sub(self.offset_ms.replace(offset)?);
        (step.abs() > StepWatch::STEP_MS).then_some(step)
    }
}

/// The kernel's boot id folded to 64 bits. Where there is none, a random number: ages are then known only
/// within one run of the program, which is safe.
fn boot_id(path: &Path) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let folded = u128::from_str_radix(&digits, 16).map(|id| (id >> 64) as u64 ^ id as u64).unwrap_or(0);
    if folded == 0 { rand::random::<u64>() | 1 } else { folded }
}

#[expect(clippy::disallowed_methods, reason = "this is the file that asks the time")]
fn system_wall() -> Timestamp {
    match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
        Err(before) => Timestamp(-i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX)),
    }
}

/// CLOCK_BOOTTIME: the monotonic clock that goes on while the host is suspended, so that no age is
/// under-estimated by a sleep.
fn system_mono() -> MonotonicMs {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let ms = u64::try_from(now.tv_sec).unwrap_or(0) * 1_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000;
    MonotonicMs(ms)
}

/// adjtimex(2): time daemons tell the kernel what they know; the offset is in ns or µs, as a status bit says.
fn kernel_offset_ms() -> Option<f64> {
    const UNSYNCHRONISED: i32 = 0x0040;
    const NANOSECONDS: i32 = 0x2000;
    // `modes` of zero only reads.
    let mut kernel = rtime_clock::adjtime::Timex::new();
    rtime_clock::adjtime::adjtimex(&mut kernel).ok()?;
    let (status, offset) = (kernel.0.status, kernel.0.offset as f64);
    let ms = if status & NANOSECONDS != 0 { offset / 1e6 } else { offset / 1e3 };
    (status & UNSYNCHRONISED == 0).then_some(ms)
}

#[cfg(test)]
mod tests;
