//! The post office: asks field devices, keeps every reading on its own disk, forwards it.
//!
//! The walk of a reading: `poll/schedule` says whom to ask, `poll/link` asks, `interpret` says what the
//! answer means, `forward` has it on the disk before anybody else hears of it, and forgets it only when the
//! collector has it on its own. `reload` changes the site while the buses go on; `status` shows how it all stands.
#![forbid(unsafe_code)]

pub mod clock;
pub mod device;
pub mod export;
pub mod forward;
pub mod health;
pub mod interpret;
pub mod poll;
pub mod reload;
pub mod scan;
pub mod settings;
pub mod site;
pub mod status;

use std::net::SocketAddr;
use std::path::PathBuf;

use telemetry::{Happening, HappeningKind};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use clock::Clock;
use forward::{Content, NewEntry, Post, PostConfig, PostStatus};
use poll::Gate;
use poll::dtu::Dtus;
use reload::crew::{Crew, Loader, Tools};
use site::Site;
use status::Window;
use status::board::Board;

/// A gateway at work.
pub struct Running {
    post: Post,
    board: Board,
    loader: Loader,
    status_page: Option<SocketAddr>,
    tasks: JoinSet<()>,
}

/// Starts polling and forwarding. `state` is the directory under which the spool lies. Neither a missing
/// device nor a missing broker nor a failing disk ends it; only `shutdown` does.
pub async fn run(site: Site, state: PathBuf, clock: Clock, shutdown: CancellationToken) -> anyhow::Result<Running> {
    let spool = state.join(&site.spool);
    let config = PostConfig {
        gateway: site.gateway.clone(),
        root: site.root.clone(),
        broker: site.broker.clone(),
        spool: spool.clone(),
        capacity_bytes: site.spool_bytes,
        group_ms: site.group_ms,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    // Polling ends first, so that its last readings are still kept.
    let post_shutdown = CancellationToken::new();
    let post = Post::start(config, clock.clone(), post_shutdown.clone());
    post.set_catalogue(site.catalogue()).await;
    post.append(vec![said(&clock, HappeningKind::Started, "gateway started")]).await;
    let (board, gate) = (Board::default(), Gate::default());
    post.promises().into_iter().for_each(|(name, promise)| board.task(name, promise));
    let window = Window::new(board.clone(), post.clone(), clock.clone());
    let listener = match site.status {
        Some(listen) => status::bind(listen).await,
        None => None,
    };
    let status_page = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let dtus = Dtus::of(&site, &shutdown);
    let tools = Tools { gate: gate.clone(), dtus, post: post.clone(), board: board.clone(), clock: clock.clone() };
    let (crew, loader, duties) = Crew::start(site, tools);
    let mut field = JoinSet::new();
    field.spawn(crew.run(shutdown.clone()));
    field.spawn(health::run(duties, spool, gate, post.clone(), board.clone(), clock.clone(), shutdown.clone()));
    let mut tasks = JoinSet::new();
    if let Some(listener) = listener {
        tasks.spawn(status::serve(listener, window, shutdown.clone()));
    }
    let last = post.clone();
    tasks.spawn(async move {
        shutdown.cancelled().await;
        while field.join_next().await.is_some() {}
        last.append(vec![said(&clock, HappeningKind::Stopping, "gateway stopping as asked")]).await;
        post_shutdown.cancel();
        last.stopped().await;
    });
    Ok(Running { post, board, loader, status_page, tasks })
}

impl Running {
    /// How the post stands.
    pub fn status(&self) -> PostStatus {
        self.post.status()
    }

    /// What the tasks write on as they work.
    pub fn board(&self) -> Board {
        self.board.clone()
    }

    /// Where the status page is, when there is one.
    pub fn status_page(&self) -> Option<SocketAddr> {
        self.status_page
    }

    /// What a new site can be handed to.
    pub fn loader(&self) -> Loader {
        self.loader.clone()
    }

    /// Returns once a shutdown is complete: everything read is on the disk.
    pub async fn stopped(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

fn said(clock: &Clock, kind: HappeningKind, text: &str) -> NewEntry {
    let happening = Happening { kind: kind.into(), at_ms: clock.wall().0, text: text.to_owned(), about: String::new() };
    NewEntry { content: Content::Happening(happening), urgent: false }
}
