//! Records of the spool as one batch of telemetry: pure.

use measurement::MonotonicMs;
use spool::Record;
use telemetry::{BatchBuilder, CatalogueHash, Entry, Header};

use super::record::{Kept, Note};

/// As many of the records as share a note and fit, and the last sequence among them. The note says in `header` which
/// catalogue they were taken under, and whether it was in this boot, which is when their ages are known at `now`.
pub fn batch(mut header: Header, records: &[Record], now: MonotonicMs) -> (Vec<u8>, u64) {
    let note_of = |record: &Record| record.note.as_deref().and_then(Note::decode);
    let note = records.iter().find_map(note_of).unwrap_or(Note { boot: 0, catalogue: CatalogueHash(0) });
    header.catalogue = note.catalogue;
    header.age_known = note.boot == header.boot;
    let now = header.age_known.then_some(now);
    let first = records.first().map_or(0, |record| record.sequence);
    let mut batch = BatchBuilder::new(header, first);
    let mut last = first;
    for record in records {
        if note_of(record).unwrap_or(note) != note && !batch.is_empty() {
            break;
        }
        let kept = Kept::decode(&record.payload);
        let entry = kept.map(|kept| kept.into_entry(now)).unwrap_or_else(|| unreadable(record.sequence));
        if !batch.push(&entry) {
            break;
        }
        last = record.sequence;
    }
    (batch.finish(), last)
}

/// A record of a later version of this program: its sequence is declared, never silently left out.
fn unreadable(sequence: u64) -> Entry {
    Entry::Gap(telemetry::Gap { first: sequence, last: sequence, why: telemetry::GapCause::Unknown.into(), lost: 1 })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop here")]
    use super::*;
    use measurement::Timestamp;
    use spool::Class;
    use telemetry::{ClockQuality, Happening, Lane, Letter};

    fn record(sequence: u64, payload: Vec<u8>, boot: u64) -> Record {
        let note = Note { boot, catalogue: CatalogueHash(boot * 10) };
        Record { sequence, class: Class::Telemetry, payload, note: Some(note.encode().as_slice().into()) }
    }

    fn sent(records: &[Record]) -> (Letter, u64) {
        let header = Header {
            epoch: 0xE,
            floor: 1,
            lane: Lane::Live,
            boot: 2,
            sent_at: Timestamp(0),
            clock: ClockQuality::Synchronised,
            catalogue: CatalogueHash(0),
            transit_ms: None,
            age_known: false,
        };
        let (bytes, last) = batch(header, records, MonotonicMs(1_000));
        (Letter::decode(&bytes).unwrap(), last)
    }

    #[test]
    fn a_batch_ends_where_another_note_begins() {
        let said = Kept::Happening(Happening::default()).to_bytes();
        let records = [record(5, said.clone(), 2), record(6, said.clone(), 2), record(7, said, 1)];
        let (letter, last) = sent(&records);
        assert_eq!((letter.entries.len(), last, letter.catalogue), (2, 6, CatalogueHash(20)));
        let (letter, last) = sent(&records[2..]);
        assert_eq!((letter.entries.len(), last, letter.catalogue), (1, 7, CatalogueHash(10)));
    }

    #[test]
    fn a_record_of_a_later_version_is_declared() {
        let (letter, _) = sent(&[record(5, vec![99], 2)]);
        assert_eq!(letter.entries, [(5, unreadable(5))]);
    }
}
