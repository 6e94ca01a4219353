//! Signing in and out.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ApiState;
use super::body::Body;
use super::caller::{Address, COOKIE, Caller};
use super::error::{Answer, ApiError, Refusal};
use crate::accounts::ABSOLUTE_MS;
use crate::store::User;

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionNow {
    pub user: String,
    pub name: String,
    pub role: &'static str,
    pub enterprise_id: Option<i64>,
    pub must_change_password: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    pub user: String,
    pub password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    pub old: String,
    pub new: String,
}

impl SessionNow {
    fn of(user: User) -> SessionNow {
        SessionNow {
            role: user.role.name(),
            enterprise_id: user.enterprise.map(|id| id.0),
            must_change_password: user.must_change_password,
            user: user.account,
            name: user.name,
        }
    }
}

/// Sign in; the answer sets the session cookie.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = SignIn,
    responses((status = 200, body = SessionNow), (status = 401, body = Refusal), (status = 429, body = Refusal)))]
pub async fn sign_in(State(state): State<ApiState>, address: Address, Body(given): Body<SignIn>) -> Answer<Response> {
    if given.user.len() > 64 {
        return Err(crate::accounts::AccountError::WrongPassword.into());
    }
    let (token, user) = state.accounts.sign_in(&given.user, given.password, &address.text(), state.now()).await?;
    Ok(with_cookie(Json(SessionNow::of(user)).into_response(), &token, ABSOLUTE_MS / 1000, state.config.secure_cookie))
}

/// Who is signed in.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses((status = 200, body = SessionNow), (status = 401, body = Refusal)))]
pub async fn session(caller: Caller) -> Json<SessionNow> {
    Json(SessionNow::of(caller.user))
}

/// Sign out; the session is dead at once.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses((status = 204)))]
pub async fn sign_out(State(state): State<ApiState>, caller: Caller) -> Answer<Response> {
    state.accounts.sign_out(&caller.token, state.now()).await?;
    Ok(with_cookie(StatusCode::NO_CONTENT.into_response(), "", 0, state.config.secure_cookie))
}

/// Change one's own password; every other session of the user ends.
#[utoipa::path(post, path = "/api/v1/session/password", tag = "session", request_body = PasswordChange,
    responses((status = 204), (status = 401, body = Refusal), (status = 422, body = Refusal)))]
pub async fn change_password(
    State(state): State<ApiState>,
    caller: Caller,
    address: Address,
    Body(given): Body<PasswordChange>,
) -> Answer<Response> {
    let changed = state.accounts.change_password(&caller.user.account, given.old, given.new, &address.text(), state.now()).await;
    let token = changed.map_err(|error| match error {
        // 401 would tell the page that its session is gone.
        crate::accounts::AccountError::WrongPassword => ApiError::invalid("旧密码错误", "the old password is wrong"),
        error => error.into(),
    })?;
    Ok(with_cookie(StatusCode::NO_CONTENT.into_response(), &token, ABSOLUTE_MS / 1000, state.config.secure_cookie))
}

fn with_cookie(mut response: Response, token: &str, max_age_s: i64, secure: bool) -> Response {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={max_age_s}{secure}");
    // A token is hexadecimal, so the text is always a header value.
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}
