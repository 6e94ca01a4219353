//! For machines that watch this one.

use std::fmt::Write;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::ApiState;
use super::error::{Answer, Refusal};
use super::overview::LATE_NOTICE_MS;

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "machines", responses((status = 200, body = String)))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// The collector is protecting: database there, alarms judged, start-up over.
#[utoipa::path(get, path = "/readyz", tag = "machines", responses((status = 200, body = String), (status = 503, body = String)))]
pub async fn readyz(State(state): State<ApiState>) -> Response {
    if let Err(error) = state.store.ping().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "not ready: the database does not answer");
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready: the database does not answer\n").into_response();
    }
    let overview = state.live.overview();
    if !overview.protecting {
        // Why is for people who are signed in.
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready: not protecting\n").into_response();
    }
    "ready\n".into_response()
}

/// Figures in Prometheus' text format. On this machine without a session, from elsewhere for administrators.
#[utoipa::path(get, path = "/metrics", tag = "machines", responses((status = 200, body = String), (status = 401, body = Refusal)))]
pub async fn metrics(State(state): State<ApiState>) -> Answer<Response> {
    let overview = state.live.overview();
    let late = state.store.look_for_late_notices(state.now().plus_ms(-LATE_NOTICE_MS)).await?.count;
    let journal = state.store.journal_page(None, 1, None).await?.head.count;
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: f64| {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "# HELP davy_{name} {help}\n# TYPE davy_{name} gauge\ndavy_{name} {value}");
    };
    let flag = |yes: bool| if yes { 1.0 } else { 0.0 };
    let count = |count: usize| count as f64;
    gauge("protecting", "1 while alarms are judged", flag(overview.protecting));
    gauge("simulated", "1 when the site is simulated", flag(overview.simulated));
    gauge("points", "risk points", count(overview.points.total));
    gauge("points_red", "risk points at the highest level", count(overview.points.red));
    gauge("points_unguarded", "risk points that nobody sees", count(overview.unguarded));
    gauge("alarms_open", "open alarms", count(overview.open_alarms));
    gauge("alarms_unacknowledged", "open alarms nobody acknowledged", count(overview.unacknowledged));
    gauge("channels", "channels", count(overview.coverage.channels));
    gauge("channels_live", "channels with a live reading", count(overview.coverage.live));
    gauge("channels_fault", "channels whose live reading is a fault", count(overview.coverage.fault));
    gauge("channels_silent", "channels without a live reading", count(overview.coverage.silent));
    gauge("gateways", "gateways", count(overview.gateways.total));
    gauge("gateways_online", "gateways heard lately", count(overview.gateways.online));
    gauge("values_per_second", "readings stored a second", overview.values_per_s);
    for (name, value) in [
        ("t2_t4_p50_ms", overview.latency.t2_t4_p50_ms),
        ("t2_t4_p99_ms", overview.latency.t2_t4_p99_ms),
        ("t2_t6_p99_ms", overview.latency.t2_t6_p99_ms),
    ] {
        // Not measured yet is not zero: the line is left out.
        if let Some(value) = value {
            gauge(&format!("alarm_latency_{name}"), "from the parsed frame to the named stage", value);
        }
    }
    gauge("notices_late", "notices not accepted for 120 s", late as f64);
    gauge("journal_entries", "entries of the journal", journal as f64);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
