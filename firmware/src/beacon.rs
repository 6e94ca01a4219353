//! Proof that the beacon works: a contact or current sense that says whether it is lit.

use measurement::MonotonicMs;

/// A beacon that was ordered on and not seen lit for this long has failed. A flashing one is dark for less.
pub const PROOF_MS: u64 = 2_000;

/// What changed about the beacon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeaconChange {
    /// It stays dark although it must be lit.
    Failed,
    /// It was seen lit again.
    Works,
}

/// Remembers whether the beacon does what it is told. A board without feedback never calls it, and nothing is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BeaconProof {
    dark_since: Option<MonotonicMs>,
    failed: bool,
}

impl BeaconProof {
    /// Nothing seen yet.
    pub const fn new() -> BeaconProof {
        BeaconProof { dark_since: None, failed: false }
    }

    /// Takes what was ordered and what the feedback says. A failure stays until the beacon is seen lit when it must be.
    pub fn observe(&mut self, ordered: bool, lit: bool, now: MonotonicMs) -> Option<BeaconChange> {
        if !ordered || lit {
            self.dark_since = None;
        }
        if !ordered {
            return None;
        }
        if lit {
            return core::mem::take(&mut self.failed).then_some(BeaconChange::Works);
        }
        let since = *self.dark_since.get_or_insert(now);
        if self.failed || now.since(since) < PROOF_MS {
            return None;
        }
        self.failed = true;
        Some(BeaconChange::Failed)
    }

    /// True while it is known not to work.
    pub const fn has_failed(&self) -> bool {
        self.failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(steps: &[(u64, bool, bool)]) -> std::vec::Vec<(u64, BeaconChange)> {
        let mut proof = BeaconProof::new();
        steps.iter().filter_map(|&(at, ordered, lit)| Some((at, proof.observe(ordered, lit, MonotonicMs(at))?))).collect()
    }

    #[test]
    fn a_beacon_that_stays_dark_for_two_seconds_has_failed_once() {
        assert_eq!(run(&[(0, true, false), (1999, true, false), (2000, true, false), (9000, true, false)]), [(2000, BeaconChange::Failed)]);
    }

    #[test]
    fn a_flashing_beacon_is_lit_often_enough() {
        let steps: std::vec::Vec<_> = (0..100).map(|i| (i * 100, true, i % 15 == 0)).collect();
        assert_eq!(run(&steps), []);
    }

    #[test]
    fn a_dark_beacon_that_nobody_ordered_proves_nothing() {
        assert_eq!(run(&[(0, false, false), (60_000, false, false), (60_001, true, false), (61_000, true, true)]), []);
    }

    #[test]
    fn a_failure_stays_until_the_beacon_is_seen_lit_when_it_must_be() {
        let steps = [(0, true, false), (2000, true, false), (3000, false, false), (4000, false, true), (5000, true, true)];
        assert_eq!(run(&steps), [(2000, BeaconChange::Failed), (5000, BeaconChange::Works)]);
    }
}
