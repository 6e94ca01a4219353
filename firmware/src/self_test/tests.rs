use super::*;

const BEAD: SelfTestSettings =
    SelfTestSettings { range: (0.0, 100.0), below_tolerance: 3.0, stuck_after_ms: 10_000, stuck_step: 0.05, catalytic: true };

fn good(number: f32) -> Outcome {
    Outcome::measured(number)
}

fn shown(number: f32) -> Converted {
    Converted { outcome: good(number), uncalibrated: number }
}

fn uncertain(number: f32, doubt: Doubt) -> Outcome {
    Outcome::Uncertain(Value::new(number).unwrap(), doubt)
}

/// Feeds one value a second and compares what is made of each.
fn check(settings: SelfTestSettings, oxygen: Option<f32>, steps: &[(f32, Outcome)]) {
    let mut test = SelfTest::new(settings);
    for (second, (number, expected)) in steps.iter().enumerate() {
        assert_eq!(test.observe(shown(*number), oxygen, MonotonicMs(second as u64 * 1000)), *expected, "second {second}");
    }
}

#[test]
fn a_bead_past_its_range_is_not_believed_when_it_reads_low_again() {
    check(
        BEAD,
        None,
        &[
            (60.0, good(60.0)),
            (95.0, good(95.0)),
            (110.0, uncertain(110.0, Doubt::OverRange)),
            (40.0, uncertain(40.0, Doubt::OverRangeLatched)),
            (5.0, uncertain(5.0, Doubt::OverRangeLatched)),
        ],
    );
}

#[test]
fn a_module_that_shows_the_end_of_its_range_for_all_beyond_is_over_range() {
    check(BEAD, None, &[(99.9, good(99.9)), (100.0, uncertain(100.0, Doubt::OverRange)), (99.9, uncertain(99.9, Doubt::OverRangeLatched))]);
}

#[test]
fn no_calibration_hides_that_the_sensor_is_at_the_end_of_its_range() {
    let observe = |uncalibrated: f32, calibrated: f32| {
        SelfTest::new(BEAD).observe(Converted { outcome: good(calibrated), uncalibrated }, None, MonotonicMs(0))
    };
    assert_eq!(observe(100.0, 50.0), uncertain(50.0, Doubt::OverRange));
    assert_eq!(observe(99.0, 49.5), good(49.5));
    assert_eq!(observe(51.0, 102.0), uncertain(102.0, Doubt::OverRange), "nor does one make more of it than there can be");
    assert_eq!(observe(50.0, 100.0), good(100.0));
}

#[test]
fn a_person_resets_the_latch() {
    let mut test = SelfTest::new(BEAD);
    test.observe(shown(110.0), None, MonotonicMs(0));
    test.reset();
    assert_eq!(test.observe(shown(5.0), None, MonotonicMs(1000)), good(5.0));
}

#[test]
fn well_below_the_range_is_a_fault_and_slightly_below_a_doubt() {
    check(BEAD, None, &[(-3.1, Outcome::Bad(Fault::BelowRange)), (-2.0, uncertain(-2.0, Doubt::UnderRange))]);
}

#[test]
fn a_bead_without_oxygen_is_doubtful() {
    check(BEAD, Some(9.0), &[(1.0, uncertain(1.0, Doubt::OxygenStarved))]);
}

#[test]
fn a_value_that_never_moves_is_stuck_and_one_that_does_is_not() {
    let mut test = SelfTest::new(BEAD);
    for second in 0..10 {
        assert_eq!(test.observe(shown(5.0), None, MonotonicMs(second * 1000)), good(5.0));
    }
    assert_eq!(test.observe(shown(5.0), None, MonotonicMs(10_000)), uncertain(5.0, Doubt::Stuck));
    assert_eq!(test.observe(shown(5.2), None, MonotonicMs(11_000)), good(5.2));
}

#[test]
fn a_fault_passes_through_untouched() {
    let mut test = SelfTest::new(BEAD);
    let fault = Outcome::Bad(Fault::WireBreak);
    assert_eq!(test.observe(Converted { outcome: fault, uncalibrated: f32::NAN }, None, MonotonicMs(0)), fault);
}
