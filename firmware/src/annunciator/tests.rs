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
