//! How long the stages of an alarm took: a histogram with a bounded relative error, and p50/p99 from it.

/// Buckets per doubling: a figure is at most 1/32 too large.
const STEPS: u64 = 32;
const BUCKETS: usize = 32 * 60;

/// A histogram of milliseconds. Values up to 63 are exact, larger ones within 3.2 %.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; BUCKETS], total: 0 }
    }
}

fn bucket(ms: u64) -> usize {
    if ms < 2 * STEPS {
        return ms as usize;
    }
    let doubling = 63 - u64::from(ms.leading_zeros()) - 5;
    ((doubling * STEPS + (ms >> doubling)) as usize).min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let doubling = bucket / STEPS - 1;
    ((bucket - doubling * STEPS + 1) << doubling) - 1
}

impl Histogram {
    /// Counts one duration. A negative one (a clock disagreed) counts as zero.
    pub fn record(&mut self, ms: i64) {
        self.counts[bucket(u64::try_from(ms).unwrap_or(0))] += 1;
        self.total += 1;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The value that `share` of all do not exceed; `None` of nothing.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        if self.total == 0 {
            return None;
        }
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        self.counts
            .iter()
            .position(|count| {
                seen += count;
                seen >= rank
            })
            .map(upper)
    }
}

/// The stages that the front page shows.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Frame parsed at the gateway to alarm committed here.
    pub t2_t4: Histogram,
    /// Frame parsed at the gateway to accepted by an endpoint.
    pub t2_t6: Histogram,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_holds_its_own_upper_end() {
        for at in 0..BUCKETS - 1 {
            assert_eq!(bucket(upper(at)), at);
            assert_eq!(bucket(upper(at) + 1), at + 1);
        }
    }

    #[test]
    fn quantiles_are_at_most_a_thirty_second_too_large() {
        let mut histogram = Histogram::default();
        (1..=10_000).for_each(|ms| histogram.record(ms));
        for (share, exact) in [(0.5, 5_000), (0.99, 9_900), (1.0, 10_000)] {
            let told = histogram.quantile(share).expect("counted");
            assert!((exact..=exact + exact / 31).contains(&told), "{share}: {told}");
        }
    }

    #[test]
    fn nothing_counted_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
    }
}
