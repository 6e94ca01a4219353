//! The gateway's command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use gateway::clock::Clock;
use gateway::device::Profile;
use gateway::interpret::{Answer, At, Memory, interpret};
use gateway::poll::dtu::Dtus;
use gateway::poll::link::{Failure, Link};
use gateway::site::Site;
use tokio_util::sync::CancellationToken;

/// Asks field devices, keeps every reading on its own disk, forwards it to a collector.
#[derive(Parser)]
#[command(name = "davy-gateway", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Polls and forwards until it is told to stop.
    Run {
        /// The site file.
        site: PathBuf,
        /// Where the spool lies.
        #[arg(long, default_value = "/var/lib/davy-gateway")]
        state: PathBuf,
    },
    /// Reads a site file and says what is wrong with it.
    Check { site: PathBuf },
    /// Shows what each bus can carry: wire time, share, and what dead devices would add.
    Plan {
        site: PathBuf,
        /// The whole table instead of one line a bus.
        #[arg(long)]
        explain: bool,
    },
    /// Asks every device once and prints what it says. Stores and sends nothing.
    Poll {
        site: PathBuf,
        /// Once, and end.
        #[arg(long)]
        once: bool,
    },
    /// Device profiles.
    Profile {
        #[command(subcommand)]
        command: ProfileCommand,
    },
    /// Looks into a spool that no gateway has open.
    Spool {
        #[command(subcommand)]
        command: SpoolCommand,
    },
    /// Exchanges a one-time code from the collector's page for this gateway's credentials.
    Enrol {
        /// The collector's address, as in the browser.
        #[arg(long)]
        url: String,
        /// The one-time code.
        #[arg(long)]
        code: String,
        /// This gateway's name: 1 to 32 of a-z, 0-9 and '-'.
        #[arg(long)]
        gateway: String,
        /// The new site file.
        #[arg(long, default_value = "site.toml")]
        site: PathBuf,
    },
}

#[derive(Subcommand)]
enum ProfileCommand {
    /// Runs the vectors of a profile file, or of a shipped profile.
    Test { profile: String },
    /// Names the shipped profiles.
    Ls,
}

#[derive(Subcommand)]
enum SpoolCommand {
    /// Lists the segments.
    Ls { directory: PathBuf },
    /// Checks every record.
    Verify { directory: PathBuf },
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,rumqttc=warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match dispatch(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("davy-gateway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run { site, state } => run(&site, state).await,
        Command::Check { site } => check(&site),
        Command::Plan { site, explain } => plan(&site, explain),
        Command::Poll { site, once } => poll(&site, once).await,
        Command::Profile { command: ProfileCommand::Ls } => {
            Profile::shipped_names().for_each(|name| println!("{name}"));
            Ok(())
        }
        Command::Profile { command: ProfileCommand::Test { profile } } => test_profile(&profile),
        Command::Spool { command } => look(command),
        Command::Enrol { url, code, gateway, site } => enrol(&url, &code, &gateway, &site).await,
    }
}

async fn run(path: &Path, state: PathBuf) -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let site = Site::load(path)?;
    let clock = Clock::system(site.clock_vouched);
    let shutdown = CancellationToken::new();
    let running = gateway::run(site, state, clock, shutdown.clone()).await?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    tokio::select! {
        done = tokio::signal::ctrl_c() => done.context("cannot listen for Ctrl-C")?,
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    shutdown.cancel();
    running.stopped().await;
    Ok(())
}

fn check(path: &Path) -> anyhow::Result<()> {
    let site = Site::load(path)?;
    let devices: usize = site.buses.iter().map(|bus| bus.devices.len()).sum();
    let channels = site.catalogue().channels.len();
    println!("{}: gateway {} with {} buses, {devices} devices, {channels} channels", path.display(), site.gateway, site.buses.len());
    Ok(())
}

fn plan(path: &Path, explain: bool) -> anyhow::Result<()> {
    for bus in &Site::load(path)?.buses {
        let plan = gateway::poll::plan::Plan::of(bus);
        if explain {
            println!("{plan}");
        } else {
            println!(
                "{}\t{:.1} % of the wire, {:.1} % with five more devices that are dead",
                plan.bus,
                plan.share(0) * 100.0,
                plan.share(5) * 100.0
            );
        }
    }
    Ok(())
}

async fn poll(path: &Path, once: bool) -> anyhow::Result<()> {
    let site = Site::load(path)?;
    let clock = Clock::system(site.clock_vouched);
    let catalogue = site.catalogue();
    loop {
        for bus in &site.buses {
            let mut link = Link::new(bus, &Dtus::default());
            for device in &bus.devices {
                let (answer, why) = match gateway::poll::ask(&mut link, device, &bus.workarounds).await {
                    Ok(answer) => (answer, String::new()),
                    Err(Failure::Refused(code)) => (Answer::Refused(code), format!("exception {code}")),
                    Err(failure) => (Answer::Nothing, failure.to_string()),
                };
                let now = clock.now();
                for entry in interpret(device, &answer, At { wall: now.wall, mono: now.mono }, &mut Memory::default()) {
                    let gateway::forward::Content::Reading { reading, .. } = entry.content else { continue };
                    let Some(channel) = catalogue.channels.get(reading.channel.0 as usize) else { continue };
                    let unit = channel.measured_in().map_or("", |unit| unit.symbol());
                    match reading.outcome {
                        measurement::Outcome::Good(value) => println!("{}\t{value} {unit}", channel.tag),
                        measurement::Outcome::Uncertain(value, doubt) => println!("{}\t{value} {unit}\t{}", channel.tag, doubt.name()),
                        measurement::Outcome::Bad(fault) => println!("{}\t-\t{}\t{why}", channel.tag, fault.name()),
                    }
                }
            }
        }
        if once {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn test_profile(name: &str) -> anyhow::Result<()> {
    let profile = Profile::find(name, Path::new(".")).map_err(anyhow::Error::msg)?;
    let failures = profile.test();
    for failure in &failures {
        println!("FAILED {failure}");
    }
    anyhow::ensure!(failures.is_empty(), "{} of {} vectors of {} failed", failures.len(), profile.vectors.len(), profile.id);
    println!("{}: {} vectors passed", profile.id, profile.vectors.len());
    Ok(())
}

fn look(command: SpoolCommand) -> anyhow::Result<()> {
    let (directory, verify) = match command {
        SpoolCommand::Ls { directory } => (directory, false),
        SpoolCommand::Verify { directory } => (directory, true),
    };
    let log = directory.join("log");
    let directory = if log.is_dir() { log } else { directory };
    let listing =
        spool::inspect::inspect(&directory, &mut |_| {}).with_context(|| format!("cannot read the spool {}", directory.display()))?;
    println!("epoch {}, {} spare segments", listing.epoch.map_or("unknown".to_owned(), |epoch| format!("{epoch:016x}")), listing.spares);
    for segment in &listing.segments {
        let trouble = segment.trouble.as_deref().unwrap_or("whole");
        println!(
            "{}\t{}..={}\t{} telemetry, {} urgent, {} other\t{} bytes\t{trouble}",
            segment.name, segment.first, segment.last, segment.telemetry, segment.urgent, segment.other, segment.bytes
        );
    }
    listing.set_aside.iter().for_each(|name| println!("{name}\tset aside"));
    let damaged = listing.segments.iter().filter(|segment| segment.trouble.is_some()).count() + listing.set_aside.len();
    anyhow::ensure!(!verify || damaged == 0, "{damaged} segments are damaged");
    Ok(())
}

#[derive(serde::Deserialize)]
struct Admission {
    url: String,
    user: String,
    password: String,
    root: String,
}

async fn enrol(url: &str, code: &str, name: &str, path: &Path) -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    telemetry::topic::GatewayId::new(name)?;
    anyhow::ensure!(!path.exists(), "{} is there already; name another file with --site", path.display());
    let address = format!("{}/api/v1/enrol", url.trim_end_matches('/'));
    let body = serde_json::json!({ "code": code, "gateway": name });
    let answer = reqwest::Client::new().post(&address).json(&body).send().await.with_context(|| format!("cannot reach {address}"))?;
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    anyhow::ensure!(status.is_success(), "the collector refuses the code ({status}): {text}");
    let admission: Admission = serde_json::from_str(&text).context("the collector's answer is no admission")?;
    let site = format!(
        "gateway = \"{name}\"\n\n[broker]\nurl = \"{}\"\nuser = \"{}\"\npassword = \"{}\"\nroot = \"{}\"\n\n# Now add your buses; see gateway/README.md.\n",
        admission.url, admission.user, admission.password, admission.root
    );
    write_secret(path, &site).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{} written. Add your buses to it, then: davy-gateway run {}", path.display(), path.display());
    Ok(())
}

/// The file holds a password: nobody else may read it.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}
