//! The roads to a bus, and how each is opened. A serial port is looked up anew each time, so that an adapter that
//! comes back under another name is found again by its `/dev/serial/by-id` link, or by a pattern ending in `*`.
//! It is opened and closed on a thread of its own (`port`): a sick adapter holds up its own bus and nobody else's.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::{Opener, Stream};
use crate::poll::dtu::Dtus;
use port::Opening;

mod port;

/// How to reach a bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Road {
    /// Modbus TCP, `host:port`.
    Tcp(String),
    /// RTU frames through a serial server, `host:port`.
    RtuOverTcp(String),
    /// A serial port or pty. A path ending in `*` is the first port, by name, that begins so and opens.
    Serial { path: String, baud: u32, parity: tokio_serial::Parity, stop_bits: tokio_serial::StopBits },
    /// RTU frames through a DTU that dials in and sends this first.
    Dtu { registration: Vec<u8> },
}

impl fmt::Display for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Road::Tcp(address) => write!(f, "tcp {address}"),
            Road::RtuOverTcp(address) => write!(f, "rtu over tcp {address}"),
            Road::Serial { path, .. } => write!(f, "serial {path}"),
            Road::Dtu { registration } => write!(f, "dtu {}", String::from_utf8_lossy(registration).escape_debug()),
        }
    }
}

/// A peer that says nothing for so long is asked whether it lives …
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
/// … this often, this far apart.
const KEEPALIVE_PROBES: u32 = 3;
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
/// Bytes that a peer does not acknowledge for so long end the connection, ms.
const UNACKNOWLEDGED_MS: u32 = 20_000;

impl Road {
    /// Opens this road again and again.
    pub fn opener(&self, dtus: &Dtus) -> Opener {
        match self.clone() {
            Road::Tcp(address) | Road::RtuOverTcp(address) => Box::new(move || Box::pin(connected(address.clone()))),
            Road::Serial { path, baud, parity, stop_bits } => {
                let settings = tokio_serial::new("", baud).parity(parity).stop_bits(stop_bits);
                let opening = Arc::new(Opening::new(path, settings));
                Box::new(move || {
                    let opening = opening.clone();
                    Box::pin(async move { Ok(Box::new(opening.port().await?) as Box<dyn Stream>) })
                })
            }
            Road::Dtu { registration } => {
                let dtus = dtus.clone();
                Box::new(move || {
                    let (dtus, registration) = (dtus.clone(), registration.clone());
                    Box::pin(async move { dtus.line(&registration).await })
                })
            }
        }
    }
}

async fn connected(address: String) -> io::Result<Box<dyn Stream>> {
    let stream = TcpStream::connect(address).await?;
    watch(&stream)?;
    Ok(Box::new(stream))
}

/// Makes the kernel notice a peer that is gone without a word: half-open connections end within half a minute.
pub fn watch(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_EVERY)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    sockopt::set_tcp_user_timeout(stream, UNACKNOWLEDGED_MS)?;
    Ok(())
}
