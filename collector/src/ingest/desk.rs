//! The desk: what each gateway has delivered, and what of the next letter is to be stored.
//!
//! It does no IO but reading its own notes at the start. [`Desk`] turns parcels into an [`Intake`]: rows, notes
//! beside them, observations for the judge, and what to answer. Nothing of an intake is acknowledged before the
//! pipeline says that its commit returned; when the commit fails, the desk is loaded again from the disk.

mod catalogues;
mod identity;
mod letters;
mod status;

use std::collections::{HashMap, HashSet};

use alarm::{Observation, Place};
use measurement::{ChannelId, Outcome, Timestamp};
use telemetry::topic::{GatewayId, Kind};
use telemetry::{Catalogue, CataloguePart, Command, Gap, Order, Status};
use timeseries::{Row, SideWrite};

use super::deliveries::Held;
use super::keys::{self, Account, EpochNote};
use super::{Outgoing, Parcel, Refusal};
use crate::clock::Moment;
use crate::journal::Fact;
use crate::store::day_of;

/// Epochs that are remembered of one gateway; more are refused.
const MOST_EPOCHS: usize = 1024;
/// Letters of one gateway that wait for its catalogue to be adopted.
const MOST_PARKED: usize = 256;
/// A complaint to a gateway is repeated no more often than this.
const COMPLAIN_EVERY_MS: u64 = 60_000;

/// Everything that is known of deliveries.
#[derive(Default)]
pub struct Desk {
    gateways: HashMap<GatewayId, Counter>,
    next_stream: u32,
    /// The ledger of the days that were written to since the start, or are recent.
    accounts: HashMap<(GatewayId, String), Account>,
    /// Accounts that changed since they were last told to the database.
    changed_accounts: HashSet<(GatewayId, String)>,
    /// What was journalled already.
    told: HashSet<(GatewayId, &'static str)>,
    day: (i64, String),
}

/// One gateway at the desk.
#[derive(Default)]
pub struct Counter {
    epochs: Vec<Epoch>,
    /// The epoch that counts, by its place; none after a person has settled a dispute.
    current: Option<usize>,
    current_since: Option<Moment>,
    /// The channel numbers of each catalogue, in its order.
    catalogues: HashMap<u64, Vec<ChannelId>>,
    parts: HashMap<u64, Vec<CataloguePart>>,
    adopting: HashSet<u64>,
    parked: Vec<Parcel>,
    /// To be asked for with the next acknowledgement.
    wanted: u64,
    /// To be echoed with the next acknowledgement.
    nonce: u64,
    complained: Option<u64>,
    hole: Option<(u64, Moment)>,
    /// The last heartbeat.
    pub status: Option<Status>,
    /// When anything came, and whether the gateway has said goodbye since.
    pub heard: Option<Moment>,
    pub said_goodbye: bool,
}

/// One epoch of one gateway.
pub struct Epoch {
    pub epoch: u64,
    pub stream: u32,
    order: u32,
    pub held: Held,
    /// Its last content contradicted what is stored, or it came back after another: nothing of it is taken.
    disputed: bool,
    noted: bool,
}

/// A stored sequence that came again: it must say what it said the first time.
#[derive(Debug, Clone, PartialEq)]
pub struct Recheck {
    pub gateway: GatewayId,
    pub epoch: u64,
    pub row: Row,
}

/// A catalogue to be adopted by the registry.
#[derive(Debug, Clone, PartialEq)]
pub struct Adoption {
    pub gateway: GatewayId,
    pub hash: u64,
    pub catalogue: Catalogue,
}

/// Two claims to one identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    pub gateway: GatewayId,
    pub what: &'static str,
    pub place: Place,
}

/// What a group of parcels amounts to.
#[derive(Default)]
pub struct Intake {
    /// To be stored.
    pub rows: Vec<Row>,
    /// To be judged, the same readings in the same order.
    pub seen: Vec<Observation>,
    /// To be stored beside the rows.
    pub side: Vec<SideWrite>,
    /// To be acknowledged after the commit: gateway and epoch.
    pub touched: Vec<(GatewayId, u64)>,
    /// To be checked after the commit, before acknowledging.
    pub rechecks: Vec<Recheck>,
    pub conflicts: Vec<Conflict>,
    pub adoptions: Vec<Adoption>,
    pub gaps: Vec<(GatewayId, u64, Gap)>,
    pub facts: Vec<Fact>,
    /// Gateways that gave a sign of life.
    pub heard: Vec<(GatewayId, Moment)>,
    /// Commands that do not wait for a commit.
    pub orders: Vec<Outgoing>,
    /// Duplicates that were not stored again.
    pub duplicates: u64,
    dirty: Vec<(GatewayId, usize)>,
}

impl Intake {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.seen.clear();
        self.side.clear();
        self.touched.clear();
        self.rechecks.clear();
        self.conflicts.clear();
        self.adoptions.clear();
        self.gaps.clear();
        self.facts.clear();
        self.heard.clear();
        self.orders.clear();
        self.duplicates = 0;
        self.dirty.clear();
    }

    /// True when there is something to commit.
    pub fn has_data(&self) -> bool {
        !self.rows.is_empty() || !self.side.is_empty()
    }
}

/// What the desk may ask about the world while it takes parcels.
pub struct Around<'a> {
    /// Poll period by channel number; zero when unknown.
    pub periods: &'a [u32],
    /// Now, by the wall clock.
    pub now: Timestamp,
}

impl Desk {
    /// Reads what an earlier run left beside the samples.
    pub fn load(series: &timeseries::Store) -> Result<Desk, timeseries::Error> {
        let mut desk = Desk::default();
        for (key, value) in series.side_range(keys::EPOCHS)? {
            let found = keys::split(keys::EPOCHS, &key).zip(EpochNote::decode(&value));
            let Some(((gateway, epoch), note)) = found else { continue };
            let (Ok(gateway), Some(epoch)) = (GatewayId::new(gateway), keys::number(epoch)) else { continue };
            let held = series.side(&keys::held(note.stream))?.and_then(|bytes| Held::decode(&bytes)).unwrap_or_default();
            desk.next_stream = desk.next_stream.max(note.stream + 1);
            let counter = desk.gateways.entry(gateway).or_default();
            counter.epochs.push(Epoch { epoch, stream: note.stream, order: note.order, held, disputed: false, noted: true });
        }
        for counter in desk.gateways.values_mut() {
            counter.epochs.sort_by_key(|epoch| epoch.order);
            counter.current = counter.epochs.len().checked_sub(1);
        }
        for (key, value) in series.side_range(keys::CATALOGUES)? {
            let Some((gateway, hash)) = keys::split(keys::CATALOGUES, &key) else { continue };
            let (Ok(gateway), Some(hash), Some(numbers)) = (GatewayId::new(gateway), keys::number(hash), keys::decode_numbers(&value))
            else {
                continue;
            };
            desk.gateways.entry(gateway).or_default().catalogues.insert(hash, numbers.into_iter().map(ChannelId).collect());
        }
        for (key, value) in series.side_range(keys::PARTS)? {
            let Some((gateway, _)) = keys::split(keys::PARTS, &key) else { continue };
            let (Ok(gateway), Ok(part)) = (GatewayId::new(gateway), <CataloguePart as prost::Message>::decode(value.as_slice())) else {
                continue;
            };
            desk.gateways.entry(gateway).or_default().parts.entry(part.hash).or_default().push(part);
        }
        for (key, value) in series.side_range(keys::LEDGER)? {
            let Some((gateway, day)) = keys::split(keys::LEDGER, &key) else { continue };
            let (Ok(gateway), Ok(day), Some(account)) = (GatewayId::new(gateway), std::str::from_utf8(day), Account::decode(&value)) else {
                continue;
            };
            desk.accounts.insert((gateway, day.to_owned()), account);
        }
        Ok(desk)
    }

    /// The epoch of each stream, for judging stored rows again.
    pub fn epochs_by_stream(&self) -> HashMap<u32, u64> {
        self.gateways.values().flat_map(|counter| &counter.epochs).map(|epoch| (epoch.stream, epoch.epoch)).collect()
    }

    /// Every gateway, for the screen.
    pub fn gateways(&self) -> impl Iterator<Item = (&GatewayId, &Counter)> {
        self.gateways.iter()
    }

    /// Every account that there is, for comparing with the database at the start.
    pub fn accounts(&self) -> impl Iterator<Item = (&GatewayId, &str, &Account)> {
        self.accounts.iter().map(|((gateway, day), account)| (gateway, day.as_str(), account))
    }

    /// The accounts that changed since the last call.
    pub fn changed_accounts(&mut self) -> Vec<(GatewayId, String, Account)> {
        let changed: Vec<(GatewayId, String)> = self.changed_accounts.drain().collect();
        changed.into_iter().filter_map(|key| self.accounts.get(&key).cloned().map(|account| (key.0, key.1, account))).collect()
    }

    /// The acknowledgements for what was touched, to be sent after the commit has returned.
    pub fn acknowledgements(&mut self, touched: &mut Vec<(GatewayId, u64)>) -> Vec<Outgoing> {
        touched.sort();
        touched.dedup();
        let answer = |(gateway, epoch): (GatewayId, u64)| {
            let counter = self.gateways.get_mut(&gateway)?;
            let of = counter.epochs.iter().find(|one| one.epoch == epoch && !one.disputed)?;
            let ack = of.held.acknowledgement(epoch, std::mem::take(&mut counter.nonce), std::mem::take(&mut counter.wanted));
            Some(Outgoing { gateway, kind: Kind::Ack, payload: prost::Message::encode_to_vec(&ack) })
        };
        touched.drain(..).filter_map(answer).collect()
    }

    /// What is held of an epoch.
    pub fn held(&self, gateway: &GatewayId, epoch: u64) -> Option<&Held> {
        self.gateways.get(gateway)?.epochs.iter().find(|one| one.epoch == epoch).map(|one| &one.held)
    }

    /// Journals a refusal, once for each sender and kind.
    pub fn refuse(&mut self, gateway: &GatewayId, refusal: &Refusal, intake: &mut Intake) {
        // Bounded: what does not fit is counted elsewhere and no longer journalled.
        if self.told.len() < 10_000 && self.told.insert((gateway.clone(), refusal.kind)) {
            let (kind, why) = (refusal.kind, &refusal.why);
            let zh = format!("拒收网关 {gateway} 的消息({kind}):{why}");
            let en = format!("refused a message of gateway {gateway} ({kind}): {why}");
            tracing::warn!(%gateway, kind, why, "a message of gateway {gateway} was refused: {why}");
            intake.facts.push(Fact::seen("payload.refused", gateway.as_str(), zh, en));
        }
    }

    /// Writes down what changed, as notes for the commit.
    pub fn write_notes(&mut self, intake: &mut Intake) {
        intake.dirty.sort();
        intake.dirty.dedup();
        for (gateway, at) in std::mem::take(&mut intake.dirty) {
            let Some(epoch) = self.gateways.get_mut(&gateway).and_then(|counter| counter.epochs.get_mut(at)) else { continue };
            if !epoch.noted {
                let note = EpochNote { stream: epoch.stream, order: epoch.order };
                intake.side.push(SideWrite::Put(keys::epoch(gateway.as_str(), epoch.epoch), note.encode()));
                epoch.noted = true;
            }
            intake.side.push(SideWrite::Put(keys::held(epoch.stream), epoch.held.encode()));
            let day = (gateway, self.day.1.clone());
            if let Some(account) = self.accounts.get(&day) {
                intake.side.push(SideWrite::Put(keys::account(day.0.as_str(), &day.1), account.encode()));
            }
        }
    }

    /// Keeps what is known of the gateways' presence when the rest is read from the disk again.
    pub fn take_over_presence(&mut self, before: &mut Desk) {
        for (gateway, old) in before.gateways.drain() {
            let counter = self.gateways.entry(gateway).or_default();
            (counter.status, counter.heard, counter.said_goodbye) = (old.status, old.heard, old.said_goodbye);
            for epoch in &mut counter.epochs {
                epoch.disputed = old.epochs.iter().any(|one| one.epoch == epoch.epoch && one.disputed);
            }
        }
        self.told = std::mem::take(&mut before.told);
    }

    /// Days before this one are settled; they are not compared with the database any more.
    pub fn forget_accounts_before(&mut self, day: &str) {
        self.accounts.retain(|(_, of), _| of.as_str() >= day);
    }

    fn account(&mut self, gateway: &GatewayId, now: Timestamp) -> &mut Account {
        let number = now.0.saturating_add(8 * 3_600_000).div_euclid(86_400_000);
        if self.day.0 != number || self.day.1.is_empty() {
            self.day = (number, day_of(now));
        }
        let key = (gateway.clone(), self.day.1.clone());
        self.changed_accounts.insert(key.clone());
        self.accounts.entry(key).or_default()
    }
}

impl Counter {
    /// The epoch that counts.
    pub fn current(&self) -> Option<&Epoch> {
        self.epochs.get(self.current?)
    }

    /// Says to a gateway what it cannot know otherwise, but not with every letter.
    fn complain(&mut self, gateway: &GatewayId, order: Order, now: Moment, intake: &mut Intake) {
        if self.complained.is_some_and(|at| now.mono.0.saturating_sub(at) < COMPLAIN_EVERY_MS) {
            return;
        }
        self.complained = Some(now.mono.0);
        let payload = prost::Message::encode_to_vec(&Command { order: Some(order) });
        intake.orders.push(Outgoing { gateway: gateway.clone(), kind: Kind::Cmd, payload });
    }
}

/// True when a stored row says what came again.
pub fn says_the_same(stored: &[Row], again: &Row) -> bool {
    stored.iter().any(|row| (row.stream, row.position) == (again.stream, again.position) && same(&row.outcome, &again.outcome))
}

fn same(one: &Outcome, other: &Outcome) -> bool {
    one.quality() == other.quality() && one.value() == other.value()
}

#[cfg(test)]
mod tests;
