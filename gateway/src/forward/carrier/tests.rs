#![allow(clippy::unwrap_used, reason = "a test may stop here")]
use super::*;
use measurement::Timestamp;
use telemetry::Range;

const EPOCH: u64 = 0xE;

/// A carrier whose disk holds sequences 1 to `highest`, none of them acknowledged.
fn carrier(highest: u64) -> Carrier {
    let config = PostConfig {
        gateway: telemetry::topic::GatewayId::new("g").unwrap(),
        root: "davy".to_owned(),
        broker: super::super::BrokerConfig { url: "mqtt://127.0.0.1:1".to_owned(), ..Default::default() },
        spool: "/nonexistent".into(),
        capacity_bytes: 1 << 20,
        group_ms: 200,
        version: "test".to_owned(),
    };
    let clock = Clock::manual(1, Timestamp(1_800_000_000_000));
    let (_, catalogue) = watch::channel(CatalogueHash(0));
    let status = Arc::new(Mutex::new(PostStatus::default()));
    let catalogues = Catalogues::new(config.spool.join("catalogues"));
    let mut carrier = Carrier::new(config, clock, Arc::default(), status, catalogue, catalogues, Arc::default());
    carrier.stored(Standing { epoch: EPOCH, floor: 1, highest, acknowledged: Some(Default::default()), ..Standing::default() });
    carrier.heard(News::Connected);
    carrier
}

fn ack(contiguous: u64, ranges: &[(u64, u64)]) -> Ack {
    let ranges = ranges.iter().map(|(first, last)| Range { first: *first, last: *last }).collect();
    Ack { epoch: EPOCH, contiguous, ranges, ..Ack::default() }
}

fn acknowledgement(ack: Ack) -> News {
    News::Ack(ack.encode_to_vec())
}

fn order(order: Order) -> News {
    News::Command(Command { order: Some(order) }.encode_to_vec())
}

/// What the keeper is told after this news: of which sequences it may let go, and which epoch it is to leave.
fn check(carrier: &mut Carrier, news: News, acknowledged: &[(u64, u64)], renew: Option<u64>) {
    carrier.heard(news);
    let work = carrier.inbox.wait(Duration::ZERO, true);
    let believed = work.acknowledged.map(|(_, ranges)| ranges.iter().collect::<Vec<_>>()).unwrap_or_default();
    assert_eq!((believed.as_slice(), work.renew), (acknowledged, renew));
}

#[test]
fn an_acknowledgement_within_our_sequences_is_believed() {
    check(&mut carrier(50), acknowledgement(ack(40, &[(42, 45)])), &[(1, 40), (42, 45)], None);
    check(&mut carrier(50), order(Order::Hello(ack(50, &[]))), &[(1, 50)], None);
}

#[test]
fn an_acknowledgement_beyond_our_sequences_lets_nothing_go() {
    check(&mut carrier(50), acknowledgement(ack(100, &[])), &[], None);
    check(&mut carrier(50), acknowledgement(ack(40, &[(90, 100)])), &[], None);
}

#[test]
fn a_collector_that_has_seen_more_than_we_gave_out_has_us_begin_a_new_epoch_and_is_never_believed_in_the_old_one() {
    let mut carrier = carrier(50);
    check(&mut carrier, order(Order::Hello(ack(40, &[(100, 100)]))), &[], Some(EPOCH));
    carrier.stored(Standing { epoch: EPOCH, floor: 1, highest: 120, ..Standing::default() });
    check(&mut carrier, acknowledgement(ack(100, &[])), &[], None);
    // The renewal failed: the spool was opened again in the same epoch, we greet, and are told again.
    carrier.stored(Standing { epoch: EPOCH, floor: 1, highest: 140, acknowledged: Some(Default::default()), ..Standing::default() });
    check(&mut carrier, order(Order::Hello(ack(100, &[]))), &[], Some(EPOCH));
    carrier.stored(Standing { epoch: 0xF, floor: 1, highest: 60, acknowledged: Some(Default::default()), ..Standing::default() });
    check(&mut carrier, acknowledgement(Ack { epoch: 0xF, ..ack(60, &[]) }), &[(1, 60)], None);
}

#[test]
fn what_the_collector_does_not_take_is_told_until_it_acknowledges_something_new() {
    let mut carrier = carrier(50);
    let trouble = |carrier: &Carrier| carrier.status().trouble.clone();
    carrier.heard(order(Order::Refused("its name is unknown".to_owned())));
    carrier.heard(News::Lost("no road".to_owned()));
    assert_eq!(trouble(&carrier).as_deref(), Some("no road"));
    carrier.heard(News::Connected);
    assert_eq!(trouble(&carrier).as_deref(), Some("the collector refuses our readings: its name is unknown"));
    carrier.heard(acknowledgement(ack(0, &[])));
    assert!(trouble(&carrier).is_some(), "it is there, and has nothing new");
    carrier.heard(acknowledgement(ack(50, &[])));
    assert_eq!(trouble(&carrier), None);
}

#[test]
fn the_moment_of_the_last_acknowledgement_is_that_of_one_of_our_own() {
    let mut carrier = carrier(50);
    let moment = |carrier: &Carrier| {
        let status = carrier.status();
        (status.last_ack, status.last_ack_mono)
    };
    carrier.heard(acknowledgement(ack(100, &[])));
    carrier.heard(acknowledgement(Ack { epoch: 0xF, ..ack(50, &[]) }));
    assert_eq!(moment(&carrier), (None, None));
    let now = carrier.clock.now();
    carrier.heard(acknowledgement(ack(0, &[])));
    assert_eq!(moment(&carrier), (Some(now.wall), Some(now.mono)));
}

#[tokio::test]
async fn a_connection_whose_task_fell_is_lost_once_its_last_word_was_heard() {
    let mut carrier = carrier(50);
    let (out, mut news) = mpsc::channel(1);
    carrier.connection = Some(Connection::fallen(1).await);
    out.try_send((1, News::Lost("its last word".to_owned()))).unwrap();
    carrier.look_at_the_connection(&news);
    assert!(carrier.connection.is_some(), "its last word is heard first");
    news.try_recv().unwrap();
    carrier.look_at_the_connection(&news);
    assert!(carrier.connection.is_none() && !carrier.is_connected);
    assert_eq!(carrier.status().trouble.as_deref(), Some("the connection's task ended without saying why"));
}

#[tokio::test]
async fn a_collector_that_acknowledges_nothing_for_thirty_seconds_is_blamed_though_the_broker_is_there_again() {
    let mut carrier = carrier(50);
    let (out, _news) = mpsc::channel(1);
    carrier.machine.sent(telemetry::Lane::Backlog, 1, 50, carrier.clock.mono());
    carrier.clock.advance(30_000);
    carrier.look_at_the_clock(&out);
    assert!(!carrier.is_connected);
    carrier.heard(News::Connected);
    let trouble = carrier.status().trouble.clone();
    assert_eq!(trouble.as_deref(), Some("the collector has acknowledged nothing for 30 s: the connection is made anew"));
}
