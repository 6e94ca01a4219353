use measurement::{Fault, Outcome};

use super::*;
use crate::city::plants;

fn passed(world: &mut World, seconds: u32) {
    for _ in 0..seconds * 2 {
        world.advance(0.5);
    }
}

fn outcome(world: &World, point: usize, channel: u32) -> Outcome {
    world.places[point].node.outcome(ChannelId(channel)).expect("a channel")
}

fn value(world: &World, point: usize, channel: u32) -> f32 {
    outcome(world, point, channel).value().map(|value| value.get()).expect("a value")
}

const CH4: u32 = 0;
const O2: u32 = 1;
const H2S: u32 = 2;

#[test]
fn a_quiet_world_raises_no_doubt_for_an_hour() {
    let mut world = World::new(&plants(), 7, false);
    for _ in 0..60 {
        passed(&mut world, 60);
        for place in &world.places {
            for channel in 0..place.sensors.len() as u32 {
                let outcome = place.node.outcome(ChannelId(channel));
                assert!(matches!(outcome, Some(Outcome::Good(_))), "{} {channel}: {outcome:?}", place.point.code);
            }
        }
    }
}

#[test]
fn a_quiet_world_crosses_no_limit() {
    let mut world = World::new(&plants(), 8, false);
    for _ in 0..600 {
        passed(&mut world, 1);
        for place in &world.places {
            assert!(!place.node.outputs().sounder, "{}", place.point.code);
        }
    }
}

#[test]
fn a_leak_is_beyond_its_limit_within_a_minute_and_gone_after_the_leak() {
    let mut world = World::new(&plants(), 1, false);
    let point = world.find("P-01").expect("a pickling vat");
    world.begin(point, Trouble::Leak(Gas::HydrogenSulphide));
    passed(&mut world, 60);
    assert!(value(&world, point, H2S) > 10.0, "{:?}", outcome(&world, point, H2S));
    world.end(point, Trouble::Leak(Gas::HydrogenSulphide));
    passed(&mut world, 600);
    assert!(value(&world, point, H2S) < 2.0);
}

#[test]
fn eaten_oxygen_is_seen() {
    let mut world = World::new(&plants(), 1, false);
    world.begin(3, Trouble::OxygenEaten);
    passed(&mut world, 90);
    assert!(value(&world, 3, O2) < 19.5, "{}", value(&world, 3, O2));
}

#[test]
fn a_cut_wire_is_a_wire_break_and_has_no_number() {
    let mut world = World::new(&plants(), 1, false);
    world.begin(0, Trouble::WireCut { channel: 0 });
    passed(&mut world, 1);
    assert_eq!(outcome(&world, 0, CH4), Outcome::Bad(Fault::WireBreak));
    world.end(0, Trouble::WireCut { channel: 0 });
    passed(&mut world, 1);
    assert!(matches!(outcome(&world, 0, CH4), Outcome::Good(_)));
}

#[test]
fn a_stuck_sensor_repeats_itself_to_the_bit() {
    let mut world = World::new(&plants(), 1, false);
    passed(&mut world, 5);
    world.begin(0, Trouble::Stuck { channel: 0 });
    world.advance(0.5);
    // The node's clock is the real one, so its verdict after a minute is tested in the firmware, not here.
    let first = value(&world, 0, CH4);
    passed(&mut world, 30);
    assert_eq!(first, value(&world, 0, CH4));
}

#[test]
fn a_node_that_had_no_power_warms_up_when_it_is_back() {
    let mut world = World::new(&plants(), 1, false);
    world.begin(0, Trouble::NodeDead);
    passed(&mut world, 2);
    world.end(0, Trouble::NodeDead);
    passed(&mut world, 2);
    assert_eq!(outcome(&world, 0, CH4), Outcome::Bad(Fault::WarmUp));
    passed(&mut world, 20);
    assert!(matches!(outcome(&world, 0, CH4), Outcome::Good(_)));
}

#[test]
fn the_script_begins_with_a_leak_within_a_quarter_of_a_minute() {
    let mut world = World::new(&plants(), 5, true);
    let mut begun = Vec::new();
    for _ in 0..32 {
        begun.extend(world.advance(0.5));
    }
    assert!(matches!(begun.as_slice(), [Cue::Begin(incident)] if matches!(incident.trouble, Trouble::Leak(_))), "{begun:?}");
}
