//! A thousand hours of one gateway's post over a pipe that loses, doubles, delays and breaks: everything arrives,
//! nothing is stored twice, and while the pipe holds what is live is there within seconds.
//!
//! The forwarder's machine and the bytes of telemetry v1 are the product's; the pipe, the disk and the
//! collector's books are a few lines each. `DAVY_SEED=n` plays another story.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use std::collections::VecDeque;

use gateway::forward::machine::Machine;
use measurement::{ChannelId, MonotonicMs, Outcome, Reading, Timestamp};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use spool::RangeSet;
use telemetry::{Ack, BatchBuilder, CatalogueHash, ClockQuality, Entry, Header, Lane, Letter, Range, StampedReading};

const HOURS: u64 = 1_000;
const STEP_MS: u64 = 5_000;
const EPOCH: u64 = 0xE;
/// The machine sends what was lost again after 10 s, and what was lost twice after 20.
const LIVE_WITHIN_MS: u64 = 60_000;

/// Every sequence's value says which sequence it is, so that a mix-up shows.
fn value_of(sequence: u64) -> f32 {
    (sequence % 10_000) as f32 / 100.0
}

/// The collector's books.
#[derive(Default)]
struct Collector {
    held: RangeSet,
    stored: u64,
    late: u64,
}

impl Collector {
    fn take(&mut self, payload: &[u8], now: u64) -> Ack {
        let letter = Letter::decode(payload).expect("bytes of our own");
        for (sequence, entry) in &letter.entries {
            let Entry::Reading(stamped) = entry else { panic!("only readings were sent") };
            assert_eq!(stamped.reading.outcome, Outcome::measured(value_of(*sequence)), "the value of another sequence");
            if self.held.insert(*sequence, *sequence) {
                self.stored += 1;
                let sampled = stamped.reading.sampled_at.0 as u64;
                if letter.lane == Lane::Live && now - sampled > LIVE_WITHIN_MS {
                    self.late += 1;
                }
            }
        }
        let contiguous = self.held.first_missing(1) - 1;
        let ranges = self.held.iter().filter(|(first, _)| *first > contiguous).take(64);
        Ack { epoch: EPOCH, contiguous, ranges: ranges.map(|(first, last)| Range { first, last }).collect(), ..Ack::default() }
    }
}

enum Parcel {
    Letter(Vec<u8>),
    Ack(Ack),
}

/// Ways to the other end, each parcel with the time it arrives.
#[derive(Default)]
struct Pipe(VecDeque<(u64, Parcel)>);

impl Pipe {
    fn put(&mut self, parcel: Parcel, now: u64, chance: &mut StdRng) {
        if !chance.random_bool(0.02) {
            self.0.push_back((now + chance.random_range(5..3_000), parcel));
        }
    }

    fn due(&mut self, now: u64) -> Vec<Parcel> {
        let (due, rest): (VecDeque<_>, VecDeque<_>) = self.0.drain(..).partition(|(at, _)| *at <= now);
        self.0 = rest;
        due.into_iter().map(|(_, parcel)| parcel).collect()
    }
}

fn letter(lane: Lane, first: u64, last: u64, now: u64) -> (Vec<u8>, u64) {
    let header = Header {
        epoch: EPOCH,
        floor: 1,
        lane,
        boot: 1,
        sent_at: Timestamp(now as i64),
        clock: ClockQuality::Synchronised,
        catalogue: CatalogueHash(1),
        transit_ms: Some(5),
        age_known: true,
    };
    let mut builder = BatchBuilder::new(header, first);
    let mut sequence = first;
    while sequence <= last {
        let sampled_at = Timestamp((sequence * STEP_MS) as i64);
        let reading = Reading { channel: ChannelId(0), sampled_at, outcome: Outcome::measured(value_of(sequence)) };
        if !builder.push(&Entry::Reading(StampedReading { reading, parse_lag_ms: 1, age_ms: Some(now - sequence * STEP_MS) })) {
            break;
        }
        sequence += 1;
    }
    (builder.finish(), sequence - 1)
}

#[test]
fn in_a_thousand_hours_over_a_bad_pipe_every_reading_is_stored_exactly_once() {
    let seed = std::env::var("DAVY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1815);
    let mut chance = StdRng::seed_from_u64(seed);
    let mut machine = Machine::new(1, 0, RangeSet::new());
    let mut collector = Collector::default();
    let mut pipe = Pipe::default();
    let (mut sequence, mut is_up, mut changes_at, mut breaks, mut doubled) = (0_u64, false, 0_u64, 0_u32, 0_u64);
    let end = HOURS * 3_600_000;
    let mut now = 0;
    // After the thousand hours the pipe is whole for ten minutes.
    while now < end + 600_000 {
        now += STEP_MS;
        let at = MonotonicMs(now);
        if now < end {
            sequence += 1;
            machine.durable(1, sequence);
        }
        if now >= changes_at {
            is_up = !is_up || now >= end;
            if is_up {
                machine.connected(at);
                changes_at = now + chance.random_range(60_000..20_000_000);
            } else {
                machine.disconnected();
                pipe.0.clear();
                breaks += 1;
                changes_at = (now + chance.random_range(5_000..4_000_000)).min(end);
            }
        }
        if machine.tick(at) && is_up {
            machine.disconnected();
            machine.connected(at);
        }
        while let Some(wanted) = machine.next() {
            let (payload, last) = letter(wanted.lane, wanted.from, wanted.to.min(wanted.from + 499), now);
            machine.sent(wanted.lane, wanted.from, last, at);
            if chance.random_bool(0.02) {
                doubled += 1;
                pipe.put(Parcel::Letter(payload.clone()), now, &mut chance);
            }
            pipe.put(Parcel::Letter(payload), now, &mut chance);
        }
        for parcel in pipe.due(now) {
            match parcel {
                Parcel::Letter(payload) => {
                    let ack = collector.take(&payload, now);
                    pipe.put(Parcel::Ack(ack), now, &mut chance);
                }
                Parcel::Ack(ack) => drop(machine.acknowledge(&ack, at)),
            }
        }
    }
    assert!(collector.held.covers(1, sequence), "seed {seed}: missing from {}", collector.held.first_missing(1));
    assert_eq!(collector.stored, sequence, "seed {seed}: stored exactly once");
    let late = collector.late as f64 / sequence as f64;
    assert!(late < 0.001, "seed {seed}: {:.3} % of the live lane came later than a minute", late * 100.0);
    println!("{sequence} readings, {breaks} breaks, {doubled} letters doubled: all stored once");
    assert!(breaks > 50 && doubled > 1_000, "the pipe was bad enough to prove something");
}
