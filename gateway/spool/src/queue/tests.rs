use proptest::prelude::*;

use super::*;
use crate::simulated::Dice;

mod model;

use model::{Bench, Size, Step, any_size, any_step};

proptest! {
    #![proptest_config(ProptestConfig { cases: 2500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_committed_is_lost_doubled_changed_or_out_of_order(
        size in any_size(),
        steps in proptest::collection::vec(any_step(), 1..120),
        seed in any::<u64>(),
    ) {
        let mut bench = Bench::new(size, seed);
        for step in &steps {
            bench.run(step);
        }
        bench.run(&Step::Commit);
        bench.cut_power();
        bench.check();
    }
}

#[test]
fn trace() {
    use Class::*;
    let mut bench = Bench::new(Size {
    segment_bytes: 865,
    segments: 9,
    reserve: 2,
    missing_blocks: 2,
}, 14123888194002772492);
    for step in [
    Step::Append(
        Telemetry,
        165,
    ),
    Step::FailSync(
        4,
    ),
    Step::Append(
        Telemetry,
        80,
    ),
    Step::Append(
        Telemetry,
        11,
    ),
    Step::Append(
        Urgent,
        143,
    ),
    Step::Append(
        Telemetry,
        41,
    ),
    Step::Append(
        Telemetry,
        111,
    ),
    Step::Append(
        Telemetry,
        125,
    ),
    Step::Commit,
    Step::PowerOff(
        0,
    ),
    Step::MakeRoom,
    Step::MakeRoom,
    Step::Renew,
    Step::Forget(
        0,
    ),
    Step::FailSync(
        1,
    ),
    Step::Append(
        Telemetry,
        198,
    ),
    Step::Append(
        Telemetry,
        72,
    ),
    Step::Append(
        Telemetry,
        72,
    ),
    Step::Read(
        72,
        6,
        441,
    ),
    Step::Renew,
    Step::Unacknowledge(
        0,
        0,
    ),
    Step::Append(
        Telemetry,
        253,
    ),
    Step::Append(
        Telemetry,
        93,
    ),
    Step::Commit,
    Step::Append(
        Telemetry,
        176,
    ),
    Step::Reopen,
    Step::Append(
        Telemetry,
        0,
    ),
    Step::Append(
        Telemetry,
        0,
    ),
    Step::PowerOff(
        11,
    ),
    Step::Append(
        Telemetry,
        158,
    ),
    Step::Append(
        Telemetry,
        109,
    ),
    Step::Append(
        Telemetry,
        93,
    ),
    Step::Append(
        Telemetry,
        130,
    ),
    Step::MakeRoom,
    Step::Append(
        Telemetry,
        205,
    ),
    Step::AcknowledgeRanges(        vec![(
                15,
                0,
            ),
        ],
    ),
    Step::Read(
        20,
        1,
        1,
    ),
    Step::Append(
        Telemetry,
        0,
    ),
    Step::Append(
        Urgent,
        177,
    ),
    Step::Commit,
    Step::Append(
        Telemetry,
        72,
    ),
    Step::Commit,
    Step::Forget(
        0,
    ),
    Step::Append(
        Telemetry,
        164,
    ),
    Step::Note(
        65,
    ),
    Step::Append(
        Urgent,
        77,
    ),
    Step::Append(
        Telemetry,
        217,
    ),
    Step::Commit,
    Step::Append(
        Telemetry,
        2,
    ),
    Step::Append(
        Telemetry,
        79,
    ),
    Step::Append(
        Telemetry,
        78,
    ),
    Step::Forget(
        0,
    ),
    Step::Append(
        Telemetry,
        191,
    ),
    Step::Append(
        Telemetry,
        0,
    ),
    Step::Append(
        Telemetry,
        3,
    ),
    Step::Commit,
    Step::PowerOff(
        18,
    ),
    Step::AcknowledgeRanges(        vec![(
                2,
                0,
            ),
            (
                4,
                0,
            ),
        ],
    ),
    Step::Append(
        Telemetry,
        81,
    ),
] {
        println!("=> {step:?}");
        bench.run(&step);
        println!("   now {step:?}");
        println!("acked {:?} given_up {:?}", bench.spool().acknowledged(), bench.given_up);
        let s = bench.spool();
        println!("next {} durable {} owed {} spares {} segments {:?}", s.next, s.durable, s.owed.len(), s.spares.len(), s.segments.iter().map(|i| (i.number, i.level, i.first, i.last, i.count, i.telemetry, i.file_bytes, i.end)).collect::<Vec<_>>());
    }
}
