//! A regulator's web hook, as an endpoint that keeps what it is sent and can be told to misbehave.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, bail};
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use serde_json::Value;

/// How the endpoint answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Takes everything.
    Accepting,
    /// Says 500 and keeps nothing.
    Failing,
}

/// One delivery: its idempotency key and its body.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub key: String,
    pub body: Value,
}

/// The endpoint, listening on loopback.
#[derive(Clone)]
pub struct Sink {
    address: SocketAddr,
    state: Arc<Mutex<(Mood, Vec<Delivery>)>>,
}

impl Sink {
    /// Starts listening.
    pub async fn start() -> Result<Sink> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let sink = Sink { address: listener.local_addr()?, state: Arc::new(Mutex::new((Mood::Accepting, Vec::new()))) };
        let router = Router::new().route("/alarm", post(take)).with_state(sink.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(sink)
    }

    /// Where to send alarms.
    pub fn url(&self) -> String {
        format!("http://{}/alarm", self.address)
    }

    /// Changes how it answers.
    pub fn set_mood(&self, mood: Mood) {
        self.state.lock().unwrap_or_else(|e| e.into_inner()).0 = mood;
    }

    /// What has been accepted so far.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state.lock().unwrap_or_else(|e| e.into_inner()).1.clone()
    }

    /// Waits for a delivery that fits.
    pub async fn wait_for(&self, what: &str, limit: Duration, fits: impl Fn(&Delivery) -> bool) -> Result<Delivery> {
        for _ in 0..(limit.as_millis() / 50).max(1) {
            if let Some(found) = self.deliveries().into_iter().find(|d| fits(d)) {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("no delivery within {limit:?}: {what}; had {:?}", self.deliveries().iter().map(|d| &d.key).collect::<Vec<_>>())
    }
}

async fn take(State(sink): State<Sink>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut state = sink.state.lock().unwrap_or_else(|e| e.into_inner());
    if state.0 == Mood::Failing {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let key = headers.get("idempotency-key").and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    state.1.push(Delivery { key, body });
    StatusCode::OK
}
