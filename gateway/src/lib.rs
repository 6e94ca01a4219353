//! The post office: asks field devices, keeps every reading on its own disk, forwards it.
//!
//! The walk of a reading: `poll/schedule` says whom to ask, `poll/link` asks, `interpret` says what the
//! answer means, `forward` has it on the disk before anybody else hears of it, and forgets it only when the
//! collector has it on its own.
#![forbid(unsafe_code)]

pub mod clock;
pub mod device;
pub mod forward;
pub mod interpret;
pub mod poll;
pub mod scan;
pub mod site;

use std::path::PathBuf;

use telemetry::{Happening, HappeningKind};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use clock::Clock;
use forward::{Content, NewEntry, Post, PostConfig, PostStatus};
use poll::Gate;
use poll::dtu::Dtus;
use site::Site;

/// A gateway at work.
pub struct Running {
    post: Post,
    tasks: JoinSet<()>,
}

/// Starts polling and forwarding. `state` is the directory under which the spool lies. Neither a missing
/// device nor a missing broker nor a failing disk ends it; only `shutdown` does.
pub async fn run(site: Site, state: PathBuf, clock: Clock, shutdown: CancellationToken) -> anyhow::Result<Running> {
    let config = PostConfig {
        gateway: site.gateway.clone(),
        root: site.root.clone(),
        broker: site.broker.clone(),
        spool: state.join(&site.spool),
        capacity_bytes: site.spool_bytes,
        group_ms: site.group_ms,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    // Polling ends first, so that its last readings are still kept.
    let post_shutdown = CancellationToken::new();
    let post = Post::start(config, clock.clone(), post_shutdown.clone());
    post.set_catalogue(site.catalogue()).await;
    post.append(vec![said(&clock, HappeningKind::Started, "gateway started")]).await;
    let dtus = Dtus::of(&site, &shutdown);
    let gate = Gate::default();
    let mut polls = JoinSet::new();
    for bus in site.buses {
        let (_, bus) = watch::channel(bus);
        polls.spawn(poll::run(bus, gate.clone(), dtus.clone(), post.clone(), clock.clone(), shutdown.clone()));
    }
    let mut tasks = JoinSet::new();
    let last = post.clone();
    tasks.spawn(async move {
        shutdown.cancelled().await;
        while polls.join_next().await.is_some() {}
        last.append(vec![said(&clock, HappeningKind::Stopping, "gateway stopping as asked")]).await;
        post_shutdown.cancel();
        last.stopped().await;
    });
    Ok(Running { post, tasks })
}

impl Running {
    /// How the post stands.
    pub fn status(&self) -> PostStatus {
        self.post.status()
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
