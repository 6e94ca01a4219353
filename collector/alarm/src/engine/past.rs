//! What a late reading does: it may raise, it may tell when something began or ended that only late
//! readings know of, and it never clears or refreshes anything live.
//!
//! Backfill comes oldest first, so each limit walks it with a monitor of its own. Before and after are
//! decided by sequence numbers within a stream; a stream older than the live one lies before it.

use super::Observation;
use super::live::{as_compared, is_over_range};
use super::row::{Facts, LimitWatch, Opening, Row, Slot};
use crate::episode::{Episode, Event, Place};
use crate::life::Moment;
use measurement::{Crossing, Doubt, Limit, LimitMonitor, MonotonicMs, Outcome, Timestamp, Value};

/// A walk through late readings that has come beyond the limit.
#[derive(Debug)]
pub(super) struct Past {
    monitor: LimitMonitor,
    last: Place,
    heard: MonotonicMs,
    pub(super) sampled_at: Timestamp,
    /// Where the walk crossed, when that moved an open episode's beginning: it may yet turn out to be an
    /// excursion of its own.
    moved: Option<Opening>,
}

impl Past {
    /// The walk that raised an open episode, taken up after a restart.
    pub(super) fn resumed(limit: Limit, episode: &Episode, now: MonotonicMs) -> Past {
        let monitor = LimitMonitor::resumed(limit, true);
        Past { monitor, last: episode.opening, heard: now, sampled_at: episode.opening_sampled_at, moved: None }
    }

    /// True when no late reading came for so long that backfill may be over.
    pub(super) fn has_paused(&self, now: MonotonicMs, pause_ms: u64) -> bool {
        now.since(self.heard) >= pause_ms
    }
}

impl Row {
    pub(super) fn judge_late(&mut self, seen: &Observation, moment: &mut Moment<'_>) {
        let (value, doubt) = match seen.outcome {
            Outcome::Good(value) => (value, None),
            Outcome::Uncertain(value, doubt) => (value, Some(doubt)),
            // A fault in the past clears nothing, and whether one holds now only a live reading can say.
            Outcome::Bad(_) => return,
        };
        let live_epoch = self.last.map_or(seen.place.epoch, |(place, _)| place.epoch);
        let over = is_over_range(value, doubt, self.ceiling);
        let mut changed = self.busy;
        if let Some(slot) = &mut self.over_range {
            changed |= judge_over_range(slot, &self.facts, over, seen, live_epoch, moment);
        }
        for watch in &mut self.limits {
            changed |= watch.walk(&self.facts, value, doubt, over, seen, live_epoch, moment);
        }
        if changed {
            self.tidy();
        }
    }
}

/// True when anything may have opened.
fn judge_over_range(slot: &mut Slot, facts: &Facts, over: bool, seen: &Observation, live_epoch: u64, moment: &mut Moment<'_>) -> bool {
    let judged = slot.has_judged(seen.place);
    match slot.open.as_deref_mut() {
        None if over && !judged => slot.raise(facts, &Opening::by(seen, 0, true), moment),
        Some(episode) if over && is_before(seen.place, episode.opening, live_epoch) => move_began_at(episode, seen.sampled_at, moment),
        Some(episode) if over && !episode.active && !judged && !lies_within(seen.place, episode) => episode.reraise(moment, true),
        Some(episode) if !over && episode.active && episode.from_backfill && !is_before(seen.place, episode.opening, live_epoch) => {
            episode.end(moment, seen.sampled_at, Some(seen.place));
        }
        _ => return false,
    }
    true
}

impl LimitWatch {
    /// True when anything may have opened or closed.
    #[expect(clippy::too_many_arguments, reason = "one late reading with all that is already known about it")]
    fn walk(
        &mut self,
        facts: &Facts,
        value: Value,
        doubt: Option<Doubt>,
        over: bool,
        seen: &Observation,
        live_epoch: u64,
        moment: &mut Moment<'_>,
    ) -> bool {
        let limit = *self.monitor.limit();
        let value = as_compared(&limit, value, over);
        let goes_on = |past: &Past| past.last.epoch == seen.place.epoch && past.last.sequence < seen.place.sequence;
        let mut past = match self.slot.past.take().filter(|past| goes_on(past)) {
            Some(past) => past,
            None if !limit.is_beyond(value) => return false,
            None => Box::new(Past {
                monitor: LimitMonitor::new(limit),
                last: seen.place,
                heard: seen.now,
                sampled_at: seen.sampled_at,
                moved: None,
            }),
        };
        (past.last, past.heard, past.sampled_at) = (seen.place, seen.now, seen.sampled_at);
        match past.monitor.observe(value, seen.sampled_at) {
            Some(Crossing::Exceeded) => self.crossed(&mut past, facts, &limit, seen, live_epoch, moment),
            Some(Crossing::ReturnedToNormal) => self.returned(&mut past, facts, seen, live_epoch, moment),
            None => self.confirm(doubt, value, &limit, moment),
        }
        if past.monitor.is_exceeded() || limit.is_beyond(value) {
            self.slot.past = Some(past);
        }
        true
    }

    fn crossed(&mut self, past: &mut Past, facts: &Facts, limit: &Limit, seen: &Observation, live_epoch: u64, moment: &mut Moment<'_>) {
        let opening = Opening::by(seen, limit.on_delay_ms, true);
        if self.slot.has_judged(seen.place) {
            return;
        }
        match self.slot.open.as_deref_mut() {
            None => self.slot.raise(facts, &opening, moment),
            Some(episode) if is_before(seen.place, episode.opening, live_epoch) => {
                move_began_at(episode, opening.began_at, moment);
                past.moved = Some(opening);
            }
            Some(episode) if !episode.active && !lies_within(seen.place, episode) => episode.reraise(moment, true),
            Some(_) => {}
        }
    }

    fn returned(&mut self, past: &mut Past, facts: &Facts, seen: &Observation, live_epoch: u64, moment: &mut Moment<'_>) {
        let moved = past.moved.take();
        let Some(episode) = self.slot.open.as_deref_mut() else { return };
        let ends_before = is_before(seen.place, episode.opening, live_epoch);
        match moved {
            // It ended before the open episode began: an excursion of its own after all.
            Some(opening) if ends_before => {
                episode.began_at = episode.opening_sampled_at.plus_ms(-i64::from(self.monitor.limit().on_delay_ms));
                moment.tell(episode, Event::BeganAtMoved);
                self.record_closed(facts, &opening, seen, moment);
            }
            _ if episode.active && episode.from_backfill && !ends_before => episode.end(moment, seen.sampled_at, Some(seen.place)),
            _ => {}
        }
    }

    fn record_closed(&mut self, facts: &Facts, opening: &Opening, seen: &Observation, moment: &mut Moment<'_>) {
        let mut episode = self.slot.draft(facts, opening, moment, 0);
        episode.active = false;
        episode.from_backfill = false;
        episode.returned_at = Some(seen.sampled_at);
        episode.returning = Some(seen.place);
        episode.closed_at = Some(seen.sampled_at);
        episode.settle();
        moment.tell(&episode, Event::RecordedLate);
        moment.tell(&episode, Event::Cleared);
        self.slot.remember(&episode);
    }

    fn confirm(&mut self, doubt: Option<Doubt>, value: Value, limit: &Limit, moment: &mut Moment<'_>) {
        let open = self.slot.open.as_deref_mut();
        if let Some(episode) =
            open.filter(|episode| episode.from_backfill && episode.unconfirmed && doubt.is_none() && limit.is_beyond(value))
        {
            episode.unconfirmed = false;
            moment.tell(episode, Event::Confirmed);
        }
    }
}

fn move_began_at(episode: &mut Episode, began_at: Timestamp, moment: &mut Moment<'_>) {
    if began_at < episode.began_at {
        episode.began_at = began_at;
        moment.tell(episode, Event::BeganAtMoved);
    }
}

fn is_before(place: Place, other: Place, live_epoch: u64) -> bool {
    if place.epoch == other.epoch { place.sequence < other.sequence } else { other.epoch == live_epoch }
}

/// True when an episode that has returned covers this place.
fn lies_within(place: Place, episode: &Episode) -> bool {
    let until = episode.returning.unwrap_or(episode.opening);
    place.epoch == episode.opening.epoch
        && place.epoch == until.epoch
        && (episode.opening.sequence..=until.sequence).contains(&place.sequence)
}
