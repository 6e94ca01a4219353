//! The collector's program: `davy-collector [--config FILE] [run | verify-journal | backup DIR | restore DIR | reset-password]`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use collector::Config;
use collector::clock::Clock;
use collector::store::Store;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The control room: remembers, judges, grades, tells, shows.
#[derive(Parser)]
#[command(name = "davy-collector", version)]
struct Arguments {
    /// The settings file (TOML). Without it everything is on this machine only, with data in ./davy-data.
    #[arg(long, short, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    order: Option<Order>,
}

#[derive(Subcommand)]
enum Order {
    /// Runs the collector until Ctrl-C or SIGTERM (the default).
    Run,
    /// Walks the journal's hash chain and says whether anything was changed.
    VerifyJournal,
    /// Writes a backup into an empty folder, while the collector is stopped.
    Backup {
        /// The folder.
        folder: PathBuf,
    },
    /// Restores a backup to where nothing is yet.
    Restore {
        /// The folder of the backup.
        folder: PathBuf,
    },
    /// Gives an account a new random password and prints it.
    ResetPassword {
        /// The account.
        #[arg(default_value = "admin")]
        account: String,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,rmqtt=warn,rumqttc=warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .and_then(|runtime| runtime.block_on(obey(arguments)));
    match done {
        Ok(code) => code,
        Err(error) => {
            // `{:#}` puts the causes behind the sentence, on one line.
            eprintln!("davy-collector: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn obey(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = match &arguments.config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    match arguments.order.unwrap_or(Order::Run) {
        Order::Run => run(config).await,
        Order::VerifyJournal => verify_journal(&config).await,
        Order::Backup { folder } => {
            let (store, url) = open(&config).await?;
            let series =
                timeseries::Store::open(&config.series_dir(), timeseries::Options::default()).context("is the collector still running?")?;
            let manifest = collector::backup::backup(&store, &url, &series, &folder, Clock::system().wall()).await?;
            println!("backed up {} journal entries to {}", manifest.journal_entries, folder.display());
            Ok(ExitCode::SUCCESS)
        }
        Order::Restore { folder } => {
            let manifest = collector::backup::restore(&folder, &config.database_url(), &config.series_dir()).await?;
            println!(
                "restored {} journal entries from {}; every count and the journal are as they were",
                manifest.journal_entries,
                folder.display()
            );
            Ok(ExitCode::SUCCESS)
        }
        Order::ResetPassword { account } => {
            let (store, _) = open(&config).await?;
            let accounts = collector::accounts::Accounts::new(store, Some(config.data_dir.clone()));
            let password = accounts.reset_password(&account, Clock::system().wall()).await?;
            println!("the new password of {account} is {password}");
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn open(config: &Config) -> anyhow::Result<(Store, String)> {
    let url = config.database_url();
    let anchor = collector::store::sqlite_path(&url).is_none().then(|| config.data_dir.join("journal-anchor"));
    let store = match anchor {
        Some(anchor) => Store::open_with(&url, Some(anchor)).await?,
        None => Store::open(&url).await?,
    };
    Ok((store, url))
}

async fn verify_journal(config: &Config) -> anyhow::Result<ExitCode> {
    let (store, _) = open(config).await?;
    let verdict = store.verify_journal().await?;
    match verdict.finding {
        None => {
            println!("the journal is whole: {} entries, head {}", verdict.head.count, verdict.head.hash.hex());
            Ok(ExitCode::SUCCESS)
        }
        Some(finding) => {
            let (zh, en) = finding.sentences();
            println!("{en}\n{zh}");
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let shutdown = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let token = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        token.cancel();
    });
    let data_dir = config.data_dir.clone();
    let running = collector::run(config, shutdown).await?;
    println!("pages: http://{}", running.http);
    if let Some(mqtt) = running.mqtt {
        println!("gateways: mqtt://{mqtt}");
    }
    if let Some(password) = &running.first_password {
        println!(
            "first sign-in: admin / {password}   (also in {}; removed when it is changed)",
            data_dir.join("administrator-password").display()
        );
    }
    match running.stopped().await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(ended) => {
            eprintln!("davy-collector: part {} failed: {}; the process ends so that it can be started again", ended.part, ended.how);
            Ok(ExitCode::FAILURE)
        }
    }
}
