//! Values against limits: raising, returning, delays, identity, and wrong clocks.

use super::*;

#[test]
fn a_value_at_the_setpoint_raises() {
    check(METHANE, &[9.9, 10.0], &[(1, Raised)]);
}

#[test]
fn a_value_between_release_and_setpoint_keeps_the_alarm() {
    check(METHANE, &[10.0, 9.5, 9.0], &[(0, Raised)]);
}

#[test]
fn a_value_strictly_inside_the_release_returns() {
    check(METHANE, &[10.0, 9.0, 8.9], &[(0, Raised), (2, Returned)]);
}

#[test]
fn low_oxygen_raises_below_and_returns_above() {
    let oxygen = Limit { direction: Direction::Low, setpoint: v(19.5), release: v(19.6), ..METHANE };
    check(oxygen, &[20.9, 19.5, 19.6, 19.7], &[(1, Raised), (3, Returned)]);
}

#[test]
fn a_spike_shorter_than_the_on_delay_raises_nothing() {
    check(Limit { on_delay_ms: 3000, ..METHANE }, &[12.0, 12.0, 12.0, 8.0, 12.0], &[]);
}

#[test]
fn a_spike_as_long_as_the_on_delay_raises() {
    check(Limit { on_delay_ms: 3000, ..METHANE }, &[12.0, 12.0, 12.0, 12.0], &[(3, Raised)]);
}

#[test]
fn the_condition_began_when_the_on_delay_began() {
    let mut bench = Bench::new(&[channel(1, vec![limit(Limit { on_delay_ms: 2000, ..METHANE })])]);
    (0..3).for_each(|_| bench.live(good(12.0)));
    let alarm = bench.only();
    assert_eq!((alarm.began_at, alarm.opening_sampled_at), (Timestamp(WALL + 1000), Timestamp(WALL + 3000)));
}

#[test]
fn delays_count_the_time_between_samples_not_between_letters() {
    let mut bench = Bench::new(&[channel(1, vec![limit(Limit { on_delay_ms: 3000, ..METHANE })])]);
    bench.now = 10 * SECOND;
    for age_ms in [3000, 0] {
        let seen = Observation { age_ms, ..bench.seen(CH, good(12.0)) };
        bench.observe(&seen);
    }
    assert_eq!(bench.told(), [Raised]);
}

#[test]
fn a_dip_shorter_than_the_off_delay_keeps_the_alarm() {
    check(Limit { off_delay_ms: 2000, ..METHANE }, &[12.0, 8.0, 8.0, 12.0, 8.0, 8.0], &[(0, Raised)]);
}

#[test]
fn a_dip_as_long_as_the_off_delay_returns() {
    check(Limit { off_delay_ms: 2000, ..METHANE }, &[12.0, 8.0, 8.0, 8.0], &[(0, Raised), (3, Returned)]);
}

#[test]
fn a_fault_within_the_off_delay_starts_it_again() {
    let rules = vec![limit(Limit { off_delay_ms: 2000, ..METHANE })];
    let fault = Outcome::Bad(Fault::NoCommunication);
    let outcomes = [good(12.0), good(8.0), fault, good(8.0), good(8.0), good(8.0)];
    check_rules(rules, &outcomes, &[(0, Raised), (5, Returned)]);
}

#[test]
fn a_hole_in_the_readings_within_the_off_delay_starts_it_again() {
    let mut bench = Bench::new(&[channel(1, vec![limit(Limit { off_delay_ms: 2000, ..METHANE })])]);
    bench.live(good(12.0));
    bench.live(good(8.0));
    bench.now += 60 * SECOND;
    bench.live(good(8.0));
    assert_eq!(bench.told(), [Raised], "nobody saw the gas for a minute");
    bench.live(good(8.0));
    bench.live(good(8.0));
    assert_eq!(bench.told(), [Returned]);
}

#[test]
fn a_doubtful_value_is_compared_like_any_other() {
    check_rules(vec![limit(METHANE)], &[doubtful(12.0, Doubt::DeviceWarning)], &[(0, Raised)]);
}

#[test]
fn a_doubt_is_the_alarm_s_reason() {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)])]);
    bench.live(doubtful(12.0, Doubt::CalibrationOverdue));
    assert_eq!(bench.only().reason.as_deref(), Some("CalibrationOverdue"));
}

#[test]
fn an_unconfirmed_value_raises_and_a_second_one_confirms_it() {
    let outcomes = [doubtful(12.0, Doubt::Unconfirmed), good(12.0), good(12.0)];
    check_rules(vec![limit(METHANE)], &outcomes, &[(0, Raised), (1, Confirmed)]);
}

#[test]
fn a_second_unconfirmed_value_confirms_nothing() {
    let outcomes = [doubtful(12.0, Doubt::Unconfirmed), doubtful(12.0, Doubt::Unconfirmed)];
    check_rules(vec![limit(METHANE)], &outcomes, &[(0, Raised)]);
}

#[test]
fn an_unconfirmed_value_ends_no_alarm() {
    let outcomes = [good(12.0), doubtful(0.0, Doubt::Unconfirmed), good(12.0)];
    check_rules(vec![limit(METHANE)], &outcomes, &[(0, Raised)]);
}

#[test]
fn an_alarm_that_comes_back_unacknowledged_is_the_same_alarm() {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)])]);
    bench.live(good(12.0));
    let first = bench.only();
    bench.live(good(8.0));
    bench.live(good(12.0));
    assert_eq!(bench.told(), [Raised, Returned, Reraised]);
    let again = bench.only();
    assert_eq!((again.id, again.state, again.returned_at, again.returning), (first.id, State::Unacknowledged, None, None));
}

#[test]
fn gas_after_a_closed_alarm_is_another_alarm() {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)])]);
    bench.live(good(12.0));
    let first = bench.only().id;
    bench.acknowledge_only();
    bench.live(good(8.0));
    bench.live(good(12.0));
    assert_eq!(bench.told(), [Raised, Acknowledged, Returned, Cleared, Raised]);
    assert_ne!(bench.only().id, first);
}

#[test]
fn two_limits_of_one_channel_are_two_alarms() {
    let high = Rule { id: "high".to_owned(), ..limit(Limit { setpoint: v(20.0), release: v(19.0), ..METHANE }) };
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE), high])]);
    bench.live(good(12.0));
    bench.live(good(22.0));
    assert_eq!((bench.told(), bench.engine.open_on(CH).count()), (vec![Raised, Raised], 2));
}

#[test]
fn one_channel_s_gas_is_no_other_channel_s_alarm() {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)]), channel(2, vec![limit(METHANE)])]);
    bench.live(good(12.0));
    assert_eq!((bench.engine.open_on(CH).count(), bench.engine.open_on(ChannelId(2)).count()), (1, 0));
}

#[test]
fn a_channel_number_too_large_to_be_dense_is_judged_like_any_other() {
    let mut bench = Bench::new(&[channel(u32::MAX, vec![limit(METHANE)])]);
    let seen = bench.seen(ChannelId(u32::MAX), good(12.0));
    bench.observe(&seen);
    assert_eq!(bench.told(), [Raised]);
}

#[test]
fn a_reading_of_an_unknown_channel_is_not_judged() {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)])]);
    let seen = bench.seen(ChannelId(2), good(12.0));
    bench.observe(&seen);
    assert_eq!(bench.told(), []);
}

#[test]
fn two_collectors_that_see_the_same_readings_make_the_same_alarm() {
    let alarm = || {
        let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)])]);
        bench.live(good(12.0));
        bench.only()
    };
    assert_eq!(alarm(), alarm());
    assert_eq!(alarm().id.len(), 32);
}

#[test]
fn an_alarm_s_identity_depends_on_its_channel_and_its_opening_reading() {
    let id = |channel_id: u32, before: u64| {
        let mut bench = Bench::new(&[channel(channel_id, vec![limit(METHANE)])]);
        bench.sequence = before;
        let seen = bench.seen(ChannelId(channel_id), good(12.0));
        bench.observe(&seen);
        bench.only().id
    };
    assert_ne!(id(1, 0), id(2, 0));
    assert_ne!(id(1, 0), id(1, 1));
}

#[test]
fn an_alarm_says_what_opened_it() {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)])]);
    bench.now += SECOND;
    let (t2, t3) = (Some(Timestamp(WALL - 5)), Some(Timestamp(WALL - 4)));
    let seen = Observation { t2, t3, ..bench.seen(CH, good(12.0)) };
    bench.observe(&seen);
    let alarm = bench.only();
    assert_eq!((alarm.value, alarm.setpoint, alarm.unit), (Some(v(12.0)), Some(v(10.0)), Unit::PercentLel));
    assert_eq!((alarm.kind, alarm.priority, alarm.opening), (Kind::Limit, Priority::High, Place { epoch: 1, sequence: 1 }));
    assert_eq!((alarm.stages.t2, alarm.stages.t3, alarm.stages.t4), (t2, t3, None));
}

#[test]
fn a_simulated_channel_s_alarm_says_so() {
    let mut bench = Bench::new(&[Channel { simulated: true, ..channel(1, vec![limit(METHANE)]) }]);
    bench.live(good(12.0));
    assert!(bench.only().simulated);
}

#[test]
fn not_a_number_is_a_fault_and_crosses_no_limit() {
    assert_eq!(Value::new(f32::NAN), None);
    let rules = vec![limit(METHANE), rule("fault", RuleKind::Fault)];
    let mut bench = Bench::new(&[channel(1, rules)]);
    bench.live(Outcome::measured(f32::NAN));
    let alarm = bench.only();
    assert_eq!((alarm.kind, alarm.value, alarm.reason.as_deref()), (Kind::Fault, None, Some("NotANumber")));
}

/// What is told about a gas that rises and falls, with delays, when the wall clock is this far off and then
/// steps by `step` in the middle.
fn told_by(wall_off: i64, step: i64) -> Vec<Event> {
    let slow = Limit { on_delay_ms: 2000, off_delay_ms: 2000, ..METHANE };
    let mut bench = Bench::new(&[channel(1, vec![limit(slow), silence()])]);
    bench.wall_off = wall_off;
    for (i, number) in [8.0, 12.0, 12.0, 12.0, 12.0, 8.0, 8.0, 8.0, 8.0].into_iter().enumerate() {
        if i == 3 || i == 6 {
            bench.wall_off += step;
        }
        bench.gateway_heard();
        bench.live(good(number));
        bench.tick();
    }
    bench.wait_heard(6);
    bench.told()
}

#[test]
fn a_wrong_wall_clock_changes_no_alarm() {
    let right = told_by(0, 0);
    assert_eq!(right, [Raised, Returned, Raised], "the last one is the silence at the end");
    for wall_off in [-3_600_000, 3_600_000, -WALL, 30 * 86_400_000] {
        assert_eq!(told_by(wall_off, 0), right, "off by {wall_off} ms");
        assert_eq!(told_by(0, wall_off), right, "a step of {wall_off} ms");
    }
}
