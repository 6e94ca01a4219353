//! Who calls: the session behind the cookie, what it may see, and the checks before every handler.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use alarm::Episode;
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::ApiState;
use super::error::ApiError;
use super::policy::{Access, access};
use crate::registry::{Channel, EnterpriseId, PointId, Registry};
use crate::store::{Role, User};

/// The cookie that holds a session's token.
pub const COOKIE: &str = "davy_session";

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user: User,
    pub token: Arc<str>,
}

impl Caller {
    /// The one enterprise this caller sees, or `None` for every one.
    pub fn only(&self) -> Option<EnterpriseId> {
        match self.user.role {
            // An enterprise user without an enterprise sees none at all.
            Role::Enterprise => Some(self.user.enterprise.unwrap_or(EnterpriseId(i64::MIN))),
            Role::Administrator | Role::Regulator | Role::Viewer => None,
        }
    }

    pub fn sees_enterprise(&self, id: EnterpriseId) -> bool {
        self.only().is_none_or(|only| only == id)
    }

    pub fn sees_point(&self, registry: &Registry, id: PointId) -> bool {
        registry.point(id).is_some_and(|point| self.sees_enterprise(point.enterprise))
    }

    /// A channel bound to nothing belongs to nobody yet, so an enterprise does not see it.
    pub fn sees_channel(&self, registry: &Registry, channel: &Channel) -> bool {
        self.only().is_none() || channel.point.is_some_and(|point| self.sees_point(registry, point))
    }

    /// An enterprise sees a gateway that watches its points and nobody else's.
    pub fn sees_gateway(&self, registry: &Registry, gateway: &str) -> bool {
        if self.only().is_none() {
            return true;
        }
        let mut bound = registry.channels_on(gateway).filter_map(|channel| channel.point).peekable();
        bound.peek().is_some() && bound.all(|point| self.sees_point(registry, point))
    }

    pub fn sees_episode(&self, registry: &Registry, episode: &Episode, recorded_under: Option<PointId>) -> bool {
        match episode.channel {
            _ if self.only().is_none() => true,
            None => self.sees_gateway(registry, &episode.gateway),
            Some(channel) => {
                let point = recorded_under.or_else(|| registry.channel(channel)?.point);
                point.is_some_and(|point| self.sees_point(registry, point))
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, ApiError> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(ApiError::signed_out)
    }
}

/// The address a request comes from; `None` when the server was started without it.
#[derive(Debug, Clone, Copy)]
pub struct Address(pub Option<IpAddr>);

impl Address {
    pub fn text(self) -> String {
        self.0.map_or_else(|| "?".to_owned(), |address| address.to_string())
    }
}

impl<S: Sync> FromRequestParts<S> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Address, Self::Rejection> {
        Ok(Address(parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())))
    }
}

/// Before every handler: the origin of what changes something, the policy table, the session.
pub async fn admit(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    match check(&state, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn check(state: &ApiState, request: &mut Request) -> Result<(), ApiError> {
    let Some(path) = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()) else {
        // No route: the pages or a plain 404, neither of which knows anything.
        return Ok(());
    };
    let allowed = access(request.method(), &path).ok_or_else(ApiError::forbidden)?;
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && !comes_from_here(request.headers(), path == "/api/v1/enrol") {
        return Err(ApiError::wrong_origin());
    }
    if allowed == Access::Anybody {
        return Ok(());
    }
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
    if allowed == Access::LoopbackOrAdministrator && address.is_some_and(|address| address.is_loopback()) {
        return Ok(());
    }
    let token = cookie(request.headers()).ok_or_else(ApiError::signed_out)?;
    let session = state.accounts.session(&token, state.now()).await?.ok_or_else(ApiError::signed_out)?;
    let may = match allowed {
        Access::Anybody => true,
        Access::LoopbackOrAdministrator => session.user.role == Role::Administrator,
        Access::Roles(roles) => roles.contains(&session.user.role),
    };
    if !may {
        return Err(ApiError::forbidden());
    }
    request.extensions_mut().insert(Caller { user: session.user, token: token.into() });
    Ok(())
}

/// True when the Origin names this host. A program that is no browser may leave it out where no cookie counts.
fn comes_from_here(headers: &HeaderMap, optional: bool) -> bool {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => optional,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host)),
        (Some(_), None) => false,
    }
}

/// The session's token, as the browser sent it.
pub fn cookie(headers: &HeaderMap) -> Option<String> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, token)| token.to_owned())
}
