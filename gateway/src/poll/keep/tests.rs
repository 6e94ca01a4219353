#![allow(clippy::unwrap_used, reason = "a test may stop here")]
use measurement::{ChannelId, MonotonicMs, Outcome, Reading, Timestamp, Value};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::Clock;
use crate::forward::record::Kept;
use crate::forward::{BrokerConfig, Content, PostConfig};

/// Three times what the post has room for at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_way_readings_take_to_the_post_they_keep_their_order_and_none_is_lost() {
    const ANSWERS: u32 = 500;
    const READINGS: u32 = 400;
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(1, Timestamp(1_800_000_000_000));
    let stop = CancellationToken::new();
    let config = PostConfig {
        gateway: telemetry::topic::GatewayId::new("g").unwrap(),
        root: "davy".to_owned(),
        broker: BrokerConfig { url: "mqtt://127.0.0.1:1".to_owned(), ..BrokerConfig::default() },
        spool: folder.path().to_owned(),
        capacity_bytes: 64 << 20,
        group_ms: 50,
        version: "test".to_owned(),
    };
    let post = Post::start(config, clock.clone(), stop.clone());
    let (desk, keeping) = PostDesk::open("bus".to_owned(), post.clone());
    let gate = Gate::default();
    for answer in 0..ANSWERS {
        let entry = |place| NewEntry {
            content: Content::Reading {
                reading: Reading {
                    channel: ChannelId(answer * READINGS + place),
                    sampled_at: Timestamp(0),
                    outcome: Outcome::Good(Value::ZERO),
                },
                parsed_at: MonotonicMs(0),
                sample_age_ms: 0,
            },
            urgent: false,
        };
        desk.take((0..READINGS).map(entry).collect(), gate.keeping().await).await;
    }
    drop(desk);
    keeping.await.unwrap();
    drop(tokio::time::timeout(std::time::Duration::from_secs(5), gate.changing()).await.expect("nobody keeps any more"));
    stop.cancel();
    post.stopped().await;
    let mut channels = Vec::new();
    spool::inspect::inspect(&folder.path().join("log"), &mut |record| {
        if let Some(Kept::Reading { reading, .. }) = Kept::decode(&record.payload) {
            channels.push(reading.channel.0);
        }
    })
    .unwrap();
    assert_eq!(channels.len(), (ANSWERS * READINGS) as usize);
    assert!(channels.is_sorted(), "the order is lost");
}
