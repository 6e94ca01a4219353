use proptest::prelude::*;

use super::*;

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

/// A life in forty steps that comes by every part of the plan.
fn a_life() -> Vec<Step> {
    use Class::{Other, Telemetry, Urgent};
    use Step::{Acknowledge, AcknowledgeRanges, Append, Commit, CommitAcknowledgements, Forget, MakeRoom, Note, Read, Renew, Reopen, Skip};
    let mut life =
        vec![Note(9), Append(Telemetry, 200), Append(Urgent, 40), Append(Telemetry, 120), Commit, Append(Other, 30), Append(Telemetry, 0)];
    life.extend([
        Commit,
        AcknowledgeRanges(vec![(2, 1)]),
        Append(Telemetry, 256),
        Append(Telemetry, 250),
        Note(13),
        Append(Urgent, 90),
        Commit,
    ]);
    life.extend([
        Skip(2),
        Append(Telemetry, 180),
        Append(Telemetry, 256),
        Commit,
        Acknowledge(7),
        Forget(0),
        Append(Telemetry, 200),
        Reopen,
    ]);
    life.extend([
        Append(Urgent, 256),
        Append(Telemetry, 240),
        Append(Telemetry, 256),
        Commit,
        Renew,
        Append(Telemetry, 250),
        Append(Telemetry, 256),
    ]);
    life.extend([
        Commit,
        MakeRoom,
        Append(Telemetry, 256),
        Append(Urgent, 250),
        Append(Telemetry, 256),
        Append(Telemetry, 256),
        Append(Urgent, 256),
    ]);
    life.extend([Acknowledge(3), CommitAcknowledgements, Append(Telemetry, 256), Read(0, 8, 500), Append(Telemetry, 256), Commit]);
    life
}

#[test]
fn the_power_may_go_at_every_single_operation_of_a_life() {
    for size in [
        Size { segment_bytes: 640, segments: 8, reserve: 2, missing_blocks: 0 },
        Size { segment_bytes: 640, segments: 9, reserve: 2, missing_blocks: 2 },
    ] {
        let mut whole = Bench::new(size, 0);
        a_life().iter().for_each(|step| whole.run(step));
        let operations = whole.disk.operations();
        assert!(operations > 150, "a life of {operations} operations shows little");
        for at in 0..operations {
            for seed in 0..6 {
                let mut bench = Bench::new(size, seed);
                bench.disk.power_off_in(at);
                a_life().iter().for_each(|step| bench.run(step));
                bench.cut_power();
                bench.check();
            }
        }
    }
}
