//! Who may call what: the one table. A route that is not in it is refused, and a test fails for it.

use axum::http::Method;

use crate::store::Role;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody; nothing of the plant is shown.
    Anybody,
    /// Anybody on this machine, and signed-in administrators.
    LoopbackOrAdministrator,
    /// These roles, signed in.
    Roles(&'static [Role]),
}

use Access::{Anybody, LoopbackOrAdministrator, Roles};
use Role::{Administrator, Enterprise, Regulator, Viewer};

const ALL: Access = Roles(&[Administrator, Regulator, Enterprise, Viewer]);
/// May act on alarms.
const ACT: Access = Roles(&[Administrator, Regulator, Enterprise]);
/// Sees more than one enterprise.
const WIDE: Access = Roles(&[Administrator, Regulator, Viewer]);
/// May change the registry.
const REGISTER: Access = Roles(&[Administrator, Regulator]);
const ADMINISTER: Access = Roles(&[Administrator]);

/// Method, path as the router writes it, who.
pub const POLICY: &[(&str, &str, Access)] = &[
    ("POST", "/api/v1/session", Anybody),
    ("GET", "/api/v1/session", ALL),
    ("DELETE", "/api/v1/session", ALL),
    ("POST", "/api/v1/session/password", ALL),
    ("GET", "/api/v1/overview", ALL),
    ("GET", "/api/v1/enterprises", ALL),
    ("POST", "/api/v1/enterprises", REGISTER),
    ("PUT", "/api/v1/enterprises/{id}", REGISTER),
    ("GET", "/api/v1/points", ALL),
    ("POST", "/api/v1/points", REGISTER),
    ("GET", "/api/v1/points/{id}", ALL),
    ("PUT", "/api/v1/points/{id}", REGISTER),
    ("GET", "/api/v1/channels", ALL),
    ("PUT", "/api/v1/channels/{id}/binding", REGISTER),
    ("PUT", "/api/v1/channels/{id}/limits", REGISTER),
    ("GET", "/api/v1/channels/{id}/series", ALL),
    ("GET", "/api/v1/alarms", ALL),
    ("GET", "/api/v1/alarms/{id}", ALL),
    ("POST", "/api/v1/alarms/{id}/acknowledge", ACT),
    ("POST", "/api/v1/alarms/{id}/reset", ACT),
    ("POST", "/api/v1/alarms/{id}/seen", ALL),
    ("GET", "/api/v1/journal", WIDE),
    ("GET", "/api/v1/journal/verify", WIDE),
    ("GET", "/api/v1/gateways", ALL),
    ("GET", "/api/v1/ledger", ALL),
    ("POST", "/api/v1/gateways/enrolments", ADMINISTER),
    ("POST", "/api/v1/enrol", Anybody),
    ("GET", "/api/v1/webhooks", ADMINISTER),
    ("POST", "/api/v1/webhooks", ADMINISTER),
    ("DELETE", "/api/v1/webhooks/{id}", ADMINISTER),
    ("GET", "/api/v1/users", ADMINISTER),
    ("POST", "/api/v1/users", ADMINISTER),
    ("GET", "/api/v1/map/boundaries", ALL),
    ("GET", "/api/v1/live", ALL),
    ("GET", "/api/v1/openapi.json", ALL),
    ("GET", "/docs", Anybody),
    ("GET", "/docs/", Anybody),
    ("GET", "/docs/{*rest}", Anybody),
    ("GET", "/healthz", Anybody),
    ("GET", "/readyz", Anybody),
    ("GET", "/metrics", LoopbackOrAdministrator),
];

/// Who may call this route; `None` when nobody thought about it, which is a refusal. HEAD is GET without a body.
pub fn access(method: &Method, path: &str) -> Option<Access> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    POLICY.iter().find(|(listed, at, _)| *listed == method && *at == path).map(|(_, _, access)| *access)
}
