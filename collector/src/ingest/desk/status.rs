//! Births and heartbeats: who is there, how much exists, and what is missing.

use telemetry::topic::{GatewayId, Kind};
use telemetry::{Birth, Command, Order, Range, Status};

use super::{Around, Desk, Intake};
use crate::clock::Moment;
use crate::ingest::keys::Account;
use crate::ingest::{Content, Outgoing, Parcel};

/// A hole that the gateway still holds and does not send for this long is asked for.
const ASK_AFTER_MS: u64 = 20_000;

impl Desk {
    /// Takes one parcel.
    pub fn take(&mut self, parcel: Parcel, around: &Around<'_>, intake: &mut Intake) {
        let Parcel { gateway, received, content, room } = parcel;
        let living = match &content {
            Content::Letter(_) | Content::Birth(_) => true,
            Content::Status(status) => status.online,
            Content::Refused(_) => false,
        };
        if living {
            let counter = self.gateways.entry(gateway.clone()).or_default();
            (counter.heard, counter.said_goodbye) = (Some(received), false);
            intake.heard.push((gateway.clone(), received));
        }
        match content {
            Content::Letter(letter) => self.letter(gateway, letter, received, room, around, intake),
            Content::Birth(birth) => self.birth(gateway, &birth, received, around, intake),
            Content::Status(status) => self.status(gateway, status, received, around, intake),
            Content::Refused(refusal) => self.refuse(&gateway, &refusal, intake),
        }
    }

    /// Answers with what is held, so that a gateway that was cloned or restored notices, and asks for a catalogue
    /// that is not known.
    fn birth(&mut self, gateway: GatewayId, birth: &Birth, received: Moment, around: &Around<'_>, intake: &mut Intake) {
        let Some(at) = self.epoch(&gateway, birth.epoch, received, intake) else { return };
        let catalogue_known = birth.catalogue == 0 || self.is_known(&gateway, birth.catalogue);
        let Some(epoch) = self.gateways.get_mut(&gateway).and_then(|counter| counter.epochs.get_mut(at)) else { return };
        let mut hello = epoch.held.acknowledgement(birth.epoch, 0, 0);
        if epoch.held.highest() > birth.highest {
            // We have seen more than it says exists: let it know the highest, whatever the holes.
            let highest = epoch.held.highest();
            hello.ranges.retain(|range| range.last < highest);
            hello.ranges.push(Range { first: highest, last: highest });
        }
        let account = Account { expected: epoch.held.expect(birth.highest), ..Account::default() };
        intake.dirty.push((gateway.clone(), at));
        self.book(&gateway, account, around.now);
        intake.orders.push(command(&gateway, Order::Hello(hello)));
        if !catalogue_known {
            intake.orders.push(command(&gateway, Order::SendCatalogue(birth.catalogue)));
        }
    }

    /// True when a catalogue is adopted or on its way to be.
    fn is_known(&mut self, gateway: &GatewayId, hash: u64) -> bool {
        let counter = self.gateways.entry(gateway.clone()).or_default();
        counter.catalogues.contains_key(&hash) || counter.adopting.contains(&hash) || counter.parts.contains_key(&hash)
    }

    fn status(&mut self, gateway: GatewayId, status: Status, received: Moment, around: &Around<'_>, intake: &mut Intake) {
        if !status.online {
            // The last will is only a hint: it greys the lamp at once, the alarm waits for the silence.
            let counter = self.gateways.entry(gateway).or_default();
            counter.said_goodbye = true;
            return;
        }
        let Some(at) = self.epoch(&gateway, status.epoch, received, intake) else { return };
        let Some(counter) = self.gateways.get_mut(&gateway) else { return };
        counter.nonce = status.nonce;
        let news = counter.epochs[at].held.expect(status.highest);
        if news > 0 {
            intake.dirty.push((gateway.clone(), at));
        }
        let ask = counter.hole_to_ask_for(at, status.floor, received);
        let epoch = status.epoch;
        counter.status = Some(status);
        self.book(&gateway, Account { expected: news, ..Account::default() }, around.now);
        intake.orders.extend(ask.map(|range| command(&gateway, Order::ResendFrom(range))));
        intake.touched.push((gateway, epoch));
    }
}

impl super::Counter {
    /// A hole that does not get smaller although the gateway holds what is missing: a restored collector has
    /// such holes, because the gateway believes them acknowledged.
    fn hole_to_ask_for(&mut self, at: usize, floor: u64, now: Moment) -> Option<Range> {
        let hole = self.epochs[at].held.first_hole().filter(|(first, _)| *first >= floor.max(1));
        let Some((first, last)) = hole else {
            self.hole = None;
            return None;
        };
        match self.hole {
            Some((known, since)) if known == first => {
                let stuck = now.mono.since(since.mono) >= ASK_AFTER_MS;
                if stuck {
                    self.hole = Some((first, now));
                }
                stuck.then_some(Range { first, last })
            }
            _ => {
                self.hole = Some((first, now));
                None
            }
        }
    }
}

fn command(gateway: &GatewayId, order: Order) -> Outgoing {
    let payload = prost::Message::encode_to_vec(&Command { order: Some(order) });
    Outgoing { gateway: gateway.clone(), kind: Kind::Cmd, payload }
}
