//! What an administrator sets up: endpoints and users; and the map's boundaries.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ApiState;
use super::body::{Body, Id};
use super::caller::Caller;
use super::error::{Answer, ApiError, Refusal};
use super::points::check_texts;
use crate::notify::usable_url;
use crate::registry::EnterpriseId;
use crate::store::{Endpoint, NewEndpoint, Role, User};

/// Enough for every endpoint a site has; each costs a worker.
const MOST_ENDPOINTS: usize = 64;

/// Somebody to be told by HTTP.
#[derive(Serialize, ToSchema)]
pub struct Webhook {
    pub id: i64,
    pub name: String,
    pub url: String,
    pub enabled: bool,
    pub min_priority: &'static str,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookForm {
    pub name: String,
    /// `http://…` or `https://…`, without a user or password.
    pub url: String,
    #[serde(default = "yes")]
    pub enabled: bool,
    /// `urgent`, `high`, `medium` or `low`.
    #[schema(value_type = String)]
    pub min_priority: alarm::Priority,
}

fn yes() -> bool {
    true
}

#[derive(Serialize, ToSchema)]
pub struct UserNow {
    pub user: String,
    pub name: String,
    pub role: &'static str,
    pub enterprise_id: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserForm {
    pub user: String,
    pub name: String,
    /// `administrator`, `regulator`, `enterprise` or `viewer`.
    pub role: String,
    pub enterprise_id: Option<i64>,
    pub password: String,
}

/// Every endpoint.
#[utoipa::path(get, path = "/api/v1/webhooks", tag = "setup", responses((status = 200, body = [Webhook])))]
pub async fn webhooks(State(state): State<ApiState>) -> Answer<Json<Vec<Webhook>>> {
    Ok(Json(state.store.endpoints().await?.into_iter().map(webhook).collect()))
}

/// Add an endpoint; alarms from now on are told to it.
#[utoipa::path(post, path = "/api/v1/webhooks", tag = "setup", request_body = WebhookForm, responses((status = 200, body = Webhook), (status = 422, body = Refusal)))]
pub async fn add_webhook(State(state): State<ApiState>, caller: Caller, Body(form): Body<WebhookForm>) -> Answer<Json<Webhook>> {
    check_texts(&[("name", &form.name, true), ("url", &form.url, true)])?;
    usable_url(&form.url)
        .map_err(|why| ApiError::invalid(format!("通知地址不可用:{}", why.zh()), format!("the address cannot be used: {why}")))?;
    if state.store.endpoints().await?.len() >= MOST_ENDPOINTS {
        return Err(ApiError::invalid(
            format!("最多 {MOST_ENDPOINTS} 个通知端点"),
            format!("there can be at most {MOST_ENDPOINTS} endpoints"),
        ));
    }
    let new = NewEndpoint { name: form.name, url: form.url, enabled: form.enabled, min_priority: form.min_priority as i64 };
    Ok(Json(webhook(state.store.add_endpoint(new, &caller.user.account, state.now()).await?)))
}

/// Remove an endpoint.
#[utoipa::path(delete, path = "/api/v1/webhooks/{id}", tag = "setup", params(("id" = i64, Path)), responses((status = 204), (status = 404, body = Refusal)))]
pub async fn remove_webhook(State(state): State<ApiState>, caller: Caller, Id(id): Id<i64>) -> Answer<StatusCode> {
    let removed = state.store.remove_endpoint(id, &caller.user.account, state.now()).await?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}

/// Every user.
#[utoipa::path(get, path = "/api/v1/users", tag = "setup", responses((status = 200, body = [UserNow])))]
pub async fn users(State(state): State<ApiState>) -> Answer<Json<Vec<UserNow>>> {
    Ok(Json(state.store.users().await?.into_iter().map(user_now).collect()))
}

/// Add a user, who must change the password at the first sign-in.
#[utoipa::path(post, path = "/api/v1/users", tag = "setup", request_body = UserForm,
    responses((status = 200, body = UserNow), (status = 409, body = Refusal), (status = 422, body = Refusal)))]
pub async fn add_user(State(state): State<ApiState>, caller: Caller, Body(form): Body<UserForm>) -> Answer<Json<UserNow>> {
    check_texts(&[("name", &form.name, true)])?;
    let role = Role::from_name(&form.role).ok_or_else(|| {
        ApiError::invalid(
            "角色须为 administrator、regulator、enterprise 或 viewer",
            "a role is administrator, regulator, enterprise or viewer",
        )
    })?;
    let enterprise = form.enterprise_id.map(EnterpriseId);
    if enterprise.is_some_and(|id| state.store.registry().enterprise(id).is_none()) {
        return Err(ApiError::invalid("没有这个企业", "there is no such enterprise"));
    }
    let user = User { account: form.user, name: form.name, role, enterprise, must_change_password: true };
    state.accounts.add(&user, form.password, &caller.user.account, state.now()).await?;
    Ok(Json(user_now(user)))
}

/// The boundaries to draw, or an empty collection.
#[utoipa::path(get, path = "/api/v1/map/boundaries", tag = "now", responses((status = 200, body = Object, content_type = "application/geo+json")))]
pub async fn boundaries(State(state): State<ApiState>) -> Answer<Response> {
    let text = match &state.config.boundaries {
        None => br#"{"type":"FeatureCollection","features":[]}"#.to_vec(),
        Some(path) => tokio::fs::read(path).await.map_err(|error| {
            tracing::error!(path = %path.display(), %error, "the map's boundaries cannot be read");
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "no_map",
                "地图边界文件无法读取",
                "the file with the map's boundaries cannot be read",
            )
        })?,
    };
    Ok(([(header::CONTENT_TYPE, "application/geo+json")], text).into_response())
}

fn webhook(endpoint: Endpoint) -> Webhook {
    let min_priority = match endpoint.min_priority {
        0 => "low",
        1 => "medium",
        2 => "high",
        _ => "urgent",
    };
    Webhook { id: endpoint.id, name: endpoint.name, url: endpoint.url, enabled: endpoint.enabled, min_priority }
}

fn user_now(user: User) -> UserNow {
    UserNow { user: user.account, name: user.name, role: user.role.name(), enterprise_id: user.enterprise.map(|id| id.0) }
}
