//! What people may do to an alarm, and every reason to refuse it.

use super::Engine;
use crate::episode::{Aside, Cause, Episode, Event, SetAside, Transition};
use crate::life::Moment;
use crate::rule::Priority;
use measurement::{MonotonicMs, Timestamp};
use std::fmt;

/// An order to put an alarm aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelving {
    /// How.
    pub how: Aside,
    /// For how long at most.
    pub for_ms: u64,
    /// Who orders it.
    pub who: String,
    /// A second person, whom an urgent alarm needs.
    pub second: Option<String>,
    /// Why.
    pub reason: String,
}

/// Why an order was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusedOrder {
    /// No open alarm has this id.
    NotOpen(String),
    /// Somebody was faster.
    AlreadyAcknowledged {
        /// Who.
        by: String,
    },
    /// Orders are in somebody's name.
    NobodyNamed,
    /// It needs a reason.
    NoReason,
    /// It would be away for longer than a shift.
    TooLong {
        /// The longest time allowed.
        longest_ms: u64,
    },
    /// An urgent alarm is put aside by two people.
    NeedsSecondPerson,
    /// It is put aside already.
    AlreadyAside,
    /// It is not put aside.
    NotAside,
    /// It does not latch.
    NotLatching,
    /// Its condition still holds.
    StillActive,
}

impl fmt::Display for RefusedOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefusedOrder::NotOpen(id) => write!(f, "no open alarm has the id {id}"),
            RefusedOrder::AlreadyAcknowledged { by } => write!(f, "the alarm was already acknowledged by {by}"),
            RefusedOrder::NobodyNamed => write!(f, "an order needs the name of the person who gives it"),
            RefusedOrder::NoReason => write!(f, "putting an alarm aside or resetting it needs a reason"),
            RefusedOrder::TooLong { longest_ms } => {
                write!(f, "an alarm may be put aside for 1 to {} minutes", longest_ms / 60_000)
            }
            RefusedOrder::NeedsSecondPerson => write!(f, "an urgent alarm is put aside only by two different people"),
            RefusedOrder::AlreadyAside => write!(f, "the alarm is shelved or out of service already"),
            RefusedOrder::NotAside => write!(f, "the alarm is neither shelved nor out of service"),
            RefusedOrder::NotLatching => write!(f, "the alarm does not latch, so there is nothing to reset"),
            RefusedOrder::StillActive => write!(f, "the condition still holds; reset it when the reading is back in range"),
        }
    }
}

impl std::error::Error for RefusedOrder {}

impl Engine {
    /// A person has seen the alarm. Returns it as it is afterwards.
    pub fn acknowledge(
        &mut self,
        id: &str,
        who: &str,
        note: &str,
        at: Timestamp,
        out: &mut Vec<Transition>,
    ) -> Result<Episode, RefusedOrder> {
        self.order(id, who, at, out, |episode, moment| {
            if episode.acknowledged_at.is_some() {
                return Err(RefusedOrder::AlreadyAcknowledged { by: episode.acknowledged_by.clone().unwrap_or_default() });
            }
            episode.acknowledge(moment, who, note);
            Ok(())
        })
    }

    /// Puts an alarm aside for a while. It is still judged and recorded.
    pub fn shelve(
        &mut self,
        id: &str,
        order: &Shelving,
        now: MonotonicMs,
        at: Timestamp,
        out: &mut Vec<Transition>,
    ) -> Result<Episode, RefusedOrder> {
        let out_of_service = order.how == Aside::OutOfService;
        let longest_ms = self.longest_ms(order.how);
        let shelved = self.order(id, &order.who, at, out, |episode, moment| {
            if order.reason.trim().is_empty() {
                return Err(RefusedOrder::NoReason);
            }
            if order.for_ms == 0 || order.for_ms > longest_ms {
                return Err(RefusedOrder::TooLong { longest_ms });
            }
            if episode.aside.is_some() {
                return Err(RefusedOrder::AlreadyAside);
            }
            let seconded = order.second.as_deref().is_some_and(|second| !second.trim().is_empty() && second != order.who);
            if episode.priority == Priority::Urgent && !seconded {
                return Err(RefusedOrder::NeedsSecondPerson);
            }
            episode.aside = Some(SetAside {
                how: order.how,
                by: order.who.clone(),
                second: order.second.clone(),
                reason: order.reason.clone(),
                until: at.plus_ms(order.for_ms as i64),
            });
            episode.settle();
            let event = if out_of_service { Event::TakenOutOfService } else { Event::Shelved };
            moment.tell_of(episode, event, Some(&order.who), Some(&order.reason));
            Ok(())
        })?;
        // Its end is promised to people by the wall clock and kept by the monotonic one.
        self.shelves.insert(id.to_owned(), MonotonicMs(now.0.saturating_add(order.for_ms)));
        Ok(shelved)
    }

    /// Takes an alarm back from the shelf or from maintenance before its time.
    pub fn unshelve(&mut self, id: &str, who: &str, note: &str, at: Timestamp, out: &mut Vec<Transition>) -> Result<Episode, RefusedOrder> {
        self.order(id, who, at, out, |episode, moment| {
            if episode.aside.is_none() {
                return Err(RefusedOrder::NotAside);
            }
            episode.take_back(moment, Some(who), note);
            Ok(())
        })
    }

    /// A person says that a latched condition is over: the instrument was looked at. Acknowledges it too
    /// when nobody has.
    pub fn reset(&mut self, id: &str, who: &str, note: &str, at: Timestamp, out: &mut Vec<Transition>) -> Result<Episode, RefusedOrder> {
        self.order(id, who, at, out, |episode, moment| {
            if !episode.latching {
                return Err(RefusedOrder::NotLatching);
            }
            if note.trim().is_empty() {
                return Err(RefusedOrder::NoReason);
            }
            // An identity conflict has no reading that could end it.
            if episode.active && episode.channel.is_some() {
                return Err(RefusedOrder::StillActive);
            }
            if episode.acknowledged_at.is_none() {
                episode.acknowledge(moment, who, note);
            }
            episode.close_by(moment, Event::Reset, Some(who), note);
            Ok(())
        })
    }

    fn order(
        &mut self,
        id: &str,
        who: &str,
        at: Timestamp,
        out: &mut Vec<Transition>,
        act: impl FnOnce(&mut Episode, &mut Moment<'_>) -> Result<(), RefusedOrder>,
    ) -> Result<Episode, RefusedOrder> {
        if who.trim().is_empty() {
            return Err(RefusedOrder::NobodyNamed);
        }
        let Some(about) = self.open.get(id).copied() else { return Err(RefusedOrder::NotOpen(id.to_owned())) };
        let Some(episode) = self.episode_mut(id) else { return Err(RefusedOrder::NotOpen(id.to_owned())) };
        let already = out.len();
        act(episode, &mut Moment { at, cause: Cause::Person, out })?;
        let after = episode.clone();
        match about {
            super::About::Channel(channel) => {
                if let Some(row) = self.row_number(channel) {
                    self.rows[row].tidy();
                }
            }
            super::About::Gateway(gateway) => self.gateways[gateway].let_go(),
        }
        self.remember(&out[already..]);
        Ok(after)
    }

    /// Takes back what has been aside for its time.
    pub(super) fn take_back_from_shelves(&mut self, now: MonotonicMs, moment: &mut Moment<'_>) {
        if self.shelves.is_empty() {
            return;
        }
        let mut over: Vec<String> = self.shelves.iter().filter(|(_, until)| **until <= now).map(|(id, _)| id.clone()).collect();
        over.sort();
        for id in over {
            self.shelves.remove(&id);
            if let Some(episode) = self.episode_mut(&id) {
                episode.take_back(moment, None, "its time on the shelf is over");
            }
        }
    }

    /// Shelves of an earlier run. Their end was promised by the wall clock; whatever that clock says now,
    /// nothing stays away longer than the longest time allowed.
    pub(super) fn resume_shelves(&mut self, now: MonotonicMs, at: Timestamp) {
        let aside = self.open_episodes().filter_map(|episode| Some((episode.id.clone(), episode.aside.clone()?)));
        let aside: Vec<(String, SetAside)> = aside.collect();
        for (id, aside) in aside {
            let left_ms = aside.until.since(at).clamp(0, self.longest_ms(aside.how) as i64);
            self.shelves.insert(id, MonotonicMs(now.0.saturating_add(left_ms as u64)));
        }
    }

    fn longest_ms(&self, how: Aside) -> u64 {
        if how == Aside::OutOfService { self.config.longest_out_of_service_ms } else { self.config.longest_shelf_ms }
    }
}
