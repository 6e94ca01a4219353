use super::*;
use crate::{Channel, Config, Engine, Observation, Place, Rule, RuleKind};
use measurement::{ChannelId, Direction, Limit, MonotonicMs, Outcome, Timestamp, Unit, Value};

fn limit_rule() -> Rule {
    let number = |number| Value::new(number).unwrap();
    let limit = Limit { direction: Direction::High, setpoint: number(10.0), release: number(9.0), on_delay_ms: 0, off_delay_ms: 0 };
    let what = RuleKind::Limit { limit, unit: Unit::PercentLel };
    Rule { id: "limit".to_owned(), what, priority: crate::Priority::High, source: String::new() }
}

/// What is told of readings of one channel: sequence, whether live, and the number.
fn told(readings: &[(u64, bool, f32)]) -> Vec<Transition> {
    let (gateway, label) = ("gw".to_owned(), "point".to_owned());
    let rules = vec![limit_rule()];
    let channel = Channel { id: ChannelId(1), gateway, label, unit: Unit::PercentLel, period_ms: 1000, simulated: false, rules };
    let mut engine = Engine::new(Config::default(), 1, MonotonicMs(0));
    let mut out = Vec::new();
    engine.set_channels(&[channel], MonotonicMs(0), Timestamp(0), &mut out);
    for &(sequence, live, number) in readings {
        let seen = Observation {
            channel: ChannelId(1),
            place: Place { epoch: 1, sequence },
            sampled_at: Timestamp(sequence as i64 * 1000),
            received_at: Timestamp(100_000),
            now: MonotonicMs(100_000),
            age_ms: 0,
            outcome: Outcome::measured(number),
            live,
            t2: None,
            t3: None,
        };
        engine.observe(&seen, &mut out);
    }
    let id = out[0].episode.id.clone();
    // Refused when the readings have closed it already, as late ones do.
    drop(engine.acknowledge(&id, "li", "", Timestamp(200_000), &mut out));
    out
}

/// Raised, returned, acknowledged, cleared.
fn life() -> Vec<Transition> {
    told(&[(1, true, 12.0), (2, true, 1.0)])
}

/// Raised late, returned late, cleared.
fn late_life() -> Vec<Transition> {
    told(&[(1, false, 12.0), (2, false, 1.0)])
}

/// Spoils a right list and names the invariant that finds it.
fn found(mut list: Vec<Transition>, spoil: impl FnOnce(&mut Vec<Transition>), by: fn(&[Transition]) -> Result<(), Broken>) -> usize {
    assert_eq!(by(&list), Ok(()));
    spoil(&mut list);
    assert!(all(&list).is_err());
    by(&list).unwrap_err().at
}

#[test]
fn a_whole_life_keeps_every_invariant() {
    let events = |list: Vec<Transition>| list.into_iter().map(|told| told.event).collect::<Vec<_>>();
    assert_eq!((all(&life()), all(&late_life())), (Ok(()), Ok(())));
    assert_eq!(events(life()), [Event::Raised, Event::Returned, Event::Acknowledged, Event::Cleared]);
    assert_eq!(events(late_life()), [Event::Raised, Event::Returned, Event::Cleared]);
}

#[test]
fn a_state_that_the_facts_deny_is_found() {
    let spoil = |list: &mut Vec<Transition>| list[1].episode.state = State::Acknowledged;
    assert_eq!(found(life(), spoil, the_state_is_what_the_facts_amount_to), 1);
}

#[test]
fn a_closed_episode_that_never_returned_is_found() {
    let spoil = |list: &mut Vec<Transition>| list[3].episode.returned_at = None;
    assert_eq!(found(life(), spoil, the_state_is_what_the_facts_amount_to), 3);
}

#[test]
fn a_second_open_episode_of_a_rule_is_found() {
    let spoil = |list: &mut Vec<Transition>| {
        let mut second = list[0].clone();
        second.episode.id = "another".to_owned();
        list.insert(2, second);
    };
    assert_eq!(found(life(), spoil, one_open_episode_for_each_rule), 2);
}

#[test]
fn an_episode_that_opens_twice_is_found() {
    let spoil = |list: &mut Vec<Transition>| list.insert(1, list[0].clone());
    assert_eq!(found(life(), spoil, every_event_is_legal_where_it_happens), 1);
}

#[test]
fn an_episode_that_was_never_seen_opening_is_found() {
    let spoil = |list: &mut Vec<Transition>| drop(list.remove(0));
    assert_eq!(found(life(), spoil, every_event_is_legal_where_it_happens), 0);
}

#[test]
fn a_reset_that_closes_nothing_is_found() {
    let spoil = |list: &mut Vec<Transition>| list[1].event = Event::Reset;
    assert_eq!(found(life(), spoil, every_event_is_legal_where_it_happens), 1);
}

#[test]
fn an_end_that_nobody_told_is_found() {
    let spoil = |list: &mut Vec<Transition>| list.truncate(3);
    assert_eq!(found(life(), spoil, cleared_is_the_last_event), 2);
}

#[test]
fn an_event_after_the_end_is_found() {
    let spoil = |list: &mut Vec<Transition>| list.push(list[1].clone());
    assert_eq!(found(life(), spoil, cleared_is_the_last_event), 4);
}

#[test]
fn a_live_alarm_that_a_late_reading_ends_is_found() {
    let spoil = |list: &mut Vec<Transition>| list[1].cause = Cause::Late;
    assert_eq!(found(life(), spoil, late_readings_end_only_what_late_readings_tell), 1);
}

#[test]
fn a_late_reading_that_acknowledges_is_found() {
    let spoil = |list: &mut Vec<Transition>| list[2].cause = Cause::Late;
    assert_eq!(found(life(), spoil, late_readings_end_only_what_late_readings_tell), 2);
}

#[test]
fn a_late_alarm_that_is_not_marked_late_is_found() {
    let spoil = |list: &mut Vec<Transition>| list.iter_mut().for_each(|told| told.episode.late = false);
    assert_eq!(found(late_life(), spoil, late_means_not_seen_live), 0);
}

#[test]
fn a_live_alarm_that_is_marked_late_is_found() {
    let spoil = |list: &mut Vec<Transition>| list.iter_mut().for_each(|told| told.episode.late = true);
    assert_eq!(found(life(), spoil, late_means_not_seen_live), 0);
}

#[test]
fn a_finding_says_what_should_hold_and_where() {
    let mut list = life();
    list.insert(1, list[0].clone());
    let sentence = all(&list).unwrap_err().to_string();
    let expected = "an event leads along the life of ISA-18.2: transition 1, Raised by Live of limit ";
    assert!(sentence.starts_with(expected), "{sentence}");
}
