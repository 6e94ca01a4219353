//! The real programs, started, killed and stopped the way an operating system does it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// A program of this workspace, at work. Killed when dropped.
pub struct Program {
    name: String,
    child: Child,
    said: watch::Receiver<Vec<String>>,
    log: PathBuf,
    /// Where in the log its own lines begin.
    began: u64,
}

/// Where cargo put a program of this workspace.
///
/// # Panics
/// When it has not been built.
pub fn built(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("this test's own path");
    let program = this.ancestors().nth(2).expect("the folder of the build").join(name);
    assert!(program.exists(), "{} is not built; run: cargo build --workspace --bins", program.display());
    program
}

impl Program {
    /// Starts it. What it says is kept among the artefacts, in `<log>.log`.
    pub fn start(name: &str, arguments: &[&str], log: &str) -> Result<Program> {
        Program::start_under(&[], name, arguments, log)
    }

    /// Starts it under a program that does something to it, such as `strace`.
    pub fn start_under(wrapper: &[&str], name: &str, arguments: &[&str], log: &str) -> Result<Program> {
        let log = crate::artefacts().join(format!("{log}.log"));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let began = file.metadata()?.len();
        let mut command = match wrapper.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(built(name));
                command
            }
            None => Command::new(built(name)),
        };
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file.try_clone()?).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("{name} starts"))?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let (say, said) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                say.send_modify(|said| said.push(line));
            }
        });
        Ok(Program { name: name.to_owned(), child, said, log, began })
    }

    /// Waits until it prints a line that begins so, and gives the rest of that line.
    pub async fn says(&mut self, beginning: &str) -> Result<String> {
        let mut said = self.said.clone();
        let heard = said.wait_for(|lines| lines.iter().any(|line| line.starts_with(beginning)));
        match tokio::time::timeout(Duration::from_secs(60), heard).await {
            Ok(Ok(lines)) => {
                let line = lines.iter().find_map(|line| line.strip_prefix(beginning)).unwrap_or_default();
                Ok(line.trim().to_owned())
            }
            Ok(Err(_)) => bail!("{} ended before it said {beginning:?}: {:?}", self.name, self.child.wait().await?),
            Err(_) => bail!("{} did not say {beginning:?} within 60 s", self.name),
        }
    }

    /// True when this was written to its log since it was started.
    pub fn has_logged(&self, text: &str) -> bool {
        let logged = std::fs::read(&self.log).unwrap_or_default();
        let own = logged.get(usize::try_from(self.began).unwrap_or(usize::MAX)..).unwrap_or_default();
        String::from_utf8_lossy(own).contains(text)
    }

    /// `kill -9`.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.with_context(|| format!("{} can be killed", self.name))
    }

    /// SIGTERM, and waits until it has ended by itself.
    pub async fn stop(&mut self) -> Result<()> {
        let id = self.child.id().context("it has ended already")?;
        let asked = Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        anyhow::ensure!(asked.success(), "SIGTERM could not be sent to {}", self.name);
        let status = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await.context("it does not stop")??;
        anyhow::ensure!(status.success(), "{} stopped with {status}", self.name);
        Ok(())
    }
}

/// Runs a program to its end and gives what it printed.
pub async fn once(name: &str, arguments: &[&str]) -> Result<String> {
    let done = Command::new(built(name)).args(arguments).output().await.with_context(|| format!("{name} starts"))?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    if !done.status.success() {
        bail!("{name} {arguments:?}: {}{}", said, String::from_utf8_lossy(&done.stderr));
    }
    Ok(said)
}

/// Writes a file that a program will read.
pub fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
