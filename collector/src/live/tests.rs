use super::*;
use crate::api::present::Present;
use crate::registry::{Channel, Registry};
use alarm::Place;
use measurement::{Unit, Value};

fn live() -> (Live, Clock) {
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let live = Live::new(clock.clone(), false);
    let channel = Channel {
        id: ChannelId(3),
        gateway: "gw-1".to_owned(),
        tag: "a/ch4".to_owned(),
        name: String::new(),
        unit: Unit::PercentLel,
        quantity: "CH4".to_owned(),
        period_ms: 1000,
        range: None,
        simulated: false,
        own_health: false,
        point: None,
        rules: Vec::new(),
        pack: String::new(),
        lel_percent_vol: None,
        reference_celsius: None,
    };
    live.set_registry(Arc::new(Registry::new(Vec::new(), Vec::new(), vec![channel], Vec::new())));
    (live, clock)
}

fn seen(clock: &Clock, number: f32, age_ms: u32, live: bool) -> Observation {
    let now = clock.now();
    Observation {
        channel: ChannelId(3),
        place: Place { epoch: 1, sequence: 1 },
        sampled_at: now.wall.plus_ms(-i64::from(age_ms)),
        received_at: now.wall,
        now: now.mono,
        age_ms,
        outcome: Outcome::Good(Value::new(number).expect("finite")),
        live,
        t2: None,
        t3: None,
    }
}

#[test]
fn a_reading_is_live_for_two_periods_and_a_second_and_then_overdue() {
    let (live, clock) = live();
    live.note(&[seen(&clock, 1.0, 500, true)], 1);
    clock.advance(2500);
    assert!(live.channel(ChannelId(3)).expect("known").live);
    clock.advance(1);
    assert!(!live.channel(ChannelId(3)).expect("known").live);
    assert_eq!(live.overview().coverage.silent, 1);
}

#[test]
fn neither_backlog_nor_an_older_sample_refreshes_what_is_now() {
    let (live, clock) = live();
    live.note(&[seen(&clock, 1.0, 0, false)], 1);
    assert_eq!(live.channel(ChannelId(3)), None);
    live.note(&[seen(&clock, 2.0, 100, true), seen(&clock, 3.0, 900, true)], 2);
    assert_eq!(live.channel(ChannelId(3)).and_then(|now| now.outcome.value()), Value::new(2.0));
}

#[test]
fn a_stepped_wall_clock_makes_nothing_live_or_overdue() {
    let (live, clock) = live();
    live.note(&[seen(&clock, 1.0, 0, true)], 1);
    clock.step_wall(3_600_000);
    assert!(live.channel(ChannelId(3)).expect("known").live);
}

#[test]
fn a_page_that_resumes_gets_what_it_missed_and_every_reading() {
    let (live, clock) = live();
    let mut page = live.subscribe(None);
    assert!(!page.resumed && page.missed.is_empty());
    live.set_gateways(vec![gateway(true)]);
    live.set_gateways(vec![gateway(false)]);
    let first = page.events.try_recv().expect("an event");
    live.note(&[seen(&clock, 1.0, 0, true)], 1);
    let again = live.subscribe(Some(first.id));
    assert!(again.resumed);
    let names: Vec<&str> = again.missed.iter().map(|event| event.name).collect();
    assert_eq!(names, ["gateway", "readings"]);
    assert!(again.missed[1].data.contains("[3,1.0,\"good\""), "{}", again.missed[1].data);
}

#[test]
fn numbers_of_another_run_are_not_resumed() {
    let (live, _) = live();
    live.set_gateways(vec![gateway(true)]);
    assert!(!live.subscribe(Some(5)).resumed);
    assert!(!live.subscribe(Some(u64::MAX)).resumed);
}

#[test]
fn a_frame_tells_what_changed_once_and_again_when_it_becomes_overdue() {
    let (live, clock) = live();
    let mut page = live.subscribe(None);
    let mut frame = || {
        live.frame(0);
        let mut rows = None;
        while let Ok(event) = page.events.try_recv() {
            if event.name == "readings" {
                rows = Some(event.data.clone());
            }
        }
        rows
    };
    live.note(&[seen(&clock, 1.0, 0, true)], 1);
    assert!(frame().expect("changed").ends_with(",true]]}"));
    assert_eq!(frame(), None);
    clock.advance(10_000);
    assert!(frame().expect("overdue").ends_with(",false]]}"));
}

fn gateway(online: bool) -> Gateway {
    Gateway {
        id: "gw-1".to_owned(),
        name: "gw-1".to_owned(),
        online,
        last_heard: None,
        epoch: None,
        clock: "untrusted",
        unacknowledged: 0,
        spool_bytes: 0,
        spool_capacity: 0,
        degraded: false,
        channels: 0,
        enrolled_at: None,
        simulated: false,
    }
}
