//! The gateway's command line. Every command prints for people, or with `--json` for machines; what goes wrong is
//! one sentence on standard error, and an exit code: 1 when it went wrong, 2 when it was asked wrongly.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use gateway::site::SiteError;

mod command;

/// Asks field devices, keeps every reading on its own disk, forwards it to a collector.
#[derive(Parser)]
#[command(
    name = "davy-gateway",
    version,
    after_help = "Exit codes: 0 done, 1 it went wrong, 2 the command or the site file is wrong.\n\
                  Signals (run): SIGTERM and SIGINT stop within 5 s, everything read is on the disk; SIGHUP loads the site file again.\n\
                  Logs go to standard error; RUST_LOG sets their level, for example RUST_LOG=gateway=debug."
)]
struct Cli {
    /// Prints JSON: one document, or one a line where there are many.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Polls and forwards until it is told to stop.
    Run {
        /// The site file. It is followed: a change is loaded without stopping the buses that it leaves as they are.
        site: PathBuf,
        /// Where the spool lies.
        #[arg(long, default_value = "/var/lib/davy-gateway")]
        state: PathBuf,
    },
    /// Reads a site file and says what is wrong with it.
    Check {
        /// The site file.
        site: PathBuf,
    },
    /// Shows what each bus can carry: wire time, share, and what dead devices would add.
    Plan {
        /// The site file.
        site: PathBuf,
        /// The whole table instead of one line a bus.
        #[arg(long)]
        explain: bool,
    },
    /// Asks every device and prints what it says. Stores and sends nothing.
    Poll {
        /// The site file.
        site: PathBuf,
        /// Once, and end.
        #[arg(long)]
        once: bool,
    },
    /// Finds who is on a bus and guesses the profiles. Only reads.
    Scan(command::scan::Scan),
    /// Device profiles.
    Profile {
        #[command(subcommand)]
        command: command::profile::Profile,
    },
    /// Looks into a spool, best one that no gateway has open. Changes nothing.
    Spool {
        #[command(subcommand)]
        command: command::spool::Spool,
    },
    /// Shows the settings of a Davy node, and with --write changes them where the site allows it.
    Settings(command::settings::Settings),
    /// Exchanges a one-time code from the collector's page for this gateway's credentials.
    Enrol(command::enrol::Enrol),
}

/// The command or a file it was given is wrong: nothing was tried.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Threads that are still at it when all is done, in a name server or a sick serial adapter, are waited for so long.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// One thread asks and sends: two would wake each other for every answer, which costs more than the answer. The disk has a thread
/// of its own (`forward/keeper`), and so has what may take its time, such as opening a serial port.
fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("davy-gateway: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(begin());
    runtime.shutdown_timeout(LAST_WAIT);
    code
}

async fn begin() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,rumqttc=warn".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match dispatch(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("davy-gateway: {error:#}");
            if error.is::<SiteError>() || error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Whoever reads us has seen enough, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

async fn dispatch(cli: Cli) -> anyhow::Result<()> {
    let json = cli.json;
    match cli.command {
        Command::Run { site, state } => command::run::run(&site, state).await,
        Command::Check { site } => command::check::check(&site, json),
        Command::Plan { site, explain } => command::plan::plan(&site, explain, json),
        Command::Poll { site, once } => command::poll::poll(&site, once, json).await,
        Command::Profile { command } => command::profile::profile(command, json),
        Command::Spool { command } => command::spool::look(command, json),
        Command::Scan(scan) => command::scan::look(scan, json).await,
        Command::Settings(settings) => command::settings::settings(settings, json).await,
        Command::Enrol(enrol) => command::enrol::enrol(enrol, json).await,
    }
}
