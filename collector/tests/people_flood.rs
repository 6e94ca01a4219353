//! Promise P9, the people side of it: ten thousand alarms at once are all recorded. How fast, the benchmark says.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

mod people_support;

use collector::store::NewEndpoint;
use measurement::Unit;
use people_support::{Judge, NOW, catalogue, channel, judged, sqlite};

const ALARMS: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_alarms_at_once_are_all_recorded_with_their_notices() {
    let (store, _url, _dir) = sqlite().await;
    let all = catalogue((0..ALARMS).map(|number| channel(&format!("tank{number}/ch4"), "CH4", Unit::PercentLel, (0.0, 100.0))).collect());
    let channels = store.adopt_catalogue("gw-1", all.hash().0, &all, NOW).await.expect("adopted");
    let new = NewEndpoint { name: "监管".to_owned(), url: "http://127.0.0.1:9/x".to_owned(), enabled: true, min_priority: 0 };
    let endpoint = store.add_endpoint(new, "admin", NOW).await.expect("added").id;
    let mut judge = Judge::new(&store);
    let raised: Vec<_> = channels.iter().flat_map(|channel| judge.reads(*channel, 80.0)).collect();
    assert!(raised.len() >= ALARMS);
    let turn = judged(raised);
    store.record(&turn).await.expect("recorded");
    assert_eq!(store.open_episodes().await.expect("read").len(), turn.transitions.len());
    assert_eq!(store.waiting(endpoint, 0, u64::MAX >> 1).await.expect("read").len(), turn.transitions.len());
    assert_eq!(store.verify_journal().await.expect("walked").finding, None);
}
