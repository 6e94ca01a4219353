//! What must hold of any list of transitions, as named functions. Tests and the simulation call them.
//!
//! A list is everything an engine told since nothing was open, in order, across its restarts: an episode
//! that is not seen opening is a finding.

use crate::episode::{Cause, Episode, Event, State, Transition};
use std::collections::HashMap;
use std::fmt;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    /// Where in the list.
    pub at: usize,
    /// The transition that broke it.
    pub transition: Box<Transition>,
    /// What should hold.
    pub rule: &'static str,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Transition { episode, event, cause, .. } = &*self.transition;
        let (id, rule, state) = (&episode.id, &episode.rule, episode.state);
        write!(f, "{}: transition {}, {event:?} by {cause:?} of {rule} {id}, now {state:?}", self.rule, self.at)
    }
}

impl std::error::Error for Broken {}

/// Every invariant.
pub fn all(transitions: &[Transition]) -> Result<(), Broken> {
    the_state_is_what_the_facts_amount_to(transitions)?;
    one_open_episode_for_each_rule(transitions)?;
    every_event_is_legal_where_it_happens(transitions)?;
    cleared_is_the_last_event(transitions)?;
    late_readings_end_only_what_late_readings_tell(transitions)?;
    late_means_not_seen_live(transitions)
}

/// The state an episode shows follows from what is written beside it, and a closed one is over.
pub fn the_state_is_what_the_facts_amount_to(transitions: &[Transition]) -> Result<(), Broken> {
    each(transitions, "the state is what the facts amount to", |_, told| {
        let mut settled = told.episode.clone();
        settled.settle();
        let episode = &told.episode;
        let over = !episode.active && episode.returned_at.is_some() && episode.aside.is_none() && !episode.suppressed;
        settled.state == episode.state && (episode.is_open() || over) && (episode.active || !episode.from_backfill)
    })
}

/// A channel, or a gateway, has at most one open episode of a rule.
pub fn one_open_episode_for_each_rule(transitions: &[Transition]) -> Result<(), Broken> {
    let mut open = HashMap::new();
    each(transitions, "a rule has at most one open episode", |_, told| {
        let Episode { id, channel, gateway, rule, .. } = &told.episode;
        let about = (*channel, channel.is_none().then_some(gateway.as_str()), rule.as_str());
        let holder = open.get(&about).copied();
        if told.episode.is_open() {
            open.insert(about, id.as_str());
            return holder.is_none_or(|holder| holder == id);
        }
        if holder == Some(id.as_str()) {
            open.remove(&about);
        }
        true
    })
}

/// Each event leads from a state in which it may happen to a state to which it may lead: the graph of
/// ISA-18.2. No episode opens twice.
pub fn every_event_is_legal_where_it_happens(transitions: &[Transition]) -> Result<(), Broken> {
    each(transitions, "an event leads along the life of ISA-18.2", |before, told| {
        let state = before.map(|before| before.state);
        is_legal(state, told.event, told.episode.state)
    })
}

/// What closes says `Cleared` at once, and nothing comes after it.
pub fn cleared_is_the_last_event(transitions: &[Transition]) -> Result<(), Broken> {
    let rule = "what closes says Cleared at once, and that is its last event";
    let mut last: HashMap<&str, (usize, &Transition)> = HashMap::new();
    for (at, told) in transitions.iter().enumerate() {
        let before = last.insert(&told.episode.id, (at, told)).map(|(_, before)| before);
        let is_due = before.is_some_and(|before| !before.episode.is_open() && before.event != Event::Cleared);
        let is_over = before.is_some_and(|before| before.event == Event::Cleared);
        if is_over || is_due != (told.event == Event::Cleared) {
            return Err(Broken { at, transition: Box::new(told.clone()), rule });
        }
    }
    match last.into_values().find(|(_, told)| !told.episode.is_open() && told.event != Event::Cleared) {
        Some((at, told)) => Err(Broken { at, transition: Box::new(told.clone()), rule }),
        None => Ok(()),
    }
}

/// A late reading never ends, acknowledges or silences what a live reading holds.
pub fn late_readings_end_only_what_late_readings_tell(transitions: &[Transition]) -> Result<(), Broken> {
    each(transitions, "a late reading ends only what late readings tell", |before, told| {
        if told.cause != Cause::Late {
            return true;
        }
        let untouched = before
            .is_none_or(|before| before.from_backfill || !before.active || (told.episode.active && told.episode.state == before.state));
        let of_late_readings = matches!(
            told.event,
            Event::Raised
                | Event::RecordedLate
                | Event::Reraised
                | Event::Confirmed
                | Event::BeganAtMoved
                | Event::Returned
                | Event::Latched
                | Event::Unshelved
                | Event::Cleared
        );
        of_late_readings && untouched && (before.is_some() || told.episode.late)
    })
}

/// An episode is late from its opening by a late reading until a live one raises it, and not a moment longer:
/// an alarm that is late does not ring.
pub fn late_means_not_seen_live(transitions: &[Transition]) -> Result<(), Broken> {
    each(transitions, "an alarm is late until it is seen live", |before, told| {
        let raises = matches!(told.event, Event::Raised | Event::RecordedLate | Event::Reraised | Event::BecameLive);
        match (raises, told.cause) {
            (true, Cause::Late) => told.episode.from_backfill == told.episode.active && told.episode.late == before.is_none_or(|b| b.late),
            (true, _) => !told.episode.late && !told.episode.from_backfill,
            (false, _) => before.is_none_or(|before| before.late == told.episode.late),
        }
    })
}

/// Goes through the list with each episode as it was before.
fn each<'a>(
    transitions: &'a [Transition],
    rule: &'static str,
    mut holds: impl FnMut(Option<&'a Episode>, &'a Transition) -> bool,
) -> Result<(), Broken> {
    let mut before: HashMap<&str, &Episode> = HashMap::new();
    for (at, told) in transitions.iter().enumerate() {
        if !holds(before.get(told.episode.id.as_str()).copied(), told) {
            return Err(Broken { at, transition: Box::new(told.clone()), rule });
        }
        before.insert(&told.episode.id, &told.episode);
    }
    Ok(())
}

/// The graph. What a person put aside stays aside while its condition comes and goes.
fn is_legal(before: Option<State>, event: Event, after: State) -> bool {
    use State::*;
    let Some(before) = before else {
        return matches!((event, after), (Event::Raised, Unacknowledged) | (Event::RecordedLate, Normal));
    };
    if before == Normal {
        return event == Event::Cleared && after == Normal;
    }
    let same = before == after;
    let aside = |state| matches!(state, Shelved | OutOfService);
    let stays_aside = aside(before) && same;
    match event {
        Event::Raised | Event::RecordedLate | Event::Cleared => false,
        Event::BecameLive | Event::Confirmed | Event::BeganAtMoved | Event::RuleChanged => same,
        Event::Reraised => {
            stays_aside || after == Unacknowledged && matches!(before, ReturnedUnacknowledged | LatchedUnacknowledged | LatchedAcknowledged)
        }
        Event::Returned => match before {
            Unacknowledged => matches!(after, ReturnedUnacknowledged | Normal),
            Acknowledged => after == Normal,
            Suppressed => matches!(after, ReturnedUnacknowledged | Normal),
            // Shelved until it returns, it comes back with its return.
            Shelved => matches!(after, Shelved | ReturnedUnacknowledged | Normal),
            OutOfService => matches!(after, OutOfService | Normal),
            _ => false,
        },
        Event::Latched => match before {
            Unacknowledged => after == LatchedUnacknowledged,
            Acknowledged => after == LatchedAcknowledged,
            Shelved => matches!(after, Shelved | LatchedUnacknowledged | LatchedAcknowledged),
            OutOfService => same,
            _ => false,
        },
        Event::Acknowledged => match before {
            Unacknowledged => after == Acknowledged,
            ReturnedUnacknowledged => after == Normal,
            LatchedUnacknowledged => after == LatchedAcknowledged,
            Suppressed => same,
            Shelved | OutOfService => same || after == Normal,
            _ => false,
        },
        Event::Reset | Event::Withdrawn => after == Normal,
        Event::Shelved => after == Shelved && !aside(before),
        Event::TakenOutOfService => after == OutOfService && !aside(before),
        // The return of what was shelved until then has told the new state already.
        Event::Unshelved => (before == Shelved || same) && !aside(after) && after != Normal,
        Event::BackInService => before == OutOfService && !aside(after) && after != Normal,
        Event::Suppressed => stays_aside || after == Suppressed && matches!(before, Unacknowledged | Acknowledged),
        Event::Unsuppressed => stays_aside || before == Suppressed && matches!(after, Unacknowledged | Acknowledged),
    }
}

#[cfg(test)]
mod tests;
