//! What a gateway costs: a real one in a process of its own, between slaves that answer at once and a real
//! collector with its broker. Its CPU seconds and its memory are the operating system's figures.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use collector::Config;
use collector::clock::Clock;
use site::slave::Slave;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::usage;

/// The gateway's beginning (catalogue, first connections) is not measured.
const WARM_UP: Duration = Duration::from_secs(5);

/// So many devices share a connection, as behind a serial server.
const PER_SLAVE: u16 = 10;

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Registers read a second.
    pub registers_per_s: f64,
    /// CPU seconds for 100,000 registers: each is one value, kept on disk and acknowledged by the collector.
    pub cpu_per_100k: f64,
    /// Resident memory at the end.
    pub resident_mb: f64,
    /// What the collector had stored of what was read, at the end, in percent.
    pub stored_percent: f64,
}

/// Measures a gateway with `devices` of eight registers, each read every `period_ms`.
pub async fn cost(devices: u16, period_ms: u32, seconds: u64) -> Result<Cost> {
    let folder = tempfile::tempdir()?;
    let stop = CancellationToken::new();
    let mut config = Config { data_dir: folder.path().join("collector"), simulated: true, ..Config::default() };
    config.http.listen.set_port(0);
    config.mqtt.listen.set_port(0);
    let collector = collector::run(config, stop.clone()).await?;
    let admitted = collector.store.admit_gateway("bench", "bench", "benchmark", collector.clock.wall()).await?;

    let read = Arc::new(AtomicU64::new(0));
    let mut slaves = Vec::new();
    for _ in 0..devices.div_ceil(PER_SLAVE) {
        let counted = read.clone();
        let slave = Slave::start(move |unit, address, count| {
            let before = counted.fetch_add(u64::from(count), Ordering::Relaxed);
            Some((0..count).map(|word| (before as u16).wrapping_add(u16::from(unit) + address + word)).collect())
        });
        slaves.push(slave.await?.address().to_string());
    }
    let url = format!("mqtt://{}", collector.mqtt.context("the broker inside")?);
    let site = site_file(&url, &admitted.user, &admitted.password, &slaves, devices, period_ms);
    let (file, state) = (folder.path().join("site.toml"), folder.path().join("state"));
    std::fs::write(folder.path().join("eight.toml"), profile())?;
    std::fs::write(&file, site)?;

    let mut child = Command::new(std::env::current_exe()?);
    child.arg("gateway-child").arg(&file).arg(&state).stdin(Stdio::piped()).kill_on_drop(true);
    let mut child = child.spawn().context("the gateway's process starts")?;
    let pid = child.id().context("its number")?.to_string();
    tokio::time::sleep(WARM_UP).await;
    if let Some(status) = child.try_wait()? {
        anyhow::bail!("the gateway ended before it was measured: {status}");
    }

    let clock = Clock::system();
    let (began, cpu, registers) = (clock.mono(), usage::cpu_seconds_of(&pid), read.load(Ordering::Relaxed));
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let took_s = clock.mono().since(began) as f64 / 1000.0;
    let cpu = usage::cpu_seconds_of(&pid) - cpu;
    let registers = read.load(Ordering::Relaxed) - registers;
    let resident_mb = usage::resident_megabytes_of(&pid);
    // A moment for what is on its way.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (stored, all) = (collector.live.stored(), read.load(Ordering::Relaxed));
    drop(child.stdin.take());
    child.wait().await?;
    stop.cancel();
    let _ = collector.stopped().await;
    Ok(Cost {
        registers_per_s: registers as f64 / took_s,
        cpu_per_100k: cpu / registers.max(1) as f64 * 1e5,
        resident_mb,
        stored_percent: (stored as f64 / all.max(1) as f64 * 100.0).min(100.0),
    })
}

/// The process that is measured: a gateway until its standard input ends.
pub async fn child(site: &Path, state: PathBuf) -> Result<()> {
    use tokio::io::AsyncReadExt;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let stop = CancellationToken::new();
    let running = gateway::run(gateway::site::Site::load(site)?, state, gateway::clock::Clock::system(true), stop.clone()).await?;
    let mut nothing = [0; 1];
    let _ = tokio::io::stdin().read(&mut nothing).await;
    stop.cancel();
    running.stopped().await;
    Ok(())
}

fn profile() -> String {
    let mut text =
        "id = \"eight\"\nmaker = \"nobody\"\nmodel = \"eight registers\"\nsource = \"the benchmark\"\nconfidence = \"own\"\n".to_owned();
    for register in 0..8 {
        text += &format!("[[register]]\nkey = \"r{register}\"\naddress = {register}\ntype = \"u16\"\n");
    }
    for register in 0..8 {
        text += &format!("[[value]]\nkey = \"v{register}\"\nregister = \"r{register}\"\n");
    }
    text
}

fn site_file(url: &str, user: &str, password: &str, slaves: &[String], devices: u16, period_ms: u32) -> String {
    let mut text = format!(
        "gateway = \"bench\"\nclock_vouched = true\nsimulated = true\n[broker]\nurl = {url:?}\nuser = {user:?}\npassword = {password:?}\n[health]\nevery_ms = 0\n"
    );
    for device in 0..devices {
        if device % PER_SLAVE == 0 {
            let address = &slaves[usize::from(device / PER_SLAVE)];
            text += &format!("[[bus]]\nname = \"bus-{device}\"\ntcp = {address:?}\n");
        }
        text += &format!(
            "[[bus.device]]\nname = \"d{device}\"\nunit = {}\nprofile = \"eight.toml\"\nperiod_ms = {period_ms}\n",
            device % PER_SLAVE + 1
        );
        for register in 0..8 {
            text += &format!("[[bus.device.channel]]\nkey = \"v{register}\"\ntag = \"v{register}\"\nquantity = \"count\"\nunit = \"1\"\n");
        }
    }
    text
}
