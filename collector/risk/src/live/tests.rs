use super::*;
use Level::{Blue, Orange, Red, Yellow};
use alarm::{Place, Stages, State};
use measurement::{Fault, Outcome, Timestamp, Unit, Value};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// An open alarm that nobody has acknowledged.
fn alarm(kind: Kind, priority: Priority) -> Episode {
    Episode {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        channel: None,
        gateway: "gw".to_owned(),
        rule: "rule".to_owned(),
        kind,
        priority,
        state: State::Unacknowledged,
        active: true,
        latching: false,
        value: None,
        unit: Unit::None,
        setpoint: None,
        reason: None,
        unconfirmed: false,
        late: false,
        from_backfill: false,
        opening: Place { epoch: 1, sequence: 1 },
        opening_sampled_at: NOW,
        returning: None,
        began_at: NOW,
        opened_at: NOW,
        returned_at: None,
        acknowledged_at: None,
        acknowledged_by: None,
        note: None,
        closed_at: None,
        aside: None,
        suppressed: false,
        stages: Stages::default(),
        simulated: false,
        unseen: Vec::new(),
    }
}

fn check(assessed: Level, alarms: &[Episode], expected: Level) {
    assert_eq!(live_level(assessed, alarms), expected);
    assert_eq!(grade(assessed, alarms, []).level, expected, "grade and live_level tell one story");
}

#[test]
fn a_quiet_point_has_its_assessed_level() {
    Level::ALL.into_iter().for_each(|assessed| check(assessed, &[], assessed));
}

#[test]
fn an_urgent_limit_makes_a_point_red() {
    check(Blue, &[alarm(Kind::Limit, Priority::Urgent)], Red);
}

#[test]
fn a_limit_s_priority_is_its_level() {
    let levels = [Priority::Low, Priority::Medium, Priority::High, Priority::Urgent].map(|p| level_of(&alarm(Kind::Limit, p)));
    assert_eq!(levels, [Blue, Yellow, Orange, Red].map(Some));
}

#[test]
fn over_range_counts_like_a_limit() {
    check(Blue, &[alarm(Kind::OverRange, Priority::Urgent)], Red);
}

#[test]
fn not_seeing_is_never_red_by_itself() {
    for kind in [Kind::Silence, Kind::Fault, Kind::NotProtecting, Kind::GatewayLost, Kind::Identity] {
        check(Blue, &[alarm(kind, Priority::Urgent)], Orange);
    }
}

#[test]
fn not_seeing_is_never_less_than_yellow() {
    for kind in [Kind::Silence, Kind::Fault, Kind::NotProtecting, Kind::GatewayLost, Kind::Identity] {
        check(Blue, &[alarm(kind, Priority::Low)], Yellow);
    }
}

#[test]
fn the_assessed_level_wins_when_it_is_greater() {
    check(Red, &[alarm(Kind::Limit, Priority::Medium)], Red);
}

#[test]
fn the_greatest_of_several_alarms_wins() {
    check(Blue, &[alarm(Kind::Limit, Priority::Medium), alarm(Kind::Limit, Priority::Urgent), alarm(Kind::Fault, Priority::High)], Red);
}

#[test]
fn acknowledging_does_not_lower_the_level() {
    let seen = Episode { acknowledged_at: Some(NOW), state: State::Acknowledged, ..alarm(Kind::Limit, Priority::Urgent) };
    check(Blue, &[seen], Red);
}

#[test]
fn shelving_does_not_lower_the_level() {
    let shelved = Episode { state: State::Shelved, ..alarm(Kind::Limit, Priority::Urgent) };
    check(Blue, &[shelved], Red);
}

#[test]
fn an_alarm_that_waits_for_an_acknowledgement_keeps_the_level() {
    let returned = Episode { active: false, state: State::ReturnedUnacknowledged, ..alarm(Kind::Limit, Priority::Urgent) };
    check(Blue, &[returned], Red);
}

#[test]
fn a_closed_alarm_gives_no_level() {
    let closed = Episode { active: false, closed_at: Some(NOW), state: State::Normal, ..alarm(Kind::Limit, Priority::Urgent) };
    check(Yellow, &[closed], Yellow);
}

#[test]
fn a_late_alarm_does_not_raise_the_level() {
    let late = Episode { late: true, from_backfill: true, ..alarm(Kind::Limit, Priority::Urgent) };
    check(Blue, &[late], Blue);
}

#[test]
fn a_late_alarm_is_counted_all_the_same() {
    let late = Episode { late: true, from_backfill: true, ..alarm(Kind::Limit, Priority::Urgent) };
    let point = grade(Blue, &[late], []);
    assert_eq!((point.open_alarms, point.unacknowledged), (1, 1));
}

#[test]
fn closed_alarms_are_not_counted_and_acknowledged_ones_only_as_open() {
    let seen = Episode { acknowledged_at: Some(NOW), ..alarm(Kind::Limit, Priority::High) };
    let closed = Episode { closed_at: Some(NOW), ..alarm(Kind::Limit, Priority::High) };
    let point = grade(Blue, &[alarm(Kind::Limit, Priority::High), seen, closed], []);
    assert_eq!((point.open_alarms, point.unacknowledged), (2, 1));
}

#[test]
fn a_point_in_fault_is_unguarded_whatever_its_level() {
    let bead = BoundChannel { tag: "T1", quantity: "CH4", outcome: Some(Outcome::Bad(Fault::SensorFailure)), fresh: true };
    assert!(!grade(Blue, &[alarm(Kind::Fault, Priority::High)], [bead]).guarded.is_guarded());
}

#[test]
fn a_point_in_alarm_is_guarded_while_its_reading_is_fresh() {
    let bead = BoundChannel { tag: "T1", quantity: "CH4", outcome: Value::new(30.0).map(Outcome::Good), fresh: true };
    let point = grade(Blue, &[alarm(Kind::Limit, Priority::Urgent)], [bead]);
    assert_eq!((point.level, point.guarded), (Red, Guarded::Guarded));
}
