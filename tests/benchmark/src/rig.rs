//! The machine side of a collector on this machine's disk, without MQTT and HTTP: bytes in, acknowledgements out.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use collector::clock::Clock;
use collector::ingest::{Counters, Inbox, Outgoing, Taken};
use collector::live::Live;
use collector::pipeline::{self, Clerk, Ends, Parts, Pipeline, PipelineHandle, Tools};
use collector::store::Store;
use telemetry::topic::{GatewayId, Kind};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::letters::Sender;

/// A running rig.
pub struct Rig {
    pub inbox: Inbox,
    pub live: Live,
    pub series: Arc<timeseries::Store>,
    pub store: Store,
    pub clock: Clock,
    /// What is acknowledged of each gateway.
    acked: watch::Receiver<HashMap<GatewayId, u64>>,
    shutdown: CancellationToken,
    threads: Vec<std::thread::JoinHandle<()>>,
    clerk: tokio::task::JoinHandle<()>,
}

impl Rig {
    /// Everything as `davy-collector` has it, in this folder.
    pub async fn start(dir: &Path) -> anyhow::Result<Rig> {
        let clock = Clock::system();
        let store = Store::open(&format!("sqlite://{}", dir.join("davy.sqlite").display())).await?;
        let series = Arc::new(timeseries::Store::open(&dir.join("series"), timeseries::Options::default())?);
        let shutdown = CancellationToken::new();
        let live = Live::new(clock.clone(), true);
        let (_handle, orders) = PipelineHandle::new();
        let (clerk, clerks_desk) = Clerk::new();
        let counters = Arc::new(Counters::default());
        let (inbox, parcels) = Inbox::new(clock.clone(), counters.clone());
        let (outgoing, mut answers) = mpsc::channel::<Outgoing>(16_384);
        let (reports, reported) = mpsc::unbounded_channel();
        let tools = Tools { store: store.clone(), clock: clock.clone(), reports, wake: Arc::new(|| {}), shutdown: shutdown.clone() };
        let clerk_task = tokio::spawn(pipeline::work(clerks_desk, tools));
        let parts = Parts {
            clock: clock.clone(),
            series: series.clone(),
            store: store.clone(),
            live: live.clone(),
            clerk,
            outgoing,
            counters,
            keep_raw_days: 366,
        };
        let (mut pipeline, episodes) = Pipeline::prepare(parts).await?;
        let ends = Ends { inbox: parcels, orders, reports: reported, shutdown: shutdown.clone() };
        let runtime = tokio::runtime::Handle::current();
        let walking = std::thread::Builder::new().name("pipeline".to_owned()).spawn(move || {
            if let Err(error) = pipeline.resume(episodes) {
                eprintln!("the pipeline could not resume: {error}");
                return;
            }
            if let Err(error) = pipeline.run(&runtime, ends) {
                eprintln!("the pipeline stopped: {error}");
            }
        })?;
        let (kept, keepers_clock, token) = (series.clone(), clock.clone(), shutdown.clone());
        let keeping =
            std::thread::Builder::new().name("keeper".to_owned()).spawn(move || pipeline::keep_series(kept, keepers_clock, 366, token))?;
        let (tell, acked) = watch::channel(HashMap::new());
        tokio::spawn(async move {
            while let Some(answer) = answers.recv().await {
                if let (Kind::Ack, Ok(ack)) = (answer.kind, <telemetry::Ack as prost::Message>::decode(answer.payload.as_slice())) {
                    tell.send_modify(|all: &mut HashMap<GatewayId, u64>| {
                        all.insert(answer.gateway, ack.contiguous);
                    });
                }
            }
        });
        Ok(Rig { inbox, live, series, store, clock, acked, shutdown, threads: vec![walking, keeping], clerk: clerk_task })
    }

    /// Introduces every gateway, and waits until the registry has adopted its channels.
    pub async fn introduce(&mut self, senders: &mut [Sender], mut progress: impl FnMut(usize)) -> anyhow::Result<()> {
        for (done, sender) in senders.iter_mut().enumerate() {
            for letter in sender.introduction(self.clock.wall()) {
                self.send(&sender.id, &letter).await?;
            }
            // The catalogue is adopted for the first letter that needs it.
            for letter in sender.round(self.clock.wall(), 10, 1000, 0) {
                self.send(&sender.id, &letter).await?;
            }
            self.acknowledged(&sender.id, sender.next() - 1).await?;
            progress(done + 1);
        }
        Ok(())
    }

    /// Hands one letter in, as a broker's hook does.
    pub async fn send(&self, gateway: &GatewayId, letter: &[u8]) -> anyhow::Result<()> {
        match self.inbox.take(gateway.clone(), Kind::Up, letter).await {
            Taken::Yes => Ok(()),
            other => anyhow::bail!("a letter of {gateway} was not taken: {other:?}"),
        }
    }

    /// Waits until everything up to this sequence of a gateway is acknowledged.
    pub async fn acknowledged(&mut self, gateway: &GatewayId, sequence: u64) -> anyhow::Result<()> {
        let wait = self.acked.wait_for(|all| all.get(gateway).is_some_and(|acked| *acked >= sequence));
        tokio::time::timeout(Duration::from_secs(120), wait)
            .await
            .with_context(|| format!("{gateway} is not acknowledged to {sequence}"))??;
        Ok(())
    }

    /// Stops and gives what is left to be asked.
    pub async fn stop(self) -> anyhow::Result<(Live, Arc<timeseries::Store>)> {
        self.shutdown.cancel();
        let threads = self.threads;
        tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join()))).await?;
        self.clerk.await?;
        Ok((self.live, self.series))
    }
}
