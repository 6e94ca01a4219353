//! What is held of one gateway's epoch: which sequences are on our disk, or will never come.
//!
//! Pure: no IO, no clock. Acknowledged is exactly what is held; what is held twice is stored once.
//!
//! Encoding v1 (kept beside the data, in the same commit): version byte, highest, spared (varints), count of held ranges,
//! then for each the distance from the end before and its length; the same for closed ranges.

use telemetry::{Ack, Range};

/// An acknowledgement names no more ranges than this above its contiguous part.
pub const ACK_RANGES: usize = 64;
/// More holes than this are not kept: the highest sequences are then not taken, and come again.
pub const MOST_RANGES: usize = 4096;

/// Disjoint, non-touching closed ranges, ascending. Small: it is a vector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<(u64, u64)>,
}

impl RangeSet {
    /// Adds `first..=last` and says how many numbers were new.
    pub fn insert(&mut self, first: u64, last: u64) -> u64 {
        if first > last {
            return 0;
        }
        // Nearly always the newest: straight behind the last range.
        if let Some(end) = self.ranges.last_mut()
            && end.1.checked_add(1) == Some(first)
        {
            end.1 = last;
            return last - first + 1;
        }
        let from = self.ranges.partition_point(|range| range.1 < first.saturating_sub(1));
        let to = self.ranges.partition_point(|range| range.0 <= last.saturating_add(1));
        let known: u64 = self.within(first, last).map(|(start, end)| end - start + 1).sum();
        let merged = self.ranges[from..to].iter().fold((first, last), |all, range| (all.0.min(range.0), all.1.max(range.1)));
        self.ranges.splice(from..to, [merged]);
        last - first + 1 - known
    }

    /// Takes `first..=last` out.
    pub fn remove(&mut self, first: u64, last: u64) {
        let (from, to) = (self.ranges.partition_point(|range| range.1 < first), self.ranges.partition_point(|range| range.0 <= last));
        if from >= to {
            return;
        }
        let (low, high) = (self.ranges[from], self.ranges[to - 1]);
        let mut left = Vec::with_capacity(2);
        if low.0 < first {
            left.push((low.0, first - 1));
        }
        if high.1 > last {
            left.push((last + 1, high.1));
        }
        self.ranges.splice(from..to, left);
    }

    /// The parts of `first..=last` that are in the set, ascending.
    pub fn within(&self, first: u64, last: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let from = self.ranges.partition_point(|range| range.1 < first);
        self.ranges[from..].iter().take_while(move |range| range.0 <= last).map(move |range| (range.0.max(first), range.1.min(last)))
    }

    /// The parts of `first..=last` that are not in the set, ascending.
    pub fn missing(&self, first: u64, last: u64) -> Vec<(u64, u64)> {
        let mut next = first;
        let mut holes = Vec::new();
        for (start, end) in self.within(first, last) {
            if next < start {
                holes.push((next, start - 1));
            }
            next = end.saturating_add(1);
        }
        if next <= last && first <= last {
            holes.push((next, last));
        }
        holes
    }

    /// True when this number is in the set.
    pub fn contains(&self, number: u64) -> bool {
        self.within(number, number).next().is_some()
    }

    /// How many ranges there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// True when nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

/// What is held of one epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// On our disk, or declared lost.
    held: RangeSet,
    /// Declared lost. Such a sequence may still come when a gap was declared too widely; it is stored then.
    closed: RangeSet,
    /// The highest sequence that is known to exist.
    highest: u64,
    /// Of the closed sequences, how many their gap itself said were not lost.
    spared: u64,
}

impl Held {
    /// Everything up to this is held.
    pub fn contiguous(&self) -> u64 {
        match self.held.ranges.first() {
            Some((1, last)) => *last,
            _ => 0,
        }
    }

    /// The highest sequence that is known to exist.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// Learns that sequences up to this one exist and says how many of them are news.
    pub fn expect(&mut self, highest: u64) -> u64 {
        let news = highest.saturating_sub(self.highest);
        self.highest = self.highest.max(highest);
        news
    }

    /// The parts of `first..=last` that are not held.
    pub fn missing(&self, first: u64, last: u64) -> Vec<(u64, u64)> {
        self.held.missing(first, last)
    }

    /// The parts of `first..=last` that were declared lost, and may be stored all the same.
    pub fn declared_lost(&self, first: u64, last: u64) -> Vec<(u64, u64)> {
        self.closed.within(first, last).collect()
    }

    /// True when `first..=last` can be taken without keeping more holes than there is room for.
    pub fn has_room(&self) -> bool {
        self.held.len() < MOST_RANGES
    }

    /// Notes what was stored. Only after this may it be acknowledged, and only once the commit has returned.
    pub fn store(&mut self, first: u64, last: u64) -> u64 {
        self.expect(last);
        self.held.insert(first, last)
    }

    /// Notes that a sequence declared lost came after all. True when its gap had counted it as lost.
    pub fn recover(&mut self, sequence: u64) -> bool {
        self.closed.remove(sequence, sequence);
        let spared = self.spared > 0;
        self.spared -= u64::from(spared);
        !spared
    }

    /// Notes that of what was just closed this many were not lost: a thinned stretch keeps its extremes.
    pub fn spare(&mut self, count: u64) {
        self.spared += count;
    }

    /// Closes what will never come. Gives how many sequences were closed by it that were not held before.
    pub fn close(&mut self, first: u64, last: u64) -> u64 {
        let (first, last) = (first.max(1), last.min(self.highest));
        for (start, end) in self.held.missing(first, last) {
            self.closed.insert(start, end);
        }
        self.held.insert(first, last)
    }

    /// Closes everything below the gateway's floor that never came.
    pub fn close_below(&mut self, floor: u64) -> Vec<(u64, u64)> {
        // A floor beyond what exists only says that everything existing was let go.
        let last = floor.saturating_sub(1).min(self.highest);
        let holes = if last == 0 { Vec::new() } else { self.held.missing(1, last) };
        for (first, last) in &holes {
            self.close(*first, *last);
        }
        holes
    }

    /// The first hole, when something above it is held or known to exist.
    pub fn first_hole(&self) -> Option<(u64, u64)> {
        let from = self.contiguous() + 1;
        self.held.missing(from, self.highest).into_iter().next()
    }

    /// The acknowledgement of exactly this.
    pub fn acknowledgement(&self, epoch: u64, nonce: u64, wanted_catalogue: u64) -> Ack {
        let contiguous = self.contiguous();
        let above = self.held.ranges.iter().filter(|range| range.0 > 1).take(ACK_RANGES);
        let ranges = above.map(|range| Range { first: range.0, last: range.1 }).collect();
        Ack { epoch, contiguous, ranges, nonce, wanted_catalogue }
    }

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![1];
        put(&mut out, self.highest);
        put(&mut out, self.spared);
        for set in [&self.held, &self.closed] {
            put(&mut out, set.ranges.len() as u64);
            let mut end = 0;
            for (first, last) in &set.ranges {
                put(&mut out, first - end);
                put(&mut out, last - first);
                end = *last;
            }
        }
        out
    }

    /// From bytes; `None` when they are not such.
    pub fn decode(mut bytes: &[u8]) -> Option<Held> {
        let (&1, rest) = bytes.split_first()? else { return None };
        bytes = rest;
        let highest = get(&mut bytes)?;
        let spared = get(&mut bytes)?;
        let mut sets = [RangeSet::default(), RangeSet::default()];
        for set in &mut sets {
            let mut end: u64 = 0;
            for _ in 0..get(&mut bytes)? {
                let first = end.checked_add(get(&mut bytes)?)?;
                end = first.checked_add(get(&mut bytes)?)?;
                set.ranges.push((first, end));
            }
        }
        let [held, closed] = sets;
        Some(Held { held, closed, highest, spared })
    }
}

/// Appends a number in 7-bit groups, low group first.
pub fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number in 7-bit groups.
pub fn get(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests;
