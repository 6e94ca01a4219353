//! Readings without a value, and the latch of over-range.

use super::*;

fn watched() -> Vec<Rule> {
    vec![limit(METHANE), rule("fault", RuleKind::Fault), rule("warm-up", RuleKind::NotProtecting)]
}

fn latching() -> Bench {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE), over_range()])]);
    bench.live(good(100.0));
    bench
}

#[test]
fn a_fault_raises_and_a_value_ends_it() {
    check_rules(watched(), &[Outcome::Bad(Fault::SensorFailure), good(1.0)], &[(0, Raised), (1, Returned)]);
}

#[test]
fn a_fault_s_alarm_names_it_and_carries_no_value() {
    let mut bench = Bench::new(&[channel(1, watched())]);
    bench.live(Outcome::Bad(Fault::WireBreak));
    let alarm = bench.only();
    assert_eq!((alarm.rule.as_str(), alarm.reason.as_deref(), alarm.value), ("fault", Some("WireBreak"), None));
    assert_eq!(bench.out[0].cause, Cause::LiveFault);
}

#[test]
fn a_fault_that_changes_its_name_is_one_alarm() {
    check_rules(watched(), &[Outcome::Bad(Fault::WireBreak), Outcome::Bad(Fault::Corrupt)], &[(0, Raised)]);
}

#[test]
fn warming_up_is_not_protecting_and_not_a_fault() {
    let not_protecting = [Fault::WarmUp, Fault::NotYetRead, Fault::Inhibited, Fault::OutOfService];
    for &fault in Fault::ALL {
        let mut bench = Bench::new(&[channel(1, watched())]);
        bench.live(Outcome::Bad(fault));
        let expected = if not_protecting.contains(&fault) { Kind::NotProtecting } else { Kind::Fault };
        assert_eq!(bench.only().kind, expected, "{fault:?}");
    }
}

#[test]
fn a_fault_clears_no_gas_alarm() {
    let outcomes = [good(12.0), Outcome::Bad(Fault::SensorFailure), good(12.0)];
    check_rules(watched(), &outcomes, &[(0, Raised), (1, Raised), (2, Returned)]);
}

#[test]
fn a_gas_alarm_stands_through_a_fault_until_a_value_says_otherwise() {
    let mut bench = Bench::new(&[channel(1, watched())]);
    bench.live(good(12.0));
    bench.live(Outcome::Bad(Fault::SensorFailure));
    assert!(bench.open("limit").unwrap().active);
    bench.live(good(8.0));
    assert!(!bench.open("limit").unwrap().active);
}

#[test]
fn a_value_at_the_ceiling_is_over_range() {
    check_rules(vec![over_range()], &[good(99.9), good(100.0)], &[(1, Raised)]);
}

#[test]
fn what_the_device_calls_over_range_is_over_range_whatever_the_number() {
    for doubt in [Doubt::OverRange, Doubt::OverRangeLatched] {
        check_rules(vec![limit(METHANE), over_range()], &[doubtful(3.0, doubt)], &[(0, Raised), (0, Raised)]);
    }
}

#[test]
fn over_range_counts_as_high_even_without_a_rule_for_it() {
    check_rules(vec![limit(METHANE)], &[doubtful(3.0, Doubt::OverRange), good(3.0)], &[(0, Raised), (1, Returned)]);
}

#[test]
fn over_range_never_counts_as_too_much_for_a_low_limit() {
    let oxygen = Limit { direction: Direction::Low, setpoint: v(19.5), release: v(19.6), ..METHANE };
    check(oxygen, &[20.9, 99.0], &[]);
    check_rules(vec![limit(oxygen), over_range()], &[good(101.0), good(18.0)], &[(0, Raised), (1, Latched), (1, Raised)]);
}

#[test]
fn a_low_value_after_over_range_latches_instead_of_returning() {
    let mut bench = latching();
    bench.live(good(1.0));
    assert_eq!(bench.told(), [Raised, Raised, Latched]);
    assert_eq!(bench.open("over-range").unwrap().state, State::LatchedUnacknowledged);
}

#[test]
fn low_values_are_not_believed_until_a_reset() {
    let mut bench = latching();
    (0..10).for_each(|_| bench.live(good(1.0)));
    assert!(bench.open("limit").unwrap().active);
}

#[test]
fn acknowledging_does_not_undo_the_latch() {
    let mut bench = latching();
    bench.live(good(1.0));
    let id = bench.open("over-range").unwrap().id;
    assert_eq!(bench.acknowledge(&id).unwrap().state, State::LatchedAcknowledged);
    bench.live(good(1.0));
    assert!(bench.open("limit").unwrap().active);
}

#[test]
fn after_the_reset_low_values_are_believed_again() {
    let mut bench = latching();
    bench.live(good(1.0));
    bench.told();
    let id = bench.open("over-range").unwrap().id;
    assert_eq!(bench.reset(&id, "bead replaced").unwrap().state, State::Normal);
    assert_eq!(bench.told(), [Acknowledged, Reset, Cleared]);
    bench.live(good(1.0));
    assert_eq!((bench.told(), bench.only().rule.as_str()), (vec![Returned], "limit"));
    crate::invariants::all(&bench.out).unwrap();
}

#[test]
fn the_reset_of_an_acknowledged_latch_acknowledges_nothing_again() {
    let mut bench = latching();
    bench.live(good(1.0));
    let id = bench.open("over-range").unwrap().id;
    bench.acknowledge(&id).unwrap();
    bench.told();
    bench.reset(&id, "bead replaced").unwrap();
    assert_eq!(bench.told(), [Reset, Cleared]);
}

#[test]
fn a_reset_is_refused_while_the_sensor_is_over_range() {
    let mut bench = latching();
    let id = bench.open("over-range").unwrap().id;
    assert_eq!(bench.reset(&id, "bead replaced"), Err(RefusedOrder::StillActive));
}

#[test]
fn a_reset_without_a_reason_is_refused() {
    let mut bench = latching();
    bench.live(good(1.0));
    let id = bench.open("over-range").unwrap().id;
    assert_eq!(bench.reset(&id, " "), Err(RefusedOrder::NoReason));
}

#[test]
fn an_alarm_that_does_not_latch_cannot_be_reset() {
    let mut bench = latching();
    let id = bench.open("limit").unwrap().id;
    assert_eq!(bench.reset(&id, "why not"), Err(RefusedOrder::NotLatching));
}

#[test]
fn over_range_again_while_latched_wants_a_person_again() {
    let mut bench = latching();
    bench.live(good(1.0));
    let id = bench.open("over-range").unwrap().id;
    bench.acknowledge(&id).unwrap();
    bench.told();
    bench.live(good(100.0));
    assert_eq!(bench.told(), [Reraised]);
    assert_eq!(bench.open("over-range").unwrap().state, State::Unacknowledged);
}

#[test]
fn a_fault_after_over_range_undoes_no_latch() {
    let mut bench = latching();
    bench.live(Outcome::Bad(Fault::SensorFailure));
    bench.live(good(1.0));
    assert!(bench.open("over-range").is_some() && bench.open("limit").unwrap().active);
}
