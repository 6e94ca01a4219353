//! What `cargo run --release` starts: the simulated site with real gateways and a real collector.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use site::demo::{Demo, Options};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A simulated plant, its gateways and a collector, in one process. Everything on it is SIMULATED.
#[derive(Parser)]
#[command(name = "site", version)]
struct Arguments {
    /// Where everything is kept; a second start goes on from there.
    #[arg(long, default_value = "davy-data")]
    data: PathBuf,
    /// Where the pages are. When the default is taken, the system picks a port.
    #[arg(long)]
    http: Option<SocketAddr>,
    /// The same seed tells the same story.
    #[arg(long, default_value_t = 1815)]
    seed: u64,
    /// Nothing goes wrong by itself.
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| "warn,site=info,rmqtt=error,rmqtt_net=error,rumqttc=error".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_writer(std::io::stderr).init();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .and_then(|runtime| runtime.block_on(run(arguments)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("site: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let shutdown = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let token = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        eprintln!("正在停止 stopping …");
        token.cancel();
        // Whoever asks twice does not want to wait.
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        std::process::exit(130);
    });
    let http = arguments.http.unwrap_or_else(free_or_default);
    let options = Options { data: arguments.data.clone(), http, seed: arguments.seed, has_script: !arguments.quiet };
    let demo = Demo::start(options, shutdown).await?;
    greet(&demo, &arguments);
    demo.stopped().await
}

/// The default address, or any free port when another program has it.
fn free_or_default() -> SocketAddr {
    let default = SocketAddr::from(([127, 0, 0, 1], 8080));
    if std::net::TcpListener::bind(default).is_ok() { default } else { SocketAddr::from(([127, 0, 0, 1], 0)) }
}

fn greet(demo: &Demo, arguments: &Arguments) {
    let kept = arguments.data.join("collector/administrator-password");
    let password = demo.collector.first_password.clone().or_else(|| password_in(&kept));
    println!("\nDavy 矿灯 — 演示,一切数据均为模拟。A demo: everything on it is SIMULATED.\n");
    println!("  打开 open      http://{}", demo.collector.http);
    match password {
        Some(password) => println!("  登录 sign in   admin / {password}   (kept in {} until it is changed)", kept.display()),
        None => println!("  登录 sign in   admin, with the password you chose"),
    }
    println!("  数据 state     {}/  (delete it to begin anew)", arguments.data.display());
    println!("  停止 stop      Ctrl-C\n");
    if !arguments.quiet {
        println!("约一分钟内将有一处模拟泄漏。Within about a minute a simulated leak turns a point red.\n");
    }
}

fn password_in(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}
