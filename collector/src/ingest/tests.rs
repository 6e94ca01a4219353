use super::*;

fn gateway() -> GatewayId {
    GatewayId::new("gw-1").expect("legal")
}

#[track_caller]
fn refused(kind: Kind, payload: &[u8], expected: &str) {
    match open(kind, payload) {
        Content::Refused(refusal) => assert_eq!(refusal.kind, expected, "{}", refusal.why),
        other => panic!("taken: {other:?}"),
    }
}

#[test]
fn what_is_no_message_of_ours_is_refused_by_kind() {
    refused(Kind::Up, &vec![0; MAX_PAYLOAD + 1], "oversized");
    refused(Kind::Up, b"\xff\xff\xff", "malformed");
    refused(Kind::Up, b"", "malformed");
    refused(Kind::Birth, b"\x0a\xff", "malformed");
    refused(Kind::Status, b"\xff", "malformed");
    refused(Kind::Ack, b"", "wrong_direction");
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_takes_nothing_and_counts_it() {
    let (inbox, mut out) = Inbox::new(Clock::manual(Timestamp(0)), Arc::default());
    for _ in 0..INBOX_MESSAGES {
        assert_eq!(inbox.try_take(gateway(), Kind::Status, b""), Taken::Yes);
    }
    assert_eq!(inbox.try_take(gateway(), Kind::Status, b""), Taken::No);
    assert_eq!(inbox.take(gateway(), Kind::Status, b"").await, Taken::No);
    assert_eq!(inbox.counters().let_go.load(Ordering::Relaxed), 2);
    out.recv().await.expect("a parcel");
    assert_eq!(inbox.try_take(gateway(), Kind::Status, b""), Taken::Yes);
}
