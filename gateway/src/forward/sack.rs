//! Encoded entries in the order in which they came, in few allocations. A sack is what the post hands from
//! one pair of hands to the next: pollers fill one, the keeper empties it into the spool.

use std::collections::VecDeque;

use spool::Class;

use super::record::{Kept, Note};

/// A bag takes no more once it is this full: what was emptied is given back to memory bag by bag.
const BAG_BYTES: usize = 64 << 10;

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A record of this class.
    Record(Class),
    /// A note that stands over the records after it.
    Note,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Sack {
    bags: VecDeque<Bag>,
    records: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Bag {
    bytes: Vec<u8>,
    items: VecDeque<(Mark, usize)>,
    /// Bytes of items that were taken out.
    taken: usize,
}

impl Sack {
    /// How many records are in it.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Bytes of all items in it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// True when nothing is in it, not even a note.
    pub fn is_empty(&self) -> bool {
        self.bags.is_empty()
    }

    /// Puts an entry behind all others.
    pub fn push(&mut self, class: Class, kept: &Kept) {
        self.put(Mark::Record(class), |bytes| kept.encode(bytes));
    }

    /// Puts a note behind all others.
    pub fn push_note(&mut self, note: Note) {
        self.put(Mark::Note, |bytes| bytes.extend_from_slice(&note.encode()));
    }

    /// Puts what is encoded already behind all others.
    pub fn push_bytes(&mut self, mark: Mark, bytes: &[u8]) {
        self.put(mark, |out| out.extend_from_slice(bytes));
    }

    /// Puts a record before all others.
    pub fn push_first(&mut self, class: Class, payload: &[u8]) {
        let (mark, length) = (Mark::Record(class), payload.len());
        self.bags.push_front(Bag { bytes: payload.to_vec(), items: VecDeque::from([(mark, length)]), taken: 0 });
        self.count(mark, length);
    }

    /// Puts everything in `other` behind all others.
    pub fn append(&mut self, mut other: Sack) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.bags.append(&mut other.bags);
    }

    /// The same, as long as there are no more than `most` records. Gives how many were left out; notes never are.
    pub fn append_within(&mut self, mut other: Sack, most: usize) -> u64 {
        if self.records + other.records <= most {
            self.append(other);
            return 0;
        }
        let mut left_out = 0;
        while let Some((mark, bytes)) = other.first() {
            if mark == Mark::Note || self.records < most {
                self.push_bytes(mark, bytes);
            } else {
                left_out += 1;
            }
            other.drop_first();
        }
        left_out
    }

    /// The item that comes first.
    pub fn first(&self) -> Option<(Mark, &[u8])> {
        let bag = self.bags.front()?;
        let (mark, length) = *bag.items.front()?;
        Some((mark, bag.bytes.get(bag.taken..bag.taken + length)?))
    }

    /// Takes the first item out.
    pub fn drop_first(&mut self) {
        let Some(bag) = self.bags.front_mut() else { return };
        if let Some((mark, length)) = bag.items.pop_front() {
            bag.taken += length;
            self.bytes -= length;
            self.records -= usize::from(mark != Mark::Note);
        }
        if bag.items.is_empty() {
            self.bags.pop_front();
        }
    }

    fn put(&mut self, mark: Mark, write: impl FnOnce(&mut Vec<u8>)) {
        if self.bags.back().is_none_or(|bag| bag.bytes.len() >= BAG_BYTES) {
            self.bags.push_back(Bag::default());
        }
        let Some(bag) = self.bags.back_mut() else { return };
        let before = bag.bytes.len();
        write(&mut bag.bytes);
        let length = bag.bytes.len() - before;
        bag.items.push_back((mark, length));
        self.count(mark, length);
    }

    fn count(&mut self, mark: Mark, length: usize) {
        self.bytes += length;
        self.records += usize::from(mark != Mark::Note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telemetry::{CatalogueHash, Happening};

    fn entry(text: &str) -> Kept {
        Kept::Happening(Happening { text: text.to_owned(), ..Happening::default() })
    }

    fn emptied(mut sack: Sack) -> Vec<(Mark, Vec<u8>)> {
        let mut items = Vec::new();
        while let Some((mark, bytes)) = sack.first() {
            items.push((mark, bytes.to_vec()));
            sack.drop_first();
        }
        assert_eq!((sack.records(), sack.bytes(), sack.is_empty()), (0, 0, true));
        items
    }

    #[test]
    fn what_was_put_in_comes_out_in_order_and_a_note_keeps_its_place() {
        let note = Note { boot: 1, catalogue: CatalogueHash(2) };
        let mut sack = Sack::default();
        sack.push(Class::Urgent, &entry("a"));
        sack.push_note(note);
        let mut more = Sack::default();
        more.push(Class::Telemetry, &entry("b"));
        sack.append(more);
        sack.push_first(Class::Other, b"gap");
        assert_eq!(sack.records(), 3);
        let want = [
            (Mark::Record(Class::Other), b"gap".to_vec()),
            (Mark::Record(Class::Urgent), entry("a").to_bytes()),
            (Mark::Note, note.encode().to_vec()),
            (Mark::Record(Class::Telemetry), entry("b").to_bytes()),
        ];
        assert_eq!(emptied(sack), want);
    }

    #[test]
    fn beyond_its_bound_a_record_is_left_out_and_a_note_is_not() {
        let mut sack = Sack::default();
        sack.push(Class::Telemetry, &entry("a"));
        let mut more = Sack::default();
        more.push(Class::Telemetry, &entry("b"));
        more.push(Class::Telemetry, &entry("c"));
        more.push_note(Note { boot: 1, catalogue: CatalogueHash(2) });
        assert_eq!(sack.append_within(more, 2), 1);
        let marks: Vec<Mark> = emptied(sack).into_iter().map(|(mark, _)| mark).collect();
        assert_eq!(marks, [Mark::Record(Class::Telemetry), Mark::Record(Class::Telemetry), Mark::Note]);
    }

    #[test]
    fn a_large_sack_loses_nothing_between_its_bags() {
        let mut sack = Sack::default();
        let entries: Vec<Kept> = (0..5_000).map(|n| entry(&"x".repeat(n % 100))).collect();
        entries.iter().for_each(|entry| sack.push(Class::Telemetry, entry));
        assert_eq!(sack.records(), 5_000);
        let want: Vec<_> = entries.iter().map(|entry| (Mark::Record(Class::Telemetry), entry.to_bytes())).collect();
        assert_eq!(emptied(sack), want);
    }
}
