//! Once a second: one frame with every channel that changed or became overdue, and the overview.

use std::sync::PoisonError;
use std::time::Duration;

use measurement::ChannelId;
use tokio_util::sync::CancellationToken;

use super::{Board, Live};
use crate::api::shapes::{ReadingRow, Readings, reading_row};
use measurement::MonotonicMs;

/// No more than one frame in this time.
const FRAME: Duration = Duration::from_secs(1);

impl Live {
    /// Sends frames until the shutdown.
    pub async fn send_frames(self, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(FRAME);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stored = self.stored();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = tick.tick() => {}
            }
            let now = self.stored();
            self.frame(now.saturating_sub(stored));
            stored = now;
        }
    }

    /// One frame, when anybody looks. `stored` is how many values were stored since the last one.
    pub(super) fn frame(&self, stored: u64) {
        let now = self.inner.clock.mono();
        let watched = self.inner.ring.lock().unwrap_or_else(PoisonError::into_inner).listeners() > 0;
        let rows = {
            let mut board = self.change();
            // Over some ten seconds, so that the number can be read.
            board.rate += (stored as f64 - board.rate) * if board.rate == 0.0 { 1.0 } else { 0.1 };
            board.take_changed(now, watched)
        };
        if watched {
            if !rows.is_empty() {
                self.tell("readings", &Readings { now: self.inner.clock.wall().0, rows });
            }
            self.tell("overview", &self.overview());
        }
    }

    /// Every channel with a reading, as a frame.
    pub(super) fn every_reading(&self) -> Option<String> {
        let now = self.inner.clock.mono();
        let board = self.board();
        let rows: Vec<ReadingRow> = (0..board.cells.len()).filter_map(|at| board.row(at, now)).collect();
        serde_json::to_string(&Readings { now: self.inner.clock.wall().0, rows }).ok()
    }
}

impl Board {
    fn row(&self, at: usize, now: MonotonicMs) -> Option<ReadingRow> {
        let cell = &self.cells[at];
        let (outcome, sampled_at, received_at) = cell.reading?;
        let id = ChannelId(u32::try_from(at).ok()?);
        Some(reading_row(id.0, &outcome, sampled_at, received_at, cell.is_live(now)))
    }

    fn take_changed(&mut self, now: MonotonicMs, wanted: bool) -> Vec<ReadingRow> {
        let mut changed = std::mem::take(&mut self.changed);
        for at in 0..self.cells.len() {
            let cell = &mut self.cells[at];
            let live = cell.is_live(now);
            if live != cell.told_live {
                cell.told_live = live;
                if !cell.changed {
                    changed.push(at as u32);
                }
            }
            cell.changed = false;
        }
        if wanted { changed.into_iter().filter_map(|at| self.row(at as usize, now)).collect() } else { Vec::new() }
    }
}
