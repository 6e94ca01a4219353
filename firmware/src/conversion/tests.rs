use measurement::Value;

use super::*;

fn check(milliampere: f32, expected: Outcome) {
    let seen = convert(Signal::Milliampere(milliampere), &Calibration::NONE, &LoopBands::NE43, (0.0, 100.0), 20.0).outcome;
    assert_eq!(seen, expected, "{milliampere} mA");
}

fn good(number: f32) -> Outcome {
    Outcome::Good(Value::new(number).unwrap())
}

#[test]
fn four_to_twenty_milliampere_span_the_range() {
    check(4.0, good(0.0));
    check(12.0, good(50.0));
    check(20.0, good(100.0));
}

#[test]
fn a_broken_wire_is_a_fault_and_not_a_zero() {
    for current in [0.0, 2.0, 3.5, 3.6, 3.79] {
        check(current, Outcome::Bad(Fault::WireBreak));
    }
}

#[test]
fn a_short_is_a_fault() {
    check(21.0, Outcome::Bad(Fault::ShortCircuit));
    check(25.0, Outcome::Bad(Fault::ShortCircuit));
}

#[test]
fn between_range_and_short_the_number_lies_above_the_range() {
    check(20.5, good(103.125));
}

#[test]
fn not_a_number_is_a_fault_wherever_it_comes_from() {
    check(f32::NAN, Outcome::Bad(Fault::NotANumber));
    let seen = convert(Signal::Number(f32::INFINITY), &Calibration::NONE, &LoopBands::NE43, (0.0, 1.0), 20.0).outcome;
    assert_eq!(seen, Outcome::Bad(Fault::NotANumber));
}

#[test]
fn calibration_takes_off_the_zero_and_the_temperature_and_stretches_the_span() {
    let calibration = Calibration { zero: 2.0, span: 1.25, zero_per_kelvin: 0.5 };
    assert_eq!(convert(Signal::Number(17.0), &calibration, &LoopBands::NE43, (0.0, 100.0), 30.0).outcome, good(12.5));
}
