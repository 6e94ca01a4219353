//! What a gateway costs and how fast its readings travel: a real one in a process of its own, between slaves that
//! answer at once, a real Mosquitto, a real collector and a subscriber. Its CPU seconds and its memory are the
//! operating system's figures.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use collector::clock::Clock;
use collector::config::{Config, MqttMode};
use site::slave::Slave;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use crate::subscriber::{Heard, Subscriber};
use crate::usage;

/// The gateway's beginning (catalogue, first connections) is not measured.
const WARM_UP: Duration = Duration::from_secs(5);

/// So many devices share a connection, as behind a serial server.
pub const PER_SLAVE: u16 = 10;
const MOSQUITTO: &str = "/usr/sbin/mosquitto";

/// What a gateway is asked to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Devices of `channels` registers each.
    pub devices: u16,
    pub channels: u16,
    /// How often each is read; none is as fast as it goes.
    pub period_ms: Option<u32>,
    /// See the site file's `[spool]`.
    pub group_ms: u64,
    /// The first register of the first device on each line crosses its limit at every reading.
    pub with_urgent: bool,
}

impl Load {
    /// How many connections its devices share.
    pub fn connections(&self) -> u16 {
        self.devices.div_ceil(PER_SLAVE)
    }
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Cost {
    /// Registers read a second.
    pub registers_per_s: f64,
    /// CPU seconds for 100,000 registers: each is one value, kept on disk and acknowledged by the collector.
    pub cpu_per_100k: f64,
    /// Resident memory at the end.
    pub resident_mb: f64,
    /// What it would write to its disk in a day, GB (10^9 bytes).
    pub written_gb_a_day: f64,
    /// What the collector had stored of what was read, at the end, in percent.
    pub stored_percent: f64,
    /// What the subscriber heard.
    pub heard: Heard,
}

/// True when the broker that the figures need is there; said loudly when it is not.
pub fn broker_is_there() -> bool {
    let is_there = Path::new(MOSQUITTO).exists();
    if !is_there {
        println!("SKIPPED: no {MOSQUITTO}, so no gateway was measured");
    }
    is_there
}

/// Everything around a gateway.
pub struct Plant {
    pub folder: tempfile::TempDir,
    pub collector: collector::Running,
    pub subscriber: Subscriber,
    /// Registers that the slaves were asked for.
    pub read: Arc<AtomicU64>,
    stop: CancellationToken,
    _broker: Child,
    load: Load,
}

impl Plant {
    /// Starts slaves, a broker, a collector and a subscriber, and writes the site file.
    pub async fn start(load: Load) -> Result<Plant> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let mut broker = Command::new(MOSQUITTO);
        broker.args(["-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let broker = broker.spawn().context("the broker starts")?;
        let stop = CancellationToken::new();
        let mut config = Config { data_dir: folder.path().join("collector"), simulated: true, ..Config::default() };
        config.http.listen.set_port(0);
        config.mqtt.mode = MqttMode::External;
        config.mqtt.url = format!("mqtt://127.0.0.1:{port}");
        let urgent = move |channel: u32| load.with_urgent && channel.is_multiple_of(u32::from(PER_SLAVE * load.channels));
        let subscriber = Subscriber::start(port, urgent).await?;
        let collector = collector::run(config, stop.clone()).await?;
        collector.store.admit_gateway("bench", "bench", "benchmark", collector.clock.wall()).await?;
        let read = Arc::new(AtomicU64::new(0));
        let mut slaves = Vec::new();
        for _ in 0..load.connections() {
            let (counted, mut high) = (read.clone(), false);
            let slave = Slave::start(move |unit, address, count| {
                let before = counted.fetch_add(u64::from(count), Ordering::Relaxed);
                let mut words: Vec<u16> =
                    (0..count).map(|word| (before as u16 % 1000).wrapping_add(u16::from(unit) + address + word)).collect();
                if let Some(first) = words.first_mut().filter(|_| unit == 1 && address == 0) {
                    high = !high;
                    *first = if high { 60_000 } else { 0 };
                }
                Some(words)
            });
            slaves.push(slave.await?.address().to_string());
        }
        std::fs::write(folder.path().join("eight.toml"), profile(load.channels))?;
        let url = format!("mqtt://127.0.0.1:{port}");
        std::fs::write(folder.path().join("site.toml"), site_file(&url, &slaves, load))?;
        Ok(Plant { folder, collector, subscriber, read, stop, _broker: broker, load })
    }

    /// The site file.
    pub fn site(&self) -> PathBuf {
        self.folder.path().join("site.toml")
    }

    /// The gateway's state.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Starts the gateway, in a process of its own.
    pub fn start_gateway(&self) -> Result<Child> {
        let mut child = Command::new(std::env::current_exe()?);
        child.arg("gateway-child").arg(self.site()).arg(self.state()).stdin(Stdio::piped()).kill_on_drop(true);
        if self.load.period_ms.is_none() {
            child.arg("--flat-out");
        }
        child.spawn().context("the gateway's process starts")
    }

    /// Ends everything.
    pub async fn end(self, mut gateway: Child) -> Result<()> {
        drop(gateway.stdin.take());
        gateway.wait().await?;
        self.stop.cancel();
        let _ = self.collector.stopped().await;
        Ok(())
    }
}

/// Measures a gateway under this load.
pub async fn cost(load: Load, seconds: u64) -> Result<Cost> {
    let plant = Plant::start(load).await?;
    let mut gateway = plant.start_gateway()?;
    let pid = gateway.id().context("its number")?.to_string();
    tokio::time::sleep(WARM_UP).await;
    if let Some(status) = gateway.try_wait()? {
        anyhow::bail!("the gateway ended before it was measured: {status}");
    }
    let clock = Clock::system();
    plant.subscriber.take();
    let (began, cpu, registers) = (clock.mono(), usage::cpu_seconds_of(&pid), plant.read.load(Ordering::Relaxed));
    let written = usage::written_bytes_of(&pid);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let took_s = clock.mono().since(began) as f64 / 1000.0;
    let cpu = usage::cpu_seconds_of(&pid) - cpu;
    let registers = plant.read.load(Ordering::Relaxed) - registers;
    let written = usage::written_bytes_of(&pid) - written;
    let resident_mb = usage::resident_megabytes_of(&pid);
    let heard = plant.subscriber.take();
    // A moment for what is on its way.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (stored, all) = (plant.collector.live.stored(), plant.read.load(Ordering::Relaxed));
    plant.end(gateway).await?;
    Ok(Cost {
        registers_per_s: registers as f64 / took_s,
        cpu_per_100k: cpu / registers.max(1) as f64 * 1e5,
        resident_mb,
        written_gb_a_day: written / took_s * 86_400.0 / 1e9,
        stored_percent: (stored as f64 / all.max(1) as f64 * 100.0).min(100.0),
        heard,
    })
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The process that is measured: a gateway until its standard input ends.
pub async fn child(site: &Path, state: PathBuf, flat_out: bool) -> Result<()> {
    use tokio::io::AsyncReadExt;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let stop = CancellationToken::new();
    let mut site = gateway::site::Site::load(site)?;
    for bus in site.buses.iter_mut().filter(|_| flat_out) {
        bus.flat_out = true;
        // No device waits for its period, however the bus is planned.
        bus.devices.iter_mut().for_each(|device| device.period_ms = 1);
    }
    let running = gateway::run(site, state, gateway::clock::Clock::system(true), stop.clone()).await?;
    let mut nothing = [0; 1];
    let _ = tokio::io::stdin().read(&mut nothing).await;
    stop.cancel();
    running.stopped().await;
    Ok(())
}

fn profile(registers: u16) -> String {
    let mut text =
        "id = \"eight\"\nmaker = \"nobody\"\nmodel = \"some registers\"\nsource = \"the benchmark\"\nconfidence = \"own\"\n".to_owned();
    for register in 0..registers {
        text += &format!("[[register]]\nkey = \"r{register}\"\naddress = {register}\ntype = \"u16\"\n");
    }
    for register in 0..registers {
        text += &format!("[[value]]\nkey = \"v{register}\"\nregister = \"r{register}\"\n");
    }
    text
}

fn site_file(url: &str, slaves: &[String], load: Load) -> String {
    let mut text = format!(
        "gateway = \"bench\"\nclock_vouched = true\nsimulated = true\n[broker]\nurl = {url:?}\n[spool]\ngroup_ms = {}\n[health]\nevery_ms = 0\n",
        load.group_ms
    );
    for device in 0..load.devices {
        if device % PER_SLAVE == 0 {
            let address = &slaves[usize::from(device / PER_SLAVE)];
            text += &format!("[[bus]]\nname = \"bus-{device}\"\ntcp = {address:?}\n");
        }
        text += &format!(
            "[[bus.device]]\nname = \"d{device}\"\nunit = {}\nprofile = \"eight.toml\"\nperiod_ms = {}\n",
            device % PER_SLAVE + 1,
            load.period_ms.unwrap_or(1000)
        );
        for register in 0..load.channels {
            text += &format!("[[bus.device.channel]]\nkey = \"v{register}\"\ntag = \"v{register}\"\nquantity = \"count\"\nunit = \"1\"\n");
            if load.with_urgent && register == 0 && device % PER_SLAVE == 0 {
                text += "limit = [{ high = 50000 }]\n";
            }
        }
    }
    text
}
