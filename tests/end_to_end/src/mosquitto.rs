//! A real Mosquitto in its default configuration, which a test may kill and start again on the same port.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

const PROGRAM: &str = "/usr/sbin/mosquitto";

/// The broker. Killed when dropped.
pub struct Mosquitto {
    port: u16,
    child: Child,
}

impl Mosquitto {
    /// Starts it. `None`, said loudly, where it cannot be had.
    pub async fn start() -> Result<Option<Mosquitto>> {
        if !Path::new(PROGRAM).exists() {
            println!("SKIPPED: no {PROGRAM} (Debian package mosquitto), so delivery over it was not tried");
            return Ok(None);
        }
        let port = crate::free_port();
        let mut broker = Mosquitto { port, child: spawn(port)? };
        broker.wait().await?;
        Ok(Some(broker))
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// `kill -9`: everything it had accepted and not handed on is gone.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("mosquitto can be killed")
    }

    /// Starts it again on the same port, remembering nothing.
    pub async fn restart(&mut self) -> Result<()> {
        self.child = spawn(self.port)?;
        self.wait().await
    }

    async fn wait(&mut self) -> Result<()> {
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("mosquitto stopped at once: {status}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("mosquitto does not answer on port {}", self.port)
    }
}

fn spawn(port: u16) -> Result<Child> {
    let mut command = Command::new(PROGRAM);
    command.args(["-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().context("mosquitto starts")
}
