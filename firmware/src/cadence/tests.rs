use std::vec::Vec;

use super::*;

const CONVERTER: Pace = Pace { every_ms: 100, ready_after_ms: 9, continuous: false };
const BY_ITSELF: Pace = Pace { every_ms: 5000, ready_after_ms: 5000, continuous: true };

/// Looks every ms for so long, does what is due with this outcome, and gives what was done when.
fn run(pace: Pace, for_ms: u64, mut outcome: impl FnMut(Turn, u64) -> Done) -> Vec<(u64, Turn)> {
    let mut cadence = Cadence::new();
    let mut turns = Vec::new();
    for at in 0..for_ms {
        if let Some(turn) = cadence.turn(pace, MonotonicMs(at)) {
            turns.push((at, turn));
            cadence.done(turn, outcome(turn, at), pace, MonotonicMs(at));
        }
    }
    turns
}

fn well(turn: Turn, _: u64) -> Done {
    if turn == Turn::Start { Done::Started } else { Done::Measured }
}

#[test]
fn a_conversion_is_started_at_its_pace_and_read_when_it_is_ready() {
    let turns = run(CONVERTER, 210, well);
    assert_eq!(turns, [(0, Turn::Start), (9, Turn::Read), (100, Turn::Start), (109, Turn::Read), (200, Turn::Start), (209, Turn::Read)]);
}

#[test]
fn a_part_that_measures_by_itself_is_started_once() {
    let turns = run(BY_ITSELF, 15_001, well);
    assert_eq!(turns, [(0, Turn::Start), (5000, Turn::Read), (10_000, Turn::Read), (15_000, Turn::Read)]);
}

#[test]
fn a_late_result_is_asked_for_again_and_in_the_end_given_up() {
    let turns = run(CONVERTER, 300, |turn, at| {
        if turn == Turn::Start {
            Done::Started
        } else if at < 30 {
            Done::NotYet
        } else {
            Done::Measured
        }
    });
    assert_eq!(turns[..5], [(0, Turn::Start), (9, Turn::Read), (19, Turn::Read), (29, Turn::Read), (39, Turn::Read)]);
    let never = run(CONVERTER, 400, |turn, _| if turn == Turn::Start { Done::Started } else { Done::NotYet });
    assert_eq!(never.iter().filter(|(_, turn)| *turn == Turn::Start).count(), 2, "given up after 209 ms, and started anew");
}

#[test]
fn a_bus_that_fails_is_tried_again_at_the_same_pace_and_never_in_a_hurry() {
    let turns = run(CONVERTER, 301, |_, _| Done::Failed);
    assert_eq!(turns, [(0, Turn::Start), (100, Turn::Start), (200, Turn::Start), (300, Turn::Start)]);
}

#[test]
fn a_part_that_lost_its_power_is_started_again() {
    let mut starts = 0;
    let turns = run(BY_ITSELF, 60_000, |turn, _| match turn {
        Turn::Start => {
            starts += 1;
            Done::Started
        }
        Turn::Read if starts < 2 => Done::Failed,
        Turn::Read => Done::Measured,
    });
    let started: Vec<u64> = turns.iter().filter(|(_, turn)| *turn == Turn::Start).map(|(at, _)| *at).collect();
    assert_eq!(started, [0, 15_001], "after it said nothing for its own time and two paces");
}

#[test]
fn a_start_that_a_running_part_refuses_is_followed_by_a_reading() {
    let turns = run(BY_ITSELF, 10_001, |turn, _| if turn == Turn::Start { Done::Failed } else { Done::Measured });
    assert_eq!(turns, [(0, Turn::Start), (5000, Turn::Read), (10_000, Turn::Read)]);
}
