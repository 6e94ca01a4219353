//! When a group of appended entries is committed: pure.
//!
//! A commit writes whole blocks of flash, so what wears a card out is commits that fill none: of those there is one each
//! `group_ms` over any longer time. What was not used of that is saved up, a little, so that readings that come together
//! (a round of polls) are on the disk within milliseconds, and a gateway that always has a little to write waits for
//! company. A group that fills a block costs no more now than later.

use measurement::MonotonicMs;

/// What comes within so many milliseconds of a group's first entry shares its commit while all are saved up; twice as many each
/// time that two are gone.
const QUICK_MS: u64 = 2;
/// So many commits may be saved up: a round of polls takes a few.
const MOST_SAVED: u64 = 10;
/// What a file system writes at least.
const BLOCK_BYTES: u64 = 4_096;

/// The commits that may be made.
#[derive(Debug)]
pub struct Rhythm {
    group_ms: u64,
    saved: u64,
    /// Since when the next one is being saved.
    since: MonotonicMs,
}

impl Rhythm {
    /// A commit each `group_ms` on average.
    pub fn new(group_ms: u64, now: MonotonicMs) -> Rhythm {
        Rhythm { group_ms: group_ms.max(1), saved: MOST_SAVED, since: now }
    }

    /// When the group that begins now is to be committed.
    pub fn due(&mut self, now: MonotonicMs) -> MonotonicMs {
        self.save(now);
        let quick = QUICK_MS << ((MOST_SAVED - self.saved) / 2);
        let wait = if self.saved > 0 { quick.min(self.group_ms) } else { self.group_ms };
        MonotonicMs(now.0 + wait)
    }

    /// A commit was made, of so many bytes.
    pub fn committed(&mut self, now: MonotonicMs, bytes: u64) {
        self.save(now);
        self.saved = self.saved.saturating_sub(u64::from(bytes < BLOCK_BYTES));
    }

    fn save(&mut self, now: MonotonicMs) {
        let more = now.since(self.since) / self.group_ms;
        self.saved = (self.saved + more).min(MOST_SAVED);
        self.since.0 += more * self.group_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Commits for entries of so many bytes that come at these times, as the keeper makes them; and the longest that an entry
    /// waited.
    fn run(group_ms: u64, bytes: u64, entries: &[u64]) -> (usize, u64) {
        let mut rhythm = Rhythm::new(group_ms, MonotonicMs(0));
        let (mut commits, mut longest) = (0, 0);
        let mut entries = entries.iter().copied().peekable();
        while let Some(first) = entries.next() {
            let due = rhythm.due(MonotonicMs(first)).0;
            let mut count = 1;
            while entries.next_if(|at| *at < due).is_some() {
                count += 1;
            }
            rhythm.committed(MonotonicMs(due), count * bytes);
            (commits, longest) = (commits + 1, longest.max(due - first));
        }
        (commits, longest)
    }

    /// A minute of rounds, one a second, that take so long, an entry each millisecond.
    fn rounds(length_ms: u64) -> Vec<u64> {
        (0..60).flat_map(|second| (0..length_ms).map(move |ms| second * 1_000 + ms)).collect()
    }

    #[test]
    fn a_round_of_polls_is_on_the_disk_within_milliseconds() {
        assert_eq!(run(200, 50, &rounds(4)), (120, QUICK_MS));
    }

    #[test]
    fn a_long_round_is_committed_in_longer_and_longer_groups_and_not_late_as_a_whole() {
        let (commits, longest) = run(200, 10, &rounds(100));
        assert!(commits <= 310 && (QUICK_MS..=64).contains(&longest), "{commits} commits, {longest} ms");
    }

    #[test]
    fn who_always_writes_waits_for_company_once_nothing_is_saved_up() {
        let (commits, longest) = run(200, 10, &rounds(1_000));
        assert_eq!(longest, 200);
        assert!((300..=320).contains(&commits), "{commits}");
    }

    #[test]
    fn groups_that_fill_a_block_wait_for_nobody_however_many_they_are() {
        assert_eq!(run(200, BLOCK_BYTES / QUICK_MS, &rounds(1_000)).1, QUICK_MS);
    }

    #[test]
    fn a_site_that_asks_for_less_than_the_quick_wait_gets_it() {
        assert_eq!(run(1, 50, &rounds(5)).1, 1);
    }

    proptest! {
        #[test]
        fn commits_are_no_more_than_one_each_group_and_what_was_saved_up(group_ms in 1_u64..2_000, mut gaps in prop::collection::vec(0_u64..500, 1..400)) {
            let mut at = 0;
            gaps.iter_mut().for_each(|gap| { at += *gap; *gap = at });
            let (commits, longest) = run(group_ms, 1, &gaps);
            prop_assert!(commits as u64 <= (at + group_ms) / group_ms + MOST_SAVED + 1);
            prop_assert!(longest <= group_ms);
        }
    }
}
