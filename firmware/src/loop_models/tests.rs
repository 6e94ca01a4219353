use measurement::{Fault, Outcome};

use super::*;
use crate::conversion::{Calibration, Signal, convert};

/// What a loop of 0 to 100 says at this current.
fn check(maker: &str, model: &str, cases: &[(f32, Result<f32, Fault>)]) {
    let model = loop_model(maker, model).unwrap();
    for (current, expected) in cases {
        let seen = convert(Signal::Milliampere(*current), &Calibration::NONE, &model.bands, (0.0, 100.0), 20.0).outcome;
        let right = match (seen, expected) {
            (Outcome::Good(value), Ok(number)) => (value.get() - number).abs() < 0.001,
            (Outcome::Bad(fault), Err(expected)) => fault == *expected,
            _ => false,
        };
        assert!(right, "{} {} at {current} mA: {seen:?}", model.maker, model.model);
    }
}

#[test]
fn ne_43() {
    let (broken, short) = (Err(Fault::WireBreak), Err(Fault::ShortCircuit));
    check(
        "NAMUR",
        "NE 43",
        &[(0.0, broken), (2.0, broken), (3.6, broken), (3.7, broken), (4.0, Ok(0.0)), (20.0, Ok(100.0)), (21.0, short)],
    );
}

#[test]
fn xnx_says_inhibited_at_2_and_over_range_at_21() {
    let (failed, inhibited) = (Err(Fault::SensorFailure), Err(Fault::Inhibited));
    check("Honeywell", "XNX", &[(1.0, failed), (2.0, inhibited), (3.0, failed), (12.0, Ok(50.0)), (0.0, Err(Fault::WireBreak))]);
    check("Honeywell", "XNX", &[(21.0, Ok(106.25)), (22.0, Err(Fault::ShortCircuit))]);
}

#[test]
fn xcd_says_over_range_at_22_where_ne_43_sees_a_short() {
    check("Honeywell", "Sensepoint XCD", &[(22.0, Ok(112.5)), (2.0, Err(Fault::Inhibited)), (24.0, Err(Fault::ShortCircuit))]);
}

#[test]
fn polytron_says_maintenance_at_3_4_and_warm_up_where_it_is_an_older_one() {
    check("Dräger", "Polytron 8000", &[(1.2, Err(Fault::SensorFailure)), (3.4, Err(Fault::Inhibited)), (3.8, Ok(-1.25))]);
    check("Dräger", "Polytron 7000", &[(3.0, Err(Fault::SensorFailure)), (3.4, Err(Fault::WarmUp)), (22.0, Ok(112.5))]);
}

#[test]
fn open_path_detectors_say_that_their_beam_is_blocked() {
    check("Spectrex", "SafEye Quasar 900", &[(2.0, Err(Fault::SensorFailure)), (2.5, Err(Fault::SensorFailure))]);
    check("Det-Tronics", "PointWatch Eclipse PIRECL (Eclipse fault mode)", &[(2.0, Err(Fault::SensorFailure)), (2.4, Ok(-10.0))]);
}

#[test]
fn whatever_the_model_nothing_outside_its_measurement_is_a_number_and_nothing_in_clean_air_a_fault() {
    for model in LOOP_MODELS {
        let bands = &model.bands;
        assert!(bands.broken_at < bands.lowest && bands.lowest <= 4.0 && bands.highest >= 20.0 && bands.highest < bands.shorted_at);
        assert!(bands.states.iter().all(|(from, to, _)| from < to && (*to < bands.lowest || *from > bands.highest)), "{}", model.model);
        assert_eq!(bands.fault(f32::NAN), Some(Fault::NotANumber));
        for step in 0..2500_u16 {
            let current = f32::from(step) / 100.0;
            let inside = (4.0..=20.0).contains(&current);
            let fault = bands.fault(current);
            assert!(!inside || fault.is_none(), "{} at {current} mA: {fault:?}", model.model);
            assert!(!(current < bands.lowest || current >= 23.0) || fault.is_some(), "{} at {current} mA", model.model);
        }
        assert!(!model.source.is_empty());
    }
}
