//! What to send next, and what to send again: pure bookkeeping of the two lanes.
//!
//! Live entries go first. Everything unacknowledged below them is backlog, oldest first, paced by a
//! window that opens as the collector acknowledges. A batch that the collector has not acknowledged after [`RESEND_AFTER_MS`] counts as lost on the
//! way and is sent again; when nothing at all is acknowledged for [`REBUILD_AFTER_MS`] while batches are out,
//! the broker connection itself is rebuilt: not when nothing could be sent. Nothing here forgets an entry: only the spool does, when told.

use std::collections::VecDeque;

use measurement::MonotonicMs;
use spool::RangeSet;
use telemetry::{Ack, Lane};

/// Batches out without the collector's acknowledgement, both lanes together.
const WINDOW: usize = 48;
/// Of these, the backlog's share at most. It begins with one after a connection, grows by one with each batch of
/// backlog that is acknowledged, and halves when one is lost: a collector to which a whole city comes back at
/// once is asked for no more than it can do.
const BACKLOG_WINDOW: usize = 8;
/// What has been on the disk for so long without being sent is not live any more: it goes to the backlog.
const LIVE_FOR_MS: u64 = 2_000;
/// How finely that is measured.
const MARK_EVERY_MS: u64 = 250;
/// A batch unacknowledged for so long was lost between here and the collector's disk.
pub const RESEND_AFTER_MS: u64 = 10_000;
/// No progress for so long while batches are out: the connection is not to be believed.
pub const REBUILD_AFTER_MS: u64 = 30_000;

/// The next thing to read from the spool and send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Lane it travels in.
    pub lane: Lane,
    /// First sequence wanted.
    pub from: u64,
    /// Last sequence wanted; there may be fewer.
    pub to: u64,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    first: u64,
    last: u64,
    lane: Lane,
    sent_at: MonotonicMs,
}

/// The bookkeeping. See the head of this file.
#[derive(Debug, Default)]
pub struct Machine {
    connected: bool,
    highest: u64,
    floor: u64,
    /// Next live sequence.
    live_next: u64,
    acknowledged: RangeSet,
    /// Out, or known not to exist.
    out: RangeSet,
    flights: VecDeque<Flight>,
    /// Batches of backlog that may be out now.
    backlog_window: usize,
    /// What was the highest sequence when, over the last two seconds.
    marks: VecDeque<(MonotonicMs, u64)>,
    progress_at: MonotonicMs,
    /// Something was sent since.
    owed: bool,
}

impl Machine {
    /// A machine for a spool that holds `floor..=highest`, of which `acknowledged` needs no sending.
    pub fn new(floor: u64, highest: u64, acknowledged: RangeSet) -> Machine {
        Machine { floor, highest, live_next: highest + 1, acknowledged, ..Machine::default() }
    }

    /// The broker is there: whatever was out may be lost, and what is held from before is backlog.
    pub fn connected(&mut self, now: MonotonicMs) {
        self.connected = true;
        self.forget_flights();
        self.live_next = self.highest + 1;
        self.backlog_window = 1;
        self.marks.clear();
        self.progress_at = now;
    }

    /// The broker is gone.
    pub fn disconnected(&mut self) {
        self.connected = false;
        self.forget_flights();
    }

    /// The spool has these on its disk.
    pub fn durable(&mut self, floor: u64, highest: u64) {
        self.floor = floor;
        self.highest = highest;
        self.out.remove(0, floor.saturating_sub(1));
        self.acknowledged.remove(0, floor.saturating_sub(1));
    }

    /// The collector has these on its disk. True when something was new.
    pub fn acknowledge(&mut self, ack: &Ack, now: MonotonicMs) -> bool {
        let mut news = false;
        let ranges = ack.ranges.iter().map(|range| (range.first, range.last));
        for (first, last) in std::iter::once((self.floor.max(1), ack.contiguous)).chain(ranges) {
            news |= self.acknowledged.insert(first.max(1), last.min(self.highest));
        }
        let (acknowledged, mut arrived) = (&self.acknowledged, 0);
        self.flights.retain(|flight| {
            let is_out = !acknowledged.covers(flight.first, flight.last);
            arrived += usize::from(!is_out && flight.lane == Lane::Backlog);
            is_out
        });
        self.backlog_window = (self.backlog_window + arrived).min(BACKLOG_WINDOW);
        if news {
            self.progress_at = now;
            self.owed = !self.flights.is_empty();
        }
        news
    }

    /// A restored collector lost these: they are to be sent again.
    pub fn unacknowledge(&mut self, first: u64, last: u64) {
        self.acknowledged.remove(first, last);
        self.out.remove(first, last);
        self.flights.retain(|flight| flight.last < first || flight.first > last);
    }

    /// What to read and send next, if anything.
    pub fn next(&self) -> Option<Wanted> {
        if !self.connected || self.flights.len() >= WINDOW {
            return None;
        }
        if self.live_next <= self.highest {
            return Some(Wanted { lane: Lane::Live, from: self.live_next, to: self.highest });
        }
        let backlog_out = self.flights.iter().filter(|flight| flight.lane == Lane::Backlog).count();
        if backlog_out >= self.backlog_window {
            return None;
        }
        let mut from = self.floor.max(1);
        loop {
            let next = self.out.first_missing(self.acknowledged.first_missing(from));
            if next == from {
                break;
            }
            from = next;
        }
        let end = self.live_next.saturating_sub(1).min(self.highest);
        let stop = |set: &RangeSet| set.first_present(from).map_or(end, |at| at - 1);
        let to = end.min(stop(&self.acknowledged)).min(stop(&self.out));
        (from <= to).then_some(Wanted { lane: Lane::Backlog, from, to })
    }

    /// Sequences that the spool does not have (thinned, or declared lost): nothing to wait for.
    pub fn absent(&mut self, wanted: Wanted, first: u64, last: u64) {
        self.out.insert(first, last);
        if wanted.lane == Lane::Live {
            self.live_next = self.live_next.max(last + 1);
        }
    }

    /// A batch went to the broker.
    pub fn sent(&mut self, lane: Lane, first: u64, last: u64, now: MonotonicMs) {
        if !std::mem::replace(&mut self.owed, true) {
            self.progress_at = now;
        }
        self.out.insert(first, last);
        if lane == Lane::Live {
            self.live_next = last + 1;
        }
        self.flights.push_back(Flight { first, last, lane, sent_at: now });
    }

    /// Time passes; to be called a few times a second. True when the connection must be rebuilt.
    pub fn tick(&mut self, now: MonotonicMs) -> bool {
        while let Some(flight) = self.flights.front().copied().filter(|flight| now.since(flight.sent_at) >= RESEND_AFTER_MS) {
            self.flights.pop_front();
            self.out.remove(flight.first, flight.last);
            if flight.lane == Lane::Backlog {
                self.backlog_window = (self.backlog_window / 2).max(1);
            }
        }
        self.leave_the_old_to_the_backlog(now);
        self.connected && self.owed && self.waits() && now.since(self.progress_at) >= REBUILD_AFTER_MS
    }

    /// True while something is held that the collector has not acknowledged.
    pub fn waits(&self) -> bool {
        self.acknowledged.overlap(self.floor.max(1), self.highest) < (self.highest + 1).saturating_sub(self.floor.max(1))
    }

    fn leave_the_old_to_the_backlog(&mut self, now: MonotonicMs) {
        while let Some((_, then)) = self.marks.pop_front_if(|(at, _)| now.since(*at) >= LIVE_FOR_MS) {
            self.live_next = self.live_next.max(then + 1);
        }
        if self.marks.back().is_none_or(|(at, _)| now.since(*at) >= MARK_EVERY_MS) {
            self.marks.push_back((now, self.highest));
        }
    }

    fn forget_flights(&mut self) {
        self.owed = false;
        for flight in self.flights.drain(..) {
            self.out.remove(flight.first, flight.last);
        }
    }
}

#[cfg(test)]
mod tests;
