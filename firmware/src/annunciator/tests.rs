use measurement::{Direction, Fault, Value};

use super::*;

fn v(number: f32) -> Value {
    Value::new(number).unwrap()
}

fn level(setpoint: f32) -> Option<Limit> {
    Some(Limit { direction: Direction::High, setpoint: v(setpoint), release: v(setpoint - 2.0), on_delay_ms: 0, off_delay_ms: 0 })
}

/// Feeds outcomes a second apart and compares the alarm bits after each.
fn check(latching: bool, steps: &[(Outcome, u8)]) {
    let mut annunciator = Annunciator::new(level(10.0), level(20.0), latching);
    for (second, (outcome, bits)) in steps.iter().enumerate() {
        let shown = annunciator.observe(*outcome, Timestamp(second as i64 * 1000));
        assert_eq!(shown.bits(), *bits, "step {second}: {outcome:?}");
    }
}

#[test]
fn the_levels_follow_the_value_within_the_same_sample() {
    let m = Outcome::measured;
    check(false, &[(m(5.0), 0), (m(10.0), 1), (m(20.0), 3), (m(17.9), 1), (m(8.0), 1), (m(7.9), 0)]);
}

#[test]
fn a_latching_alarm_is_held_until_a_person_resets_it() {
    check(true, &[(Outcome::measured(20.0), 3), (Outcome::measured(1.0), 7), (Outcome::measured(1.0), 7)]);
    let mut annunciator = Annunciator::new(level(10.0), None, true);
    annunciator.observe(Outcome::measured(15.0), Timestamp(0));
    annunciator.observe(Outcome::measured(1.0), Timestamp(1));
    annunciator.reset();
    assert_eq!(annunciator.shown(), LocalAlarm::default());
}

#[test]
fn a_fault_does_not_clear_an_alarm() {
    check(false, &[(Outcome::measured(20.0), 3), (Outcome::Bad(Fault::WireBreak), 3), (Outcome::measured(1.0), 0)]);
}

#[test]
fn over_range_is_high_whatever_the_number_says() {
    check(false, &[(Outcome::Uncertain(v(3.0), Doubt::OverRangeLatched), 3)]);
}

#[test]
fn what_was_latched_is_held_although_the_latch_is_switched_off() {
    let mut annunciator = Annunciator::new(level(10.0), level(20.0), true);
    annunciator.observe(Outcome::measured(15.0), Timestamp(0));
    annunciator.observe(Outcome::measured(1.0), Timestamp(1));
    annunciator.reconfigure(level(10.0), level(20.0), false);
    assert_eq!(annunciator.observe(Outcome::measured(1.0), Timestamp(2)).bits(), 5);
    annunciator.reset();
    assert_eq!(annunciator.observe(Outcome::measured(1.0), Timestamp(3)).bits(), 0);
    annunciator.observe(Outcome::measured(15.0), Timestamp(4));
    assert_eq!(annunciator.observe(Outcome::measured(1.0), Timestamp(5)).bits(), 0, "and it does not latch any more");
}

#[test]
fn a_level_that_is_exceeded_stays_so_under_new_settings_until_a_value_is_inside_their_release() {
    let mut annunciator = Annunciator::new(level(10.0), level(20.0), false);
    annunciator.observe(Outcome::measured(15.0), Timestamp(0));
    annunciator.reconfigure(level(17.0), level(30.0), false);
    assert_eq!(annunciator.observe(Outcome::measured(15.0), Timestamp(1)).bits(), 1);
    assert_eq!(annunciator.observe(Outcome::measured(14.9), Timestamp(2)).bits(), 0);
}

/// Feeds outcomes and compares whether each is a new alarm.
fn check_new(latching: bool, steps: &[(Outcome, bool)]) {
    let mut annunciator = Annunciator::new(level(10.0), level(20.0), latching);
    for (step, (outcome, new)) in steps.iter().enumerate() {
        annunciator.observe(*outcome, Timestamp(step as i64));
        assert_eq!(annunciator.is_new(), *new, "step {step}: {outcome:?}");
    }
}

#[test]
fn a_level_exceeded_again_is_new_although_the_latch_holds_it() {
    let m = Outcome::measured;
    check_new(true, &[(m(12.0), true), (m(13.0), false), (m(1.0), false), (m(12.0), true), (m(25.0), true), (m(26.0), false)]);
}

#[test]
fn going_over_range_is_new_each_time_and_a_fault_between_makes_it_no_newer() {
    let over = Outcome::Uncertain(v(110.0), Doubt::OverRange);
    let latched = Outcome::Uncertain(v(3.0), Doubt::OverRangeLatched);
    let fault = Outcome::Bad(Fault::WireBreak);
    check_new(
        false,
        &[(Outcome::measured(30.0), true), (over, true), (over, false), (fault, false), (over, false), (latched, false), (over, true)],
    );
}
