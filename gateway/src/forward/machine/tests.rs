#![allow(clippy::unwrap_used, reason = "a test may stop here")]
use super::*;
use proptest::prelude::*;
use telemetry::Range;

const NOW: MonotonicMs = MonotonicMs(1_000);

fn connected(floor: u64, highest: u64) -> Machine {
    let mut machine = Machine::new(floor, highest, RangeSet::new());
    machine.connected(NOW);
    machine
}

fn ack(contiguous: u64, ranges: &[(u64, u64)]) -> Ack {
    let ranges = ranges.iter().map(|(first, last)| Range { first: *first, last: *last }).collect();
    Ack { contiguous, ranges, ..Ack::default() }
}

fn send(machine: &mut Machine, wanted: Wanted, most: u64, now: MonotonicMs) -> (u64, u64) {
    let last = wanted.to.min(wanted.from + most - 1);
    machine.sent(wanted.lane, wanted.from, last, now);
    (wanted.from, last)
}

#[test]
fn nothing_is_sent_before_the_broker_is_there() {
    let mut machine = Machine::new(1, 10, RangeSet::new());
    assert_eq!(machine.next(), None);
    machine.connected(NOW);
    assert_eq!(machine.next(), Some(Wanted { lane: Lane::Backlog, from: 1, to: 10 }));
}

#[test]
fn live_overtakes_backlog() {
    let mut machine = connected(1, 10);
    machine.durable(1, 12);
    assert_eq!(machine.next(), Some(Wanted { lane: Lane::Live, from: 11, to: 12 }));
    machine.sent(Lane::Live, 11, 12, NOW);
    assert_eq!(machine.next(), Some(Wanted { lane: Lane::Backlog, from: 1, to: 10 }));
}

#[test]
fn an_acknowledged_range_is_not_sent_again() {
    let mut machine = connected(1, 10);
    machine.acknowledge(&ack(3, &[(6, 7)]), NOW);
    assert_eq!(machine.next(), Some(Wanted { lane: Lane::Backlog, from: 4, to: 5 }));
    machine.sent(Lane::Backlog, 4, 5, NOW);
    machine.acknowledge(&ack(3, &[(4, 7)]), NOW);
    assert_eq!(machine.next(), Some(Wanted { lane: Lane::Backlog, from: 8, to: 10 }));
}

#[test]
fn a_batch_lost_on_the_way_is_sent_again_though_others_arrive() {
    let mut machine = connected(1, 4);
    machine.sent(Lane::Backlog, 1, 2, NOW);
    machine.sent(Lane::Backlog, 3, 4, NOW);
    machine.acknowledge(&ack(0, &[(3, 4)]), NOW);
    assert_eq!(machine.next(), None);
    machine.tick(MonotonicMs(NOW.0 + RESEND_AFTER_MS));
    assert_eq!(machine.next(), Some(Wanted { lane: Lane::Backlog, from: 1, to: 2 }));
}

#[test]
fn no_progress_for_long_rebuilds_the_connection() {
    let mut machine = connected(1, 4);
    machine.sent(Lane::Backlog, 1, 4, NOW);
    assert!(!machine.tick(MonotonicMs(NOW.0 + REBUILD_AFTER_MS - 1)));
    assert!(machine.tick(MonotonicMs(NOW.0 + REBUILD_AFTER_MS)));
}

#[test]
fn a_batch_sent_again_and_again_without_an_answer_rebuilds_the_connection_too() {
    let mut machine = connected(1, 4);
    let mut now = NOW;
    while !machine.tick(now) {
        if let Some(wanted) = machine.next() {
            machine.sent(wanted.lane, wanted.from, wanted.to, now);
        }
        now.0 += 500;
        assert!(now.0 <= NOW.0 + REBUILD_AFTER_MS, "nothing is rebuilt");
    }
    assert_eq!(now.0, NOW.0 + REBUILD_AFTER_MS);
}

#[test]
fn the_collector_is_not_blamed_when_nothing_could_be_sent() {
    let mut machine = connected(1, 4);
    assert!(!machine.tick(MonotonicMs(NOW.0 + 100 * REBUILD_AFTER_MS)), "nothing was sent at all");
    machine.sent(Lane::Backlog, 1, 2, MonotonicMs(NOW.0 + 100 * REBUILD_AFTER_MS));
    machine.acknowledge(&ack(2, &[]), MonotonicMs(NOW.0 + 100 * REBUILD_AFTER_MS + 1));
    assert!(!machine.tick(MonotonicMs(NOW.0 + 200 * REBUILD_AFTER_MS)), "nor since the last acknowledgement");
}

#[test]
fn an_idle_connection_is_left_alone() {
    let mut machine = connected(1, 4);
    machine.acknowledge(&ack(4, &[]), NOW);
    assert!(!machine.tick(MonotonicMs(NOW.0 + 100 * REBUILD_AFTER_MS)));
}

#[test]
fn a_resend_order_makes_the_acknowledged_due_again() {
    let mut machine = connected(1, 4);
    machine.acknowledge(&ack(4, &[]), NOW);
    machine.unacknowledge(2, 3);
    assert_eq!(machine.next(), Some(Wanted { lane: Lane::Backlog, from: 2, to: 3 }));
}

#[test]
fn what_could_not_be_sent_for_two_seconds_is_left_to_the_backlog() {
    let mut machine = connected(1, 0);
    machine.durable(1, 500);
    machine.tick(NOW);
    machine.durable(1, 700);
    machine.tick(MonotonicMs(NOW.0 + LIVE_FOR_MS - 1));
    assert_eq!(machine.next(), Some(Wanted { lane: Lane::Live, from: 1, to: 700 }));
    machine.tick(MonotonicMs(NOW.0 + LIVE_FOR_MS));
    assert_eq!(machine.next(), Some(Wanted { lane: Lane::Live, from: 501, to: 700 }));
    machine.sent(Lane::Live, 501, 700, NOW);
    assert_eq!(machine.next(), Some(Wanted { lane: Lane::Backlog, from: 1, to: 500 }));
}

/// How many batches of backlog the machine lets out now, of one entry each.
fn backlog_let_out(machine: &mut Machine) -> usize {
    let mut out = 0;
    while let Some(wanted) = machine.next() {
        send(machine, wanted, 1, NOW);
        out += 1;
    }
    out
}

#[test]
fn the_backlog_opens_as_the_collector_acknowledges_and_narrows_when_a_batch_is_lost() {
    let mut machine = connected(1, 1_000);
    assert_eq!(backlog_let_out(&mut machine), 1);
    machine.acknowledge(&ack(1, &[]), NOW);
    assert_eq!(backlog_let_out(&mut machine), 2);
    machine.acknowledge(&ack(3, &[]), NOW);
    assert_eq!(backlog_let_out(&mut machine), 4);
    machine.acknowledge(&ack(7, &[]), NOW);
    assert_eq!(backlog_let_out(&mut machine), BACKLOG_WINDOW);
    machine.acknowledge(&ack(14, &[]), NOW);
    machine.tick(MonotonicMs(NOW.0 + RESEND_AFTER_MS));
    assert_eq!(backlog_let_out(&mut machine), BACKLOG_WINDOW / 2);
    machine.connected(NOW);
    assert_eq!(backlog_let_out(&mut machine), 1, "a new connection begins anew");
}

proptest! {
    /// Whatever is lost, reordered or cut, everything reaches the other end once there is peace.
    #[test]
    fn everything_arrives_in_the_end(steps in proptest::collection::vec((0_u8..6, 1_u64..40), 1..200)) {
        let mut machine = Machine::new(1, 0, RangeSet::new());
        let (mut highest, mut now, mut held) = (0_u64, 1_000_u64, RangeSet::new());
        for (step, n) in steps {
            now += n * 100;
            match step {
                0 | 1 => { highest += n; machine.durable(1, highest); }
                2 => machine.connected(MonotonicMs(now)),
                3 => machine.disconnected(),
                // Sent and lost.
                4 => if let Some(wanted) = machine.next() { send(&mut machine, wanted, n, MonotonicMs(now)); },
                // Sent and stored, the acknowledgement lost every other time.
                _ => if let Some(wanted) = machine.next() {
                    let (first, last) = send(&mut machine, wanted, n, MonotonicMs(now));
                    held.insert(first, last);
                    if n % 2 == 0 { machine.acknowledge(&ack_of(&held), MonotonicMs(now)); }
                },
            }
            prop_assert!(machine.flights.len() <= WINDOW);
        }
        machine.connected(MonotonicMs(now));
        for _ in 0..10_000 {
            now += 100;
            machine.tick(MonotonicMs(now));
            let Some(wanted) = machine.next() else { break };
            let (first, last) = send(&mut machine, wanted, 50, MonotonicMs(now));
            held.insert(first, last);
            machine.acknowledge(&ack_of(&held), MonotonicMs(now));
        }
        prop_assert!(highest == 0 || held.covers(1, highest));
    }
}

fn ack_of(held: &RangeSet) -> Ack {
    let contiguous = held.first_missing(1) - 1;
    let ranges: Vec<(u64, u64)> = held.iter().filter(|(first, _)| *first > contiguous).take(64).collect();
    ack(contiguous, &ranges)
}
