//! What a change of the registry does to alarms that are open, and how a new run takes up the old one's.

use super::past::Past;
use super::row::{LimitWatch, Row, Slot, Span, remember};
use super::watch::Gateway;
use super::{Channel, Engine};
use crate::episode::{Cause, Episode, Event, Transition};
use crate::life::Moment;
use crate::rule::{Kind, Rule, RuleKind};
use measurement::{ChannelId, LimitMonitor, MonotonicMs, Timestamp};
use std::collections::{HashMap, VecDeque};

/// Channel numbers below this are looked up in a vector.
const DENSE: u32 = 1 << 20;

/// What rules that are gone had judged, by channel and rule: one that comes back opens nothing twice.
pub(super) type Gone = HashMap<(ChannelId, String), VecDeque<Span>>;

/// So many rules with alarms are remembered after they went; when more go, all are forgotten.
const MOST_GONE: usize = 10_000;

/// A rule that can never run, and why. The channel's other rules do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableRule {
    /// The channel.
    pub channel: ChannelId,
    /// The rule.
    pub rule: String,
    /// One sentence.
    pub why: String,
}

impl Engine {
    /// Takes a new registry. What is known of a channel that stays is kept. An open episode whose rule
    /// changed stays open under the new numbers and says so (`RuleChanged`); one whose rule or channel is
    /// gone is withdrawn and closed.
    pub fn set_channels(&mut self, channels: &[Channel], now: MonotonicMs, at: Timestamp, out: &mut Vec<Transition>) -> Vec<UnusableRule> {
        let already = out.len();
        let mut moment = Moment { at, cause: Cause::Registry, out };
        let mut unusable = Vec::new();
        let mut gone = std::mem::take(&mut self.gone);
        let mut before: HashMap<ChannelId, Row> = std::mem::take(&mut self.rows).into_iter().map(|row| (row.id, row)).collect();
        self.dense.clear();
        self.sparse.clear();
        self.gateways.iter_mut().for_each(|gateway| gateway.rows.clear());

        for channel in channels {
            if self.row_number(channel.id).is_some() {
                let why = "the channel appears twice in the registry".to_owned();
                unusable.push(UnusableRule { channel: channel.id, rule: String::new(), why });
                continue;
            }
            let gateway = self.gateway_number(&channel.gateway, now);
            let mut row = Row::new(channel, gateway, now);
            let mut known = before.remove(&channel.id).map_or_else(Vec::new, |old| row.take_over(old));
            for rule in &channel.rules {
                if let Some(why) = row.why_unusable(rule, channel) {
                    unusable.push(UnusableRule { channel: channel.id, rule: rule.id.clone(), why });
                    continue;
                }
                let same = |old: &Known| old.slot.rule.id == rule.id && old.slot.rule.what.kind() == rule.what.kind();
                let old = known.iter().position(same).map(|at| known.swap_remove(at));
                let old = old.or_else(|| Known::back(&mut gone, channel.id, rule));
                row.watch(rule, old, &mut moment);
            }
            known.into_iter().for_each(|old| withdraw(channel.id, old.slot, &mut gone, &mut moment));
            row.tidy();
            self.gateways[gateway].rows.push(self.rows.len());
            self.rows.push(row);
            self.note_row(channel.id);
        }
        let mut leaving: Vec<Row> = before.into_values().collect();
        leaving.sort_by_key(|row| row.id);
        for row in leaving {
            let id = row.id;
            row.into_known().into_iter().for_each(|old| withdraw(id, old.slot, &mut gone, &mut moment));
        }
        self.gone = gone;
        for gateway in self.gateways.iter_mut().filter(|gateway| gateway.rows.is_empty()) {
            gateway
                .open_mut()
                .for_each(|episode| episode.close_by(&mut moment, Event::Withdrawn, None, "the gateway has no channel any more"));
            gateway.let_go();
        }
        self.remember(&out[already..]);
        unusable
    }

    /// Takes up what an earlier run left: its open episodes, and, as far as the caller keeps them, closed
    /// ones, so that the same readings judged again make none twice. Call after [`Engine::set_channels`].
    /// An episode whose channel, rule or gateway is gone is withdrawn and closed.
    pub fn resume(&mut self, episodes: Vec<Episode>, now: MonotonicMs, at: Timestamp, out: &mut Vec<Transition>) {
        let already = out.len();
        let mut moment = Moment { at, cause: Cause::Registry, out };
        for mut episode in episodes {
            let held = self.hold(&mut episode, now);
            if !held && episode.is_open() {
                episode.close_by(&mut moment, Event::Withdrawn, None, "its channel or rule is no longer in the registry");
            }
            if let (false, Some(channel)) = (held, episode.channel) {
                remember(room_for(&mut self.gone, channel, &episode.rule), &episode);
            }
        }
        self.rows.iter_mut().for_each(Row::tidy);
        self.resume_shelves(now, at);
        let open: Vec<(String, Option<ChannelId>, String)> =
            self.open_episodes().map(|episode| (episode.id.clone(), episode.channel, episode.gateway.clone())).collect();
        for (id, channel, gateway) in open {
            let about = match channel {
                Some(channel) => super::About::Channel(channel),
                None => super::About::Gateway(self.gateway_rows[&gateway]),
            };
            self.open.insert(id, about);
        }
        self.remember(&out[already..]);
    }

    /// Puts an episode back where it belongs; false when there is no such place.
    fn hold(&mut self, episode: &mut Episode, now: MonotonicMs) -> bool {
        let Some(channel) = episode.channel else {
            let Some(&gateway) = self.gateway_rows.get(&episode.gateway) else { return false };
            let gateway = &mut self.gateways[gateway];
            let open = if episode.kind == Kind::Identity { &mut gateway.identity } else { &mut gateway.lost };
            if episode.is_open() && open.is_none() {
                *open = Some(Box::new(episode.clone()));
            }
            return true;
        };
        let Some(row) = self.row_number(channel) else { return false };
        self.rows[row].hold(episode, now)
    }

    fn gateway_number(&mut self, name: &str, now: MonotonicMs) -> usize {
        if let Some(number) = self.gateway_rows.get(name) {
            return *number;
        }
        self.gateways.push(Gateway::new(name, now));
        self.gateway_rows.insert(name.to_owned(), self.gateways.len() - 1);
        self.gateways.len() - 1
    }

    fn note_row(&mut self, channel: ChannelId) {
        let row = self.rows.len() as u32;
        if channel.0 >= DENSE {
            self.sparse.insert(channel.0, row);
            return;
        }
        let place = channel.0 as usize;
        if self.dense.len() <= place {
            self.dense.resize(place + 1, 0);
        }
        self.dense[place] = row;
    }
}

fn withdraw(channel: ChannelId, mut slot: Slot, gone: &mut Gone, moment: &mut Moment<'_>) {
    if let Some(episode) = &mut slot.open {
        episode.close_by(moment, Event::Withdrawn, None, "its channel or rule is no longer in the registry");
    }
    slot.let_go();
    if !slot.closed.is_empty() {
        *room_for(gone, channel, &slot.rule.id) = slot.closed;
    }
}

fn room_for<'a>(gone: &'a mut Gone, channel: ChannelId, rule: &str) -> &'a mut VecDeque<Span> {
    if gone.len() >= MOST_GONE {
        gone.clear();
    }
    gone.entry((channel, rule.to_owned())).or_default()
}

/// A rule's alarm, and its monitor when it is a limit, as they were before a change.
struct Known {
    slot: Slot,
    monitor: Option<LimitMonitor>,
}

impl Known {
    /// A rule that was gone and is back.
    fn back(gone: &mut Gone, channel: ChannelId, rule: &Rule) -> Option<Known> {
        let closed = gone.remove(&(channel, rule.id.clone()))?;
        Some(Known { slot: Slot { closed, ..Slot::new(rule.clone()) }, monitor: None })
    }
}

impl Row {
    /// Keeps what is known of the channel and hands out what is known of its rules.
    fn take_over(&mut self, old: Row) -> Vec<Known> {
        self.silent_since = old.silent_since;
        self.last = old.last;
        self.live_since = old.live_since;
        old.into_known()
    }

    fn into_known(self) -> Vec<Known> {
        let limits = self.limits.into_iter().map(|watch| Known { slot: watch.slot, monitor: Some(watch.monitor) });
        let single = [self.silence, self.fault, self.not_protecting, self.over_range];
        limits.chain(single.into_iter().flatten().map(|slot| Known { slot: *slot, monitor: None })).collect()
    }

    fn why_unusable(&self, rule: &Rule, channel: &Channel) -> Option<String> {
        if self.slots().any(|slot| slot.rule.id == rule.id) {
            return Some(format!("rule {:?} appears twice on one channel", rule.id));
        }
        let taken = match &rule.what {
            RuleKind::Limit { unit, .. } if *unit != channel.unit => {
                return Some(format!("its setpoint is in {} but the channel measures in {}", unit.symbol(), channel.unit.symbol()));
            }
            RuleKind::Limit { limit, .. } if !limit.is_consistent() => {
                return Some(format!("its release {} lies beyond its setpoint {}", limit.release, limit.setpoint));
            }
            RuleKind::Limit { .. } => false,
            RuleKind::Silence { periods: 0 } => return Some("silence of zero periods would never end".to_owned()),
            RuleKind::Silence { .. } => self.silence.is_some(),
            RuleKind::Fault => self.fault.is_some(),
            RuleKind::NotProtecting => self.not_protecting.is_some(),
            RuleKind::OverRange { .. } => self.over_range.is_some(),
        };
        taken.then(|| format!("the channel has another rule for {} already", rule.what.kind().name()))
    }

    /// Adds a rule, with what watched it before.
    fn watch(&mut self, rule: &Rule, old: Option<Known>, moment: &mut Moment<'_>) {
        let Known { mut slot, monitor } = old.unwrap_or_else(|| Known { slot: Slot::new(rule.clone()), monitor: None });
        if slot.rule != *rule {
            slot.change_rule(rule, moment);
        }
        match &rule.what {
            RuleKind::Limit { limit, .. } => {
                // Delays that were running start again only when their limit changed.
                let exceeded = slot.open.as_ref().is_some_and(|episode| episode.active && !episode.from_backfill);
                let kept = monitor.filter(|monitor| monitor.limit() == limit);
                self.limits.push(LimitWatch { monitor: kept.unwrap_or(LimitMonitor::resumed(*limit, exceeded)), slot });
            }
            RuleKind::Silence { periods } => {
                self.silence_after_ms = u64::from(*periods) * u64::from(self.facts.period_ms) + 1000;
                self.silence = Some(Box::new(slot));
            }
            RuleKind::Fault => self.fault = Some(Box::new(slot)),
            RuleKind::NotProtecting => self.not_protecting = Some(Box::new(slot)),
            RuleKind::OverRange { ceiling } => {
                self.ceiling = ceiling.map_or(f32::INFINITY, |ceiling| ceiling.get());
                self.over_range = Some(Box::new(slot));
            }
        }
    }

    fn hold(&mut self, episode: &Episode, now: MonotonicMs) -> bool {
        let place = episode.returning.unwrap_or(episode.opening);
        let limits = self.limits.iter_mut().map(|watch| (&mut watch.slot, Some(&mut watch.monitor)));
        let single = [&mut self.silence, &mut self.fault, &mut self.not_protecting, &mut self.over_range];
        let mut all = limits.chain(single.into_iter().filter_map(|slot| slot.as_deref_mut()).map(|slot| (slot, None)));
        let Some((slot, monitor)) = all.find(|(slot, _)| slot.rule.id == episode.rule && slot.rule.what.kind() == episode.kind) else {
            return false;
        };
        if !episode.is_open() || slot.open.is_some() {
            slot.remember(episode);
        } else {
            if let Some(monitor) = monitor {
                let limit = *monitor.limit();
                *monitor = LimitMonitor::resumed(limit, episode.active && !episode.from_backfill);
                if episode.from_backfill {
                    slot.past = Some(Box::new(Past::resumed(limit, episode, now)));
                }
            }
            slot.open = Some(Box::new(episode.clone()));
        }
        // What was judged before the restart is not news. Silence and late episodes name readings that
        // prove nothing about which live ones were judged.
        let newer = self.last.is_none_or(|(last, _)| last.epoch != place.epoch || last.sequence < place.sequence);
        if episode.kind != Kind::Silence && !episode.late && newer {
            self.last = Some((place, episode.returned_at.unwrap_or(episode.opening_sampled_at)));
        }
        true
    }
}

impl Slot {
    fn change_rule(&mut self, rule: &Rule, moment: &mut Moment<'_>) {
        let note = format!("rule changed from {} to {}", describe(&self.rule), describe(rule));
        self.past = None;
        self.rule = rule.clone();
        if let Some(episode) = self.open.as_deref_mut() {
            episode.priority = rule.priority;
            if let RuleKind::Limit { limit, .. } = &rule.what {
                episode.setpoint = Some(limit.setpoint);
            }
            moment.tell_of(episode, Event::RuleChanged, None, Some(&note));
        }
    }
}

fn describe(rule: &Rule) -> String {
    let priority = rule.priority.name();
    match &rule.what {
        RuleKind::Limit { limit, unit } => format!(
            "setpoint {} {} release {} delays {}/{} ms priority {priority}",
            limit.setpoint,
            unit.symbol(),
            limit.release,
            limit.on_delay_ms,
            limit.off_delay_ms
        ),
        RuleKind::Silence { periods } => format!("{periods} periods priority {priority}"),
        RuleKind::OverRange { ceiling: Some(ceiling) } => format!("ceiling {ceiling} priority {priority}"),
        RuleKind::OverRange { ceiling: None } | RuleKind::Fault | RuleKind::NotProtecting => format!("priority {priority}"),
    }
}
