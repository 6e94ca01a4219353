//! Alarms: lists, one alarm's life, and what people do to it.

use alarm::Stage;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use measurement::Timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::body::{Asked, Body, Id};
use super::caller::Caller;
use super::error::{Answer, ApiError, Refusal};
use super::points::check_texts;
use super::shapes::{Alarm, AlarmDetail, DeliveryRow, TransitionRow};
use crate::registry::PointId;
use crate::store::{AlarmFilter, RecordedEpisode};

#[derive(Deserialize, IntoParams)]
pub struct AlarmQuery {
    /// `open` or `all`.
    pub state: Option<String>,
    /// Only of this risk point.
    pub point: Option<i64>,
    /// At most 1000.
    pub limit: Option<u64>,
    /// Only those opened before, Unix ms.
    pub before: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Note {
    #[serde(default)]
    pub note: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// When the page painted it, Unix ms.
    pub at: i64,
}

/// Alarms, newest first.
#[utoipa::path(get, path = "/api/v1/alarms", tag = "alarms", params(AlarmQuery), responses((status = 200, body = [Alarm])))]
pub async fn alarms(State(state): State<ApiState>, caller: Caller, Asked(query): Asked<AlarmQuery>) -> Answer<Json<Vec<Alarm>>> {
    let open_only = match query.state.as_deref() {
        None | Some("open") => true,
        Some("all") => false,
        Some(_) => return Err(ApiError::invalid("state 须为 open 或 all", "state is \"open\" or \"all\"")),
    };
    let registry = state.store.registry();
    let seen = |point: &PointId| caller.sees_point(&registry, *point);
    let mine = || registry.points.iter().map(|point| point.id).filter(seen).collect::<Vec<_>>();
    let (points, gateways) = match query.point.map(PointId) {
        Some(point) if !seen(&point) => return Err(ApiError::not_found()),
        Some(point) => (Some(vec![point]), registry.channels_of(point).map(|channel| channel.gateway.clone()).collect()),
        None if caller.only().is_none() => (None, Vec::new()),
        None => (Some(mine()), registry.gateways.iter().map(|gateway| gateway.id.clone()).collect()),
    };
    let gateways = gateways.into_iter().filter(|gateway: &String| caller.sees_gateway(&registry, gateway)).collect();
    let limit = query.limit.unwrap_or(100).clamp(1, 1000);
    let filter = AlarmFilter { open_only, points, gateways, before: query.before.map(Timestamp), limit };
    let rows = state.store.episodes(&filter).await?;
    Ok(Json(rows.iter().map(|row| Alarm::of(&row.episode, &registry)).collect()))
}

/// One alarm with its life and its notices.
#[utoipa::path(get, path = "/api/v1/alarms/{id}", tag = "alarms", params(("id" = String, Path)),
    responses((status = 200, body = AlarmDetail), (status = 404, body = Refusal)))]
pub async fn alarm(State(state): State<ApiState>, caller: Caller, Id(id): Id<String>) -> Answer<Json<AlarmDetail>> {
    let row = find(&state, &caller, &id).await?;
    let transitions = state.store.transitions(&id).await?;
    let deliveries = state.store.deliveries(&id).await?;
    let delivery = |one: crate::store::Delivery| DeliveryRow {
        state: match (one.accepted_at, one.attempts) {
            (Some(_), _) => "accepted",
            (None, 0) => "waiting",
            (None, _) => "failing",
        },
        endpoint: one.endpoint,
        stage: one.stage,
        attempts: one.attempts,
        accepted_at: one.accepted_at.map(|at| at.0),
        last_error: one.last_error,
    };
    Ok(Json(AlarmDetail {
        alarm: Alarm::of(&row.episode, &state.store.registry()),
        transitions: transitions.into_iter().map(|told| TransitionRow { at: told.at.0, event: told.event, who: told.who }).collect(),
        deliveries: deliveries.into_iter().map(delivery).collect(),
    }))
}

/// A person has seen the alarm and takes care of it.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/acknowledge", tag = "alarms", params(("id" = String, Path)), request_body = Note,
    responses((status = 200, body = Alarm), (status = 404, body = Refusal), (status = 409, body = Refusal)))]
pub async fn acknowledge(State(state): State<ApiState>, caller: Caller, Id(id): Id<String>, Body(note): Body<Note>) -> Answer<Json<Alarm>> {
    check_texts(&[("note", &note.note, false)])?;
    find(&state, &caller, &id).await?;
    let episode = state.pipeline.acknowledge(&id, &caller.user.account, note.note.trim()).await?;
    Ok(Json(Alarm::of(&episode, &state.store.registry())))
}

/// A person has looked and settles a latched alarm (over-range), or a dispute over who a gateway is. Needs a note.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/reset", tag = "alarms", params(("id" = String, Path)), request_body = Note,
    responses((status = 200, body = Alarm), (status = 404, body = Refusal), (status = 409, body = Refusal)))]
pub async fn reset(State(state): State<ApiState>, caller: Caller, Id(id): Id<String>, Body(note): Body<Note>) -> Answer<Json<Alarm>> {
    check_texts(&[("note", &note.note, true)])?;
    find(&state, &caller, &id).await?;
    let episode = state.pipeline.reset(&id, &caller.user.account, note.note.trim()).await?;
    Ok(Json(Alarm::of(&episode, &state.store.registry())))
}

/// A page has painted the alarm (t5). The first time counts.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/seen", tag = "alarms", params(("id" = String, Path)), request_body = Seen,
    responses((status = 204), (status = 404, body = Refusal)))]
pub async fn seen(State(state): State<ApiState>, caller: Caller, Id(id): Id<String>, Body(seen): Body<Seen>) -> Answer<StatusCode> {
    let row = find(&state, &caller, &id).await?;
    if row.episode.stages.t5.is_none() {
        // A page's clock may be wrong; painted cannot be before the alarm was opened nor after now.
        let now = state.now();
        let at = Timestamp(seen.at.clamp(row.episode.opened_at.0.min(now.0), now.0));
        state.store.stamp(&[(id.clone(), Stage::Painted, at)]).await?;
        state.pipeline.stamp(&id, Stage::Painted, at).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The alarm, when the caller may see it; a foreign one is answered like none.
async fn find(state: &ApiState, caller: &Caller, id: &str) -> Answer<RecordedEpisode> {
    let row = state.store.episode(id).await?.ok_or_else(ApiError::not_found)?;
    if caller.sees_episode(&state.store.registry(), &row.episode, row.point) { Ok(row) } else { Err(ApiError::not_found()) }
}
