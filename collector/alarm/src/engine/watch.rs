//! What time makes: silence, lost gateways, and alarms that come back from the shelf.
//!
//! All of it runs on the collector's monotonic clock. A gateway that says nothing is one alarm that lists
//! what is unseen, and the silence of its channels is folded under it.

use super::row::{Opening, Row};
use super::{Engine, Place};
use crate::episode::{Cause, Episode, Stages, State, Transition};
use crate::life::{Moment, identity};
use crate::rule::{Kind, Priority, RuleKind};
use measurement::{MonotonicMs, Timestamp, Unit};

/// The rule id of a lost gateway's alarm.
const GATEWAY_LOST: &str = "gateway-lost";
/// The rule id of the alarm about two gateways with one identity.
const IDENTITY: &str = "gateway-identity";

#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) name: String,
    pub(super) rows: Vec<usize>,
    pub(super) heard: MonotonicMs,
    /// When it was heard by the wall clock; `None` when never since the start.
    pub(super) heard_at: Option<Timestamp>,
    pub(super) lost: Option<Box<Episode>>,
    pub(super) identity: Option<Box<Episode>>,
}

impl Gateway {
    pub(super) fn new(name: &str, now: MonotonicMs) -> Gateway {
        Gateway { name: name.to_owned(), rows: Vec::new(), heard: now, heard_at: None, lost: None, identity: None }
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &Episode> {
        [&self.lost, &self.identity].into_iter().filter_map(|episode| episode.as_deref())
    }

    pub(super) fn open_mut(&mut self) -> impl Iterator<Item = &mut Episode> {
        [&mut self.lost, &mut self.identity].into_iter().filter_map(|episode| episode.as_deref_mut())
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.as_ref().is_some_and(|episode| episode.active)
    }

    pub(super) fn let_go(&mut self) {
        for open in [&mut self.lost, &mut self.identity] {
            open.take_if(|episode| !episode.is_open());
        }
    }

    fn draft(&self, kind: Kind, priority: Priority, opening: Place, began_at: Timestamp, at: Timestamp) -> Episode {
        let rule = if kind == Kind::Identity { IDENTITY } else { GATEWAY_LOST };
        Episode {
            id: identity(&format!("gateway {}", self.name), rule, opening, began_at.0 as u64),
            channel: None,
            gateway: self.name.clone(),
            rule: rule.to_owned(),
            kind,
            priority,
            state: State::Unacknowledged,
            active: true,
            latching: kind == Kind::Identity,
            value: None,
            unit: Unit::None,
            setpoint: None,
            reason: None,
            unconfirmed: false,
            late: false,
            from_backfill: false,
            opening,
            opening_sampled_at: began_at,
            returning: None,
            began_at,
            opened_at: at,
            returned_at: None,
            acknowledged_at: None,
            acknowledged_by: None,
            note: None,
            closed_at: None,
            aside: None,
            suppressed: false,
            stages: Stages::default(),
            simulated: false,
            unseen: Vec::new(),
        }
    }
}

impl Engine {
    /// Something came from this gateway: a batch of either lane or a status. Its channels' waiting starts
    /// anew when it had been lost.
    pub fn gateway_heard(&mut self, gateway: &str, now: MonotonicMs, at: Timestamp, out: &mut Vec<Transition>) {
        let Some(&number) = self.gateway_rows.get(gateway) else { return };
        let gateway = &mut self.gateways[number];
        gateway.heard = now;
        gateway.heard_at = Some(at);
        if !gateway.is_lost() {
            return;
        }
        let already = out.len();
        let mut moment = Moment { at, cause: Cause::Live, out };
        if let Some(lost) = &mut gateway.lost {
            lost.end(&mut moment, at, None);
        }
        gateway.let_go();
        for &row in &gateway.rows {
            let row = &mut self.rows[row];
            row.silent_since = row.silent_since.max(now);
            row.fold_silence(&mut moment, false);
        }
        self.remember(&out[already..]);
    }

    /// Two gateways claim one identity, or the same reading came with another content. Only a person's
    /// reset closes this.
    pub fn identity_conflict(&mut self, gateway: &str, what: &str, opening: Place, at: Timestamp, out: &mut Vec<Transition>) {
        let Some(&number) = self.gateway_rows.get(gateway) else { return };
        let gateway = &mut self.gateways[number];
        if gateway.identity.is_some() {
            return;
        }
        let already = out.len();
        let mut episode = gateway.draft(Kind::Identity, self.config.identity, opening, at, at);
        episode.reason = Some(what.to_owned());
        // The conflict is a fact, not a condition that ends by itself: it waits for the reset at once.
        episode.raise(&mut Moment { at, cause: Cause::Live, out });
        gateway.identity = Some(Box::new(episode));
        self.remember(&out[already..]);
    }

    /// True while this gateway's alarm of being lost is active.
    pub fn gateway_is_lost(&self, gateway: &str) -> bool {
        self.gateway_rows.get(gateway).is_some_and(|number| self.gateways[*number].is_lost())
    }

    /// Time passes. To be called at least once a second: `now` drives silence and shelves, `at` is only
    /// written beside what happens.
    pub fn tick(&mut self, now: MonotonicMs, at: Timestamp, out: &mut Vec<Transition>) {
        let already = out.len();
        let mut moment = Moment { at, cause: Cause::Time, out };
        self.look_for_lost_gateways(now, &mut moment);
        if now.since(self.started) >= self.config.boot_grace_ms {
            self.look_for_silence(now, &mut moment);
        }
        self.take_back_from_shelves(now, &mut moment);
        self.remember(&out[already..]);
    }

    fn look_for_lost_gateways(&mut self, now: MonotonicMs, moment: &mut Moment<'_>) {
        for gateway in &mut self.gateways {
            if gateway.rows.is_empty() {
                // It watches nothing; when it does again, waiting for it begins then.
                (gateway.heard, gateway.heard_at) = (now, None);
                continue;
            }
            let mute = now.since(gateway.heard) >= self.config.gateway_lost_after_ms;
            if !mute || gateway.is_lost() {
                continue;
            }
            let mut unseen: Vec<String> = gateway.rows.iter().map(|row| self.rows[*row].facts.label.clone()).collect();
            unseen.sort();
            unseen.dedup();
            match gateway.lost.as_deref_mut() {
                Some(lost) => {
                    lost.unseen = unseen;
                    lost.reraise(moment, false);
                }
                None => {
                    let newest = gateway.rows.iter().filter_map(|row| Some((self.rows[*row].silent_since, self.rows[*row].last?)));
                    let never = Place { epoch: self.run, sequence: 0 };
                    let opening = newest.max_by_key(|(heard, (place, _))| (*heard, place.sequence)).map_or(never, |(_, (place, _))| place);
                    let mut episode = gateway.draft(
                        Kind::GatewayLost,
                        self.config.gateway_lost,
                        opening,
                        gateway.heard_at.unwrap_or(moment.at),
                        moment.at,
                    );
                    episode.unseen = unseen;
                    episode.simulated = gateway.rows.iter().all(|row| self.rows[*row].facts.simulated);
                    episode.raise(moment);
                    gateway.lost = Some(Box::new(episode));
                }
            }
            for &row in &gateway.rows {
                self.rows[row].fold_silence(moment, true);
            }
        }
    }

    fn look_for_silence(&mut self, now: MonotonicMs, moment: &mut Moment<'_>) {
        let run = self.run;
        for row in &mut self.rows {
            if now.since(row.silent_since) <= row.silence_after_ms {
                continue;
            }
            let gateway = &self.gateways[row.gateway];
            // A gateway that has been mute as long as the channel is about to be lost as a whole: one
            // alarm then, not one for each of its channels.
            let mute = now.since(gateway.heard) >= row.silence_after_ms.saturating_sub(1000);
            if gateway.is_lost() || mute {
                continue;
            }
            row.raise_silence(run, moment);
        }
    }
}

impl Row {
    fn raise_silence(&mut self, run: u64, moment: &mut Moment<'_>) {
        let Some(slot) = &mut self.silence else { return };
        if !matches!(slot.rule.what, RuleKind::Silence { .. }) || slot.is_active() {
            return;
        }
        let (place, sampled_at) = self.last.unwrap_or((Place { epoch: run, sequence: 0 }, moment.at));
        let opening = Opening {
            place,
            sampled_at,
            began_at: sampled_at,
            value: None,
            reason: None,
            unconfirmed: false,
            late: false,
            stages: Stages::default(),
        };
        match slot.open.as_deref_mut() {
            Some(episode) => episode.reraise(moment, false),
            None => slot.raise_by_time(&self.facts, &opening, moment),
        }
        self.busy = true;
    }

    /// Covers the silence with the gateway's own alarm, or uncovers it.
    fn fold_silence(&mut self, moment: &mut Moment<'_>, covered: bool) {
        let open = self.silence.as_mut().and_then(|slot| slot.open.as_deref_mut());
        if let Some(episode) = open.filter(|episode| episode.active) {
            episode.suppress(moment, covered);
        }
    }
}
