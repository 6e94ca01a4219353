//! The only file of the simulated board that asks what time it is.

use measurement::MonotonicMs;

/// Counts from the moment it was made, as a board's timer does from reset.
#[derive(Debug, Clone, Copy)]
pub struct Uptime(std::time::Instant);

impl Uptime {
    /// Starts counting.
    #[expect(clippy::disallowed_methods, reason = "this is the file that asks the time")]
    pub fn start() -> Uptime {
        Uptime(std::time::Instant::now())
    }

    /// Milliseconds since the start.
    pub fn now(&self) -> MonotonicMs {
        MonotonicMs(self.0.elapsed().as_millis() as u64)
    }
}
