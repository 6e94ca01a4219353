//! How the gateway stands, for the people and machines of its own host: `/` for people, `/metrics` for Prometheus,
//! `/healthz` and `/readyz` for whoever restarts or waits. On loopback only, and nothing can be changed by it.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::clock::{Clock, Moment};
use crate::forward::Post;
use board::Board;
use snapshot::Snapshot;

pub mod board;
pub mod metrics;
pub mod page;
pub mod snapshot;

/// Where `davy-gateway run` listens when the site file does not say.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8470);

/// What looks at a gateway at work. Cheap to clone.
#[derive(Clone)]
pub struct Window {
    board: Board,
    post: Post,
    clock: Clock,
    started: Moment,
}

impl Window {
    /// A window on these, from now on.
    pub fn new(board: Board, post: Post, clock: Clock) -> Window {
        let started = clock.now();
        Window { board, post, clock, started }
    }

    /// How it all stands now.
    pub fn look(&self) -> Snapshot {
        let now = self.clock.now();
        Snapshot {
            version: env!("CARGO_PKG_VERSION"),
            now,
            up_ms: now.mono.since(self.started.mono),
            clock: self.clock.quality(),
            clock_offset_ms: self.clock.offset_ms(),
            resident: crate::health::resident(),
            site: self.board.site_standing(),
            buses: self.board.buses(),
            hanging: self.board.hanging(now.mono, snapshot::GRACE_MS),
            post: self.post.status(),
        }
    }
}

/// Takes the port, or says loudly that there is no status page: polling goes on without.
pub async fn bind(listen: SocketAddr) -> Option<TcpListener> {
    match TcpListener::bind(listen).await {
        Ok(listener) => {
            let at = listener.local_addr().unwrap_or(listen);
            info!("the status page is on http://{at}");
            Some(listener)
        }
        Err(error) => {
            error!(%listen, "NO STATUS PAGE: cannot listen on {listen}: {error}; polling goes on; name another port in [status] listen");
            None
        }
    }
}

/// Answers until the shutdown.
pub async fn serve(listener: TcpListener, window: Window, shutdown: CancellationToken) {
    tokio::select! {
        served = axum::serve(listener, router(window)).into_future() => {
            if let Err(error) = served {
                error!(%error, "the status page ended");
            }
        }
        () = shutdown.cancelled() => {}
    }
}

/// The routes; every one of them only reads.
pub fn router(window: Window) -> Router {
    Router::new()
        .route("/", get(async |State(window): State<Window>| Html(page::page(&window.look()))))
        .route("/style.css", get(async || ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], page::STYLE)))
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(async |State(window): State<Window>| verdict(window.look().alive())))
        .route("/readyz", get(async |State(window): State<Window>| verdict(window.look().ready())))
        .layer(middleware::from_fn(only_for_this_host))
        .with_state(window)
}

async fn show_metrics(State(window): State<Window>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::metrics(&window.look()))
}

fn verdict(reasons: Vec<String>) -> (StatusCode, String) {
    if reasons.is_empty() { (StatusCode::OK, "ok\n".to_owned()) } else { (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n") }
}

/// A page of another site whose name was made to point here must not read this one: only a loopback name is answered.
async fn only_for_this_host(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_this_host(host) {
        return (StatusCode::MISDIRECTED_REQUEST, "this page is for this host only, by its loopback name\n").into_response();
    }
    let mut response = next.run(request).await;
    let headers = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in headers {
        let name: HeaderName = name;
        response.headers_mut().insert(name, axum::http::HeaderValue::from_static(value));
    }
    response
}

fn is_this_host(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
