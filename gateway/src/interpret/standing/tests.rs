#![allow(clippy::unwrap_used, reason = "a test may stop here")]
use super::*;
use crate::site::Site;
use Judgement::{Believed, Held, Unconfirmed};
use proptest::prelude::*;

const STAYS: Judgement = Believed { crossed: false };
const CROSSES: Judgement = Believed { crossed: true };

/// A channel with range 0 to 100, high limits at 20 and 50 and a largest step of 15.
fn channel(more: &str) -> Channel {
    let text = format!(
        "gateway = \"g\"\n[broker]\nurl = \"mqtt://b:1\"\n[[bus]]\nname = \"b\"\ntcp = \"b:502\"\n[[bus.device]]\nname = \"d\"\nunit = 1\n\
         profile = \"davy-node\"\n[[bus.device.channel]]\nkey = \"0\"\ntag = \"t\"\nquantity = \"CH4\"\nunit = \"%LEL\"\n{more}\n"
    );
    Site::parse(std::path::Path::new("site.toml"), &text).unwrap().buses.remove(0).devices.remove(0).channels.remove(0)
}

const GAS: &str = "range = [0, 100]\nmax_step = 15.0\nlimit = [{ high = 20.0, release = 18.0 }, { high = 50.0, release = 45.0 }]";
const OXYGEN: &str = "range = [0, 25]\nlimit = [{ low = 19.5, release = 19.7 }, { high = 23.5, release = 23.0 }]";

fn good(value: f32) -> Outcome {
    Outcome::Good(Value::new(value).unwrap())
}

/// Readings a tenth of a second apart.
fn check(more: &str, readings: &[(Outcome, Judgement)]) {
    let mut standing = Standing::new(&channel(more), 1000, false);
    for (place, (outcome, expected)) in readings.iter().enumerate() {
        let now = 100 * place as u64;
        let found = standing.judge(*outcome, Timestamp(now as i64), MonotonicMs(now));
        assert_eq!(found, *expected, "reading {place}, {outcome:?}");
    }
}

#[test]
fn a_value_beyond_a_limit_is_told_at_once_and_believed_when_seen_again() {
    check(GAS, &[(good(10.0), STAYS), (good(22.0), Unconfirmed), (good(21.0), CROSSES), (good(23.0), STAYS)]);
}

#[test]
fn a_value_beyond_a_limit_that_is_not_seen_again_moves_nothing() {
    check(GAS, &[(good(10.0), STAYS), (good(22.0), Unconfirmed), (good(10.0), STAYS), (good(22.0), Unconfirmed), (good(10.0), STAYS)]);
}

#[test]
fn a_value_that_would_end_an_alarm_is_held_back_until_it_is_seen_again() {
    let raised = [(good(10.0), STAYS), (good(22.0), Unconfirmed), (good(22.0), CROSSES)];
    check(GAS, &[&raised[..], &[(good(17.0), Held), (good(22.0), STAYS)]].concat());
    check(GAS, &[&raised[..], &[(good(17.0), Held), (good(16.0), CROSSES)]].concat());
}

#[test]
fn a_second_reading_that_claims_more_than_the_first_is_a_first_sight_itself() {
    check(GAS, &[(good(10.0), STAYS), (good(22.0), Unconfirmed), (good(60.0), Unconfirmed), (good(61.0), CROSSES)]);
}

#[test]
fn a_second_reading_that_claims_less_is_believed_in_what_both_claim() {
    check(GAS, &[(good(10.0), STAYS), (good(60.0), Unconfirmed), (good(30.0), CROSSES), (good(51.0), Unconfirmed)]);
}

#[test]
fn a_leap_towards_danger_is_told_and_one_away_from_it_held_back() {
    check("max_step = 5.0", &[(good(10.0), STAYS), (good(16.0), Unconfirmed), (good(17.0), STAYS), (good(3.0), Held), (good(3.0), STAYS)]);
    check(OXYGEN, &[(good(20.9), STAYS), (good(19.0), Unconfirmed), (good(19.0), CROSSES), (good(20.9), Held), (good(20.9), CROSSES)]);
}

#[test]
fn with_limits_on_both_sides_a_leap_is_held_back_whichever_way_it_goes() {
    check(&format!("max_step = 1.0\n{OXYGEN}"), &[(good(20.0), STAYS), (good(22.0), Held), (good(20.0), STAYS)]);
}

#[test]
fn leaving_the_range_and_returning_to_it_are_believed_when_seen_twice() {
    let range = "range = [0, 100]";
    let over = Outcome::Uncertain(Value::new(101.0).unwrap(), Doubt::OverRange);
    check(range, &[(good(99.0), STAYS), (over, Unconfirmed), (over, STAYS), (good(99.0), Held), (good(99.0), STAYS)]);
    check(
        range,
        &[(good(1.0), STAYS), (good(-2.9), STAYS), (good(-4.0), Held), (good(-4.0), STAYS), (good(1.0), Held), (good(1.0), STAYS)],
    );
}

#[test]
fn a_fault_that_the_device_named_is_over_when_seen_twice_and_silence_is_over_at_once() {
    let fault = |fault| (Outcome::Bad(fault), STAYS);
    check(
        "",
        &[
            (good(1.0), STAYS),
            fault(Fault::SensorFailure),
            (good(1.0), Held),
            fault(Fault::SensorFailure),
            (good(1.0), Held),
            (good(1.0), STAYS),
        ],
    );
    check("", &[(good(1.0), STAYS), fault(Fault::NoCommunication), (good(1.0), STAYS)]);
}

#[test]
fn silence_between_two_readings_does_not_undo_the_first() {
    check(GAS, &[(good(10.0), STAYS), (good(22.0), Unconfirmed), (Outcome::Bad(Fault::NoCommunication), STAYS), (good(22.0), CROSSES)]);
}

#[test]
fn a_first_sight_of_long_ago_proves_nothing() {
    let mut standing = Standing::new(&channel(GAS), 1000, false);
    let mut judge = |ms, value| standing.judge(good(value), Timestamp(0), MonotonicMs(ms));
    assert_eq!([judge(0, 22.0), judge(3_001, 22.0), judge(6_001, 22.0)], [Unconfirmed, Unconfirmed, CROSSES]);
}

#[test]
fn a_node_is_read_again_only_for_a_leap() {
    let mut standing = Standing::new(&channel(GAS), 1000, true);
    let mut judge = |value| standing.judge(good(value), Timestamp(0), MonotonicMs(0));
    assert_eq!([judge(10.0), judge(22.0), judge(40.0), judge(41.0), judge(44.0)], [STAYS, CROSSES, Unconfirmed, STAYS, STAYS]);
}

#[test]
fn over_half_of_a_high_limit_is_near_and_only_well_below_is_far() {
    let mut standing = Standing::new(&channel("limit = [{ high = 20.0, release = 18.0 }]"), 1000, false);
    let mut near = |value| {
        standing.judge(good(value), Timestamp(0), MonotonicMs(0));
        standing.is_near_a_limit()
    };
    assert_eq!([near(10.0), near(10.1), near(9.5), near(8.9), near(9.5)], [false, true, true, false, false]);
    let mut standing = Standing::new(&channel("limit = [{ low = 5.0, release = 6.0 }]"), 1000, false);
    let mut near = |value| {
        standing.judge(good(value), Timestamp(0), MonotonicMs(0));
        standing.is_near_a_limit()
    };
    assert_eq!([near(7.0), near(4.0), near(4.0), near(5.5)], [false, false, true, true], "a low limit is near once it is crossed");
}

/// The same rules, said another way: claims as a set of words, everything worked out anew for each reading.
#[derive(Default)]
struct Model {
    exceeded: [bool; 2],
    above: bool,
    below: bool,
    failed: bool,
    believed: Option<f32>,
    before: Option<Vec<&'static str>>,
}

impl Model {
    fn claims(&self, value: f32) -> Vec<&'static str> {
        let mut claims = Vec::new();
        for (place, (setpoint, release, word)) in [(20.0, 18.0, "first"), (50.0, 45.0, "second")].into_iter().enumerate() {
            if (self.exceeded[place] && value < release) || (!self.exceeded[place] && value >= setpoint) {
                claims.push(word);
            }
        }
        let (above, below) = (value > 100.0, value < -3.0);
        if (above, below) != (self.above, self.below) {
            claims.push(if above {
                "above"
            } else if below {
                "below"
            } else {
                "inside"
            });
        }
        if let Some(believed) = self.believed {
            let moved = value - believed;
            if moved.abs() > 15.0 {
                claims.push(if moved > 0.0 { "up" } else { "down" });
            }
        }
        if self.failed {
            claims.push("recovers");
        }
        claims
    }

    /// True when it is believed.
    fn judge(&mut self, value: Option<f32>) -> bool {
        let Some(value) = value else {
            (self.failed, self.before) = (true, None);
            return true;
        };
        let claims = self.claims(value);
        let before = self.before.take().unwrap_or_default();
        if claims.iter().any(|claim| !before.contains(claim)) {
            self.before = Some(claims);
            return false;
        }
        for (place, (setpoint, release)) in [(20.0, 18.0), (50.0, 45.0)].into_iter().enumerate() {
            self.exceeded[place] = if self.exceeded[place] { value >= release } else { value >= setpoint };
        }
        (self.above, self.below, self.failed, self.believed) = (value > 100.0, value < -3.0, false, Some(value));
        true
    }
}

/// A value, or now and then a fault.
fn reading() -> impl Strategy<Value = Option<f32>> {
    prop_oneof![1 => Just(None), 9 => (-20.0_f32..130.0).prop_map(Some), 6 => (15.0_f32..25.0).prop_map(Some), 4 => (40.0_f32..55.0).prop_map(Some)]
}

proptest! {
    #[test]
    fn the_judgement_is_that_of_the_model(readings in prop::collection::vec(reading(), 1..60)) {
        let (mut standing, mut model) = (Standing::new(&channel(GAS), 1000, false), Model::default());
        for (place, reading) in readings.into_iter().enumerate() {
            let now = place as u64 * 100;
            let outcome = reading.map_or(Outcome::Bad(Fault::SensorFailure), good);
            let found = standing.judge(outcome, Timestamp(now as i64), MonotonicMs(now));
            prop_assert_eq!(matches!(found, Believed { .. }), model.judge(reading), "reading {}", place);
            let exceeded: Vec<bool> = standing.monitors.iter().map(LimitMonitor::is_exceeded).collect();
            prop_assert_eq!(&exceeded[..], &model.exceeded[..]);
        }
    }

    /// Lies that are not told twice in a row: nothing is believed but the truth, and what is told unconfirmed
    /// never lies below a limit that is exceeded.
    #[test]
    fn lies_that_stand_alone_move_nothing(truth in prop_oneof![Just(5.0_f32), Just(30.0), Just(70.0)],
                                          lies in prop::collection::vec(prop::option::weighted(0.3, -50.0_f32..150.0), 1..80)) {
        let mut standing = Standing::new(&channel(GAS), 1000, false);
        let mut judge = |now: u64, value: f32| (standing.judge(good(value), Timestamp(now as i64), MonotonicMs(now)), standing.clone());
        judge(0, truth);
        let (_, settled) = judge(1, truth);
        let mut now = 1;
        for lie in lies {
            now += 1;
            if let Some(lie) = lie.filter(|lie| (lie - truth).abs() > 15.0) {
                let (found, _) = judge(now, lie);
                prop_assert!(found == Unconfirmed || found == Held, "{lie} beside {truth}: {found:?}");
                prop_assert!(found == Held || lie > truth, "{lie} is less than {truth} and was told");
                now += 1;
            }
            let (found, after) = judge(now, truth);
            prop_assert_eq!(found, STAYS);
            prop_assert_eq!(&after.monitors, &settled.monitors);
        }
    }
}
