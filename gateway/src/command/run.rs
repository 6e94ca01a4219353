//! `run`: the service. Tells systemd when it is ready, alive and stopping; follows the site file; stops in order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use gateway::clock::Clock;
use gateway::reload::follow::{Followed, follow};
use gateway::site::Site;
use gateway::status::board::Board;
use gateway::status::{DEFAULT_LISTEN, snapshot::GRACE_MS};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// A stop takes no longer: the last readings are on the disk before, and what a disk or a broker does not take by
/// then it would not take at all.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or Ctrl-C.
pub async fn run(path: &Path, state: PathBuf) -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let file = Followed::new(path, as_service);
    let site = file.load()?;
    let clock = Clock::system(site.clock_vouched);
    let (gateway, shutdown) = (site.gateway.clone(), CancellationToken::new());
    let running = gateway::run(site, state, clock.clone(), shutdown.clone()).await?;
    let board = running.board();
    tokio::spawn(follow(file, running.loader(), board.clone(), clock.clone(), hangup, shutdown.clone()));
    tokio::spawn(feed_watchdog(board, clock, shutdown.clone()));
    notify(&[NotifyState::Ready, NotifyState::Status("polling")]);
    info!(%gateway, version = env!("CARGO_PKG_VERSION"), "running");
    let why = tokio::select! {
        _ = interrupt.recv() => "Ctrl-C",
        _ = terminate.recv() => "SIGTERM",
    };
    info!("stopping on {why}");
    notify(&[NotifyState::Stopping]);
    shutdown.cancel();
    if tokio::time::timeout(STOP_WITHIN, running.stopped()).await.is_err() {
        anyhow::bail!("not everything stopped within {} s: the disk or the broker takes no more", STOP_WITHIN.as_secs());
    }
    info!("stopped; everything read is on the disk");
    Ok(())
}

/// A service has a status page, wherever the site file says nothing else.
fn as_service(mut site: Site) -> Site {
    site.status.get_or_insert(DEFAULT_LISTEN);
    site
}

/// Feeds systemd's watchdog as long as every task moves. A process that only seems alive is restarted by systemd.
async fn feed_watchdog(board: Board, clock: Clock, shutdown: CancellationToken) {
    let Some(within) = sd_notify::watchdog_enabled() else { return };
    let mut last_word = Vec::new();
    loop {
        let hanging: Vec<String> = board.hanging(clock.mono(), GRACE_MS).into_iter().map(|(name, _)| name).collect();
        if hanging.is_empty() {
            notify(&[NotifyState::Watchdog]);
        } else if hanging != last_word {
            error!(tasks = %hanging.join(", "), "tasks hang; the watchdog is not fed and systemd will restart the gateway");
        }
        last_word = hanging;
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(within / 3) => {}
        }
    }
}

fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd cannot be told how we are");
    }
}
