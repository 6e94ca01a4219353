//! One channel: its monitors, and the open episode of each of its rules.

use super::past::Past;
use super::{Channel, Observation};
use crate::episode::{Episode, Place, Stages, State};
use crate::life::{Moment, identity};
use crate::rule::{Rule, RuleKind};
use measurement::{ChannelId, Doubt, LimitMonitor, MonotonicMs, Outcome, Timestamp, Unit, Value};
use std::collections::VecDeque;

/// How many closed episodes a rule remembers, so that the same readings judged again make no new one. The
/// oldest is forgotten first; the collector judges a stored reading twice only around a restart.
const REMEMBERED: usize = 64;

/// One channel under judgement. The first fields are all that a quiet reading touches.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: ChannelId,
    /// True while any episode is open: quiet readings take the slow path then.
    pub(super) busy: bool,
    /// True from over-range until a person resets it: low values are not believed.
    pub(super) over_range_latched: bool,
    /// At or beyond this a value counts as over range.
    pub(super) ceiling: f32,
    /// When the last live reading came, or when waiting began.
    pub(super) silent_since: MonotonicMs,
    /// Longer than this is silence; `u64::MAX` when no rule says so.
    pub(super) silence_after_ms: u64,
    /// The newest live reading.
    pub(super) last: Option<(Place, Timestamp)>,
    /// When the present unbroken run of live readings began.
    pub(super) live_since: Timestamp,
    pub(super) limits: Vec<LimitWatch>,
    pub(super) silence: Option<Box<Slot>>,
    pub(super) fault: Option<Box<Slot>>,
    pub(super) not_protecting: Option<Box<Slot>>,
    pub(super) over_range: Option<Box<Slot>>,
    /// The gateway's number.
    pub(super) gateway: usize,
    pub(super) facts: Box<Facts>,
}

/// What is copied into every episode of a channel.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) channel: ChannelId,
    pub(super) gateway: String,
    pub(super) label: String,
    pub(super) unit: Unit,
    pub(super) period_ms: u32,
    pub(super) simulated: bool,
}

/// One limit rule and where the channel stands against it.
#[derive(Debug)]
pub(super) struct LimitWatch {
    /// Fed by live readings only.
    pub(super) monitor: LimitMonitor,
    pub(super) slot: Slot,
}

/// One rule's alarm.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) rule: Rule,
    pub(super) open: Option<Box<Episode>>,
    /// The walk through late readings, while they are beyond the limit.
    pub(super) past: Option<Box<Past>>,
    pub(super) closed: VecDeque<Span>,
}

/// The stretch of a stream that a closed episode covers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    id: u128,
    from: Place,
    to: Place,
}

/// What is known of the reading that opens an episode.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    pub(super) place: Place,
    pub(super) sampled_at: Timestamp,
    pub(super) began_at: Timestamp,
    pub(super) value: Option<Value>,
    pub(super) reason: Option<&'static str>,
    pub(super) unconfirmed: bool,
    pub(super) late: bool,
    pub(super) stages: Stages,
}

impl Opening {
    /// The opening that this reading makes. The condition began `delay_ms` before it at the latest.
    pub(super) fn by(seen: &Observation, delay_ms: u32, late: bool) -> Opening {
        let reason = match seen.outcome {
            Outcome::Good(_) => None,
            Outcome::Uncertain(_, doubt) => Some(doubt.name()),
            Outcome::Bad(fault) => Some(fault.name()),
        };
        Opening {
            place: seen.place,
            sampled_at: seen.sampled_at,
            began_at: seen.sampled_at.plus_ms(-i64::from(delay_ms)),
            value: seen.outcome.value(),
            reason,
            unconfirmed: matches!(seen.outcome, Outcome::Uncertain(_, Doubt::Unconfirmed)),
            late,
            stages: Stages { t2: seen.t2, t3: seen.t3, ..Stages::default() },
        }
    }
}

impl Slot {
    pub(super) fn new(rule: Rule) -> Slot {
        Slot { rule, open: None, past: None, closed: VecDeque::new() }
    }

    pub(super) fn is_active(&self) -> bool {
        self.open.as_ref().is_some_and(|episode| episode.active)
    }

    /// The episode that this opening would make. Not yet settled or told.
    pub(super) fn draft(&self, facts: &Facts, opening: &Opening, moment: &Moment<'_>, repetition: u64) -> Episode {
        let setpoint = match &self.rule.what {
            RuleKind::Limit { limit, .. } => Some(limit.setpoint),
            RuleKind::OverRange { ceiling } => *ceiling,
            RuleKind::Silence { .. } | RuleKind::Fault | RuleKind::NotProtecting => None,
        };
        Episode {
            id: identity(&format!("channel {}", facts.channel.0), &self.rule.id, opening.place, repetition),
            channel: Some(facts.channel),
            gateway: facts.gateway.clone(),
            rule: self.rule.id.clone(),
            kind: self.rule.what.kind(),
            priority: self.rule.priority,
            state: State::Unacknowledged,
            active: true,
            latching: matches!(self.rule.what, RuleKind::OverRange { .. }),
            value: opening.value,
            unit: facts.unit,
            setpoint,
            reason: opening.reason.map(str::to_owned),
            unconfirmed: opening.unconfirmed,
            late: opening.late,
            from_backfill: opening.late,
            opening: opening.place,
            opening_sampled_at: opening.sampled_at,
            returning: None,
            began_at: opening.began_at,
            opened_at: moment.at,
            returned_at: None,
            acknowledged_at: None,
            acknowledged_by: None,
            note: None,
            closed_at: None,
            aside: None,
            suppressed: false,
            stages: opening.stages,
            simulated: facts.simulated,
            unseen: Vec::new(),
        }
    }

    /// Opens an episode, unless these very readings made one before.
    pub(super) fn raise(&mut self, facts: &Facts, opening: &Opening, moment: &mut Moment<'_>) {
        if self.has_judged(opening.place) {
            return;
        }
        let mut episode = Box::new(self.draft(facts, opening, moment, 0));
        episode.raise(moment);
        self.open = Some(episode);
    }

    /// Opens an episode that time makes, not a reading: the same last reading may come before several.
    pub(super) fn raise_by_time(&mut self, facts: &Facts, opening: &Opening, moment: &mut Moment<'_>) {
        let mut repetition = 0;
        let mut episode = self.draft(facts, opening, moment, repetition);
        while self.closed.iter().any(|span| Some(span.id) == number(&episode.id)) {
            repetition += 1;
            episode = self.draft(facts, opening, moment, repetition);
        }
        episode.raise(moment);
        self.open = Some(Box::new(episode));
    }

    /// True when a closed episode covers this place: it was judged before. Only sequence numbers decide,
    /// so a clock that jumps back into an old episode hides nothing.
    pub(super) fn has_judged(&self, place: Place) -> bool {
        let covers = |span: &Span| {
            let one_stream = span.from.epoch == place.epoch && span.to.epoch == place.epoch;
            one_stream && (span.from.sequence..=span.to.sequence).contains(&place.sequence)
        };
        self.closed.iter().any(covers)
    }

    /// Lets go of a closed episode and remembers what it covered.
    pub(super) fn let_go(&mut self) {
        if let Some(episode) = self.open.take_if(|episode| !episode.is_open()) {
            self.remember(&episode);
        }
    }

    pub(super) fn remember(&mut self, episode: &Episode) {
        remember(&mut self.closed, episode);
    }
}

/// Adds what an episode covers to what its rule has judged.
pub(super) fn remember(closed: &mut VecDeque<Span>, episode: &Episode) {
    let Some(id) = number(&episode.id) else { return };
    if closed.len() == REMEMBERED {
        closed.pop_front();
    }
    closed.push_back(Span { id, from: episode.opening, to: episode.returning.unwrap_or(episode.opening) });
}

fn number(id: &str) -> Option<u128> {
    u128::from_str_radix(id, 16).ok()
}

impl Row {
    /// A row without rules; see `registry.rs`.
    pub(super) fn new(channel: &Channel, gateway: usize, now: MonotonicMs) -> Row {
        Row {
            id: channel.id,
            busy: false,
            over_range_latched: false,
            ceiling: f32::INFINITY,
            silent_since: now,
            silence_after_ms: u64::MAX,
            last: None,
            live_since: Timestamp(0),
            limits: Vec::new(),
            silence: None,
            fault: None,
            not_protecting: None,
            over_range: None,
            gateway,
            facts: Box::new(Facts {
                channel: channel.id,
                gateway: channel.gateway.clone(),
                label: channel.label.clone(),
                unit: channel.unit,
                period_ms: channel.period_ms,
                simulated: channel.simulated,
            }),
        }
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        let single = [&self.silence, &self.fault, &self.not_protecting, &self.over_range];
        self.limits.iter().map(|watch| &watch.slot).chain(single.into_iter().filter_map(|slot| slot.as_deref()))
    }

    pub(super) fn slots_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        let single = [&mut self.silence, &mut self.fault, &mut self.not_protecting, &mut self.over_range];
        self.limits.iter_mut().map(|watch| &mut watch.slot).chain(single.into_iter().filter_map(|slot| slot.as_deref_mut()))
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &Episode> {
        self.slots().filter_map(|slot| slot.open.as_deref())
    }

    pub(super) fn open_mut(&mut self) -> impl Iterator<Item = &mut Episode> {
        self.slots_mut().filter_map(|slot| slot.open.as_deref_mut())
    }

    /// Lets go of what is closed and notes whether anything is open.
    pub(super) fn tidy(&mut self) {
        self.slots_mut().for_each(Slot::let_go);
        let busy = self.slots().any(|slot| slot.open.is_some());
        self.busy = busy;
        self.over_range_latched = self.over_range.as_ref().is_some_and(|slot| slot.open.is_some());
    }
}
