//! Notices reach their endpoints, each once for the receiver, whatever the endpoints do.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

mod people_support;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Json, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use collector::clock::Clock;
use collector::notify::{Delivered, Notifier};
use collector::store::{NewEndpoint, Store};
use people_support::{Judge, NOW, Plant, judged, plant, sqlite};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// An endpoint that answers as it is told and remembers what it was told.
#[derive(Clone, Default)]
struct Sink {
    status: Arc<AtomicU16>,
    delay_ms: Arc<AtomicU64>,
    page: Arc<AtomicU16>,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
}

async fn hear(State(sink): State<Sink>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    tokio::time::sleep(Duration::from_millis(sink.delay_ms.load(Ordering::SeqCst))).await;
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    sink.heard.lock().expect("not poisoned").push((key, body));
    let status = StatusCode::from_u16(sink.status.load(Ordering::SeqCst)).expect("a status");
    if sink.page.load(Ordering::SeqCst) == 1 {
        (status, [(header::CONTENT_TYPE, "text/html")], "<h1>login</h1>").into_response()
    } else {
        status.into_response()
    }
}

impl Sink {
    async fn open(status: u16) -> (Sink, SocketAddr) {
        let sink = Sink::default();
        sink.status.store(status, Ordering::SeqCst);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let router = Router::new().route("/hook", post(hear)).with_state(sink.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (sink, address)
    }

    fn keys(&self) -> Vec<String> {
        self.heard.lock().expect("not poisoned").iter().map(|(key, _)| key.clone()).collect()
    }
}

struct House {
    store: Store,
    clock: Clock,
    plant: Plant,
    notifier: Notifier,
    delivered: mpsc::Receiver<Delivered>,
    shutdown: CancellationToken,
    _dir: tempfile::TempDir,
}

impl Drop for House {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn house() -> House {
    let (store, _url, dir) = sqlite().await;
    let plant = plant(&store, "甲厂", "gw-1").await;
    let clock = Clock::manual(NOW);
    let shutdown = CancellationToken::new();
    let (tell, delivered) = mpsc::channel(1000);
    let (notifier, _task) = Notifier::spawn(store.clone(), clock.clone(), tell, shutdown.clone()).expect("a client");
    House { store, clock, plant, notifier, delivered, shutdown, _dir: dir }
}

impl House {
    async fn endpoint(&self, name: &str, address: SocketAddr) -> i64 {
        let new = NewEndpoint { name: name.to_owned(), url: format!("http://{address}/hook"), enabled: true, min_priority: 0 };
        self.store.add_endpoint(new, "admin", NOW).await.expect("added").id
    }

    /// Raises an alarm and rings the bell; gives the keys to be told.
    async fn alarm(&self) -> Vec<String> {
        let raised = Judge::new(&self.store).reads(self.plant.channels[0], 80.0);
        let keys = raised.iter().map(|transition| format!("{}:raised", transition.episode.id)).collect();
        self.store.record(&judged(raised)).await.expect("recorded");
        self.notifier.wake();
        keys
    }
}

/// Waits until a condition holds, at most 15 s.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within 15 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_reaches_its_endpoint_once_with_its_key_and_the_alarm() {
    let mut house = house().await;
    let (sink, address) = Sink::open(204).await;
    let endpoint = house.endpoint("监管", address).await;
    let keys = house.alarm().await;
    let delivered = tokio::time::timeout(Duration::from_secs(10), house.delivered.recv()).await.expect("in time").expect("told");
    assert!(keys.iter().any(|key| key.starts_with(&delivered.episode)));
    until("every notice is accepted", async || house.store.waiting(endpoint, 0, 10).await.expect("read").is_empty()).await;
    let mut heard = sink.keys();
    heard.sort();
    let mut expected = keys.clone();
    expected.sort();
    assert_eq!(heard, expected);
    let body = sink.heard.lock().expect("not poisoned")[0].1.clone();
    assert_eq!((body["stage"].as_str(), body["product"].as_str()), (Some("raised"), Some("Davy")));
    assert!(body["alarm"]["title_zh"].as_str().is_some_and(|title| title.contains("污水池")), "{body}");
    assert_eq!(body["alarm"]["simulated"], true, "a receiver must know that it is no real gas");
    until("t6 is noted", async || {
        house.store.episode(&delivered.episode).await.expect("read").is_some_and(|row| row.episode.stages.t6.is_some())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_notice_is_kept_and_told_again_under_the_same_key() {
    let house = house().await;
    let (sink, address) = Sink::open(500).await;
    let endpoint = house.endpoint("监管", address).await;
    let keys = house.alarm().await;
    until("a second try", async || sink.keys().iter().filter(|key| **key == keys[0]).count() >= 2).await;
    assert!(house.store.waiting(endpoint, 0, 10).await.expect("read").iter().all(|letter| letter.attempts > 0));
    sink.status.store(200, Ordering::SeqCst);
    until("it is accepted", async || house.store.waiting(endpoint, 0, 10).await.expect("read").is_empty()).await;
    let id = keys[0].split(':').next().expect("an id").to_owned();
    let delivery = house.store.deliveries(&id).await.expect("read").remove(0);
    assert!(delivery.accepted_at.is_some() && delivery.attempts >= 3 && delivery.last_error.is_none(), "{delivery:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_page_has_accepted_nothing() {
    let house = house().await;
    let (sink, address) = Sink::open(200).await;
    sink.page.store(1, Ordering::SeqCst);
    let endpoint = house.endpoint("监管", address).await;
    house.alarm().await;
    until("the refusal is noted", async || {
        house.store.waiting(endpoint, 0, 10).await.expect("read").iter().any(|letter| letter.attempts > 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_or_dead_endpoint_delays_nobody_else() {
    let house = house().await;
    let (slow, slow_address) = Sink::open(200).await;
    slow.delay_ms.store(60_000, Ordering::SeqCst);
    let dead: SocketAddr = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        listener.local_addr().expect("bound")
    };
    let (quick, quick_address) = Sink::open(200).await;
    let (slow_id, dead_id) = (house.endpoint("慢", slow_address).await, house.endpoint("断", dead).await);
    house.endpoint("快", quick_address).await;
    let keys = house.alarm().await;
    // The slow one takes a minute for each notice: nobody is told after it within this wait.
    until("the quick one is told", async || quick.keys().len() == keys.len()).await;
    for endpoint in [slow_id, dead_id] {
        assert_eq!(house.store.waiting(endpoint, 0, 10).await.expect("read").len(), keys.len(), "kept for the others");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_not_accepted_for_two_minutes_is_told_once() {
    let house = house().await;
    let (_sink, address) = Sink::open(503).await;
    house.endpoint("监管", address).await;
    let keys = house.alarm().await;
    house.clock.advance(130_000);
    house.notifier.wake();
    let entries = async || house.store.journal_page(None, 10, Some("notice.undelivered")).await.expect("read").entries;
    until("it is in the journal", async || !entries().await.is_empty()).await;
    house.notifier.wake();
    house.clock.advance(130_000);
    house.notifier.wake();
    let late = house.store.late_notices();
    assert_eq!(late.count as usize, keys.len());
    assert!(late.since.is_some());
    let told = entries().await;
    assert_eq!(told.len(), 1, "{told:?}");
}
