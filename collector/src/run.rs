//! A whole collector: what starts in which order, and how it stops.
//!
//! The pages answer before stored readings are judged again, so that NOT PROTECTING can be seen. Gateways are let in
//! last. Any part that ends before its time ends the process: see [`crate::watch`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::accounts::{AccountError, Accounts};
use crate::api::present::Orders;
use crate::api::{self, ApiConfig, ApiState};
use crate::broker::{self, BrokerError, BrokerParts};
use crate::clock::Clock;
use crate::config::{Config, MqttMode};
use crate::ingest::external;
use crate::ingest::{Counters, Inbox, Outgoing};
use crate::live::Live;
use crate::notify::{NoClient, Notifier};
use crate::pipeline::{self, Clerk, Ends, Parts, Pipeline, PipelineHandle, StartError};
use crate::store::{Store, StoreError, sqlite_path};
use crate::watch::{Ended, Untimely, Watch};

/// Answers to gateways that wait for the broker.
const OUTGOING: usize = 16_384;
/// A clean stop takes no longer.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Why a collector did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("cannot make the data folder {path}")]
    DataDir {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot open the time series in {path}")]
    Series {
        path: PathBuf,
        #[source]
        source: timeseries::Error,
    },
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot make the first account")]
    Account(#[from] AccountError),
    #[error(transparent)]
    Notify(#[from] NoClient),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("cannot listen for pages on {listen}; is another program using the port?")]
    Http {
        listen: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot start the thread {0}")]
    Thread(&'static str, #[source] std::io::Error),
}

/// A collector that is listening.
pub struct Running {
    /// Where the pages are.
    pub http: SocketAddr,
    /// Where gateways deliver; none with an external broker.
    pub mqtt: Option<SocketAddr>,
    pub store: Store,
    pub live: Live,
    pub pipeline: PipelineHandle,
    pub clock: Clock,
    /// The administrator's first password, when this was the first start.
    pub first_password: Option<String>,
    shutdown: CancellationToken,
    untimely: Untimely,
    tasks: Vec<JoinHandle<()>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

/// Starts a collector and returns once it listens.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<Running, RunError> {
    run_with(config, Clock::system(), shutdown).await
}

/// The same with a clock of the caller's; for tests.
pub async fn run_with(config: Config, clock: Clock, shutdown: CancellationToken) -> Result<Running, RunError> {
    let started = start(config, clock, shutdown.clone()).await;
    if started.is_err() {
        // What has been started must not live on behind a failed start.
        shutdown.cancel();
    }
    started
}

async fn start(config: Config, clock: Clock, shutdown: CancellationToken) -> Result<Running, RunError> {
    // sqlx and rmqtt bring two providers of cryptography; rustls wants to be told which. Told once a process.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let path = config.data_dir.clone();
    std::fs::create_dir_all(&path).map_err(|source| RunError::DataDir { path, source })?;
    let store = open_store(&config).await?;
    let accounts = Accounts::new(store.clone(), Some(config.data_dir.clone()));
    let first_password = accounts.first_start(clock.wall()).await?;
    let series = open_series(&config).await?;

    let (watch, untimely) = Watch::new(shutdown.clone());
    let live = Live::new(clock.clone(), config.simulated);
    let (handle, orders) = PipelineHandle::new();
    let (clerk, clerks_desk) = Clerk::new();
    let counters = Arc::new(Counters::default());
    let (inbox, parcels) = Inbox::new(clock.clone(), counters.clone());
    let (outgoing, answers) = mpsc::channel::<Outgoing>(OUTGOING);
    let mut tasks = Vec::new();
    let mut threads = Vec::new();

    let (delivered, accepted) = mpsc::channel(1024);
    let (notifier, notifying) = Notifier::spawn(store.clone(), clock.clone(), delivered, shutdown.clone())?;
    tasks.push(watch.follow("notifier", notifying));
    tasks.push(watch.spawn("acceptances", tell_accepted(accepted, handle.clone(), shutdown.clone())));

    let (reports, reported) = mpsc::unbounded_channel();
    let wake = Arc::new(move || notifier.wake());
    let tools = pipeline::Tools { store: store.clone(), clock: clock.clone(), reports, wake, shutdown: shutdown.clone() };
    tasks.push(watch.spawn("clerk", pipeline::work(clerks_desk, tools)));

    let parts = Parts {
        clock: clock.clone(),
        series: series.clone(),
        store: store.clone(),
        live: live.clone(),
        clerk,
        outgoing,
        counters,
        keep_raw_days: config.series.keep_raw_days,
    };
    let (pipeline, episodes) = Pipeline::prepare(parts).await?;
    live.set_registry(store.registry());

    let http = TcpListener::bind(config.http.listen).await.map_err(|source| RunError::Http { listen: config.http.listen, source })?;
    let http_address = http.local_addr().map_err(|source| RunError::Http { listen: config.http.listen, source })?;

    let ends = Ends { inbox: parcels, orders, reports: reported, shutdown: shutdown.clone() };
    let runtime = tokio::runtime::Handle::current();
    let walking =
        watch.thread("pipeline", move || walk(pipeline, episodes, &runtime, ends)).map_err(|error| RunError::Thread("pipeline", error))?;
    threads.push(walking);
    let (kept, keepers_clock, token, days) = (series.clone(), clock.clone(), shutdown.clone(), config.series.keep_raw_days);
    let keeping = watch.thread("keeper", move || pipeline::keep_series(kept, keepers_clock, days, token));
    threads.push(keeping.map_err(|error| RunError::Thread("keeper", error))?);
    tasks.push(watch.spawn("frames", live.clone().send_frames(shutdown.clone())));

    let mqtt = carry(&config, &store, inbox, answers, &clock, &watch, &mut tasks).await?;
    let mqtt_url = mqtt.map_or_else(|| config.mqtt.url.clone(), |address| format!("mqtt://{address}"));
    let api_config = ApiConfig {
        mqtt_url,
        mqtt_root: config.mqtt.root.clone(),
        boundaries: config.map.boundaries.clone(),
        simulated: config.simulated,
        secure_cookie: false,
    };
    let state = ApiState {
        store: store.clone(),
        accounts,
        live: Arc::new(live.clone()),
        series,
        pipeline: Arc::new(handle.clone()),
        clock: clock.clone(),
        config: Arc::new(api_config),
        shutdown: shutdown.clone(),
        enrol_tries: Arc::default(),
    };
    let serving = api::serve(http, api::router(state), shutdown.clone());
    tasks.push(watch.spawn("pages", async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the pages cannot be served any more");
        }
    }));
    Ok(Running { http: http_address, mqtt, store, live, pipeline: handle, clock, first_password, shutdown, untimely, tasks, threads })
}

async fn open_store(config: &Config) -> Result<Store, StoreError> {
    let url = config.database_url();
    if sqlite_path(&url).is_some() {
        return Store::open(&url).await;
    }
    Store::open_with(&url, Some(config.data_dir.join("journal-anchor"))).await
}

async fn open_series(config: &Config) -> Result<Arc<timeseries::Store>, RunError> {
    let path = config.series_dir();
    let opened = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || timeseries::Store::open(&path, timeseries::Options::default())).await
    };
    match opened {
        Ok(Ok(series)) => Ok(Arc::new(series)),
        Ok(Err(source)) => Err(RunError::Series { path, source }),
        Err(error) => Err(RunError::Thread("time series", std::io::Error::other(error))),
    }
}

/// Lets gateways in, through the broker inside or one outside.
async fn carry(
    config: &Config,
    store: &Store,
    inbox: Inbox,
    answers: mpsc::Receiver<Outgoing>,
    clock: &Clock,
    watch: &Watch,
    tasks: &mut Vec<JoinHandle<()>>,
) -> Result<Option<SocketAddr>, BrokerError> {
    let shutdown = watch.shutdown().clone();
    match config.mqtt.mode {
        MqttMode::Embedded => {
            let (root, store, clock) = (config.mqtt.root.clone(), store.clone(), clock.clone());
            let parts = BrokerParts { listen: config.mqtt.listen, root, store, inbox, outgoing: answers, clock, shutdown };
            let broker = broker::start(parts).await?;
            tasks.push(watch.follow("broker", broker.task));
            Ok(Some(broker.address))
        }
        MqttMode::External => {
            let carrying = external::run(config.mqtt.clone(), inbox, answers, shutdown);
            tasks.push(watch.spawn("carrier", carrying));
            Ok(None)
        }
    }
}

fn walk(mut pipeline: Pipeline, episodes: Vec<alarm::Episode>, runtime: &tokio::runtime::Handle, ends: Ends) {
    if let Err(error) = pipeline.resume(episodes) {
        tracing::error!(error = pipeline::chain(&error), "stored readings could not be judged again");
        return;
    }
    if let Err(error) = pipeline.run(runtime, ends) {
        tracing::error!(%error, "the pipeline has stopped");
    }
}

async fn tell_accepted(mut accepted: mpsc::Receiver<crate::notify::Delivered>, pipeline: PipelineHandle, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            told = accepted.recv() => match told {
                Some(told) => pipeline.stamp(&told.episode, alarm::Stage::Accepted, told.at).await,
                None => return,
            }
        }
    }
}

impl Running {
    /// Runs until the shutdown, or until a part ends before its time; then everything is stopped.
    pub async fn stopped(mut self) -> Result<(), Ended> {
        let ended = tokio::select! {
            () = self.shutdown.cancelled() => None,
            ended = self.untimely.first() => Some(ended),
        };
        self.shutdown.cancel();
        let (tasks, threads) = (std::mem::take(&mut self.tasks), std::mem::take(&mut self.threads));
        let all = async {
            let joined = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
            let _ = joined.await;
            for task in tasks {
                let _ = task.await;
            }
        };
        if tokio::time::timeout(STOP_WITHIN, all).await.is_err() {
            tracing::warn!("not everything stopped in time; what was acknowledged is on disk all the same");
        }
        ended.map_or(Ok(()), Err)
    }
}
