//! Waiting for the silence between frames. The runtime's timer knows milliseconds and rounds up; at 115200 baud that
//! would double the gap. A serial road therefore waits on a timer of the kernel, which knows microseconds.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep_until};

use super::now;

/// Waits until a moment.
pub enum Silence {
    /// By the runtime's clock, to the millisecond; tests pause it.
    Coarse,
    /// By a kernel timer, made when first needed.
    Precise(Option<AsyncFd<OwnedFd>>),
}

impl Silence {
    /// Returns at that moment or a little later. May be dropped and called again.
    pub async fn until(&mut self, at: Instant) {
        let left = at.saturating_duration_since(now());
        if left.is_zero() {
            return;
        }
        if let Silence::Precise(timer) = self {
            if timer.is_none() {
                *timer = new_timer().ok();
            }
            if let Some(timer) = timer
                && expire(timer, left).await.is_ok()
            {
                return;
            }
        }
        sleep_until(at).await;
    }
}

#[expect(deprecated, reason = "its successor is unsafe and this crate forbids that; the timer is owned, and closed by nobody else")]
fn new_timer() -> std::io::Result<AsyncFd<OwnedFd>> {
    let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    AsyncFd::with_interest(timer, Interest::READABLE)
}

async fn expire(timer: &AsyncFd<OwnedFd>, after: Duration) -> std::io::Result<()> {
    let once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let it_value = Timespec { tv_sec: i64::try_from(after.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(after.subsec_nanos()) };
    rustix::time::timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &Itimerspec { it_interval: once, it_value })?;
    let mut expirations = [0_u8; 8];
    loop {
        let mut guard = timer.readable().await?;
        if let Ok(read) = guard.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut expirations)?)) {
            return read.map(|_| ());
        }
    }
}
