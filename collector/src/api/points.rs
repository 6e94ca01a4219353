//! Enterprises and risk points.

use axum::Json;
use axum::extract::State;
use measurement::ChannelId;
use risk::{Guarded, Level};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::body::{Asked, Body, Id};
use super::caller::Caller;
use super::error::{Answer, ApiError, Refusal};
use super::present::Present;
use super::shapes::{self, code_name, quality_name};
use super::words::quality_words;
use crate::registry::{Channel, EnterpriseId, PointId, Registry, RiskPoint};
use crate::store::{NewEnterprise, NewPoint};

/// No name, address or list of hazards is longer.
const LONGEST_TEXT: usize = 2000;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnterpriseForm {
    pub name: String,
    #[serde(default)]
    pub uscc: String,
    /// `plant` or `mine`.
    pub kind: String,
    #[serde(default)]
    pub county: String,
    #[serde(default)]
    pub contact: String,
    #[serde(default)]
    pub phone: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PointForm {
    pub enterprise_id: i64,
    pub code: String,
    pub name: String,
    #[serde(default)]
    pub kind: String,
    /// `red`, `orange`, `yellow` or `blue`.
    #[schema(value_type = String)]
    pub assessed: Level,
    pub longitude: Option<f64>,
    pub latitude: Option<f64>,
    #[serde(default)]
    pub location: String,
    #[serde(default)]
    pub hazards: String,
    #[serde(default)]
    pub responsible: String,
    #[serde(default)]
    pub phone: String,
}

#[derive(Deserialize, IntoParams)]
pub struct PointQuery {
    /// Only of this enterprise.
    pub enterprise: Option<i64>,
}

/// Every enterprise the caller sees.
#[utoipa::path(get, path = "/api/v1/enterprises", tag = "registry", responses((status = 200, body = [shapes::Enterprise])))]
pub async fn enterprises(State(state): State<ApiState>, caller: Caller) -> Json<Vec<shapes::Enterprise>> {
    let registry = state.store.registry();
    let seen = registry.enterprises.iter().filter(|enterprise| caller.sees_enterprise(enterprise.id));
    Json(seen.map(|enterprise| enterprise_now(enterprise, &registry)).collect())
}

/// Register an enterprise.
#[utoipa::path(post, path = "/api/v1/enterprises", tag = "registry", request_body = EnterpriseForm,
    responses((status = 200, body = shapes::Enterprise), (status = 422, body = Refusal)))]
pub async fn add_enterprise(state: State<ApiState>, caller: Caller, Body(form): Body<EnterpriseForm>) -> Answer<Json<shapes::Enterprise>> {
    put_enterprise(&state, &caller, None, form).await
}

/// Change an enterprise.
#[utoipa::path(put, path = "/api/v1/enterprises/{id}", tag = "registry", params(("id" = i64, Path)), request_body = EnterpriseForm,
    responses((status = 200, body = shapes::Enterprise), (status = 404, body = Refusal), (status = 422, body = Refusal)))]
pub async fn change_enterprise(
    state: State<ApiState>,
    caller: Caller,
    Id(id): Id<i64>,
    Body(form): Body<EnterpriseForm>,
) -> Answer<Json<shapes::Enterprise>> {
    put_enterprise(&state, &caller, Some(EnterpriseId(id)), form).await
}

async fn put_enterprise(
    state: &ApiState,
    caller: &Caller,
    id: Option<EnterpriseId>,
    form: EnterpriseForm,
) -> Answer<Json<shapes::Enterprise>> {
    check_texts(&[
        ("name", &form.name, true),
        ("uscc", &form.uscc, false),
        ("county", &form.county, false),
        ("contact", &form.contact, false),
        ("phone", &form.phone, false),
    ])?;
    if !matches!(form.kind.as_str(), "plant" | "mine") {
        return Err(ApiError::invalid("企业类型须为 plant(工厂)或 mine(矿山)", "an enterprise's kind is \"plant\" or \"mine\""));
    }
    let EnterpriseForm { name, uscc, kind, county, contact, phone } = form;
    let new = NewEnterprise { name, uscc, kind, county, contact, phone };
    let id = state.store.put_enterprise(id, new, &caller.user.account, state.now()).await?;
    let registry = state.store.registry();
    registry.enterprise(id).map(|enterprise| Json(enterprise_now(enterprise, &registry))).ok_or_else(ApiError::not_found)
}

/// Every risk point the caller sees, as it stands now.
#[utoipa::path(get, path = "/api/v1/points", tag = "registry", params(PointQuery), responses((status = 200, body = [shapes::Point])))]
pub async fn points(State(state): State<ApiState>, caller: Caller, Asked(query): Asked<PointQuery>) -> Json<Vec<shapes::Point>> {
    let registry = state.store.registry();
    let wanted =
        |point: &&RiskPoint| caller.sees_enterprise(point.enterprise) && query.enterprise.is_none_or(|id| id == point.enterprise.0);
    Json(registry.points.iter().filter(wanted).map(|point| point_now(point, &registry, &*state.live)).collect())
}

/// One risk point, as it stands now.
#[utoipa::path(get, path = "/api/v1/points/{id}", tag = "registry", params(("id" = i64, Path)),
    responses((status = 200, body = shapes::Point), (status = 404, body = Refusal)))]
pub async fn point(State(state): State<ApiState>, caller: Caller, Id(id): Id<i64>) -> Answer<Json<shapes::Point>> {
    let registry = state.store.registry();
    let point = registry.point(PointId(id)).filter(|point| caller.sees_enterprise(point.enterprise)).ok_or_else(ApiError::not_found)?;
    Ok(Json(point_now(point, &registry, &*state.live)))
}

/// Register a risk point.
#[utoipa::path(post, path = "/api/v1/points", tag = "registry", request_body = PointForm,
    responses((status = 200, body = shapes::Point), (status = 404, body = Refusal), (status = 409, body = Refusal), (status = 422, body = Refusal)))]
pub async fn add_point(state: State<ApiState>, caller: Caller, Body(form): Body<PointForm>) -> Answer<Json<shapes::Point>> {
    put_point(&state, &caller, None, form).await
}

/// Change a risk point.
#[utoipa::path(put, path = "/api/v1/points/{id}", tag = "registry", params(("id" = i64, Path)), request_body = PointForm,
    responses((status = 200, body = shapes::Point), (status = 404, body = Refusal), (status = 409, body = Refusal), (status = 422, body = Refusal)))]
pub async fn change_point(
    state: State<ApiState>,
    caller: Caller,
    Id(id): Id<i64>,
    Body(form): Body<PointForm>,
) -> Answer<Json<shapes::Point>> {
    put_point(&state, &caller, Some(PointId(id)), form).await
}

async fn put_point(state: &ApiState, caller: &Caller, id: Option<PointId>, form: PointForm) -> Answer<Json<shapes::Point>> {
    check_texts(&[
        ("code", &form.code, true),
        ("name", &form.name, true),
        ("kind", &form.kind, false),
        ("location", &form.location, false),
        ("hazards", &form.hazards, false),
        ("responsible", &form.responsible, false),
        ("phone", &form.phone, false),
    ])?;
    let within = |number: Option<f64>, most: f64| number.is_none_or(|number| number.is_finite() && number.abs() <= most);
    if !within(form.longitude, 180.0) || !within(form.latitude, 90.0) || form.longitude.is_some() != form.latitude.is_some() {
        return Err(ApiError::invalid(
            "经度须在 ±180、纬度须在 ±90 之间,且须同时给出",
            "give both longitude (±180) and latitude (±90), or neither",
        ));
    }
    // A point of a simulated site says so; its mark is never lost by an edit.
    let before = id.and_then(|id| state.store.registry().point(id).map(|point| point.simulated));
    let new = NewPoint {
        enterprise: EnterpriseId(form.enterprise_id),
        code: form.code,
        name: form.name,
        kind: form.kind,
        assessed: form.assessed,
        longitude: form.longitude,
        latitude: form.latitude,
        location: form.location,
        hazards: form.hazards,
        responsible: form.responsible,
        phone: form.phone,
        simulated: before.unwrap_or(state.config.simulated),
    };
    let id = state.store.put_point(id, new, &caller.user.account, state.now()).await?;
    let registry = state.store.registry();
    registry.point(id).map(|point| Json(point_now(point, &registry, &*state.live))).ok_or_else(ApiError::not_found)
}

/// Refuses what is empty but needed, too long, or would break a line of a log or a list.
pub(super) fn check_texts(texts: &[(&str, &str, bool)]) -> Answer<()> {
    for (name, text, needed) in texts {
        if *needed && text.trim().is_empty() {
            return Err(ApiError::invalid(format!("{name} 不能为空"), format!("{name} must not be empty")));
        }
        if text.len() > LONGEST_TEXT || text.chars().any(|symbol| symbol.is_control() && symbol != '\n') {
            let en = format!("{name} must be at most {LONGEST_TEXT} bytes without control characters");
            return Err(ApiError::invalid(format!("{name} 最长 {LONGEST_TEXT} 字节,且不得含控制字符"), en));
        }
    }
    Ok(())
}

fn enterprise_now(enterprise: &crate::registry::Enterprise, registry: &Registry) -> shapes::Enterprise {
    shapes::Enterprise {
        id: enterprise.id.0,
        name: enterprise.name.clone(),
        uscc: enterprise.uscc.clone(),
        kind: enterprise.kind.clone(),
        county: enterprise.county.clone(),
        contact: enterprise.contact.clone(),
        phone: enterprise.phone.clone(),
        points: registry.points.iter().filter(|point| point.enterprise == enterprise.id).count(),
    }
}

/// A point as it stands. One that the machine side does not know of yet is unguarded, never fine.
pub(super) fn point_now(point: &RiskPoint, registry: &Registry, live: &dyn Present) -> shapes::Point {
    let state = live.point(point.id);
    let (guarded, zh, en) = match state.as_ref().map(|state| &state.guarded) {
        Some(Guarded::Guarded) => (true, None, None),
        Some(Guarded::Unguarded(reason)) => (false, Some(reason.zh.clone()), Some(reason.en.clone())),
        None => (false, Some("尚未研判".to_owned()), Some("not judged yet".to_owned())),
    };
    shapes::Point {
        id: point.id.0,
        enterprise_id: point.enterprise.0,
        enterprise: registry.enterprise(point.enterprise).map_or_else(String::new, |enterprise| enterprise.name.clone()),
        code: point.code.clone(),
        name: point.name.clone(),
        kind: point.kind.clone(),
        assessed: point.assessed.name(),
        level: state.as_ref().map_or(point.assessed, |state| state.level).name(),
        guarded,
        unguarded_zh: zh,
        unguarded_en: en,
        longitude: point.longitude,
        latitude: point.latitude,
        location: point.location.clone(),
        hazards: point.hazards.clone(),
        responsible: point.responsible.clone(),
        phone: point.phone.clone(),
        simulated: point.simulated,
        open_alarms: state.map_or(0, |state| state.open_alarms),
        channels: registry.channels_of(point.id).map(|channel| channel_now(channel, live)).collect(),
    }
}

/// A channel as it stands. Without a reading it is bad, never zero.
pub(super) fn channel_now(channel: &Channel, live: &dyn Present) -> shapes::ChannelNow {
    let now = live.channel(ChannelId(channel.id.0));
    let outcome = now.map_or(measurement::Outcome::Bad(measurement::Fault::NotYetRead), |now| now.outcome);
    let (zh, en) = quality_words(&outcome);
    let is_fault = matches!(outcome, measurement::Outcome::Bad(_));
    shapes::ChannelNow {
        id: channel.id.0,
        tag: channel.tag.clone(),
        gateway: channel.gateway.clone(),
        name: channel.name.clone(),
        quantity: channel.quantity.clone(),
        unit: channel.unit.symbol(),
        value: outcome.value().map(|value| value.get()),
        quality: quality_name(&outcome),
        doubt: code_name(&outcome).filter(|_| !is_fault),
        fault: code_name(&outcome).filter(|_| is_fault),
        quality_zh: zh,
        quality_en: en,
        sampled_at: now.map(|now| now.sampled_at.0),
        received_at: now.map(|now| now.received_at.0),
        live: now.is_some_and(|now| now.live),
        period_ms: channel.period_ms,
        range: channel.range.map(|(low, high)| [low, high]),
        simulated: channel.simulated,
        limits: shapes::Limit::of(channel),
        point_id: channel.point.map(|point| point.0),
    }
}
