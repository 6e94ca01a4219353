//! Which epoch counts. A gateway has one spool; when two epochs of one name take turns, or one sequence comes
//! with two contents, there are two gateways, or a copy of a disk: nothing of it is taken and people are told.

use alarm::Place;
use telemetry::Order;
use telemetry::topic::GatewayId;

use super::{Conflict, Counter, Desk, Epoch, Intake, MOST_EPOCHS};
use crate::clock::Moment;
use crate::ingest::Refusal;
use crate::ingest::deliveries::Held;
use crate::journal::Fact;

/// Messages of the former epoch may still be on their way for this long after a new one began.
const STRAGGLERS_MS: u64 = 10_000;

impl Desk {
    /// The place of this epoch among its gateway's, when it counts. A new one is begun.
    pub(super) fn epoch(&mut self, gateway: &GatewayId, epoch: u64, now: Moment, intake: &mut Intake) -> Option<usize> {
        let counter = self.gateways.entry(gateway.clone()).or_default();
        let Some(at) = counter.epochs.iter().position(|one| one.epoch == epoch) else {
            return self.begin(gateway, epoch, now, intake);
        };
        if counter.current.is_none() {
            counter.make_current(at, now);
        }
        let former = counter.current != Some(at);
        let straggler = counter.current_since.is_some_and(|since| now.mono.since(since.mono) < STRAGGLERS_MS);
        if counter.epochs[at].disputed {
            counter.complain(
                gateway,
                Order::Refused("the identity of this gateway is disputed; a person must settle it".to_owned()),
                now,
                intake,
            );
            return None;
        }
        if former {
            if !straggler {
                self.dispute(gateway, at, "two epochs take turns", 0, intake);
            }
            return None;
        }
        Some(at)
    }

    fn begin(&mut self, gateway: &GatewayId, epoch: u64, now: Moment, intake: &mut Intake) -> Option<usize> {
        let stream = self.next_stream;
        let counter = self.gateways.entry(gateway.clone()).or_default();
        if counter.epochs.len() >= MOST_EPOCHS {
            let why = format!("it began more than {MOST_EPOCHS} epochs");
            self.refuse(gateway, &Refusal { kind: "too_many_epochs", why }, intake);
            return None;
        }
        self.next_stream += 1;
        let order = counter.epochs.iter().map(|one| one.order + 1).max().unwrap_or(0);
        if order > 0 {
            let zh = format!("网关 {gateway} 开始新的纪元 {epoch:016x}");
            let en = format!("gateway {gateway} began the new epoch {epoch:016x}");
            intake.facts.push(Fact::seen("gateway.epoch_began", gateway.as_str(), zh, en));
        }
        counter.epochs.push(Epoch { epoch, stream, order, held: Held::default(), disputed: false, noted: false });
        let at = counter.epochs.len() - 1;
        counter.make_current(at, now);
        intake.dirty.push((gateway.clone(), at));
        Some(at)
    }

    /// Takes nothing of this epoch any more until a person has settled it.
    pub(super) fn dispute(&mut self, gateway: &GatewayId, at: usize, what: &'static str, sequence: u64, intake: &mut Intake) {
        let Some(epoch) = self.gateways.get_mut(gateway).and_then(|counter| counter.epochs.get_mut(at)) else { return };
        epoch.disputed = true;
        let place = Place { epoch: epoch.epoch, sequence };
        tracing::error!(%gateway, epoch = epoch.epoch, what, "the identity of gateway {gateway} is disputed: {what}");
        intake.conflicts.push(Conflict { gateway: gateway.clone(), what, place });
    }

    /// A stored sequence came again with another content.
    pub fn contradicted(&mut self, gateway: &GatewayId, epoch: u64, sequence: u64, intake: &mut Intake) {
        let at = self.gateways.get(gateway).and_then(|counter| counter.epochs.iter().position(|one| one.epoch == epoch));
        if let Some(at) = at.filter(|at| !self.gateways[gateway].epochs[*at].disputed) {
            self.dispute(gateway, at, "one sequence came with two contents", sequence, intake);
        }
    }

    /// A person has settled the dispute: whichever epoch speaks next counts from now on.
    pub fn settle(&mut self, gateway: &str) {
        let found = self.gateways.iter_mut().find(|(id, _)| id.as_str() == gateway);
        if let Some((_, counter)) = found {
            counter.epochs.iter_mut().for_each(|epoch| epoch.disputed = false);
            counter.current = None;
        }
    }

    /// An alarm about this gateway's identity is still open from an earlier run.
    pub fn still_disputed(&mut self, gateway: &str, epoch: u64) {
        let found = self.gateways.iter_mut().find(|(id, _)| id.as_str() == gateway);
        if let Some(epoch) = found.and_then(|(_, counter)| counter.epochs.iter_mut().find(|one| one.epoch == epoch)) {
            epoch.disputed = true;
        }
    }
}

impl Counter {
    fn make_current(&mut self, at: usize, now: Moment) {
        // Kept in order of becoming current, so that the last one is current after a restart too.
        let order = self.epochs.iter().map(|epoch| epoch.order).max().unwrap_or(0);
        if self.epochs[at].order < order {
            self.epochs[at].order = order + 1;
            self.epochs[at].noted = false;
        }
        self.current = Some(at);
        self.current_since = Some(now);
    }
}
