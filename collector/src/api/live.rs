//! The live stream: server-sent events, resumed by `Last-Event-ID`, cut to what the caller may see.
//!
//! A slow page is never waited for: what it missed falls out of the ring, and it is told to load its lists again.
//! The stream counts as use of the session and ends with it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;

use super::ApiState;
use super::caller::Caller;
use super::overview::{late_notices, scoped};
use super::present::{LiveEvent, Subscription};
use crate::registry::PointId;
use measurement::ChannelId;

/// A comment at least this often, so that the page knows that the line is alive.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How often it is checked that the session still is one.
const SESSION_CHECK: Duration = Duration::from_secs(30);

/// Everything that changes, as it changes: `hello`, `readings`, `alarm`, `point`, `overview`, `gateway`.
#[utoipa::path(get, path = "/api/v1/live", tag = "now", responses((status = 200, description = "server-sent events", content_type = "text/event-stream")))]
pub async fn live(State(state): State<ApiState>, caller: Caller, headers: HeaderMap) -> Sse<KeepAliveStream> {
    let after = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.trim().parse().ok());
    let subscription = state.live.subscribe(after);
    // What a page has not taken yet; the ring behind it is the bound that matters.
    let (out, events) = mpsc::channel(64);
    tokio::spawn(feed(state, caller, subscription, out));
    Sse::new(ReceiverStream::new(events)).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("alive"))
}

type KeepAliveStream = axum::response::sse::KeepAliveStream<ReceiverStream<Result<Event, Infallible>>>;

async fn feed(state: ApiState, caller: Caller, subscription: Subscription, out: mpsc::Sender<Result<Event, Infallible>>) {
    let Subscription { missed, mut events, resumed } = subscription;
    if out.send(Ok(hello(&state, resumed))).await.is_err() {
        return;
    }
    for event in missed {
        if !pass(&state, &caller, &event, &out).await {
            return;
        }
    }
    let mut check = interval(SESSION_CHECK);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = state.shutdown.cancelled() => return,
            () = out.closed() => return,
            _ = check.tick() => {
                // An unreadable database is no reason to blind a wall screen; an ended session is.
                if let Ok(None) = state.accounts.session(&caller.token, state.now()).await {
                    return;
                }
            }
            event = events.recv() => match event {
                Ok(event) => {
                    if !pass(&state, &caller, &event, &out).await {
                        return;
                    }
                }
                Err(RecvError::Lagged(_)) => {
                    if out.send(Ok(hello(&state, false))).await.is_err() {
                        return;
                    }
                }
                Err(RecvError::Closed) => return,
            },
        }
    }
}

fn hello(state: &ApiState, resumed: bool) -> Event {
    Event::default().event("hello").data(json!({ "now": state.now().0, "resumed": resumed }).to_string())
}

/// Sends an event as far as the caller may see it. False when the page is gone.
async fn pass(state: &ApiState, caller: &Caller, event: &Arc<LiveEvent>, out: &mpsc::Sender<Result<Event, Infallible>>) -> bool {
    let data = match (caller.only(), event.name) {
        (None, "overview") => Some(with_late_notices(state, &event.data)),
        (None, _) => Some(event.data.clone()),
        (Some(_), _) => cut(state, caller, event),
    };
    match data {
        Some(data) => out.send(Ok(Event::default().id(event.id.to_string()).event(event.name).data(data))).await.is_ok(),
        None => true,
    }
}

/// The overview with what only the store knows.
fn with_late_notices(state: &ApiState, data: &str) -> String {
    let told = || {
        let late = late_notices(state)?;
        let mut overview: Value = serde_json::from_str(data).ok()?;
        overview.get_mut("not_seen")?.as_array_mut()?.push(serde_json::to_value(late).ok()?);
        Some(overview.to_string())
    };
    told().unwrap_or_else(|| data.to_owned())
}

/// The event with only the caller's own things in it; `None` when nothing is left.
fn cut(state: &ApiState, caller: &Caller, event: &LiveEvent) -> Option<String> {
    let registry = state.store.registry();
    let mut data: Value = serde_json::from_str(&event.data).ok()?;
    let sees_channel = |id: &Value| {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
        id.and_then(|id| registry.channel(ChannelId(id))).is_some_and(|channel| caller.sees_channel(&registry, channel))
    };
    let keep = match event.name {
        "readings" => {
            let rows = data.get_mut("rows")?.as_array_mut()?;
            rows.retain(|row| row.get(0).is_some_and(sees_channel));
            !rows.is_empty()
        }
        "alarm" => match data.get("point_id").and_then(Value::as_i64) {
            Some(point) => caller.sees_point(&registry, PointId(point)),
            None if data.get("channel_id").is_some_and(|id| !id.is_null()) => false,
            None => data.get("gateway").and_then(Value::as_str).is_some_and(|gateway| caller.sees_gateway(&registry, gateway)),
        },
        "point" => data.get("id").and_then(Value::as_i64).is_some_and(|id| caller.sees_point(&registry, PointId(id))),
        "gateway" => data.get("id").and_then(Value::as_str).is_some_and(|id| caller.sees_gateway(&registry, id)),
        "overview" => {
            let own = scoped(state.live.overview(), caller, &registry, &*state.live);
            return serde_json::to_string(&own).ok();
        }
        // What nobody thought about is not shown.
        _ => false,
    };
    keep.then(|| data.to_string())
}
