//! What a live reading does: the only thing that clears an alarm, and it needs a value to do so.

use super::Observation;
use super::row::{Facts, LimitWatch, Opening, Row, Slot};
use crate::episode::{Event, Place};
use crate::life::Moment;
use measurement::{Crossing, Direction, Doubt, Fault, Limit, LimitMonitor, Outcome, Timestamp, Value};

impl Row {
    /// True when this place lies beyond every live reading before it. Anything else is judged as late.
    pub(super) fn is_news(&self, place: Place) -> bool {
        self.last.is_none_or(|(last, _)| place.epoch != last.epoch || place.sequence > last.sequence)
    }

    /// Takes a reading that changes nothing. False when it might: then it must be judged.
    pub(super) fn observe_quietly(&mut self, seen: &Observation) -> bool {
        let Outcome::Good(value) = seen.outcome else { return false };
        if self.busy || value.get() >= self.ceiling {
            return false;
        }
        let steady = steady(seen);
        for watch in &mut self.limits {
            if watch.monitor.is_exceeded() || watch.monitor.limit().is_beyond(value) {
                return false;
            }
            watch.monitor.observe(value, steady);
        }
        self.hear(seen);
        true
    }

    pub(super) fn judge_live(&mut self, seen: &Observation, backfill_pause_ms: u64, moment: &mut Moment<'_>) {
        self.hear(seen);
        // Even a fault proves that somebody is there again; the fault's own alarm takes over below.
        if let Some(slot) = &mut self.silence {
            end_if_active(slot, seen, moment);
        }
        match seen.outcome {
            Outcome::Bad(fault) => self.judge_fault(fault, seen, moment),
            Outcome::Good(value) => self.judge_value(value, None, seen, backfill_pause_ms, moment),
            Outcome::Uncertain(value, doubt) => self.judge_value(value, Some(doubt), seen, backfill_pause_ms, moment),
        }
        self.tidy();
    }

    fn hear(&mut self, seen: &Observation) {
        let broken = seen.now.since(self.silent_since) > 3 * u64::from(self.facts.period_ms) + 1000;
        if broken || self.last.is_none() {
            self.live_since = seen.sampled_at;
            self.restart_off_delays();
        }
        self.silent_since = seen.now;
        self.last = Some((seen.place, seen.sampled_at));
    }

    fn judge_fault(&mut self, fault: Fault, seen: &Observation, moment: &mut Moment<'_>) {
        let slot = if is_not_protecting(fault) { &mut self.not_protecting } else { &mut self.fault };
        if let Some(slot) = slot {
            raise_or_reraise(slot, &self.facts, &Opening::by(seen, 0, false), moment);
        }
        self.restart_off_delays();
    }

    /// A value must stay inside the release for the whole off-delay; a fault or a hole in between proves
    /// nothing.
    fn restart_off_delays(&mut self) {
        for watch in &mut self.limits {
            if watch.monitor.is_exceeded() {
                watch.monitor = LimitMonitor::resumed(*watch.monitor.limit(), true);
            }
        }
    }

    fn judge_value(&mut self, value: Value, doubt: Option<Doubt>, seen: &Observation, pause_ms: u64, moment: &mut Moment<'_>) {
        // What was read only once may raise an alarm; it ends none.
        let is_proof = doubt != Some(Doubt::Unconfirmed);
        for slot in [&mut self.fault, &mut self.not_protecting].into_iter().flatten().filter(|_| is_proof) {
            end_if_active(slot, seen, moment);
        }
        let over = is_over_range(value, doubt, self.ceiling);
        if let Some(slot) = &mut self.over_range {
            match (over, is_proof) {
                // It counts as high below, and latches once it is confirmed.
                (_, false) => {}
                (true, true) => raise_or_reraise(slot, &self.facts, &Opening::by(seen, 0, false), moment),
                (false, true) => end_if_active(slot, seen, moment),
            }
            self.over_range_latched = slot.open.is_some();
        }
        // Once over range, a catalytic bead reads low for want of oxygen: until a person resets it, it
        // counts as high whatever it says.
        let counts_as_high = over || self.over_range_latched;
        for watch in &mut self.limits {
            let compared = as_compared(watch.monitor.limit(), value, counts_as_high);
            if is_proof || !watch.monitor.is_exceeded() || !watch.monitor.limit().is_released(compared) {
                watch.judge(&self.facts, compared, seen, self.live_since, pause_ms, moment);
            }
        }
    }
}

impl LimitWatch {
    fn judge(&mut self, facts: &Facts, value: Value, seen: &Observation, live_since: Timestamp, pause_ms: u64, moment: &mut Moment<'_>) {
        let crossing = self.monitor.observe(value, steady(seen));
        let limit = *self.monitor.limit();
        match crossing {
            Some(Crossing::Exceeded) => {
                raise_or_reraise(&mut self.slot, facts, &Opening::by(seen, limit.on_delay_ms, false), moment);
            }
            Some(Crossing::ReturnedToNormal) => end_if_active(&mut self.slot, seen, moment),
            None => self.judge_standing(value, seen, live_since, pause_ms, moment),
        }
    }

    /// What a reading that crosses nothing still says about an open episode.
    fn judge_standing(&mut self, value: Value, seen: &Observation, live_since: Timestamp, pause_ms: u64, moment: &mut Moment<'_>) {
        let limit = *self.monitor.limit();
        let Some(episode) = self.slot.open.as_deref_mut().filter(|episode| episode.active) else { return };
        if episode.from_backfill {
            if self.monitor.is_exceeded() {
                episode.become_live(moment);
            } else if limit.is_released(value) && self.slot.past.as_ref().is_none_or(|past| past.has_paused(seen.now, pause_ms)) {
                // Backfill ended while beyond the limit: the truth's next reading is the first of this live run.
                let first_live = self.slot.past.take().is_some_and(|past| past.sampled_at < live_since);
                episode.end(moment, if first_live { live_since } else { seen.sampled_at }, Some(seen.place));
            }
        } else if episode.unconfirmed && matches!(seen.outcome, Outcome::Good(_)) && limit.is_beyond(value) {
            episode.unconfirmed = false;
            moment.tell(episode, Event::Confirmed);
        }
    }
}

/// The collector's monotonic time at which the reading was sampled. Delays run on this, so that no stepped
/// wall clock lengthens or shortens one.
fn steady(seen: &Observation) -> Timestamp {
    Timestamp((seen.now.0 as i64).saturating_sub(i64::from(seen.age_ms)))
}

/// The value as a limit compares it: over range counts as high, whatever the number says.
pub(super) fn as_compared(limit: &Limit, value: Value, counts_as_high: bool) -> Value {
    if counts_as_high && limit.direction == Direction::High { value.max(limit.setpoint) } else { value }
}

pub(super) fn is_over_range(value: Value, doubt: Option<Doubt>, ceiling: f32) -> bool {
    value.get() >= ceiling || matches!(doubt, Some(Doubt::OverRange | Doubt::OverRangeLatched))
}

/// Faults by which an instrument says itself that it is not measuring, rather than that it is broken.
fn is_not_protecting(fault: Fault) -> bool {
    matches!(fault, Fault::WarmUp | Fault::NotYetRead | Fault::Inhibited | Fault::OutOfService)
}

fn raise_or_reraise(slot: &mut Slot, facts: &Facts, opening: &Opening, moment: &mut Moment<'_>) {
    match slot.open.as_deref_mut() {
        None => slot.raise(facts, opening, moment),
        Some(episode) if !episode.active => episode.reraise(moment, false),
        Some(episode) if episode.from_backfill => episode.become_live(moment),
        Some(_) => {}
    }
}

fn end_if_active(slot: &mut Slot, seen: &Observation, moment: &mut Moment<'_>) {
    if let Some(episode) = slot.open.as_deref_mut().filter(|episode| episode.active) {
        episode.end(moment, seen.sampled_at, Some(seen.place));
    }
}
