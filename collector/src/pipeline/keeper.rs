//! Keeps the time series in order: seals what is due, forgets raw rows after their time.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// Series sealed in one atomic step, so that commits wait for milliseconds only.
const SLICE: usize = 256;
/// Chunks forgotten in one step.
const FORGET: usize = 1024;
const FORGET_EVERY_MS: u64 = 3_600_000;
const PAUSE: Duration = Duration::from_millis(200);

/// Works on its own thread until the shutdown.
pub fn keep_series(series: Arc<timeseries::Store>, clock: Clock, keep_raw_days: u32, shutdown: CancellationToken) {
    let mut forgotten = None;
    let mut troubled = false;
    while !shutdown.is_cancelled() {
        let now = clock.now();
        let mut done = series.seal_due(now.wall, SLICE);
        let due = forgotten.is_none_or(|at| now.mono.0.saturating_sub(at) >= FORGET_EVERY_MS);
        if due && done.is_ok() {
            forgotten = Some(now.mono.0);
            let since = now.wall.plus_ms(-i64::from(keep_raw_days) * 86_400_000);
            done = forget(&series, since, &shutdown).and(done);
        }
        match done {
            Ok(SLICE) => {
                troubled = false;
                continue;
            }
            Ok(_) => troubled = false,
            Err(error) if !troubled => {
                troubled = true;
                tracing::error!(error = super::chain(&error), "the time series cannot be kept in order; it is tried again");
            }
            Err(_) => {}
        }
        std::thread::sleep(PAUSE);
    }
}

fn forget(series: &timeseries::Store, since: measurement::Timestamp, shutdown: &CancellationToken) -> Result<(), timeseries::Error> {
    while !shutdown.is_cancelled() && series.retain_raw(since, FORGET)? == FORGET {}
    Ok(())
}
