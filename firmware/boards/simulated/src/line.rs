//! Lines that carry nodes: Modbus TCP, RTU over TCP, RTU on a pty; and what can be wrong with a line.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use firmware::modbus::{MAX_FRAME, crc16};
use rand::RngExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_serial::{SerialPort, SerialStream};
use tokio_util::sync::CancellationToken;

use crate::heard;
use crate::node::SimulatedNode;

/// The nodes on one line.
pub type Units = Vec<SimulatedNode>;

/// What is wrong with a line. All zero: nothing is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LineFaults {
    /// Every answer comes this much later.
    pub delay: Duration,
    /// Share of answers that never come, 0 to 1.
    pub dropped: f64,
    /// Share of answers with a byte changed.
    pub garbled: f64,
    /// Share of answers cut short.
    pub truncated: f64,
    /// Share of answers sent twice.
    pub doubled: f64,
}

/// A line that is being served. Stops when the token it was given is cancelled.
#[derive(Clone)]
pub struct Line {
    address: Option<SocketAddr>,
    path: Option<String>,
    faults: Arc<Mutex<LineFaults>>,
}

/// After this much silence the bytes so far are a frame. Longer than 3.5 characters because a PC delivers
/// bytes late and in lumps; the true framing is tested in the firmware.
const SILENCE: Duration = Duration::from_millis(15);
/// A read request is always this long, so it needs no silence to be known as whole.
const READ_REQUEST_BYTES: usize = 8;

impl Line {
    /// Modbus TCP on a loopback port the system picks; unit ids choose the node.
    pub async fn modbus_tcp(units: Units, stop: CancellationToken) -> Result<Line> {
        Line::tcp(units, stop, true).await
    }

    /// RTU frames in a TCP stream, as a serial server sends them.
    pub async fn rtu_over_tcp(units: Units, stop: CancellationToken) -> Result<Line> {
        Line::tcp(units, stop, false).await
    }

    async fn tcp(units: Units, stop: CancellationToken, mbap: bool) -> Result<Line> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a loopback port for the line")?;
        let line = Line { address: Some(listener.local_addr()?), path: None, faults: Arc::default() };
        let serving = line.clone();
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! { () = stop.cancelled() => return, accepted = listener.accept() => accepted };
                let Ok((stream, _)) = accepted else { continue };
                let (units, line, stop) = (units.clone(), serving.clone(), stop.clone());
                let _ = stream.set_nodelay(true);
                tokio::spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        _ = async { if mbap { line.serve_mbap(stream, &units).await } else { line.serve_rtu(stream, &units).await } } => {}
                    }
                });
            }
        });
        Ok(line)
    }

    /// RTU on a pseudo-terminal. [`Line::path`] is what a gateway opens.
    pub fn pty(units: Units, stop: CancellationToken) -> Result<Line> {
        let (ours, theirs) = SerialStream::pair().context("a pseudo-terminal")?;
        let path = theirs.name().context("the pseudo-terminal's name")?;
        let line = Line { address: None, path: Some(path), faults: Arc::default() };
        let serving = line.clone();
        tokio::spawn(async move {
            // Held open so that our side sees no hang-up while a gateway closes and opens its own.
            let _theirs = theirs;
            tokio::select! { () = stop.cancelled() => {}, _ = serving.serve_rtu(ours, &units) => {} }
        });
        Ok(line)
    }

    /// Where the line listens, when it is a socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The device path, when it is a pseudo-terminal.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// Makes the line as bad as this from now on.
    pub fn set_faults(&self, faults: LineFaults) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    async fn serve_mbap<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S, units: &Units) -> std::io::Result<()> {
        loop {
            let mut header = [0; 7];
            stream.read_exact(&mut header).await?;
            let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
            if header[2..4] != [0, 0] || !(2..=MAX_FRAME).contains(&length) {
                return Ok(());
            }
            let mut request = vec![0; length - 1];
            stream.read_exact(&mut request).await?;
            heard::request(&request);
            let Some(answer) = units.iter().find(|n| n.unit() == header[6]).and_then(|n| n.answer(&request)) else { continue };
            let mut frame = header[..4].to_vec();
            frame.extend(((answer.len() + 1) as u16).to_be_bytes());
            frame.push(header[6]);
            frame.extend(answer);
            self.send(&mut stream, frame).await?;
        }
    }

    async fn serve_rtu<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S, units: &Units) -> std::io::Result<()> {
        let mut received: Vec<u8> = Vec::with_capacity(MAX_FRAME);
        loop {
            let mut chunk = [0; MAX_FRAME];
            let count = if received.is_empty() {
                stream.read(&mut chunk).await?
            } else {
                match tokio::time::timeout(SILENCE, stream.read(&mut chunk)).await {
                    Ok(read) => read?,
                    Err(_) => {
                        self.answer_rtu(&mut stream, &received, units).await?;
                        received.clear();
                        continue;
                    }
                }
            };
            if count == 0 {
                return Ok(());
            }
            received.extend(&chunk[..count]);
            if received.len() == READ_REQUEST_BYTES && matches!(received[1], 1..=6) {
                self.answer_rtu(&mut stream, &received, units).await?;
                received.clear();
            } else if received.len() > MAX_FRAME {
                received.clear();
            }
        }
    }

    async fn answer_rtu<S: AsyncWrite + Unpin>(&self, stream: &mut S, frame: &[u8], units: &Units) -> std::io::Result<()> {
        if let [_, request @ .., _, _] = frame {
            heard::request(request);
        }
        match units.iter().find_map(|node| node.answer_frame(frame)) {
            Some(answer) => self.send(stream, answer).await,
            None => Ok(()),
        }
    }

    async fn send<S: AsyncWrite + Unpin>(&self, stream: &mut S, mut frame: Vec<u8>) -> std::io::Result<()> {
        let faults = *self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if !faults.delay.is_zero() {
            tokio::time::sleep(faults.delay).await;
        }
        let mut copies = 1;
        {
            let mut chance = rand::rng();
            if chance.random_bool(faults.dropped) {
                return Ok(());
            }
            if chance.random_bool(faults.garbled) {
                let at = chance.random_range(0..frame.len());
                frame[at] ^= 1 << chance.random_range(0..8);
            }
            if chance.random_bool(faults.truncated) {
                frame.truncate(chance.random_range(0..frame.len()));
            }
            if chance.random_bool(faults.doubled) {
                copies = 2;
            }
        }
        for _ in 0..copies {
            stream.write_all(&frame).await?;
        }
        stream.flush().await
    }
}

/// A whole RTU frame from a unit id and a body, for tests that speak to a line themselves.
pub fn frame(unit: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![unit];
    frame.extend(body);
    frame.extend(crc16(&frame).to_le_bytes());
    frame
}
