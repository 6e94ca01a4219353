//! When to try again after a lost connection: pure.
//!
//! A gateway waits about a quarter of the time that it has already been cut off, at least a second and at most
//! a minute, and a third less or more by the fall of the dice. A short fault is over at once; after an outage of
//! a whole city its gateways have drifted apart and come back over more than a minute, without knowing of each
//! other. What counts as the end of an outage is an acknowledgement, not a connection: a broker that takes
//! everybody and drops everybody is not well.

use measurement::MonotonicMs;

const LEAST_MS: u64 = 1_000;
const MOST_MS: u64 = 60_000;

/// How long one gateway has been cut off.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    cut_off_since: Option<MonotonicMs>,
}

impl Pace {
    /// A connection was lost, or could not be made: the time of the next attempt. `dice` is any random number.
    pub fn lost(&mut self, now: MonotonicMs, dice: u64) -> MonotonicMs {
        let since = *self.cut_off_since.get_or_insert(now);
        let middle = (now.since(since) / 4).clamp(LEAST_MS, MOST_MS);
        MonotonicMs(now.0 + middle * 2 / 3 + dice % (middle * 2 / 3 + 1))
    }

    /// The collector was heard.
    pub fn heard(&mut self) {
        self.cut_off_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    /// 14,847 risk points with 9 or 10 on a gateway: a city.
    const GATEWAYS: usize = 1_589;

    /// When each of a city's gateways is back, in ms after an outage of so long ended.
    fn returns(outage_ms: u64, seed: u64) -> Vec<u64> {
        let mut dice = StdRng::seed_from_u64(seed);
        let one = |_| {
            let (mut pace, mut at) = (Pace::default(), MonotonicMs(0));
            // All of them lose their connection within the same second.
            at.0 += dice.random_range(0..1_000);
            while at.0 < outage_ms {
                at = pace.lost(at, dice.random());
            }
            at.0 - outage_ms
        };
        (0..GATEWAYS).map(one).collect()
    }

    fn most_a_second(returns: &[u64]) -> usize {
        let last = returns.iter().max().copied().unwrap_or(0);
        (0..=last / 1_000).map(|second| returns.iter().filter(|at| **at / 1_000 == second).count()).max().unwrap_or(0)
    }

    #[test]
    fn after_an_hour_a_city_comes_back_over_a_minute_and_at_most_fifty_a_second() {
        for seed in 0..20 {
            let returns = returns(3_600_000, seed);
            let last = returns.iter().max().copied().unwrap_or(0);
            assert!((60_000..=80_000).contains(&last), "seed {seed}: the last is back after {last} ms");
            let most = most_a_second(&returns);
            assert!(most <= 50, "seed {seed}: {most} connect within one second");
        }
    }

    #[test]
    fn after_a_short_fault_everybody_is_back_at_once() {
        let last = returns(5_000, 1).into_iter().max().unwrap_or(u64::MAX);
        assert!(last < 2_000, "{last} ms");
    }

    #[test]
    fn a_connection_that_brings_nothing_does_not_make_anybody_impatient() {
        let mut pace = Pace::default();
        pace.lost(MonotonicMs(0), 0);
        assert_eq!(pace.lost(MonotonicMs(40_000), 0), MonotonicMs(40_000 + 6_666));
        pace.heard();
        assert_eq!(pace.lost(MonotonicMs(50_000), 0), MonotonicMs(50_000 + 666));
    }
}
