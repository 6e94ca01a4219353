//! Tells the outside world: one worker an endpoint, fed from the outbox table.
//!
//! A notice waits in the table until its endpoint answers 2xx; a restart loses none and a lost answer repeats one
//! under the same `Idempotency-Key` (episode and stage). A worker holds one page of notices in memory, so a dead
//! endpoint costs no memory and a slow one delays nobody else. After a failure it waits 1, 2, 4 … 30 s. What is
//! not accepted for 120 s is journalled and shown on the front page.

mod address;
mod courier;

use std::collections::HashMap;
use std::time::Duration;

use alarm::Stage;
use measurement::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use address::{BadAddress, usable_url};
use courier::Courier;

use crate::clock::Clock;
use crate::store::{Endpoint, Store};

/// A notice that waits longer is told (promise P7).
const LATE_MS: i64 = 120_000;
/// How often endpoints and late notices are looked for when nobody wakes us.
const ROUND: Duration = Duration::from_secs(5);

/// An endpoint accepted the first notice of an episode (t6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    pub episode: String,
    pub stage: String,
    pub at: Timestamp,
}

/// Wakes the workers. Cheap to clone.
#[derive(Clone)]
pub struct Notifier {
    bell: watch::Sender<u64>,
}

/// Why no notices can be sent at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare the HTTP client for notices")]
pub struct NoClient(#[source] reqwest::Error);

impl Notifier {
    /// Starts the workers. `delivered` hears of every first acceptance; the task ends with the shutdown.
    pub fn spawn(
        store: Store,
        clock: Clock,
        delivered: mpsc::Sender<Delivered>,
        shutdown: CancellationToken,
    ) -> Result<(Notifier, JoinHandle<()>), NoClient> {
        let client = courier::client().map_err(NoClient)?;
        let (bell, heard) = watch::channel(0);
        let round = Round { store, clock, delivered, client, heard, shutdown, workers: HashMap::new() };
        let task = tokio::spawn(round.run());
        Ok((Notifier { bell }, task))
    }

    /// Something new is in the outbox, or an endpoint was added.
    pub fn wake(&self) {
        self.bell.send_modify(|rings| *rings = rings.wrapping_add(1));
    }
}

/// Keeps one worker for every endpoint that is in use.
struct Round {
    store: Store,
    clock: Clock,
    delivered: mpsc::Sender<Delivered>,
    client: reqwest::Client,
    heard: watch::Receiver<u64>,
    shutdown: CancellationToken,
    workers: HashMap<i64, (Endpoint, CancellationToken)>,
}

impl Round {
    async fn run(mut self) {
        loop {
            match self.store.endpoints().await {
                Ok(endpoints) => {
                    self.match_workers(&endpoints);
                    self.tell_late(&endpoints).await;
                }
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the endpoints cannot be read; trying again"),
            }
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                // A closed bell means that nobody wakes us any more; the round goes on by time.
                _ = self.heard.changed(), if self.heard.has_changed().is_ok() => {}
                () = tokio::time::sleep(ROUND) => {}
            }
        }
        self.workers.values().for_each(|(_, stop)| stop.cancel());
    }

    fn match_workers(&mut self, endpoints: &[Endpoint]) {
        self.workers.retain(|_, (endpoint, stop)| {
            let stays = endpoints.contains(endpoint);
            if !stays {
                stop.cancel();
            }
            stays
        });
        for endpoint in endpoints.iter().filter(|endpoint| endpoint.enabled) {
            if self.workers.contains_key(&endpoint.id) {
                continue;
            }
            let stop = self.shutdown.child_token();
            let courier = Courier {
                store: self.store.clone(),
                clock: self.clock.clone(),
                client: self.client.clone(),
                endpoint: endpoint.clone(),
                delivered: self.delivered.clone(),
                heard: self.heard.clone(),
            };
            let stopped = stop.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = courier.run() => {}
                }
            });
            self.workers.insert(endpoint.id, (endpoint.clone(), stop));
        }
    }

    async fn tell_late(&self, endpoints: &[Endpoint]) {
        let now = self.clock.wall();
        if let Err(error) = self.store.look_for_late_notices(now.plus_ms(-LATE_MS)).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "late notices cannot be counted; trying again");
        }
        for endpoint in endpoints.iter().filter(|endpoint| endpoint.enabled) {
            let told = async {
                let late = self.store.late_untold(endpoint.id, now.plus_ms(-LATE_MS)).await?;
                if late.is_empty() { Ok(()) } else { self.store.tell_late(endpoint, &late, now).await }
            };
            if let Err(error) = told.await {
                tracing::warn!(error = &error as &dyn std::error::Error, "late notices cannot be told; trying again");
            }
        }
    }
}

/// Notes t6 where both the store and the pipeline will see it.
async fn note_accepted(store: &Store, delivered: &mpsc::Sender<Delivered>, done: Vec<Delivered>) {
    let stamps: Vec<_> = done.iter().map(|one| (one.episode.clone(), Stage::Accepted, one.at)).collect();
    if let Err(error) = store.stamp(&stamps).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "the time of acceptance cannot be noted");
    }
    for one in done {
        // Nobody listens any more only when the collector stops.
        let _ = delivered.send(one).await;
    }
}

/// How long to wait after this many failures in a row.
fn pause(failures: u32) -> Duration {
    Duration::from_secs(1_u64 << failures.saturating_sub(1).min(5)).min(Duration::from_secs(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_from_one_second_to_thirty() {
        let seconds: Vec<u64> = (1..9).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30, 30]);
    }
}
