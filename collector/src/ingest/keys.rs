//! What ingest keeps beside the samples, in the same commits, and under which keys. Version 1.
//!
//! | Key | Value |
//! |---|---|
//! | `e/{gateway}/{epoch, 8 bytes}` | [`EpochNote`]: stream number, in which order it was first seen |
//! | `h/{stream, 4 bytes}` | [`super::deliveries::Held`] |
//! | `c/{gateway}/{hash, 8 bytes}` | the channel numbers of a catalogue, in its order, as varints |
//! | `p/{gateway}/{hash, 8 bytes}/{part, 4 bytes}` | an encoded `telemetry::CataloguePart` |
//! | `d/{stream, 4 bytes}{first sequence, 8 bytes}` | [`Delivery`]: how and when these sequences came |
//! | `l/{gateway}/{day}` | [`Account`]: the ledger of that day, exact because it is written with the data |
//!
//! Numbers in keys are big-endian, so that key order is number order.

use std::collections::BTreeMap;

use measurement::Timestamp;
use telemetry::{ClockQuality, Lane, Letter};

use super::deliveries::{get, put};
use crate::clock::Moment;

/// Prefix of epochs.
pub const EPOCHS: &[u8] = b"e/";
/// Prefix of catalogues.
pub const CATALOGUES: &[u8] = b"c/";
/// Prefix of catalogue parts.
pub const PARTS: &[u8] = b"p/";
/// Prefix of the ledger.
pub const LEDGER: &[u8] = b"l/";

/// The key of an epoch.
pub fn epoch(gateway: &str, epoch: u64) -> Vec<u8> {
    named(b"e/", gateway, &epoch.to_be_bytes())
}

/// The key of what is held of a stream.
pub fn held(stream: u32) -> Vec<u8> {
    [b"h/".as_slice(), &stream.to_be_bytes()].concat()
}

/// The key of a catalogue's channel numbers.
pub fn catalogue(gateway: &str, hash: u64) -> Vec<u8> {
    named(b"c/", gateway, &hash.to_be_bytes())
}

/// The key of a catalogue's part.
pub fn part(gateway: &str, hash: u64, part: u32) -> Vec<u8> {
    let mut key = named(b"p/", gateway, &hash.to_be_bytes());
    key.push(b'/');
    key.extend(part.to_be_bytes());
    key
}

/// The key of a delivery.
pub fn delivery(stream: u32, first: u64) -> Vec<u8> {
    [b"d/".as_slice(), &stream.to_be_bytes(), &first.to_be_bytes()].concat()
}

/// The key of a gateway's day.
pub fn account(gateway: &str, day: &str) -> Vec<u8> {
    named(b"l/", gateway, day.as_bytes())
}

fn named(prefix: &[u8], gateway: &str, rest: &[u8]) -> Vec<u8> {
    [prefix, gateway.as_bytes(), b"/", rest].concat()
}

/// Splits a key under a prefix into the gateway and the rest. A gateway's name has no slash.
pub fn split<'a>(prefix: &[u8], key: &'a [u8]) -> Option<(&'a str, &'a [u8])> {
    let rest = key.strip_prefix(prefix)?;
    let slash = rest.iter().position(|byte| *byte == b'/')?;
    Some((std::str::from_utf8(&rest[..slash]).ok()?, &rest[slash + 1..]))
}

/// Eight bytes as a number.
pub fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?))
}

/// What is remembered of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochNote {
    /// Its stream in the time series.
    pub stream: u32,
    /// A later epoch of the same gateway has a greater one.
    pub order: u32,
}

impl EpochNote {
    /// As bytes.
    pub fn encode(self) -> Vec<u8> {
        [self.stream.to_be_bytes(), self.order.to_be_bytes()].concat()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Option<EpochNote> {
        let (stream, order) = bytes.split_first_chunk::<4>()?;
        Some(EpochNote { stream: u32::from_be_bytes(*stream), order: u32::from_be_bytes(order.try_into().ok()?) })
    }
}

/// Channel numbers as bytes.
pub fn encode_numbers(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let mut out = Vec::new();
    numbers.into_iter().for_each(|number| put(&mut out, u64::from(number)));
    out
}

/// Channel numbers from bytes.
pub fn decode_numbers(mut bytes: &[u8]) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(u32::try_from(get(&mut bytes)?).ok()?);
    }
    Some(numbers)
}

/// How and when a run of sequences came. With it every stored sample has its three times: `sampled_at` is the
/// sample's own, the other two are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// The run's last sequence; the first is in the key.
    pub last: u64,
    /// When the message arrived.
    pub received_at: Timestamp,
    /// When its commit was begun. It was on the disk when the acknowledgement went out, milliseconds later.
    pub stored_at: Timestamp,
    /// Live or backlog.
    pub lane: Lane,
    /// The gateway's boot that sent it.
    pub boot: u64,
    /// The gateway's wall clock at sending.
    pub sent_at: Timestamp,
    /// How far that clock was to be trusted.
    pub clock: ClockQuality,
    /// The transit bound the gateway knew, if any.
    pub transit_ms: Option<u32>,
}

impl Delivery {
    /// Of this letter.
    pub fn of(letter: &Letter, last: u64, received: Moment, stored_at: Timestamp) -> Delivery {
        Delivery {
            last,
            received_at: received.wall,
            stored_at,
            lane: letter.lane,
            boot: letter.boot,
            sent_at: letter.sent_at,
            clock: letter.clock,
            transit_ms: letter.transit_ms,
        }
    }

    /// As bytes: version, lane, clock, transit + 1, then last, received, stored less received, sent less received, boot.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![1, i32::from(self.lane) as u8, i32::from(self.clock) as u8];
        put(&mut out, self.transit_ms.map_or(0, |ms| u64::from(ms) + 1));
        put(&mut out, self.last);
        out.extend(self.received_at.0.to_le_bytes());
        put(&mut out, zigzag(self.stored_at.0.wrapping_sub(self.received_at.0)));
        put(&mut out, zigzag(self.sent_at.0.wrapping_sub(self.received_at.0)));
        out.extend(self.boot.to_le_bytes());
        out
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Option<Delivery> {
        let ([version, lane, clock], mut bytes) = bytes.split_first_chunk::<3>()?;
        if *version != 1 {
            return None;
        }
        let transit = get(&mut bytes)?;
        let last = get(&mut bytes)?;
        let (received, rest) = bytes.split_first_chunk::<8>()?;
        let received = i64::from_le_bytes(*received);
        bytes = rest;
        let stored = received.wrapping_add(unzigzag(get(&mut bytes)?));
        let sent = received.wrapping_add(unzigzag(get(&mut bytes)?));
        Some(Delivery {
            last,
            received_at: Timestamp(received),
            stored_at: Timestamp(stored),
            lane: Lane::try_from(i32::from(*lane)).ok()?,
            boot: u64::from_le_bytes(bytes.try_into().ok()?),
            sent_at: Timestamp(sent),
            clock: ClockQuality::try_from(i32::from(*clock)).ok()?,
            transit_ms: transit.checked_sub(1).and_then(|ms| u32::try_from(ms).ok()),
        })
    }
}

/// The delivery that brought a stored sequence, if it is on record. Letters hold a few hundred sequences, so it
/// lies in this block of 256 or not far below.
pub fn delivery_of(series: &timeseries::Store, stream: u32, sequence: u64) -> Result<Option<Delivery>, timeseries::Error> {
    let block = sequence >> 8;
    for block in (block.saturating_sub(255)..=block).rev() {
        let prefix = [b"d/".as_slice(), &stream.to_be_bytes(), &block.to_be_bytes()[1..]].concat();
        let runs = series.side_range(&prefix)?;
        let newest = runs.iter().rev().find(|(key, _)| key.get(6..).and_then(number).is_some_and(|first| first <= sequence));
        if let Some((_, value)) = newest {
            return Ok(Delivery::decode(value).filter(|delivery| delivery.last >= sequence));
        }
    }
    Ok(None)
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// One gateway's day in the ledger, in total.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Sequences that came to be known this day.
    pub expected: u64,
    /// Sequences stored this day.
    pub stored: u64,
    /// Sequences closed this day, by the cause's number on the wire.
    pub gaps: BTreeMap<i32, u64>,
}

impl Account {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![1];
        put(&mut out, self.expected);
        put(&mut out, self.stored);
        for (cause, count) in &self.gaps {
            put(&mut out, u64::from(cause.unsigned_abs()));
            put(&mut out, *count);
        }
        out
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Option<Account> {
        let (&1, mut bytes) = bytes.split_first()? else { return None };
        let mut account = Account { expected: get(&mut bytes)?, stored: get(&mut bytes)?, gaps: BTreeMap::new() };
        while !bytes.is_empty() {
            let cause = i32::try_from(get(&mut bytes)?).ok()?;
            account.gaps.insert(cause, get(&mut bytes)?);
        }
        Some(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_read_as_it_was_written() {
        let delivery = Delivery {
            last: 99,
            received_at: Timestamp(1_800_000_000_000),
            stored_at: Timestamp(1_800_000_000_020),
            lane: Lane::Backlog,
            boot: u64::MAX,
            sent_at: Timestamp(-5),
            clock: ClockQuality::Holdover,
            transit_ms: Some(0),
        };
        assert_eq!(Delivery::decode(&delivery.encode()), Some(delivery));
        let unknown = Delivery { transit_ms: None, ..delivery };
        assert_eq!(Delivery::decode(&unknown.encode()), Some(unknown));
        assert_eq!(Delivery::decode(&delivery.encode()[..12]), None);
    }

    #[test]
    fn an_account_is_read_as_it_was_written() {
        let account = Account { expected: 300, stored: 200, gaps: BTreeMap::from([(1, 99), (6, 1)]) };
        assert_eq!(Account::decode(&account.encode()), Some(account));
    }

    #[test]
    fn a_gateways_keys_come_apart_again() {
        let key = epoch("gw-1", 7);
        let (gateway, rest) = split(EPOCHS, &key).expect("ours");
        assert_eq!((gateway, number(rest)), ("gw-1", Some(7)));
    }
}
