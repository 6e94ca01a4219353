use rand::{SeedableRng, rngs::StdRng};

use super::*;

const QUIET: Behaviour = Behaviour { t90_s: 20.0, noise: 0.0, drift_per_day: 0.0 };

fn chance() -> StdRng {
    StdRng::seed_from_u64(7)
}

#[test]
fn after_t90_it_shows_ninety_per_cent_of_a_step() {
    let mut sensor = Sensor::new(QUIET, 0.0);
    let shown = (0..20).map(|_| sensor.advance(100.0, 1.0, &mut chance())).last();
    assert!(shown.is_some_and(|v| (89.9..90.1).contains(&v)), "{shown:?}");
}

#[test]
fn the_noise_has_the_stated_deviation() {
    let mut sensor = Sensor::new(Behaviour { noise: 2.0, ..QUIET }, 50.0);
    let mut chance = chance();
    let shown: Vec<f64> = (0..5000).map(|_| sensor.advance(50.0, 1.0, &mut chance)).collect();
    let mean = shown.iter().sum::<f64>() / 5000.0;
    let deviation = (shown.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 5000.0).sqrt();
    assert!((49.8..50.2).contains(&mean), "{mean}");
    assert!((1.9..2.1).contains(&deviation), "{deviation}");
}

#[test]
fn a_stuck_sensor_repeats_itself_while_the_gas_rises() {
    let mut sensor = Sensor::new(Behaviour { noise: 1.0, ..QUIET }, 10.0);
    let mut chance = chance();
    let before = sensor.advance(10.0, 1.0, &mut chance);
    sensor.set_condition(Condition::Stuck);
    assert_eq!(sensor.advance(90.0, 60.0, &mut chance), before);
}

#[test]
fn drift_moves_the_zero_a_day_at_a_time() {
    let mut sensor = Sensor::new(Behaviour { drift_per_day: 0.5, ..QUIET }, 0.0);
    assert!((sensor.advance(0.0, 172_800.0, &mut chance()) - 1.0).abs() < 1e-9);
}
