//! Late readings: they may raise, marked so; they clear, refresh and ring nothing.

use super::*;

/// A channel that was heard live at sequence 101, at second 101.
fn live_since_100() -> Bench {
    heard(vec![limit(METHANE)])
}

fn heard(rules: Vec<Rule>) -> Bench {
    let mut bench = Bench::new(&[channel(1, rules)]);
    (bench.sequence, bench.now) = (100, 100 * SECOND);
    bench.live(good(1.0));
    bench
}

/// An alarm that backfill raised and live readings ended: late, returned, and nobody has looked.
fn late_and_returned(rules: Vec<Rule>) -> Bench {
    let mut bench = heard(rules);
    bench.late(10, 10, good(100.0));
    (0..31).for_each(|_| bench.live(good(1.0)));
    assert!(bench.engine.open_episodes().any(|episode| episode.late && !episode.active));
    bench.told();
    bench
}

#[test]
fn a_late_reading_beyond_the_limit_raises_an_alarm_marked_late() {
    let mut bench = live_since_100();
    bench.late(10, 10, good(12.0));
    let alarm = bench.only();
    assert_eq!((bench.told(), alarm.late, alarm.from_backfill), (vec![Raised], true, true));
    assert_eq!((alarm.began_at, alarm.opened_at), (Timestamp(WALL + 10_000), bench.wall()));
    assert_eq!(bench.out[0].cause, Cause::Late);
}

#[test]
fn an_excursion_wholly_in_the_past_closes_with_its_true_end() {
    let mut bench = live_since_100();
    bench.late(10, 10, good(12.0));
    bench.late(11, 11, good(8.0));
    assert_eq!((bench.told(), bench.states()), (vec![Raised, Returned, Cleared], vec![]));
    assert_eq!(bench.out[2].episode.closed_at, Some(Timestamp(WALL + 11_000)));
    crate::invariants::all(&bench.out).unwrap();
}

#[test]
fn the_delays_of_a_late_excursion_run_on_its_own_times() {
    let mut bench = heard(vec![limit(Limit { on_delay_ms: 2000, ..METHANE })]);
    bench.late(10, 10, good(12.0));
    bench.late(11, 11, good(12.0));
    assert_eq!(bench.told(), []);
    bench.late(12, 12, good(12.0));
    assert_eq!((bench.told(), bench.only().began_at), (vec![Raised], Timestamp(WALL + 10_000)));
}

#[test]
fn a_late_low_value_never_clears_a_live_alarm() {
    let mut bench = live_since_100();
    bench.live(good(12.0));
    bench.told();
    let before = bench.only();
    for sequence in [10, 11, 50, 103, 104] {
        bench.late(sequence, sequence as i64, good(1.0));
    }
    assert_eq!((bench.told(), bench.only()), (vec![], before));
}

#[test]
fn late_high_values_never_keep_a_live_alarm_up() {
    let mut bench = live_since_100();
    bench.live(good(12.0));
    bench.late(50, 150, good(12.0));
    bench.live(good(8.0));
    assert!(!bench.only().active);
}

#[test]
fn a_late_fault_changes_nothing() {
    let mut bench = heard(vec![limit(METHANE), rule("fault", RuleKind::Fault)]);
    bench.late(10, 10, Outcome::Bad(Fault::SensorFailure));
    assert_eq!(bench.told(), []);
    bench.live(Outcome::Bad(Fault::SensorFailure));
    bench.late(11, 11, good(1.0));
    assert_eq!((bench.told(), bench.states()), (vec![Raised], vec![State::Unacknowledged]));
}

#[test]
fn a_late_fault_is_no_zero() {
    let mut bench = live_since_100();
    bench.late(10, 10, good(12.0));
    bench.late(11, 11, Outcome::Bad(Fault::SensorFailure));
    assert_eq!((bench.told(), bench.only().active), (vec![Raised], true));
}

#[test]
fn a_late_reading_after_a_live_alarm_s_end_brings_it_back_and_its_late_end_waits_for_a_person() {
    let mut bench = live_since_100();
    bench.live(good(12.0));
    bench.live(good(8.0));
    bench.late(110, 110, good(12.0));
    assert_eq!((bench.told(), bench.states()), (vec![Raised, Returned, Reraised], vec![State::Unacknowledged]));
    bench.late(111, 111, good(8.0));
    assert_eq!((bench.told(), bench.states()), (vec![Returned], vec![State::ReturnedUnacknowledged]));
}

#[test]
fn a_late_reading_within_an_alarm_that_has_returned_changes_nothing() {
    let mut bench = heard(vec![limit(METHANE), over_range()]);
    (0..3).for_each(|_| bench.live(good(100.0)));
    bench.live(good(1.0));
    let id = bench.open("over-range").unwrap().id;
    bench.acknowledge(&id).unwrap();
    bench.told();
    bench.late(103, 103, good(100.0));
    assert_eq!(bench.told(), []);
    bench.late(110, 110, good(100.0));
    assert_eq!((bench.told(), bench.open("over-range").unwrap().state), (vec![Reraised], State::Unacknowledged));
}

#[test]
fn a_live_reading_beyond_the_limit_makes_a_late_alarm_live() {
    let mut bench = live_since_100();
    bench.late(10, 10, good(12.0));
    bench.live(good(12.0));
    let alarm = bench.only();
    assert_eq!((bench.told(), alarm.late, alarm.from_backfill), (vec![Raised, BecameLive], false, false));
}

#[test]
fn a_late_reading_ends_nothing_once_the_alarm_is_live() {
    let mut bench = live_since_100();
    bench.late(10, 10, good(12.0));
    bench.live(good(12.0));
    bench.told();
    bench.late(11, 11, good(1.0));
    assert!(bench.told().is_empty() && bench.only().active);
}

#[test]
fn live_readings_end_what_backfill_raised_when_backfill_has_paused() {
    let mut bench = live_since_100();
    bench.late(10, 10, good(12.0));
    bench.told();
    (0..29).for_each(|_| bench.live(good(1.0)));
    assert_eq!(bench.told(), [], "more backfill may come");
    bench.live(good(1.0));
    assert_eq!((bench.told(), bench.states()), (vec![Returned], vec![State::ReturnedUnacknowledged]));
    assert_eq!(bench.only().returned_at, Some(Timestamp(WALL + 101_000)), "the first live reading after the hole");
}

#[test]
fn live_gas_after_a_late_alarm_that_has_returned_rings_today_s_bell() {
    let mut bench = late_and_returned(vec![limit(METHANE)]);
    bench.live(good(12.0));
    assert_eq!((bench.told(), bench.only().late), (vec![Reraised], false));
    crate::invariants::all(&bench.out).unwrap();
}

#[test]
fn live_over_range_after_a_late_one_that_has_latched_rings_today_s_bell() {
    let mut bench = late_and_returned(vec![over_range()]);
    bench.live(good(100.0));
    assert_eq!((bench.told(), bench.only().late), (vec![Reraised], false));
}

#[test]
fn late_gas_after_a_late_alarm_that_has_returned_does_not_ring() {
    let mut bench = late_and_returned(vec![limit(METHANE)]);
    bench.late(200, 110, good(12.0));
    let alarm = bench.only();
    assert_eq!((bench.told(), alarm.late, alarm.from_backfill), (vec![Reraised], true, true));
}

#[test]
fn a_late_reading_moves_the_beginning_of_an_open_alarm() {
    let mut bench = live_since_100();
    bench.live(good(12.0));
    bench.late(99, 99, good(12.0));
    assert_eq!((bench.told(), bench.only().began_at), (vec![Raised, BeganAtMoved], Timestamp(WALL + 99_000)));
}

#[test]
fn an_older_reading_with_a_younger_clock_does_not_move_the_beginning() {
    let mut bench = live_since_100();
    bench.live(good(12.0));
    bench.late(99, 5000, good(12.0));
    assert_eq!(bench.told(), [Raised]);
}

#[test]
fn a_late_excursion_is_recorded_once() {
    let mut bench = live_since_100();
    bench.live(good(12.0));
    for _ in 0..2 {
        bench.late(10, 10, good(12.0));
        bench.late(11, 11, good(8.0));
    }
    assert_eq!(bench.told(), [Raised, BeganAtMoved, BeganAtMoved, RecordedLate, Cleared]);
}

#[test]
fn a_late_excursion_that_ended_before_the_open_alarm_is_recorded_by_itself() {
    let mut bench = heard(vec![limit(Limit { on_delay_ms: 1000, ..METHANE })]);
    bench.live(good(12.0));
    bench.live(good(12.0));
    let before = bench.only();
    bench.told();
    for (sequence, number) in [(10, 12.0), (11, 12.0), (12, 8.0)] {
        bench.late(sequence, sequence as i64, good(number));
    }
    assert_eq!(bench.told(), [BeganAtMoved, BeganAtMoved, RecordedLate, Cleared]);
    assert_eq!(bench.only(), before, "the open alarm is as it was");
    let recorded = &bench.out.last().unwrap().episode;
    assert_eq!((recorded.began_at, recorded.closed_at), (Timestamp(WALL + 10_000), Some(Timestamp(WALL + 12_000))));
    assert!(recorded.late && recorded.id != before.id);
    crate::invariants::all(&bench.out).unwrap();
}

#[test]
fn a_late_over_range_reading_raises_late_and_latches() {
    let mut bench = heard(vec![over_range()]);
    bench.late(10, 10, good(100.0));
    bench.late(11, 11, good(1.0));
    let alarm = bench.only();
    assert_eq!((bench.told(), alarm.late, alarm.state), (vec![Raised, Latched], true, State::LatchedUnacknowledged));
}

#[test]
fn a_late_over_range_reading_moves_the_beginning_of_an_open_one() {
    let mut bench = heard(vec![over_range()]);
    bench.live(good(100.0));
    bench.late(10, 10, good(100.0));
    assert_eq!((bench.told(), bench.only().began_at), (vec![Raised, BeganAtMoved], Timestamp(WALL + 10_000)));
}

#[test]
fn an_older_stream_lies_before_the_live_one() {
    let mut bench = live_since_100();
    bench.live(good(12.0));
    bench.told();
    let old = Observation { place: Place { epoch: 0, sequence: 5000 }, live: false, ..bench.seen(CH, good(12.0)) };
    bench.observe(&Observation { sampled_at: Timestamp(WALL + 50_000), ..old });
    assert_eq!((bench.told(), bench.only().began_at), (vec![BeganAtMoved], Timestamp(WALL + 50_000)));
}

#[test]
fn a_second_late_reading_confirms_an_unconfirmed_late_alarm() {
    let mut bench = live_since_100();
    bench.late(10, 10, doubtful(12.0, Doubt::Unconfirmed));
    bench.late(11, 11, good(12.0));
    assert_eq!((bench.told(), bench.only().unconfirmed), (vec![Raised, Confirmed], false));
}

#[test]
fn a_live_reading_that_is_older_than_the_newest_is_judged_as_late() {
    let mut bench = live_since_100();
    bench.live(good(12.0));
    let mut old = bench.seen(CH, good(1.0));
    old.place.sequence = 50;
    bench.observe(&old);
    assert!(bench.only().active, "it cannot say what holds now");
}

/// Every reading of a day twice: the second time nothing new is told.
fn told_again(live: &[f32], late: &[f32], acknowledged: bool) -> Vec<Event> {
    let mut bench = live_since_100();
    let mut all = Vec::new();
    for number in live {
        bench.now += SECOND;
        all.push(bench.seen(CH, good(*number)));
        bench.observe(&all[all.len() - 1].clone());
        for alarm in bench.engine.open_episodes().cloned().collect::<Vec<_>>() {
            if acknowledged && alarm.acknowledged_at.is_none() {
                bench.acknowledge(&alarm.id).unwrap();
            }
        }
    }
    for (sequence, number) in late.iter().enumerate() {
        let place = Place { epoch: 1, sequence: sequence as u64 };
        let sampled_at = Timestamp(WALL + sequence as i64 * 1000);
        all.push(Observation { place, sampled_at, live: false, ..bench.seen(CH, good(*number)) });
        bench.observe(&all[all.len() - 1].clone());
    }
    bench.told();
    all.iter().for_each(|seen| bench.observe(seen));
    bench.told()
}

#[test]
fn the_same_live_readings_judged_again_make_no_second_alarm() {
    assert_eq!(told_again(&[12.0, 12.0, 9.5, 8.0, 12.0, 8.0, 1.0], &[], false), []);
}

#[test]
fn the_same_live_readings_judged_again_after_the_alarms_were_closed_make_none() {
    assert_eq!(told_again(&[12.0, 12.0, 9.5, 8.0, 12.0, 8.0, 1.0], &[], true), []);
}

#[test]
fn the_same_late_readings_judged_again_make_no_second_alarm() {
    assert_eq!(told_again(&[1.0], &[12.0, 12.0, 8.0, 1.0, 12.0, 8.0], false), []);
}
