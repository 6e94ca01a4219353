//! The API over a real store, on a port of the system's choice, with a still picture in place of the machine side.

use std::sync::{Arc, Mutex};

use alarm::{Episode, Stage};
use collector::accounts::Accounts;
use collector::api::present::{LiveChannel, LiveEvent, OrderError, Orders, PointState, Present, Subscription};
use collector::api::shapes::{Coverage, Gateway, GatewayCounts, Latency, Overview, PointCounts};
use collector::api::{ApiConfig, ApiState, router, serve};
use collector::clock::Clock;
use collector::registry::{EnterpriseId, PointId};
use collector::store::{Role, Store, User};
use measurement::{ChannelId, Timestamp};
use reqwest::{Client, Method, StatusCode};
use risk::{Guarded, Level};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::{Judge, judged, sqlite};

pub const PASSWORD: &str = "correct horse battery";

/// What the machine side would know: nothing but what a test puts in.
pub struct Picture {
    pub open: Mutex<Vec<Episode>>,
    pub ring: Mutex<Vec<Arc<LiveEvent>>>,
    pub events: broadcast::Sender<Arc<LiveEvent>>,
}

impl Picture {
    pub fn tell(&self, id: u64, name: &'static str, data: Value) {
        let event = Arc::new(LiveEvent { id, name, data: data.to_string() });
        self.ring.lock().expect("not poisoned").push(event.clone());
        let _ = self.events.send(event);
    }
}

impl Present for Picture {
    fn channel(&self, _: ChannelId) -> Option<LiveChannel> {
        None
    }

    fn point(&self, _: PointId) -> Option<PointState> {
        Some(PointState { level: Level::Orange, guarded: Guarded::Guarded, open_alarms: 1 })
    }

    fn overview(&self) -> Overview {
        Overview {
            now: 0,
            protecting: true,
            protecting_reason_zh: None,
            protecting_reason_en: None,
            simulated: true,
            points: PointCounts::default(),
            unguarded: 0,
            open_alarms: 0,
            unacknowledged: 0,
            coverage: Coverage::default(),
            gateways: GatewayCounts::default(),
            latency: Latency::default(),
            values_per_s: 0.0,
            not_seen: Vec::new(),
            worst: Vec::new(),
        }
    }

    fn gateways(&self) -> Vec<Gateway> {
        Vec::new()
    }

    fn open_episodes(&self) -> Vec<Episode> {
        self.open.lock().expect("not poisoned").clone()
    }

    fn subscribe(&self, after: Option<u64>) -> Subscription {
        let ring = self.ring.lock().expect("not poisoned");
        let missed = after.map_or_else(Vec::new, |after| ring.iter().filter(|event| event.id > after).cloned().collect());
        Subscription { missed, events: self.events.subscribe(), resumed: after.is_some() }
    }
}

/// Orders carried out by the real engine, recorded in the real store.
pub struct Desk {
    pub store: Store,
    pub judge: Mutex<Option<Judge>>,
}

#[async_trait::async_trait]
impl Orders for Desk {
    async fn acknowledge(&self, episode: &str, who: &str, _note: &str) -> Result<Episode, OrderError> {
        let transitions = {
            let mut judge = self.judge.lock().expect("not poisoned");
            judge.as_mut().ok_or(OrderError::Busy)?.acknowledges(episode, who)
        };
        self.store.record(&judged(transitions.clone())).await.map_err(|_| OrderError::Busy)?;
        Ok(transitions.last().ok_or(OrderError::Busy)?.episode.clone())
    }

    async fn reset(&self, episode: &str, who: &str, note: &str) -> Result<Episode, OrderError> {
        let transitions = {
            let mut judge = self.judge.lock().expect("not poisoned");
            judge.as_mut().ok_or(OrderError::Busy)?.resets(episode, who, note)?
        };
        self.store.record(&judged(transitions.clone())).await.map_err(|_| OrderError::Busy)?;
        Ok(transitions.last().ok_or(OrderError::Busy)?.episode.clone())
    }

    async fn stamp(&self, _: &str, _: Stage, _: Timestamp) {}
}

pub struct Room {
    pub store: Store,
    pub clock: Clock,
    pub accounts: Accounts,
    pub picture: Arc<Picture>,
    pub desk: Arc<Desk>,
    pub address: std::net::SocketAddr,
    pub shutdown: CancellationToken,
    pub dir: TempDir,
    pub series: Arc<timeseries::Store>,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub async fn room() -> Room {
    let (store, _url, dir) = sqlite().await;
    let clock = Clock::manual(super::NOW);
    let accounts = Accounts::new(store.clone(), Some(dir.path().to_owned()));
    let picture = Arc::new(Picture { open: Mutex::default(), ring: Mutex::default(), events: broadcast::Sender::new(64) });
    let desk = Arc::new(Desk { store: store.clone(), judge: Mutex::new(None) });
    let series = Arc::new(timeseries::Store::open(&dir.path().join("series"), timeseries::Options::default()).expect("opens"));
    let shutdown = CancellationToken::new();
    let config = ApiConfig {
        mqtt_url: "mqtt://127.0.0.1:1883".to_owned(),
        mqtt_root: "davy/v1".to_owned(),
        simulated: true,
        ..ApiConfig::default()
    };
    let state = ApiState {
        store: store.clone(),
        accounts: accounts.clone(),
        live: picture.clone(),
        series: series.clone(),
        pipeline: desk.clone(),
        clock: clock.clone(),
        config: Arc::new(config),
        shutdown: shutdown.clone(),
        enrol_tries: Arc::default(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(serve(listener, router(state), shutdown.clone()));
    Room { store, clock, accounts, picture, desk, address, shutdown, dir, series }
}

/// A browser, more or less.
#[derive(Clone)]
pub struct Page {
    pub client: Client,
    pub origin: String,
}

impl Room {
    pub fn visitor(&self) -> Page {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Page {
            client: Client::builder().cookie_store(true).no_proxy().build().expect("a client"),
            origin: format!("http://{}", self.address),
        }
    }

    pub async fn user(&self, account: &str, role: Role, enterprise: Option<EnterpriseId>) -> Page {
        let user = User { account: account.to_owned(), name: account.to_owned(), role, enterprise, must_change_password: false };
        self.accounts.add(&user, PASSWORD.to_owned(), "admin", super::NOW).await.expect("added");
        let page = self.visitor();
        let (status, _) = page.ask(Method::POST, "/api/v1/session", Some(serde_json::json!({"user": account, "password": PASSWORD}))).await;
        assert_eq!(status, StatusCode::OK);
        page
    }
}

impl Page {
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.origin)).header("Origin", &self.origin)
    }

    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status();
        let text = response.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(Method::POST, path, Some(body)).await
    }
}
