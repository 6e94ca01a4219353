//! What people do to alarms: acknowledging, shelving, taking out of service, and every refusal.

use super::*;

fn raised() -> Bench {
    let mut bench = Bench::new(&[channel(1, vec![limit(METHANE)])]);
    bench.live(good(12.0));
    bench.told();
    bench
}

fn shelving(how: Aside, minutes: u64) -> Shelving {
    let (who, reason) = ("li".to_owned(), "hot work".to_owned());
    Shelving { how, for_ms: minutes * 60 * SECOND, who, second: None, reason }
}

fn shelve(bench: &mut Bench, order: &Shelving) -> Result<Episode, RefusedOrder> {
    let (id, now, at) = (bench.only().id, MonotonicMs(bench.now), bench.wall());
    bench.engine.shelve(&id, order, now, at, &mut bench.out)
}

fn unshelve(bench: &mut Bench) -> Result<Episode, RefusedOrder> {
    let (id, at) = (bench.only().id, bench.wall());
    bench.engine.unshelve(&id, "wang", "done", at, &mut bench.out)
}

fn refused(how: impl FnOnce(&mut Shelving), expected: RefusedOrder) {
    let mut bench = raised();
    let mut order = shelving(Aside::Timed, 10);
    how(&mut order);
    assert_eq!(shelve(&mut bench, &order), Err(expected));
    assert_eq!((bench.told(), bench.states()), (vec![], vec![State::Unacknowledged]), "nothing was changed");
}

#[test]
fn acknowledged_then_returned_closes() {
    let mut bench = raised();
    bench.acknowledge_only();
    assert_eq!(bench.states(), [State::Acknowledged]);
    bench.live(good(8.0));
    assert_eq!((bench.told(), bench.states()), (vec![Acknowledged, Returned, Cleared], vec![]));
}

#[test]
fn returned_then_acknowledged_closes() {
    let mut bench = raised();
    bench.live(good(8.0));
    assert_eq!(bench.states(), [State::ReturnedUnacknowledged]);
    bench.acknowledge_only();
    assert_eq!((bench.told(), bench.states()), (vec![Returned, Acknowledged, Cleared], vec![]));
}

#[test]
fn who_acknowledged_when_and_with_which_words_is_kept() {
    let mut bench = raised();
    bench.acknowledge_only();
    let alarm = bench.only();
    assert_eq!((alarm.acknowledged_by.as_deref(), alarm.note.as_deref()), (Some("li"), Some("seen")));
    assert_eq!((alarm.acknowledged_at, alarm.stages.t7), (Some(bench.wall()), Some(bench.wall())));
    let told = bench.out.last().unwrap();
    assert_eq!((told.who.as_deref(), told.note.as_deref(), told.cause), (Some("li"), Some("seen"), Cause::Person));
}

#[test]
fn a_second_acknowledgement_names_who_was_faster() {
    let mut bench = raised();
    bench.acknowledge_only();
    let id = bench.only().id;
    assert_eq!(bench.acknowledge(&id), Err(RefusedOrder::AlreadyAcknowledged { by: "li".to_owned() }));
}

#[test]
fn an_order_without_a_name_is_refused() {
    let mut bench = raised();
    let (id, at) = (bench.only().id, bench.wall());
    assert_eq!(bench.engine.acknowledge(&id, " ", "", at, &mut bench.out), Err(RefusedOrder::NobodyNamed));
    assert_eq!(bench.told(), []);
}

#[test]
fn a_closed_alarm_takes_no_orders() {
    let mut bench = raised();
    let id = bench.only().id;
    bench.acknowledge_only();
    bench.live(good(8.0));
    assert_eq!(bench.acknowledge(&id), Err(RefusedOrder::NotOpen(id.clone())));
    assert_eq!(bench.reset(&id, "why"), Err(RefusedOrder::NotOpen(id)));
}

#[test]
fn an_alarm_that_comes_back_after_its_acknowledged_end_rings_anew() {
    let mut bench = raised();
    bench.live(good(8.0));
    bench.live(good(12.0));
    bench.acknowledge_only();
    assert_eq!((bench.told(), bench.states()), (vec![Returned, Reraised, Acknowledged], vec![State::Acknowledged]));
}

#[test]
fn a_shelved_alarm_says_by_whom_why_and_until_when() {
    let mut bench = raised();
    let alarm = shelve(&mut bench, &shelving(Aside::Timed, 10)).unwrap();
    let aside = alarm.aside.unwrap();
    assert_eq!((alarm.state, aside.by.as_str(), aside.reason.as_str()), (State::Shelved, "li", "hot work"));
    assert_eq!(aside.until, bench.wall().plus_ms(600_000));
    assert_eq!(bench.told(), [Shelved]);
}

#[test]
fn a_shelved_alarm_is_still_judged() {
    let mut bench = raised();
    shelve(&mut bench, &shelving(Aside::Timed, 10)).unwrap();
    bench.live(good(8.0));
    bench.live(good(12.0));
    assert_eq!((bench.told(), bench.states()), (vec![Shelved, Returned, Reraised], vec![State::Shelved]));
}

#[test]
fn a_shelved_alarm_comes_back_when_its_time_is_over() {
    let mut bench = raised();
    shelve(&mut bench, &shelving(Aside::Timed, 1)).unwrap();
    bench.told();
    bench.gateway_heard();
    bench.wait_heard(59);
    assert_eq!(bench.told(), []);
    bench.wait_heard(1);
    assert_eq!((bench.told(), bench.states()), (vec![Unshelved], vec![State::Unacknowledged]));
}

#[test]
fn a_stepped_wall_clock_keeps_nothing_on_the_shelf() {
    let mut bench = raised();
    shelve(&mut bench, &shelving(Aside::Timed, 1)).unwrap();
    bench.told();
    bench.wall_off -= 86_400_000;
    bench.wait_heard(60);
    assert_eq!(bench.told(), [Unshelved]);
}

#[test]
fn a_person_may_take_an_alarm_back_early() {
    let mut bench = raised();
    shelve(&mut bench, &shelving(Aside::Timed, 1)).unwrap();
    assert_eq!(unshelve(&mut bench).unwrap().state, State::Unacknowledged);
    bench.wait_heard(120);
    assert_eq!(bench.told(), [Shelved, Unshelved], "once");
}

#[test]
fn an_acknowledged_alarm_is_acknowledged_when_it_comes_back() {
    let mut bench = raised();
    bench.acknowledge_only();
    shelve(&mut bench, &shelving(Aside::Timed, 1)).unwrap();
    assert_eq!(unshelve(&mut bench).unwrap().state, State::Acknowledged);
}

#[test]
fn an_alarm_shelved_until_it_returns_comes_back_when_it_does() {
    let mut bench = raised();
    shelve(&mut bench, &shelving(Aside::OneShot, 10)).unwrap();
    bench.live(good(8.0));
    assert_eq!((bench.told(), bench.states()), (vec![Shelved, Returned, Unshelved], vec![State::ReturnedUnacknowledged]));
    crate::invariants::all(&bench.out).unwrap();
}

#[test]
fn a_shelved_alarm_that_was_acknowledged_closes_when_it_returns() {
    let mut bench = raised();
    bench.acknowledge_only();
    shelve(&mut bench, &shelving(Aside::Timed, 1)).unwrap();
    bench.live(good(8.0));
    bench.wait_heard(120);
    assert_eq!((bench.told(), bench.states()), (vec![Acknowledged, Shelved, Returned, Cleared], vec![]));
}

#[test]
fn an_alarm_out_of_service_says_so_and_may_stay_for_days() {
    let mut bench = raised();
    let alarm = shelve(&mut bench, &shelving(Aside::OutOfService, 72 * 60)).unwrap();
    assert_eq!(alarm.state, State::OutOfService);
    unshelve(&mut bench).unwrap();
    assert_eq!(bench.told(), [TakenOutOfService, BackInService]);
}

#[test]
fn an_alarm_is_out_of_service_for_72_hours_at_most() {
    let mut bench = raised();
    let longest_ms = 72 * 3_600_000;
    assert_eq!(shelve(&mut bench, &shelving(Aside::OutOfService, 72 * 60 + 1)), Err(RefusedOrder::TooLong { longest_ms }));
}

#[test]
fn an_alarm_is_shelved_for_one_shift_at_most() {
    refused(|order| order.for_ms = 8 * 3_600_000 + 1, RefusedOrder::TooLong { longest_ms: 8 * 3_600_000 });
}

#[test]
fn an_alarm_is_not_shelved_for_no_time() {
    refused(|order| order.for_ms = 0, RefusedOrder::TooLong { longest_ms: 8 * 3_600_000 });
}

#[test]
fn an_alarm_is_not_shelved_without_a_reason() {
    refused(|order| order.reason = " ".to_owned(), RefusedOrder::NoReason);
}

#[test]
fn an_alarm_is_not_shelved_by_nobody() {
    refused(|order| order.who = String::new(), RefusedOrder::NobodyNamed);
}

#[test]
fn what_is_aside_is_not_put_aside_again() {
    let mut bench = raised();
    shelve(&mut bench, &shelving(Aside::Timed, 1)).unwrap();
    assert_eq!(shelve(&mut bench, &shelving(Aside::OutOfService, 1)), Err(RefusedOrder::AlreadyAside));
}

#[test]
fn what_is_not_aside_is_not_taken_back() {
    assert_eq!(unshelve(&mut raised()), Err(RefusedOrder::NotAside));
}

/// Shelves an urgent alarm with this second person.
fn urgent(second: Option<&str>) -> Result<Episode, RefusedOrder> {
    let mut bench = Bench::new(&[channel(1, vec![Rule { priority: Priority::Urgent, ..limit(METHANE) }])]);
    bench.live(good(12.0));
    shelve(&mut bench, &Shelving { second: second.map(str::to_owned), ..shelving(Aside::Timed, 1) })
}

#[test]
fn an_urgent_alarm_is_put_aside_by_two_different_people() {
    assert_eq!(urgent(None), Err(RefusedOrder::NeedsSecondPerson));
    assert_eq!(urgent(Some(" ")), Err(RefusedOrder::NeedsSecondPerson));
    assert_eq!(urgent(Some("li")), Err(RefusedOrder::NeedsSecondPerson));
    assert_eq!(urgent(Some("wang")).unwrap().aside.unwrap().second.as_deref(), Some("wang"));
}

#[test]
fn every_refusal_is_a_sentence() {
    let longest_ms = 8 * 3_600_000;
    let refusals = [
        (RefusedOrder::NotOpen("ab".to_owned()), "no open alarm has the id ab"),
        (RefusedOrder::AlreadyAcknowledged { by: "li".to_owned() }, "the alarm was already acknowledged by li"),
        (RefusedOrder::NobodyNamed, "an order needs the name of the person who gives it"),
        (RefusedOrder::NoReason, "putting an alarm aside or resetting it needs a reason"),
        (RefusedOrder::TooLong { longest_ms }, "an alarm may be put aside for 1 to 480 minutes"),
        (RefusedOrder::NeedsSecondPerson, "an urgent alarm is put aside only by two different people"),
        (RefusedOrder::AlreadyAside, "the alarm is shelved or out of service already"),
        (RefusedOrder::NotAside, "the alarm is neither shelved nor out of service"),
        (RefusedOrder::NotLatching, "the alarm does not latch, so there is nothing to reset"),
        (RefusedOrder::StillActive, "the condition still holds; reset it when the reading is back in range"),
    ];
    refusals.iter().for_each(|(refusal, sentence)| assert_eq!(refusal.to_string(), *sentence));
}

#[test]
fn a_stage_is_stamped_the_first_time_only() {
    let mut bench = raised();
    let id = bench.only().id;
    for (stage, at) in [(Stage::Committed, 1), (Stage::Committed, 2), (Stage::Painted, 3), (Stage::Accepted, 4)] {
        assert!(bench.engine.stamp(&id, stage, Timestamp(at)));
    }
    let stages = bench.only().stages;
    assert_eq!((stages.t4, stages.t5, stages.t6), (Some(Timestamp(1)), Some(Timestamp(3)), Some(Timestamp(4))));
    assert!(!bench.engine.stamp("no such alarm", Stage::Painted, Timestamp(5)));
}

#[test]
fn an_open_alarm_is_found_by_its_id_until_it_closes() {
    let mut bench = raised();
    let alarm = bench.only();
    assert_eq!(bench.engine.episode(&alarm.id), Some(&alarm));
    bench.acknowledge_only();
    bench.live(good(8.0));
    assert_eq!(bench.engine.episode(&alarm.id), None);
}
