use super::*;
use Crossing::{Exceeded, ReturnedToNormal};

const METHANE: Limit = Limit { direction: Direction::High, setpoint: v(25.0), release: v(23.0), on_delay_ms: 0, off_delay_ms: 0 };

const fn v(number: f32) -> Value {
    match Value::new(number) {
        Some(value) => value,
        None => Value::ZERO,
    }
}

/// Feeds one value a second and lists the crossings with the index at which they happened.
fn check(limit: Limit, values: &[f32], expected: &[(usize, Crossing)]) {
    let mut monitor = LimitMonitor::new(limit);
    let mut seen = [(0, Exceeded); 16];
    let mut count = 0;
    for (i, &value) in values.iter().enumerate() {
        if let Some(crossing) = monitor.observe(v(value), Timestamp(i as i64 * 1000)) {
            seen[count] = (i, crossing);
            count += 1;
        }
    }
    assert_eq!(&seen[..count], expected);
}

#[test]
fn a_value_at_the_setpoint_exceeds_the_limit() {
    check(METHANE, &[24.9, 25.0], &[(1, Exceeded)]);
}

#[test]
fn a_value_between_release_and_setpoint_keeps_the_limit_exceeded() {
    check(METHANE, &[26.0, 26.0, 24.0, 23.0, 22.9], &[(0, Exceeded), (4, ReturnedToNormal)]);
}

#[test]
fn a_short_spike_does_not_pass_the_on_delay() {
    check(Limit { on_delay_ms: 3000, ..METHANE }, &[10.0, 30.0, 30.0, 10.0, 30.0], &[]);
}

#[test]
fn a_spike_as_long_as_the_on_delay_does() {
    check(Limit { on_delay_ms: 2000, ..METHANE }, &[10.0, 30.0, 30.0, 30.0], &[(3, Exceeded)]);
}

#[test]
fn a_dip_shorter_than_the_off_delay_keeps_the_limit_exceeded() {
    check(Limit { off_delay_ms: 2000, ..METHANE }, &[30.0, 10.0, 10.0, 30.0, 10.0, 10.0, 10.0], &[(0, Exceeded), (6, ReturnedToNormal)]);
}

#[test]
fn low_oxygen_is_dangerous_below() {
    let oxygen = Limit { direction: Direction::Low, setpoint: v(19.5), release: v(19.7), on_delay_ms: 0, off_delay_ms: 0 };
    check(oxygen, &[20.9, 19.5, 19.6, 19.7, 19.8], &[(1, Exceeded), (4, ReturnedToNormal)]);
}
