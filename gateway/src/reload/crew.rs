//! Those who work on the buses: starts and stops their tasks as a site says, and sets a new site to work without
//! stopping the buses that it leaves as they are. Who falls is replaced.

use std::collections::BTreeMap;
use std::time::Duration;

use telemetry::HappeningKind;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Change, carried};
use crate::clock::Clock;
use crate::forward::Post;
use crate::health::Duty;
use crate::poll::{self, Gate, dtu::Dtus};
use crate::site::{Bus, Site};
use crate::status::board::Board;

/// A task that fell is looked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a new site can be handed to. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Loader {
    orders: mpsc::Sender<Order>,
}

enum Order {
    Load(Box<Site>, oneshot::Sender<Change>),
    Refuse(String),
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Order::Load(..)) { "Load" } else { "Refuse" })
    }
}

impl Loader {
    /// Sets a checked site to work and says what that changed; `None` when the gateway is stopping.
    pub async fn load(&self, site: Site) -> Option<Change> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Load(Box::new(site), reply)).await.ok()?;
        answer.await.ok()
    }

    /// A site file was refused, and why: the one at work goes on.
    pub async fn refuse(&self, why: String) {
        let _ = self.orders.send(Order::Refuse(why)).await;
    }
}

/// What every bus's task is given.
#[derive(Clone)]
pub struct Tools {
    pub gate: Gate,
    pub dtus: Dtus,
    pub post: Post,
    pub board: Board,
    pub clock: Clock,
}

struct Worker {
    bus: watch::Sender<Bus>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// The crew of a site.
pub struct Crew {
    site: Site,
    workers: BTreeMap<String, Worker>,
    duty: watch::Sender<Duty>,
    tools: Tools,
    orders: mpsc::Receiver<Order>,
}

impl Crew {
    /// Starts work on every bus of the site.
    pub fn start(site: Site, tools: Tools) -> (Crew, Loader, watch::Receiver<Duty>) {
        let (ask, orders) = mpsc::channel(4);
        let (duty, duties) = watch::channel(Duty::of(&site));
        let mut crew = Crew { site, workers: BTreeMap::new(), duty, tools, orders };
        crew.tools.board.site(&crew.site, crew.tools.clock.now());
        for bus in crew.site.buses.clone() {
            crew.begin(bus);
        }
        (crew, Loader { orders: ask }, duties)
    }

    /// Takes orders until the shutdown; returns when every bus's task has ended.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(order) = self.orders.recv() => self.obey(order).await,
                _ = look.tick() => self.replace_who_fell().await,
            }
        }
        self.workers.values().for_each(|worker| worker.stop.cancel());
        for (_, worker) in std::mem::take(&mut self.workers) {
            let _ = worker.task.await;
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Refuse(why) => {
                warn!("the site file is refused, the one at work goes on: {why}");
                self.tools.board.refused(why.clone());
                self.say(HappeningKind::Other, format!("a changed site file is refused, the one before goes on: {why}")).await;
            }
            Order::Load(site, reply) => {
                self.tools.post.look_at_certificates();
                let change = self.load(*site).await;
                let _ = reply.send(change);
            }
        }
    }

    async fn load(&mut self, wanted: Site) -> Change {
        let change = Change::between(&self.site, &wanted);
        self.tools.board.waits_for_restart(change.needs_restart.clone());
        // First those end whose channels' numbers would mean something else.
        let ended: Vec<Worker> = change.stopped.iter().filter_map(|name| self.workers.remove(name)).collect();
        ended.iter().for_each(|worker| worker.stop.cancel());
        for worker in ended {
            let _ = worker.task.await;
        }
        self.site = carried(&self.site, wanted);
        // Kept before the gate is closed: no bus waits for the disk.
        let mut kept = None;
        if change.catalogue {
            kept = Some(self.tools.post.keep_catalogue(self.site.catalogue()).await);
        }
        {
            let _changing = self.tools.gate.changing().await;
            if let Some(kept) = kept {
                self.tools.post.put_in_force(kept).await;
            }
            self.duty.send_replace(Duty::of(&self.site));
            for bus in &self.site.buses {
                if let Some(worker) = self.workers.get(&bus.name) {
                    worker.bus.send_replace(bus.clone());
                }
            }
        }
        self.tools.board.site(&self.site, self.tools.clock.now());
        for bus in self.site.buses.clone() {
            if !self.workers.contains_key(&bus.name) {
                self.begin(bus);
            }
        }
        if change.is_nothing() {
            info!("the site file says nothing new");
        } else {
            info!("the site file is loaded: {change}");
            self.say(HappeningKind::SiteReloaded, format!("the site file is loaded: {change}")).await;
        }
        change
    }

    fn begin(&mut self, bus: Bus) {
        let Tools { gate, dtus, post, board, clock } = self.tools.clone();
        let (name, board) = (bus.name.clone(), board.bus(&bus));
        let (publish, published) = watch::channel(bus);
        let stop = CancellationToken::new();
        let task = tokio::spawn(poll::run(published, gate, dtus, post, board, clock, stop.clone()));
        self.workers.insert(name, Worker { bus: publish, stop, task });
    }

    /// A bus's task ends only when it is told to; one that ended by itself hit a bug, and the bus must not stay unasked.
    async fn replace_who_fell(&mut self) {
        let fallen: Vec<String> =
            self.workers.iter().filter(|(_, worker)| worker.task.is_finished()).map(|(name, _)| name.clone()).collect();
        for name in fallen {
            error!(bus = %name, "the task of bus {name} fell; it is started again");
            self.say(HappeningKind::Other, format!("the task of bus {name} fell and is started again")).await;
            if let Some(bus) = self.site.buses.iter().find(|bus| bus.name == name).cloned() {
                self.begin(bus);
            }
        }
    }

    async fn say(&self, kind: HappeningKind, text: String) {
        self.tools.post.append(vec![crate::said(&self.tools.clock, kind, &text)]).await;
    }
}
