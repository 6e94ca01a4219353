//! The only file of the collector that asks what time it is.
//!
//! Two clocks, never mixed: the wall clock dates things for people, the monotonic clock (since the host's boot)
//! measures ages, delays and silence, so that a stepped wall clock changes no alarm. Tests use [`Clock::manual`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use measurement::{MonotonicMs, Timestamp};

/// Both clocks read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Wall clock.
    pub wall: Timestamp,
    /// Since this clock was made.
    pub mono: MonotonicMs,
}

/// The clocks of this host, or a test's. Cheap to clone; every clone is the same clock.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Arc<Source>,
}

#[derive(Debug)]
enum Source {
    System { origin: Instant },
    Manual { wall_ms: AtomicI64, mono_ms: AtomicU64 },
}

impl Clock {
    /// The host's clocks.
    #[expect(clippy::disallowed_methods, reason = "this file is the one that asks the time")]
    pub fn system() -> Clock {
        Clock { source: Arc::new(Source::System { origin: Instant::now() }) }
    }

    /// A clock that stands still until it is moved; for tests and simulations.
    pub fn manual(wall: Timestamp) -> Clock {
        Clock { source: Arc::new(Source::Manual { wall_ms: AtomicI64::new(wall.0), mono_ms: AtomicU64::new(1_000) }) }
    }

    /// Wall clock.
    #[expect(clippy::disallowed_methods, reason = "this file is the one that asks the time")]
    pub fn wall(&self) -> Timestamp {
        match &*self.source {
            Source::System { .. } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Source::Manual { wall_ms, .. } => Timestamp(wall_ms.load(Ordering::SeqCst)),
        }
    }

    /// Monotonic milliseconds; starts above zero so that "since the beginning" is never "never".
    pub fn mono(&self) -> MonotonicMs {
        match &*self.source {
            Source::System { origin } => MonotonicMs(1_000 + u64::try_from(origin.elapsed().as_millis()).unwrap_or(u64::MAX - 1_000)),
            Source::Manual { mono_ms, .. } => MonotonicMs(mono_ms.load(Ordering::SeqCst)),
        }
    }

    /// Both.
    pub fn now(&self) -> Moment {
        Moment { wall: self.wall(), mono: self.mono() }
    }

    /// Moves a manual clock's both hands forward; a system clock stays as it is.
    pub fn advance(&self, ms: u64) {
        if let Source::Manual { wall_ms, mono_ms } = &*self.source {
            wall_ms.fetch_add(i64::try_from(ms).unwrap_or(i64::MAX), Ordering::SeqCst);
            mono_ms.fetch_add(ms, Ordering::SeqCst);
        }
    }

    /// Steps only the wall clock of a manual clock, as an operator or NTP would.
    pub fn step_wall(&self, by_ms: i64) {
        if let Source::Manual { wall_ms, .. } = &*self.source {
            wall_ms.fetch_add(by_ms, Ordering::SeqCst);
        }
    }
}
