//! Changes of the registry under open alarms, and a new run that takes up the old one's.

use super::*;

fn why(channels: &[Channel]) -> Vec<String> {
    Bench::new(&[]).set_channels(channels).into_iter().map(|unusable| unusable.why).collect()
}

#[test]
fn a_rule_in_another_unit_than_its_channel_never_runs() {
    let wrong = rule("limit", RuleKind::Limit { limit: METHANE, unit: Unit::Ppm });
    assert_eq!(why(&[channel(1, vec![wrong])]), ["its setpoint is in ppm but the channel measures in %LEL"]);
}

#[test]
fn a_limit_that_could_never_return_never_runs() {
    let wrong = limit(Limit { release: v(11.0), ..METHANE });
    assert_eq!(why(&[channel(1, vec![wrong])]), ["its release 11 lies beyond its setpoint 10"]);
}

#[test]
fn a_rule_s_id_is_used_once_on_a_channel() {
    assert_eq!(why(&[channel(1, vec![limit(METHANE), limit(METHANE)])]), ["rule \"limit\" appears twice on one channel"]);
}

#[test]
fn a_channel_has_one_rule_for_silence() {
    let second = Rule { id: "quiet".to_owned(), ..silence() };
    assert_eq!(why(&[channel(1, vec![silence(), second])]), ["the channel has another rule for silence already"]);
}

#[test]
fn silence_of_no_periods_never_runs() {
    let wrong = rule("silence", RuleKind::Silence { periods: 0 });
    assert_eq!(why(&[channel(1, vec![wrong])]), ["silence of zero periods would never end"]);
}

#[test]
fn a_channel_is_in_the_registry_once() {
    assert_eq!(why(&[channel(1, vec![]), channel(1, vec![])]), ["the channel appears twice in the registry"]);
}

#[test]
fn the_other_rules_of_a_channel_run_beside_an_unusable_one() {
    let wrong = Rule { id: "wrong".to_owned(), ..limit(Limit { release: v(11.0), ..METHANE }) };
    let mut bench = Bench::new(&[]);
    assert_eq!(bench.set_channels(&[channel(1, vec![wrong, limit(METHANE)])]).len(), 1);
    bench.live(good(12.0));
    assert_eq!(bench.told(), [Raised]);
}

#[test]
fn an_alarm_whose_rule_changed_stays_open_and_says_how() {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)])]);
    bench.live(good(12.0));
    bench.set_channels(&[channel(1, vec![limit(Limit { setpoint: v(20.0), release: v(5.0), ..METHANE })])]);
    assert_eq!((bench.told(), bench.only().setpoint), (vec![Raised, RuleChanged], Some(v(20.0))));
    let note = bench.out.last().unwrap().note.clone().unwrap();
    let expected = "rule changed from setpoint 10 %LEL release 9 delays 0/0 ms priority high to setpoint 20 %LEL release 5 delays 0/0 ms priority high";
    assert_eq!(note, expected);
}

#[test]
fn an_alarm_whose_rule_became_more_urgent_is_more_urgent() {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)])]);
    bench.live(good(12.0));
    bench.set_channels(&[channel(1, vec![Rule { priority: Priority::Urgent, ..limit(METHANE) }])]);
    assert_eq!(bench.only().priority, Priority::Urgent);
}

#[test]
fn an_alarm_whose_rule_changed_returns_by_the_new_release() {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)])]);
    bench.live(good(12.0));
    bench.set_channels(&[channel(1, vec![limit(Limit { release: v(5.0), ..METHANE })])]);
    bench.told();
    bench.live(good(8.0));
    assert_eq!(bench.told(), []);
    bench.live(good(4.0));
    assert_eq!(bench.told(), [Returned]);
}

#[test]
fn a_running_on_delay_goes_on_when_something_else_changes() {
    let slow = limit(Limit { on_delay_ms: 2000, ..METHANE });
    let mut bench = Bench::new(&[channel(1, vec![slow.clone()])]);
    bench.live(good(12.0));
    bench.live(good(12.0));
    bench.set_channels(&[channel(1, vec![slow, silence()])]);
    bench.live(good(12.0));
    assert_eq!(bench.told(), [Raised]);
}

#[test]
fn an_alarm_whose_rule_is_gone_is_withdrawn() {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)])]);
    bench.live(good(12.0));
    bench.set_channels(&[channel(1, vec![])]);
    assert_eq!((bench.told(), bench.states()), (vec![Raised, Withdrawn, Cleared], vec![]));
    crate::invariants::all(&bench.out).unwrap();
}

#[test]
fn an_alarm_whose_channel_is_gone_is_withdrawn() {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)])]);
    bench.live(good(12.0));
    bench.set_channels(&[]);
    assert_eq!((bench.told(), bench.states()), (vec![Raised, Withdrawn, Cleared], vec![]));
}

#[test]
fn the_alarm_of_a_lost_gateway_is_withdrawn_with_its_last_channel() {
    let mut bench = Bench::new(&[channel(1, vec![])]);
    bench.wait(15);
    bench.set_channels(&[]);
    assert_eq!((bench.told(), bench.states()), (vec![Raised, Withdrawn, Cleared], vec![]));
}

#[test]
fn a_channel_that_comes_back_to_the_registry_and_is_silent_is_another_alarm() {
    let mut bench = Bench::new(&[channel(1, vec![silence()])]);
    bench.wait_heard(5);
    let first = bench.only().id;
    bench.set_channels(&[]);
    bench.set_channels(&[channel(1, vec![silence()])]);
    bench.wait_heard(5);
    assert_ne!(bench.only().id, first, "its notices would be taken for those of the first");
}

#[test]
fn readings_judged_again_open_nothing_after_their_rule_was_away() {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)])]);
    bench.live(good(12.0));
    bench.set_channels(&[channel(1, vec![])]);
    bench.set_channels(&[channel(1, vec![limit(METHANE)])]);
    bench.told();
    bench.late(1, 1, good(12.0));
    assert_eq!(bench.told(), []);
}

#[test]
fn readings_judged_again_open_nothing_after_their_channel_was_away_over_a_restart() {
    let channels = [channel(1, vec![limit(METHANE)])];
    let mut bench = Bench::new(&channels);
    bench.live(good(12.0));
    let mut bench = bench.restart(&[]);
    bench.set_channels(&channels);
    bench.told();
    bench.late(1, 1, good(12.0));
    assert_eq!(bench.told(), []);
}

#[test]
fn a_gateway_that_gets_channels_again_is_waited_for_from_then_on() {
    let mut bench = Bench::new(&[channel(1, vec![])]);
    bench.set_channels(&[]);
    bench.wait(60);
    bench.set_channels(&[channel(1, vec![])]);
    bench.wait(14);
    assert_eq!(bench.told(), []);
    bench.wait(1);
    assert_eq!(bench.told(), [Raised]);
}

#[test]
fn a_change_of_the_registry_does_not_end_a_silence() {
    let mut bench = Bench::new(&[channel(1, vec![silence()])]);
    bench.wait_heard(5);
    bench.set_channels(&[channel(1, vec![silence(), limit(METHANE)])]);
    assert_eq!((bench.told(), bench.states()), (vec![Raised], vec![State::Unacknowledged]));
}

#[test]
fn a_change_of_the_registry_does_not_put_the_silence_off() {
    let channels = [channel(1, vec![silence()])];
    let mut bench = Bench::new(&channels);
    bench.live(good(1.0));
    bench.wait_heard(3);
    bench.set_channels(&channels);
    bench.wait_heard(2);
    assert_eq!(bench.told(), [Raised]);
}

#[test]
fn an_old_reading_is_no_news_after_a_change_of_the_registry() {
    let channels = [channel(1, vec![limit(METHANE)])];
    let mut bench = Bench::new(&channels);
    bench.live(good(1.0));
    bench.live(good(12.0));
    bench.set_channels(&channels);
    let mut old = bench.seen(CH, good(1.0));
    old.place.sequence = 1;
    bench.observe(&old);
    assert!(bench.only().active);
}

#[test]
fn a_new_run_takes_up_an_open_alarm_as_it_was() {
    let channels = [channel(1, vec![limit(METHANE)])];
    let mut bench = Bench::new(&channels);
    bench.live(good(12.0));
    bench.acknowledge_only();
    let before = bench.only();
    let mut bench = bench.restart(&channels);
    assert_eq!((bench.told(), bench.only()), (vec![], before));
}

#[test]
fn what_was_judged_before_a_restart_is_no_news_after_it() {
    let channels = [channel(1, vec![limit(METHANE)])];
    let mut bench = Bench::new(&channels);
    bench.live(good(1.0));
    bench.live(good(12.0));
    let mut bench = bench.restart(&channels);
    let mut old = bench.seen(CH, good(1.0));
    old.place.sequence = 1;
    bench.observe(&old);
    assert!(bench.only().active, "a reading from before the alarm cannot end it");
}

#[test]
fn an_alarm_that_was_taken_up_returns_and_closes_like_any_other() {
    let channels = [channel(1, vec![limit(METHANE)])];
    let mut bench = Bench::new(&channels);
    bench.live(good(12.0));
    let mut bench = bench.restart(&channels);
    bench.live(good(12.0));
    assert_eq!(bench.told(), [], "it is known already");
    bench.live(good(8.0));
    bench.acknowledge_only();
    assert_eq!(bench.told(), [Returned, Acknowledged, Cleared]);
}

#[test]
fn a_latch_outlives_a_restart() {
    let channels = [channel(1, vec![limit(METHANE), over_range()])];
    let mut bench = Bench::new(&channels);
    bench.live(good(100.0));
    bench.live(good(1.0));
    let mut bench = bench.restart(&channels);
    bench.live(good(1.0));
    assert!(bench.open("limit").unwrap().active, "low values are still not believed");
}

#[test]
fn the_readings_of_a_closed_alarm_judged_again_by_a_new_run_make_none() {
    let channels = [channel(1, vec![limit(METHANE)])];
    let mut bench = Bench::new(&channels);
    bench.live(good(12.0));
    bench.acknowledge_only();
    bench.live(good(8.0));
    let mut bench = bench.restart(&channels);
    bench.late(1, 1, good(12.0));
    bench.late(2, 2, good(8.0));
    assert_eq!(bench.told(), []);
}

#[test]
fn gas_that_was_stored_and_not_judged_before_the_restart_is_a_late_alarm_that_becomes_live() {
    let channels = [channel(1, vec![limit(METHANE)])];
    let mut bench = Bench::new(&channels).restart(&channels);
    bench.late(1, 1, good(12.0));
    bench.sequence = 1;
    bench.live(good(12.0));
    assert_eq!((bench.told(), bench.only().late), (vec![Raised, BecameLive], false));
}

#[test]
fn a_late_alarm_that_was_taken_up_is_ended_by_the_backfill_that_goes_on() {
    let channels = [channel(1, vec![limit(METHANE)])];
    let mut bench = Bench::new(&channels);
    bench.late(1, 1, good(12.0));
    let mut bench = bench.restart(&channels);
    bench.late(2, 2, good(8.0));
    assert_eq!(bench.told(), [Returned, Cleared]);
}

#[test]
fn a_lost_gateway_is_still_lost_for_a_new_run_until_it_is_heard() {
    let channels = [channel(1, vec![])];
    let mut bench = Bench::new(&channels);
    bench.wait(15);
    let mut bench = bench.restart(&channels);
    assert!(bench.engine.gateway_is_lost("gw"));
    bench.wait(60);
    bench.gateway_heard();
    assert_eq!(bench.told(), [Returned], "the same alarm");
}

#[test]
fn an_alarm_nobody_knows_a_place_for_is_withdrawn_at_the_start() {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)])]);
    bench.live(good(12.0));
    let mut bench = bench.restart(&[channel(2, vec![limit(METHANE)])]);
    assert_eq!((bench.told(), bench.states()), (vec![Withdrawn, Cleared], vec![]));
}

/// Shelves for a minute and restarts ten seconds later, with a wall clock that stepped by `step`.
fn shelved_over_a_restart(step: i64) -> Bench {
    let channels = [channel(1, vec![limit(METHANE)])];
    let mut bench = Bench::new(&channels);
    bench.live(good(12.0));
    let (who, reason) = ("li".to_owned(), "hot work".to_owned());
    let order = Shelving { how: Aside::Timed, for_ms: 60_000, who, second: None, reason };
    let (id, now, at) = (bench.only().id, MonotonicMs(bench.now), bench.wall());
    bench.engine.shelve(&id, &order, now, at, &mut bench.out).unwrap();
    bench.wall_off += step;
    bench.restart(&channels)
}

#[test]
fn a_shelf_outlives_a_restart_and_ends_when_it_was_promised() {
    let mut bench = shelved_over_a_restart(0);
    bench.wait_heard(49);
    assert_eq!((bench.told(), bench.states()), (vec![], vec![State::Shelved]));
    bench.wait_heard(1);
    assert_eq!(bench.told(), [Unshelved]);
}

#[test]
fn no_wall_clock_keeps_an_alarm_on_the_shelf_for_longer_than_a_shift() {
    let mut bench = shelved_over_a_restart(-30 * 86_400_000);
    bench.wait_heard(8 * 3600);
    assert_eq!(bench.told(), [Unshelved]);
}
