//! The HTTP API v1: routes, who may call them, and what every answer carries. Contract: the OpenAPI document that
//! `tests/contract` pins.
//!
//! Order of a request: body limit, security headers, [`caller::admit`] (Origin, policy table, session), handler.
//! The machine side is known only as [`present::Present`] and [`present::Orders`].

pub mod alarms;
pub mod body;
pub mod caller;
pub mod channels;
pub mod error;
pub mod gateways;
pub mod health;
pub mod journal;
pub mod live;
pub mod overview;
pub mod points;
pub mod policy;
pub mod present;
pub mod session;
pub mod setup;
pub mod shapes;
pub mod words;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use measurement::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::Accounts;
use crate::clock::Clock;
use crate::store::Store;
use present::{Orders, Present};

/// No request body is larger.
const MOST_BODY: usize = 256 * 1024;

/// Pages come from this host only. MapLibre runs a worker from a blob; uPlot and MapLibre set styles on elements.
const CONTENT_SECURITY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
    font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; child-src blob:; manifest-src 'self'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";

/// What the API needs of the settings.
#[derive(Debug, Clone, Default)]
pub struct ApiConfig {
    /// Where gateways deliver, as told to a gateway that enrols: `mqtt://host:port`.
    pub mqtt_url: String,
    /// Topic root, as told to a gateway that enrols.
    pub mqtt_root: String,
    /// A GeoJSON file with boundaries.
    pub boundaries: Option<PathBuf>,
    /// True for a demonstration.
    pub simulated: bool,
    /// True when the pages are served over TLS: the cookie is then never sent without.
    pub secure_cookie: bool,
}

/// Everything a handler may ask. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub store: Store,
    pub accounts: Accounts,
    /// `live::Live`.
    pub live: Arc<dyn Present>,
    pub series: Arc<timeseries::Store>,
    /// `pipeline::PipelineHandle`.
    pub pipeline: Arc<dyn Orders>,
    pub clock: Clock,
    pub config: Arc<ApiConfig>,
    /// Ends live streams, which would keep an orderly stop waiting.
    pub shutdown: CancellationToken,
    /// Guesses of enrolment codes; see [`gateways::EnrolTries`].
    pub enrol_tries: Arc<gateways::EnrolTries>,
}

impl ApiState {
    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        self.clock.wall()
    }
}

#[derive(OpenApi)]
#[openapi(info(title = "Davy", description = "The control room's API. Times are Unix milliseconds."))]
struct Document;

fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(session::sign_in, session::session, session::sign_out))
        .routes(routes!(session::change_password))
        .routes(routes!(overview::overview))
        .routes(routes!(points::enterprises, points::add_enterprise))
        .routes(routes!(points::change_enterprise))
        .routes(routes!(points::points, points::add_point))
        .routes(routes!(points::point, points::change_point))
        .routes(routes!(channels::channels))
        .routes(routes!(channels::bind))
        .routes(routes!(channels::set_limits))
        .routes(routes!(channels::series))
        .routes(routes!(alarms::alarms))
        .routes(routes!(alarms::alarm))
        .routes(routes!(alarms::acknowledge))
        .routes(routes!(alarms::reset))
        .routes(routes!(alarms::seen))
        .routes(routes!(journal::journal))
        .routes(routes!(journal::verify))
        .routes(routes!(gateways::gateways))
        .routes(routes!(gateways::ledger))
        .routes(routes!(gateways::new_code))
        .routes(routes!(gateways::enrol))
        .routes(routes!(setup::webhooks, setup::add_webhook))
        .routes(routes!(setup::remove_webhook))
        .routes(routes!(setup::users, setup::add_user))
        .routes(routes!(setup::boundaries))
        .routes(routes!(live::live))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
}

/// The OpenAPI document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

/// The API, its documentation and the pages.
pub fn router(state: ApiState) -> Router {
    let (router, document) = routes().split_for_parts();
    let docs = utoipa_swagger_ui::Config::new(["/api/v1/openapi.json"]);
    let docs: Router<ApiState> = utoipa_swagger_ui::SwaggerUi::new("/docs").config(docs).into();
    let document = Arc::new(document);
    router
        .route("/api/v1/openapi.json", get(move || std::future::ready(Json(document.clone()))))
        .merge(docs)
        .fallback(crate::web::page)
        .layer(from_fn_with_state(state.clone(), caller::admit))
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .layer(from_fn(guard_headers))
        // Live streams are left alone: they would wait in the compressor.
        .layer(CompressionLayer::new())
        .with_state(state)
}

/// Serves until the shutdown, then lets answers that are under way finish.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> std::io::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

/// What every answer carries, whoever made it.
async fn guard_headers(request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_api {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}
