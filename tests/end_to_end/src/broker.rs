//! Real MQTT brokers on loopback ports that the system picks, which a test may kill and start again.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Which broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Mosquitto in its default configuration.
    Mosquitto,
    /// NATS with JetStream and its MQTT listener.
    Nats,
    /// RabbitMQ with its MQTT plugin.
    RabbitMq,
}

impl Kind {
    fn program(self) -> &'static str {
        match self {
            Kind::Mosquitto => "/usr/sbin/mosquitto",
            Kind::Nats => "/usr/sbin/nats-server",
            Kind::RabbitMq => "/usr/lib/rabbitmq/bin/rabbitmq-server",
        }
    }

    /// The account that this broker lets in besides those of its own; none where it lets everybody in.
    pub fn account(self) -> Option<(&'static str, &'static str)> {
        (self == Kind::RabbitMq).then_some(("guest", "guest"))
    }
}

const MOSQUITTO_CONFIG: &str = "mosquitto.conf";

/// The broker. Killed, with everything it started, when dropped.
pub struct Broker {
    kind: Kind,
    port: u16,
    tls_port: Option<u16>,
    folder: tempfile::TempDir,
    child: Child,
    /// RabbitMQ's port mapper, started by us so that none is left behind.
    _mapper: Option<(Child, u16)>,
}

impl Broker {
    /// Starts it. `None`, said loudly, where it cannot be had.
    pub async fn start(kind: Kind) -> Result<Option<Broker>> {
        Broker::start_in(kind, crate::free_port(), None, tempfile::tempdir()?).await
    }

    async fn start_in(kind: Kind, port: u16, tls_port: Option<u16>, folder: tempfile::TempDir) -> Result<Option<Broker>> {
        if !Path::new(kind.program()).exists() {
            println!("SKIPPED: no {}, so delivery over {kind:?} was not tried", kind.program());
            return Ok(None);
        }
        let mapper = match kind {
            Kind::RabbitMq => Some(port_mapper()?),
            Kind::Mosquitto | Kind::Nats => None,
        };
        let child = spawn(kind, port, folder.path(), mapper.as_ref().map_or(0, |(_, port)| *port))?;
        let mut broker = Broker { kind, port, tls_port, folder, child, _mapper: mapper };
        broker.wait().await?;
        Ok(Some(broker))
    }

    /// Mosquitto with a second listener, for whoever shows a certificate of the authority in `papers`: `ca.pem`,
    /// `server.pem` and `server.key`.
    pub async fn start_with_tls(papers: &Path) -> Result<Option<Broker>> {
        let folder = tempfile::tempdir()?;
        let (port, tls_port) = (crate::free_port(), crate::free_port());
        let file = |name: &str| papers.join(name).display().to_string();
        let text = format!(
            "user root\nallow_anonymous true\nlistener {port} 127.0.0.1\nlistener {tls_port} 127.0.0.1\ncafile {}\ncertfile {}\n\
             keyfile {}\nrequire_certificate true\n",
            file("ca.pem"),
            file("server.pem"),
            file("server.key")
        );
        std::fs::write(folder.path().join(MOSQUITTO_CONFIG), text)?;
        Broker::start_in(Kind::Mosquitto, port, Some(tls_port), folder).await
    }

    /// Where clients with certificates connect.
    pub fn tls_port(&self) -> Option<u16> {
        self.tls_port
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// `kill -9`: everything it had accepted and not handed on is gone, or as good as its own disk.
    pub async fn kill(&mut self) -> Result<()> {
        self.kill_group();
        self.child.wait().await.context("the broker can be killed").map(drop)
    }

    /// Starts it again on the same port.
    pub async fn restart(&mut self) -> Result<()> {
        self.child = spawn(self.kind, self.port, self.folder.path(), self._mapper.as_ref().map_or(0, |(_, port)| *port))?;
        self.wait().await
    }

    async fn wait(&mut self) -> Result<()> {
        // RabbitMQ takes its time to start.
        for _ in 0..1200 {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{:?} stopped at once: {status}", self.kind);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("{:?} does not answer on port {}", self.kind, self.port)
    }

    fn kill_group(&self) {
        if let Some(id) = self.child.id() {
            let _ = std::process::Command::new("kill").args(["-9", "--", &format!("-{id}")]).status();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill_group();
    }
}

fn port_mapper() -> Result<(Child, u16)> {
    let port = crate::free_port();
    let mut command = Command::new("epmd");
    command.args(["-port", &port.to_string(), "-address", "127.0.0.1"]).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    Ok((command.spawn().context("epmd starts")?, port))
}

fn spawn(kind: Kind, port: u16, folder: &Path, mapper: u16) -> Result<Child> {
    let mut command = std::process::Command::new(kind.program());
    match kind {
        Kind::Mosquitto if folder.join(MOSQUITTO_CONFIG).exists() => {
            command.arg("-c").arg(folder.join(MOSQUITTO_CONFIG));
        }
        Kind::Mosquitto => {
            command.args(["-p", &port.to_string()]);
        }
        Kind::Nats => {
            let config = folder.join("nats.conf");
            let text = format!(
                "server_name: davy\nlisten: \"127.0.0.1:{}\"\njetstream {{ store_dir: {:?} }}\nmqtt {{ listen: \"127.0.0.1:{port}\" }}\n",
                crate::free_port(),
                folder.join("jetstream")
            );
            std::fs::write(&config, text)?;
            command.arg("-c").arg(config);
        }
        Kind::RabbitMq => {
            std::fs::write(folder.join("plugins"), "[rabbitmq_mqtt].\n")?;
            std::fs::write(folder.join("rabbitmq.conf"), format!("mqtt.listeners.tcp.default = 127.0.0.1:{port}\n"))?;
            command
                .env("HOME", folder)
                .env("ERL_EPMD_PORT", mapper.to_string())
                .env("RABBITMQ_NODENAME", format!("davy{port}@localhost"))
                .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
                .env("RABBITMQ_NODE_PORT", crate::free_port().to_string())
                .env("RABBITMQ_DIST_PORT", crate::free_port().to_string())
                .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
                .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
                .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
                .env("RABBITMQ_LOG_BASE", folder.join("log"))
                .env("RABBITMQ_PID_FILE", folder.join("pid"));
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    Command::from(command).kill_on_drop(true).spawn().with_context(|| format!("{kind:?} starts"))
}
