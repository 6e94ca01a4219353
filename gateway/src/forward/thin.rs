//! Which readings of a full segment stay: per channel and minute the lowest and the highest value, and
//! everything that is not good. Extremes keep what an alarm would have seen.

use std::collections::HashMap;

use measurement::Outcome;
use spool::{Loss, LossCause, Record};
use telemetry::{Gap, GapCause};

use super::record::Kept;

/// The post's part in making room. See `spool::Caretaker`.
#[derive(Debug, Default)]
pub struct Thinning;

impl spool::Caretaker for Thinning {
    fn thin(&mut self, records: &[Record]) -> Vec<bool> {
        let mut keep = vec![false; records.len()];
        let mut extremes: HashMap<(u32, i64), [(usize, f32); 2]> = HashMap::new();
        for (index, record) in records.iter().enumerate() {
            let Some(Kept::Reading { reading, .. }) = Kept::decode(&record.payload) else {
                keep[index] = true;
                continue;
            };
            let Outcome::Good(value) = reading.outcome else {
                keep[index] = true;
                continue;
            };
            let value = (index, value.get());
            let [low, high] = extremes.entry((reading.channel.0, reading.sampled_at.0.div_euclid(60_000))).or_insert([value, value]);
            if value.1 < low.1 {
                *low = value;
            }
            if value.1 > high.1 {
                *high = value;
            }
        }
        for (index, _) in extremes.into_values().flatten() {
            keep[index] = true;
        }
        keep
    }

    fn declaration(&mut self, loss: &Loss) -> Vec<u8> {
        Kept::Gap(gap(loss)).to_bytes()
    }
}

/// A loss as the collector hears of it.
pub fn gap(loss: &Loss) -> Gap {
    let why = match loss.cause {
        LossCause::Thinned => GapCause::Thinned,
        LossCause::Dropped | LossCause::UrgentDropped => GapCause::DroppedOldest,
        LossCause::Corrupt => GapCause::Corrupt,
        LossCause::Moved => GapCause::Unknown,
    };
    Gap { first: loss.first, last: loss.last, why: why.into(), lost: loss.lost }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop here")]
    use super::*;
    use measurement::{ChannelId, Fault, MonotonicMs, Reading, Timestamp, Value};
    use spool::{Caretaker, Class};

    fn record(at: i64, outcome: Outcome) -> Record {
        let reading = Reading { channel: ChannelId(1), sampled_at: Timestamp(at), outcome };
        let payload = Kept::Reading { reading, parsed_at: MonotonicMs(0), sample_age_ms: 0 }.to_bytes();
        Record { sequence: 1, class: Class::Telemetry, payload, note: None }
    }

    #[test]
    fn a_minute_keeps_its_extremes_and_every_fault() {
        let good = |at, value| record(at, Outcome::Good(Value::new(value).unwrap()));
        let records = [
            good(0, 5.0),
            good(1000, 9.0),
            good(2000, 7.0),
            record(3000, Outcome::Bad(Fault::WireBreak)),
            good(4000, 1.0),
            good(61_000, 4.0),
        ];
        assert_eq!(Thinning.thin(&records), [false, true, false, true, true, true]);
    }
}
