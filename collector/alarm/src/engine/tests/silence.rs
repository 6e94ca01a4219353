//! What time makes: silent channels, lost gateways, and the alarm about two gateways with one identity.

use super::*;

fn watched(id: u32) -> Channel {
    channel(id, vec![limit(METHANE), rule("fault", RuleKind::Fault), silence()])
}

fn heard_once() -> Bench {
    let mut bench = Bench::new(&[watched(1)]);
    bench.gateway_heard();
    bench.live(good(1.0));
    bench
}

#[test]
fn a_channel_is_silent_after_three_periods_and_a_second() {
    let mut bench = heard_once();
    bench.wait_heard(4);
    assert_eq!(bench.told(), []);
    bench.wait_heard(1);
    assert_eq!((bench.told(), bench.only().kind), (vec![Raised], Kind::Silence));
}

#[test]
fn a_slow_channel_is_silent_later() {
    let mut bench = Bench::new(&[Channel { period_ms: 5000, ..watched(1) }]);
    bench.live(good(1.0));
    bench.wait_heard(16);
    assert_eq!(bench.told(), []);
    bench.wait_heard(1);
    assert_eq!(bench.told(), [Raised]);
}

#[test]
fn silence_is_told_once_however_long_it_lasts() {
    let mut bench = heard_once();
    bench.wait_heard(120);
    assert_eq!(bench.told(), [Raised]);
}

#[test]
fn silence_began_with_the_last_reading() {
    let mut bench = heard_once();
    bench.wait_heard(5);
    let alarm = bench.only();
    assert_eq!((alarm.began_at, alarm.opening.sequence, alarm.value), (Timestamp(WALL + 1000), 1, None));
}

#[test]
fn a_live_value_ends_the_silence() {
    let mut bench = heard_once();
    bench.wait_heard(5);
    bench.live(good(1.0));
    assert_eq!(bench.told(), [Raised, Returned]);
}

#[test]
fn a_live_fault_ends_the_silence_and_is_an_alarm_of_its_own() {
    let mut bench = heard_once();
    bench.wait_heard(5);
    bench.live(Outcome::Bad(Fault::SensorFailure));
    assert_eq!(bench.told(), [Raised, Returned, Raised]);
    assert!(bench.open("fault").unwrap().active);
}

#[test]
fn a_late_reading_does_not_end_the_silence() {
    let mut bench = heard_once();
    bench.wait_heard(5);
    bench.late(2, 3, good(1.0));
    assert_eq!((bench.told(), bench.states()), (vec![Raised], vec![State::Unacknowledged]));
}

#[test]
fn late_readings_do_not_put_the_silence_off() {
    let mut bench = heard_once();
    for second in 0..5 {
        bench.late(2 + second, second as i64, good(1.0));
        bench.wait_heard(1);
    }
    assert_eq!(bench.told(), [Raised]);
}

#[test]
fn silence_clears_no_gas_alarm() {
    let mut bench = heard_once();
    bench.live(good(12.0));
    bench.wait_heard(5);
    assert!(bench.open("limit").unwrap().active && bench.open("silence").unwrap().active);
}

#[test]
fn each_silence_is_an_alarm_of_its_own_once_the_last_is_closed() {
    let mut bench = heard_once();
    bench.wait_heard(5);
    let first = bench.only().id;
    bench.acknowledge_only();
    bench.live(good(1.0));
    bench.wait_heard(5);
    assert_ne!(bench.only().id, first);
    assert_eq!(bench.told(), [Raised, Acknowledged, Returned, Cleared, Raised]);
}

#[test]
fn a_channel_never_heard_since_the_start_is_silent_too() {
    let mut bench = Bench::new(&[watched(1)]);
    bench.wait_heard(5);
    assert_eq!(bench.only().opening, Place { epoch: 77, sequence: 0 }, "it names the run");
}

#[test]
fn nothing_is_called_silent_while_the_collector_is_starting() {
    let mut bench = Bench::with(Config::default(), &[watched(1)]);
    bench.wait_heard(14);
    assert_eq!(bench.told(), []);
    bench.wait_heard(1);
    assert_eq!(bench.told(), [Raised]);
}

#[test]
fn a_channel_without_a_silence_rule_is_never_silent() {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)])]);
    bench.wait_heard(1000);
    assert_eq!(bench.told(), []);
}

#[test]
fn a_lost_gateway_is_one_alarm_that_names_what_is_unseen() {
    let mut bench = Bench::new(&[watched(3), watched(1), watched(2), Channel { label: "point 1".to_owned(), ..watched(4) }]);
    bench.gateway_heard();
    bench.live(good(1.0));
    bench.wait(600);
    assert_eq!(bench.told(), [Raised]);
    let alarm = bench.only();
    assert_eq!(
        (alarm.kind, alarm.channel, alarm.unseen),
        (Kind::GatewayLost, None, vec!["point 1".into(), "point 2".into(), "point 3".into()])
    );
}

#[test]
fn a_gateway_is_lost_after_fifteen_seconds() {
    let mut bench = heard_once();
    bench.gateway_heard();
    bench.wait(14);
    assert_eq!((bench.told(), bench.engine.gateway_is_lost("gw")), (vec![], false));
    bench.wait(1);
    assert_eq!((bench.told(), bench.engine.gateway_is_lost("gw")), (vec![Raised], true));
}

#[test]
fn a_gateway_that_was_never_heard_is_lost() {
    let mut bench = Bench::new(&[watched(1)]);
    bench.wait(15);
    assert_eq!((bench.only().kind, bench.only().opening), (Kind::GatewayLost, Place { epoch: 77, sequence: 0 }));
}

#[test]
fn a_gateway_that_watches_nothing_is_not_missed() {
    let mut bench = Bench::new(&[watched(1)]);
    bench.set_channels(&[]);
    bench.wait(60);
    assert_eq!(bench.told(), []);
}

#[test]
fn another_gateway_s_channels_are_not_unseen() {
    let mut bench = Bench::new(&[watched(1), Channel { gateway: "other".to_owned(), ..channel(2, vec![]) }]);
    bench.wait_heard(20);
    assert_eq!(bench.open("gateway-lost").unwrap().unseen, ["point 2"]);
}

#[test]
fn a_gateway_that_comes_back_ends_its_alarm_and_gives_its_channels_time() {
    let mut bench = heard_once();
    bench.wait(20);
    bench.gateway_heard();
    assert_eq!((bench.told(), bench.states()), (vec![Raised, Returned], vec![State::ReturnedUnacknowledged]));
    bench.wait_heard(4);
    assert_eq!(bench.told(), []);
    bench.wait_heard(1);
    assert_eq!((bench.told(), bench.open("silence").is_some()), (vec![Raised], true));
}

#[test]
fn a_channel_that_was_silent_already_is_covered_by_its_lost_gateway() {
    let mut bench = heard_once();
    bench.wait_heard(5);
    bench.wait(15);
    assert_eq!(bench.told(), [Raised, Raised, Suppressed]);
    assert_eq!(bench.open("silence").unwrap().state, State::Suppressed);
}

#[test]
fn a_covered_silence_stands_for_itself_when_the_gateway_is_back() {
    let mut bench = heard_once();
    bench.wait_heard(5);
    bench.wait(15);
    bench.told();
    bench.gateway_heard();
    assert_eq!(bench.told(), [Returned, Unsuppressed]);
    assert_eq!(bench.open("silence").unwrap().state, State::Unacknowledged);
    crate::invariants::all(&bench.out).unwrap();
}

#[test]
fn a_covered_silence_that_ends_is_covered_no_longer() {
    let mut bench = heard_once();
    bench.wait_heard(5);
    bench.wait(15);
    bench.live(good(1.0));
    assert_eq!(bench.open("silence").unwrap().state, State::ReturnedUnacknowledged);
}

#[test]
fn a_slow_channel_is_not_called_silent_while_its_gateway_is_lost() {
    let mut bench = Bench::new(&[Channel { period_ms: 10_000, ..watched(1) }]);
    bench.live(good(1.0));
    bench.wait_heard(15);
    bench.wait(60);
    assert_eq!((bench.told(), bench.only().kind), (vec![Raised], Kind::GatewayLost));
}

#[test]
fn gas_alarms_are_not_covered_by_a_lost_gateway() {
    let mut bench = heard_once();
    bench.live(good(12.0));
    bench.wait(20);
    assert_eq!(bench.open("limit").unwrap().state, State::Unacknowledged);
}

#[test]
fn a_gateway_lost_again_before_anybody_looked_is_the_same_alarm() {
    let mut bench = heard_once();
    bench.wait(20);
    let first = bench.only().id;
    bench.gateway_heard();
    bench.wait(20);
    assert_eq!((bench.told(), bench.only().id), (vec![Raised, Returned, Reraised], first));
}

#[test]
fn a_gateway_lost_again_names_what_is_unseen_now() {
    let mut bench = heard_once();
    bench.wait(20);
    bench.gateway_heard();
    bench.set_channels(&[watched(1), watched(2)]);
    bench.wait(20);
    assert_eq!(bench.only().unseen, ["point 1", "point 2"]);
}

#[test]
fn a_gateway_lost_again_after_the_first_was_closed_is_another_alarm() {
    let mut bench = heard_once();
    bench.wait(20);
    let first = bench.only().id;
    bench.acknowledge_only();
    bench.gateway_heard();
    assert_eq!(bench.told(), [Raised, Acknowledged, Returned, Cleared]);
    bench.wait(20);
    assert_ne!(bench.only().id, first);
}

#[test]
fn a_sign_of_life_of_an_unknown_gateway_changes_nothing() {
    let mut bench = heard_once();
    let (now, at) = (MonotonicMs(bench.now), bench.wall());
    bench.engine.gateway_heard("stranger", now, at, &mut bench.out);
    assert!(bench.told().is_empty() && !bench.engine.gateway_is_lost("stranger"));
}

fn conflict(bench: &mut Bench, what: &str) {
    let at = bench.wall();
    bench.engine.identity_conflict("gw", what, Place { epoch: 9, sequence: 4 }, at, &mut bench.out);
}

#[test]
fn two_gateways_with_one_identity_are_an_alarm_that_says_what_was_seen() {
    let mut bench = heard_once();
    conflict(&mut bench, "two epochs alternate");
    let alarm = bench.only();
    assert_eq!((alarm.kind, alarm.reason.as_deref(), alarm.opening.epoch), (Kind::Identity, Some("two epochs alternate"), 9));
}

#[test]
fn a_conflict_seen_again_is_told_once() {
    let mut bench = heard_once();
    conflict(&mut bench, "two epochs alternate");
    conflict(&mut bench, "another checksum");
    assert_eq!(bench.told(), [Raised]);
}

#[test]
fn only_a_person_s_reset_closes_a_conflict() {
    let mut bench = heard_once();
    conflict(&mut bench, "two epochs alternate");
    bench.acknowledge_only();
    bench.wait_heard(60);
    let id = bench.open("gateway-identity").unwrap().id;
    assert_eq!(bench.reset(&id, "the copy was switched off").unwrap().state, State::Normal);
    assert!(bench.open("gateway-identity").is_none());
}
