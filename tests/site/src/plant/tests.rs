use super::*;

#[test]
fn a_closed_tank_with_a_leak_fills_at_the_rate_of_the_leak() {
    let mut tank = Space::new(100.0, 0.0, 20.0);
    tank.leak(Gas::Methane, 0.01);
    tank.advance(100.0);
    let fraction = tank.fraction(Gas::Methane);
    assert!((0.0098..0.0101).contains(&fraction), "1 m3 in 100 m3: {fraction}");
}

#[test]
fn a_leak_displaces_oxygen() {
    let mut tank = Space::new(100.0, 0.0, 20.0);
    tank.leak(Gas::Methane, 0.1);
    tank.advance(200.0);
    let expected = 0.209 * (1.0 - tank.fraction(Gas::Methane));
    assert!((tank.oxygen() - expected).abs() < 0.001);
}

#[test]
fn ventilation_settles_where_leak_and_exchange_balance() {
    let mut tank = Space::new(50.0, 0.5, 20.0);
    tank.leak(Gas::HydrogenSulphide, 0.00001);
    tank.advance(10_000.0);
    let expected = 0.00001 / 0.5;
    assert!((tank.fraction(Gas::HydrogenSulphide) - expected).abs() < expected * 0.01);
}

#[test]
fn after_the_leak_stops_ventilation_brings_clean_air_back() {
    let mut tank = Space::new(50.0, 0.5, 20.0);
    tank.leak(Gas::Methane, 0.05);
    tank.advance(600.0);
    tank.leak(Gas::Methane, 0.0);
    tank.advance(2000.0);
    assert!(tank.fraction(Gas::Methane) < 1e-6);
    assert!((tank.oxygen() - 0.209).abs() < 1e-4);
}

#[test]
fn long_steps_and_strong_exchange_never_leave_the_possible_range() {
    let mut tank = Space::new(1.0, 10.0, 20.0);
    tank.leak(Gas::CarbonDioxide, 10.0);
    tank.advance(3600.0);
    assert!((0.0..=1.0).contains(&tank.fraction(Gas::CarbonDioxide)));
    assert!((0.0..=1.0).contains(&tank.oxygen()));
}
