//! A set of sequence numbers, kept as disjoint closed ranges.

use std::collections::BTreeMap;

/// Disjoint, non-touching closed ranges, by their first number. As large as the number of its ranges,
/// however many numbers they hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// The empty set.
    pub fn new() -> RangeSet {
        RangeSet::default()
    }

    /// Adds `first..=last`. An empty range (`first > last`) adds nothing. True when something was new.
    pub fn insert(&mut self, first: u64, last: u64) -> bool {
        if first > last || self.covers(first, last) {
            return false;
        }
        let (mut first, mut last) = (first, last);
        if let Some((&start, &end)) = self.ranges.range(..=first).next_back()
            && end.saturating_add(1) >= first
        {
            first = start;
            last = last.max(end);
        }
        while let Some((&start, &end)) = self.ranges.range(first..=last.saturating_add(1)).next() {
            last = last.max(end);
            self.ranges.remove(&start);
        }
        self.ranges.insert(first, last);
        true
    }

    /// Takes `first..=last` out.
    pub fn remove(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        if let Some((&start, &end)) = self.ranges.range(..first).next_back()
            && end >= first
        {
            self.ranges.insert(start, first - 1);
            if end > last {
                self.ranges.insert(last + 1, end);
            }
        }
        while let Some((&start, &end)) = self.ranges.range(first..=last).next() {
            self.ranges.remove(&start);
            if end > last {
                self.ranges.insert(last + 1, end);
            }
        }
    }

    /// True when the number is in the set.
    pub fn contains(&self, number: u64) -> bool {
        self.covers(number, number)
    }

    /// True when all of `first..=last` is in the set.
    pub fn covers(&self, first: u64, last: u64) -> bool {
        self.ranges.range(..=first).next_back().is_some_and(|(_, &end)| end >= last)
    }

    /// How many numbers of `first..=last` are in the set.
    pub fn overlap(&self, first: u64, last: u64) -> u64 {
        self.within(first, last).map(|(start, end)| end - start + 1).sum()
    }

    /// The parts of the set inside `first..=last`, ascending.
    pub fn within(&self, first: u64, last: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let from = self.ranges.range(..=first).next_back().map_or(first, |(&start, _)| start);
        let inside = self.ranges.range(from..=last.max(from)).map(move |(&start, &end)| (start.max(first), end.min(last)));
        inside.filter(|(start, end)| start <= end)
    }

    /// The lowest number at or above `from` that is not in the set.
    pub fn first_missing(&self, from: u64) -> u64 {
        match self.ranges.range(..=from).next_back() {
            Some((_, &end)) if end >= from => end.saturating_add(1),
            _ => from,
        }
    }

    /// The lowest number at or above `from` that is in the set.
    pub fn first_present(&self, from: u64) -> Option<u64> {
        if self.contains(from) { Some(from) } else { self.ranges.range(from..).next().map(|(&start, _)| start) }
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().map(|(&start, &end)| (start, end))
    }

    /// How many ranges there are.
    pub fn range_count(&self) -> usize {
        self.ranges.len()
    }

    /// True when nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Forgets the highest ranges until at most `most` are left.
    pub fn keep_lowest(&mut self, most: usize) {
        while self.ranges.len() > most {
            self.ranges.pop_last();
        }
    }
}

#[cfg(test)]
mod tests;
