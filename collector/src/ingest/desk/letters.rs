//! Taking a letter: what of it is new becomes rows and observations; what came before is only checked.

use alarm::{Observation, Place};
use measurement::{ChannelId, Timestamp};
use telemetry::topic::GatewayId;
use telemetry::{ClockQuality, Entry, Gap, GapCause, Happening, Letter, StampedReading};
use timeseries::{Row, SideWrite};

use super::{Around, Desk, Intake, Recheck};
use crate::clock::Moment;
use crate::ingest::keys::{self, Account, Delivery};
use crate::ingest::{Content, Parcel, Refusal};
use crate::journal::Fact;

/// A sampling time this far ahead of our clock cannot be right.
const FAR_AHEAD_MS: i64 = 86_400_000;
/// Nothing was sampled by this program before 2020.
const EARLIEST: Timestamp = Timestamp(1_577_836_800_000);
/// Duplicates of one letter that are compared with what is stored.
const RECHECKED: usize = 3;

impl Desk {
    /// Takes a letter.
    pub(super) fn letter(
        &mut self,
        gateway: GatewayId,
        letter: Box<Letter>,
        received: Moment,
        parcel_room: Option<tokio::sync::OwnedSemaphorePermit>,
        around: &Around<'_>,
        intake: &mut Intake,
    ) {
        let Some(at) = self.epoch(&gateway, letter.epoch, received, intake) else { return };
        for (_, entry) in &letter.entries {
            if let Entry::CataloguePart(part) = entry {
                self.collect(&gateway, part, intake);
            }
        }
        let has_readings = letter.entries.iter().any(|(_, entry)| matches!(entry, Entry::Reading(_)));
        let known = self.gateways[&gateway].catalogues.contains_key(&letter.catalogue.0);
        if !known && letter.catalogue.0 != 0 && (self.adopt(&gateway, letter.catalogue.0, intake) && has_readings) {
            let parcel = Parcel { gateway: gateway.clone(), received, content: Content::Letter(letter), room: parcel_room };
            self.gateways.entry(gateway).or_default().park(parcel);
            return;
        }
        if !known && has_readings {
            let counter = self.gateways.entry(gateway.clone()).or_default();
            counter.wanted = letter.catalogue.0;
            intake.touched.push((gateway, letter.epoch));
            return;
        }
        if let Err(refusal) = self.channels_fit(&gateway, &letter) {
            self.refuse(&gateway, &refusal, intake);
            return;
        }
        self.take_entries(&gateway, at, &letter, received, around, intake);
        intake.dirty.push((gateway.clone(), at));
        intake.touched.push((gateway, letter.epoch));
    }

    fn channels_fit(&self, gateway: &GatewayId, letter: &Letter) -> Result<(), Refusal> {
        let channels = self.gateways[gateway].catalogues.get(&letter.catalogue.0).map_or(0, Vec::len);
        let beyond = letter.entries.iter().find_map(|(_, entry)| match entry {
            Entry::Reading(stamped) if stamped.reading.channel.0 as usize >= channels => Some(stamped.reading.channel.0),
            _ => None,
        });
        match beyond {
            Some(channel) => {
                Err(Refusal { kind: "unknown_channel", why: format!("channel {channel} is not among the {channels} of its catalogue") })
            }
            None => Ok(()),
        }
    }

    fn take_entries(
        &mut self,
        gateway: &GatewayId,
        at: usize,
        letter: &Letter,
        received: Moment,
        around: &Around<'_>,
        intake: &mut Intake,
    ) {
        let (first, last) = (letter.first(), letter.last());
        let Some(counter) = self.gateways.get_mut(gateway) else { return };
        let epoch = &mut counter.epochs[at];
        let missing = epoch.held.missing(first, last);
        let again = epoch.held.declared_lost(first, last);
        let joins = missing.len() == 1 && missing[0].0 == epoch.held.contiguous() + 1;
        if !joins && !missing.is_empty() && !epoch.held.has_room() {
            // Too many holes to remember: the backlog that fills them comes first, then this again.
            return;
        }
        let no_channels = Vec::new();
        let ids = counter.catalogues.get(&letter.catalogue.0).unwrap_or(&no_channels);
        let place = StreamOf { stream: epoch.stream, epoch: epoch.epoch, letter, received, ids };
        let mut account = Account { expected: epoch.held.expect(last), ..Account::default() };
        let mut gaps = Vec::new();
        for (start, end) in missing.iter().chain(&again).copied() {
            let run = &letter.entries[(start - first) as usize..=(end - first) as usize];
            for (sequence, entry) in run {
                match entry {
                    Entry::Reading(stamped) => place.reading(*sequence, stamped, around, intake),
                    Entry::Gap(gap) => gaps.push(*gap),
                    Entry::CataloguePart(_) => {}
                    Entry::Happening(happening) => intake.facts.push(said(gateway, happening)),
                }
            }
            let delivery = Delivery::of(letter, end, received, around.now);
            intake.side.push(SideWrite::Put(keys::delivery(epoch.stream, start), delivery.encode()));
            account.stored += end - start + 1;
        }
        for (start, end) in &missing {
            epoch.held.store(*start, *end);
        }
        for sequence in again.iter().flat_map(|(start, end)| *start..=*end) {
            // Its gap counted it as lost: the ledger takes that back.
            if epoch.held.recover(sequence) {
                *account.gaps.entry(i32::MIN).or_default() += 1;
            }
        }
        let came = account.stored;
        place.recheck(gateway, &missing, &again, intake);
        for gap in gaps {
            let closed = epoch.held.close(gap.first, gap.last);
            let lost = if gap.lost == 0 { closed } else { gap.lost.min(closed) };
            epoch.held.spare(closed - lost);
            *account.gaps.entry(gap.why).or_default() += lost;
            intake.gaps.push((gateway.clone(), letter.epoch, gap));
        }
        for (start, end) in epoch.held.close_below(letter.floor) {
            let why = GapCause::BelowFloor.into();
            *account.gaps.entry(why).or_default() += end - start + 1;
            intake.gaps.push((gateway.clone(), letter.epoch, Gap { first: start, last: end, why, lost: 0 }));
        }
        intake.duplicates += (last - first + 1).saturating_sub(came);
        self.book(gateway, account, around.now);
    }

    /// Adds to the gateway's day.
    pub(super) fn book(&mut self, gateway: &GatewayId, more: Account, now: Timestamp) {
        if more == Account::default() {
            return;
        }
        let account = self.account(gateway, now);
        account.expected += more.expected;
        account.stored += more.stored;
        for (cause, count) in more.gaps {
            if cause == i32::MIN {
                take_back(account, count);
            } else if count > 0 {
                *account.gaps.entry(cause).or_default() += count;
            }
        }
    }
}

/// Takes back what was counted as lost and came after all, from the largest cause first.
fn take_back(account: &mut Account, mut count: u64) {
    while count > 0 {
        let Some((_, most)) = account.gaps.iter_mut().max_by_key(|(_, lost)| **lost).filter(|(_, lost)| **lost > 0) else { return };
        let less = count.min(*most);
        *most -= less;
        count -= less;
    }
}

/// A letter's readings on their way to a stream.
struct StreamOf<'a> {
    stream: u32,
    epoch: u64,
    letter: &'a Letter,
    received: Moment,
    ids: &'a [ChannelId],
}

impl StreamOf<'_> {
    fn reading(&self, sequence: u64, stamped: &StampedReading, around: &Around<'_>, intake: &mut Intake) {
        let Some(channel) = self.ids.get(stamped.reading.channel.0 as usize).copied() else { return };
        let sampled_at = self.indexed_at(stamped);
        let outcome = stamped.reading.outcome;
        intake.rows.push(Row { series: channel.0, stream: self.stream, position: sequence, sampled_at, outcome });
        // The age at arrival: what the gateway's monotonic clock said, and the bound of the transit. Whoever does
        // not know either is not live.
        let age_ms = stamped.age_ms.zip(self.letter.transit_ms).map(|(age, transit)| age.saturating_add(u64::from(transit)));
        let period = around.periods.get(channel.0 as usize).copied().unwrap_or(0);
        let live = period > 0 && age_ms.is_some_and(|age| age <= 2 * u64::from(period) + 1000);
        // The frame was parsed `parse_lag` after sampling. Seen from here: arrival less the age, which includes
        // the whole transit bound, so a stated latency is never too short.
        let t2 =
            age_ms.and_then(|age| i64::try_from(age).ok()).map(|age| self.received.wall.plus_ms(i64::from(stamped.parse_lag_ms) - age));
        // The gateway had it on its disk, judged it and sent it off no later than its transit before it arrived.
        let t3 = age_ms.and(self.letter.transit_ms).map(|transit| self.received.wall.plus_ms(-i64::from(transit)));
        intake.seen.push(Observation {
            channel,
            place: Place { epoch: self.epoch, sequence },
            sampled_at,
            received_at: self.received.wall,
            now: self.received.mono,
            age_ms: age_ms.map_or(0, |age| u32::try_from(age).unwrap_or(u32::MAX)),
            outcome,
            live,
            t2: t2.map(|t2| t2.min(t3.unwrap_or(self.received.wall))),
            t3,
        });
    }

    /// The sampling time under which a reading is stored. A clock nobody vouches for, or a time that cannot be,
    /// is replaced by arrival less age; the gateway's own time stays derivable from the delivery's `sent_at`.
    fn indexed_at(&self, stamped: &StampedReading) -> Timestamp {
        let told = stamped.reading.sampled_at;
        let absurd = told < EARLIEST || told.since(self.received.wall) > FAR_AHEAD_MS;
        let untrusted = self.letter.clock == ClockQuality::Untrusted;
        match stamped.age_ms {
            Some(age) if untrusted || absurd => self.received.wall.plus_ms(-i64::try_from(age).unwrap_or(0)),
            None if absurd => self.received.wall,
            _ => told,
        }
    }

    /// Names a few of the readings that came before, to be compared with what is stored.
    fn recheck(&self, gateway: &GatewayId, missing: &[(u64, u64)], again: &[(u64, u64)], intake: &mut Intake) {
        if self.letter.clock == ClockQuality::Untrusted {
            return;
        }
        let new = |sequence: u64| missing.iter().chain(again).any(|(start, end)| (*start..=*end).contains(&sequence));
        let mut left = RECHECKED;
        for (sequence, entry) in &self.letter.entries {
            let Entry::Reading(stamped) = entry else { continue };
            if left == 0 {
                return;
            }
            if new(*sequence) || self.indexed_at(stamped) != stamped.reading.sampled_at {
                continue;
            }
            let Some(channel) = self.ids.get(stamped.reading.channel.0 as usize) else { continue };
            let row = Row {
                series: channel.0,
                stream: self.stream,
                position: *sequence,
                sampled_at: stamped.reading.sampled_at,
                outcome: stamped.reading.outcome,
            };
            intake.rechecks.push(Recheck { gateway: gateway.clone(), epoch: self.epoch, row });
            left -= 1;
        }
    }
}

/// A gateway's own words, shortened: they go into the journal as they are, for people.
fn said(gateway: &GatewayId, happening: &Happening) -> Fact {
    let clean = |text: &str| text.chars().filter(|symbol| !symbol.is_control()).take(300).collect::<String>();
    let (text, about) = (clean(&happening.text), clean(&happening.about));
    let zh = format!("网关 {gateway} 报告:{about} {text}");
    let en = format!("gateway {gateway} reports: {about} {text}");
    Fact::seen("gateway.reported", gateway.as_str(), zh, en)
}
