//! The demo: the world, its lines, one gateway a plant and a collector, all in one process.
//!
//! State lives in one folder: `collector/`, and for each gateway `gateways/<id>/` with its site file and its
//! spool. A second start goes on where the first stopped.

use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use collector::Config;
use collector::store::Store;
use gateway::site::Site;
use measurement::Timestamp;
use simulated::{Line, SimulatedNode};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::city::{Plant, Road, plants};
use crate::registration;
use crate::script::{Cue, Trouble};
use crate::sitefile::{Reach, SignIn, site_file};
use crate::world::World;

/// The air moves on so often.
const STEP: Duration = Duration::from_millis(500);
/// A simulated mine must not fill a newcomer's disk.
const KEEP_RAW_DAYS: u32 = 30;

/// What the demo is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where everything that must survive lies.
    pub data: PathBuf,
    /// Where the pages are; port 0 lets the system choose.
    pub http: SocketAddr,
    /// The same seed tells the same story.
    pub seed: u64,
    /// Whether incidents come by themselves.
    pub has_script: bool,
}

/// A demo at work.
pub struct Demo {
    /// The collector, in this process.
    pub collector: collector::Running,
    world: Arc<Mutex<World>>,
    gateways: Vec<gateway::Running>,
    tasks: JoinSet<()>,
}

impl Demo {
    /// Starts everything. Cancelling `shutdown` ends it; await [`Demo::stopped`].
    pub async fn start(options: Options, shutdown: CancellationToken) -> Result<Demo> {
        let started = Demo::start_all(options, shutdown.clone()).await;
        if started.is_err() {
            shutdown.cancel();
        }
        started
    }

    async fn start_all(options: Options, shutdown: CancellationToken) -> Result<Demo> {
        std::fs::create_dir_all(&options.data).with_context(|| format!("cannot make the folder {}", options.data.display()))?;
        let plants = plants();
        let collector = collector::run(collector_config(&options)?, shutdown.clone()).await?;
        let mut world = World::new(&plants, options.seed, options.has_script);
        // The nodes have been running before anybody asks them.
        world.advance(STEP.as_secs_f64());
        let lines = lines(&plants, world.nodes().cloned().collect(), &shutdown).await?;
        let url = format!("mqtt://{}", collector.mqtt.context("the demo's collector has its own broker")?);

        let mut gateways = Vec::new();
        for (plant, reach) in plants.iter().zip(lines) {
            registration::register(&collector.store, plant, collector.clock.wall()).await?;
            let folder = options.data.join("gateways").join(plant.gateway);
            let sign_in = sign_in(&collector.store, plant, &folder, &url, collector.clock.wall()).await?;
            let file = folder.join("site.toml");
            write_private(&file, &site_file(plant, &reach, &sign_in))?;
            let clock = gateway::clock::Clock::system(true);
            gateways.push(gateway::run(Site::load(&file)?, folder, clock, shutdown.clone()).await?);
        }

        let world = Arc::new(Mutex::new(world));
        let mut tasks = JoinSet::new();
        tasks.spawn(turn(world.clone(), shutdown.clone()));
        tasks.spawn(bind_all(collector.store.clone(), collector.clock.clone(), plants, shutdown));
        Ok(Demo { collector, world, gateways, tasks })
    }

    /// Something goes wrong at the point with this code; for tests. False when there is no such point.
    pub fn begin(&self, code: &str, trouble: Trouble) -> bool {
        let mut world = lock(&self.world);
        let point = world.find(code);
        point.is_some_and(|point| {
            world.begin(point, trouble);
            true
        })
    }

    /// And is mended.
    pub fn end(&self, code: &str, trouble: Trouble) {
        let mut world = lock(&self.world);
        if let Some(point) = world.find(code) {
            world.end(point, trouble);
        }
    }

    /// Returns once a shutdown is complete, or fails when a part of the collector has ended before its time.
    pub async fn stopped(mut self) -> Result<()> {
        let collector = self.collector.stopped().await;
        for gateway in self.gateways {
            gateway.stopped().await;
        }
        while self.tasks.join_next().await.is_some() {}
        collector.map_err(|ended| anyhow::anyhow!("part {} of the collector failed: {}", ended.part, ended.how))
    }
}

fn collector_config(options: &Options) -> Result<Config> {
    let mut config = Config { data_dir: options.data.join("collector"), simulated: true, ..Config::default() };
    config.http.listen = options.http;
    config.mqtt.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.series.keep_raw_days = KEEP_RAW_DAYS;
    let boundaries = options.data.join("demo-city.geojson");
    std::fs::write(&boundaries, include_str!("../demo-city.geojson")).with_context(|| format!("cannot write {}", boundaries.display()))?;
    config.map.boundaries = Some(boundaries);
    Ok(config)
}

/// One line a plant, with its nodes.
async fn lines(plants: &[Plant], nodes: Vec<SimulatedNode>, stop: &CancellationToken) -> Result<Vec<Reach>> {
    let mut nodes = nodes.into_iter();
    let mut lines = Vec::new();
    for plant in plants {
        let units: Vec<SimulatedNode> = nodes.by_ref().take(plant.points.len()).collect();
        let (line, make): (Line, fn(String) -> Reach) = match plant.road {
            Road::ModbusTcp => (Line::modbus_tcp(units, stop.clone()).await?, Reach::Tcp),
            Road::RtuOverTcp => (Line::rtu_over_tcp(units, stop.clone()).await?, Reach::RtuOverTcp),
            Road::Pty => match Line::pty(units.clone(), stop.clone()) {
                Ok(line) => (line, Reach::Serial),
                Err(error) => {
                    tracing::warn!("no pseudo-terminal here ({error:#}); {} is reached over TCP", plant.gateway);
                    (Line::rtu_over_tcp(units, stop.clone()).await?, Reach::RtuOverTcp)
                }
            },
        };
        let place = line.path().map(str::to_owned).or_else(|| line.address().map(|address| address.to_string()));
        lines.push(make(place.context("a line that is nowhere")?));
    }
    Ok(lines)
}

/// The gateway's credentials: of its site file from the last start, or new ones.
async fn sign_in(store: &Store, plant: &Plant, folder: &Path, url: &str, at: Timestamp) -> Result<SignIn> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let root = telemetry::topic::DEFAULT_ROOT.to_owned();
    if let Some((user, password)) = remembered(&folder.join("site.toml"))
        && store.authenticate_gateway(&user, &password).await?.is_some()
    {
        return Ok(SignIn { url: url.to_owned(), user, password, root });
    }
    let admitted = store.admit_gateway(plant.gateway, plant.name, "demo", at).await?;
    Ok(SignIn { url: url.to_owned(), user: admitted.user, password: admitted.password, root })
}

fn remembered(file: &Path) -> Option<(String, String)> {
    let site: toml::Table = std::fs::read_to_string(file).ok()?.parse().ok()?;
    let told = |key: &str| site.get("broker")?.get(key)?.as_str().map(str::to_owned);
    Some((told("user")?, told("password")?))
}

/// The file holds a password: nobody else may read it.
fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).with_context(|| format!("cannot write {}", path.display()))
}

/// Lets the world's time pass until the end.
async fn turn(world: Arc<Mutex<World>>, shutdown: CancellationToken) {
    let mut ticks = interval(STEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {
                let mut world = lock(&world);
                for cue in world.advance(STEP.as_secs_f64()) {
                    say(&world, cue);
                }
            }
        }
    }
}

fn say(world: &World, cue: Cue) {
    match cue {
        Cue::Begin(incident) => tracing::info!("SIMULATED incident at {}: {:?}", world.name(incident.point), incident.trouble),
        Cue::End(incident) => tracing::info!("SIMULATED incident over at {}: {:?}", world.name(incident.point), incident.trouble),
    }
}

/// Binds channels as the gateways tell of them.
async fn bind_all(store: Store, clock: collector::clock::Clock, plants: Vec<Plant>, shutdown: CancellationToken) {
    let mut changes = store.watch_registry();
    loop {
        let mut awaited = 0;
        for plant in &plants {
            match registration::bind(&store, plant, clock.wall()).await {
                Ok(more) => awaited += more,
                Err(error) => tracing::warn!("cannot bind the channels of {}: {error:#}", plant.gateway),
            }
        }
        if awaited == 0 {
            return;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
