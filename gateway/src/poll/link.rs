//! The line to a bus, and the guard that makes sure an answer belongs to its question.
//!
//! tokio-modbus frames and parses; it does not protect against an answer that comes late. So: whatever lies
//! on the line before a question is thrown away; unit, function and length of an answer are checked; after
//! any error or timeout the context is dropped. A line without transaction numbers is listened to, before the
//! same unit is asked again, until its late answer has come or can no longer come; other units are asked
//! meanwhile, because a frame of another unit is seen to be one. Modbus TCP simply reconnects.
//!
//! A silent device is probed with little patience (`patience`), so that it costs little of the wire.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_modbus::client::{self, Client};
use tokio_modbus::prelude::{Request, Response, Slave, SlaveContext};
use tokio_serial::SerialPortBuilderExt;

use super::dtu::Dtus;
use crate::device::Block;
use crate::site::{Bus, Workarounds};
pub use patience::PROBE_MARGIN;
use patience::Patience;

mod patience;

/// How to reach a bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Road {
    /// Modbus TCP, `host:port`.
    Tcp(String),
    /// RTU frames through a serial server, `host:port`.
    RtuOverTcp(String),
    /// A serial port or pty.
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

/// Anything bytes go both ways on.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Opens the line.
pub type Opening = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;
/// Opens the line again and again.
pub type Opener = Box<dyn FnMut() -> Opening + Send>;

/// Why there are no registers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The line cannot be opened.
    #[error("cannot open the line: {0}")]
    NoLine(String),
    /// Nobody answered in time.
    #[error("no answer within {0} ms")]
    NoAnswer(u64),
    /// The device answered "no".
    #[error("the device refuses with exception {0}")]
    Refused(u8),
    /// Something came that is no answer to the question.
    #[error("a wrong answer: {0}")]
    Wrong(String),
}

/// A late answer is waited for as long as this many timeouts; later than that no slave we know of answers.
const LATEST_ANSWER_TIMEOUTS: u32 = 4;
/// After the late answer has come, the line counts as quiet after this silence.
const QUIET: Duration = Duration::from_millis(20);

/// One line, used by one task.
pub struct Link {
    opener: Opener,
    is_rtu: bool,
    timeout: Duration,
    gap: Duration,
    line: Option<Line>,
    patience: Patience,
    /// Units that owe an answer, and until when it may come.
    late: HashMap<u8, Instant>,
}

struct Line {
    shared: Shared,
    context: Option<(u8, client::Context)>,
}

impl Link {
    /// The line of a bus.
    pub fn new(bus: &Bus, dtus: &Dtus) -> Link {
        Link::along(&bus.road, Duration::from_millis(bus.timeout_ms), &bus.workarounds, dtus)
    }

    /// The line along a road.
    pub fn along(road: &Road, timeout: Duration, workarounds: &Workarounds, dtus: &Dtus) -> Link {
        // Silence between frames: 3.5 characters of 11 bits, and 1.75 ms above 19200 baud (serial line 2.5.1.1).
        let silence = match road {
            Road::Serial { baud, .. } => Duration::from_micros((38_500_000 / u64::from((*baud).max(1))).max(1_750)),
            _ => Duration::ZERO,
        };
        let (owned, dtus) = (road.clone(), dtus.clone());
        let opener: Opener = Box::new(move || {
            let (road, dtus) = (owned.clone(), dtus.clone());
            Box::pin(async move { open(&road, &dtus).await })
        });
        Link::over(opener, !matches!(road, Road::Tcp(_)), timeout, silence.max(workarounds.pause_between_requests))
    }

    /// A line that `opener` opens; `is_rtu` when frames have no transaction numbers.
    pub fn over(opener: Opener, is_rtu: bool, timeout: Duration, gap: Duration) -> Link {
        Link { opener, is_rtu, timeout, gap, line: None, patience: Patience::new(timeout), late: HashMap::new() }
    }

    /// Reads a block of registers of a unit.
    pub async fn read(&mut self, unit: u8, block: Block) -> Result<Vec<u16>, Failure> {
        let disturbed = self.is_rtu && self.late.keys().any(|late| *late != unit);
        match self.read_once(unit, block).await {
            // A frame of another unit that came late is nobody's fault here.
            Err(Failure::Wrong(_)) if disturbed && self.line.is_some() => self.read_once(unit, block).await,
            done => done,
        }
    }

    async fn read_once(&mut self, unit: u8, block: Block) -> Result<Vec<u16>, Failure> {
        if self.line.is_none() {
            let wait = self.timeout;
            let stream = match timeout(wait, (self.opener)()).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return Err(Failure::NoLine(error.to_string())),
                Err(_) => return Err(Failure::NoLine(format!("not connected within {} ms", wait.as_millis()))),
            };
            self.late.clear();
            self.line = Some(Line { shared: Shared(Arc::new(Mutex::new(stream))), context: None });
        }
        if self.is_rtu {
            if let Some(until) = self.late.remove(&unit) {
                self.outlast(until).await;
            }
            if !self.gap.is_zero() {
                tokio::time::sleep(self.gap).await;
            }
        }
        let Some(line) = &mut self.line else { return Err(Failure::NoLine("closed".to_owned())) };
        // An unasked frame would be taken for the answer.
        if self.is_rtu && (line.context.is_none() || line.shared.has_bytes()) {
            line.context = None;
            line.shared.discard_pending();
        }
        let wait = self.patience.with(unit);
        let began = now();
        let asked = timeout(wait, ask(line, self.is_rtu, unit, block)).await;
        match asked {
            Ok(Ok(Ok(words))) if words.len() == usize::from(block.count) => {
                self.patience.answered(unit, now() - began);
                Ok(words)
            }
            Ok(Ok(Ok(words))) => {
                self.give_up(false).await;
                Err(Failure::Wrong(format!("{} registers where {} were asked for", words.len(), block.count)))
            }
            Ok(Ok(Err(exception))) => {
                self.patience.answered(unit, now() - began);
                Err(Failure::Refused(exception))
            }
            Ok(Err(AskError::Protocol(why))) => {
                self.give_up(true).await;
                Err(Failure::Wrong(why))
            }
            Ok(Err(AskError::Transport(why))) => {
                self.line = None;
                Err(Failure::Wrong(why))
            }
            Err(_) => {
                self.patience.missed(unit);
                line.context = None;
                if self.is_rtu {
                    self.late.insert(unit, now() + self.timeout * LATEST_ANSWER_TIMEOUTS);
                } else {
                    self.line = None;
                }
                Err(Failure::NoAnswer(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
            }
        }
    }

    /// Listens until a late answer has come, or until it can no longer come.
    async fn outlast(&mut self, until: Instant) {
        let Some(line) = &mut self.line else { return };
        let mut bytes = [0_u8; 256];
        let mut patience = until;
        loop {
            match timeout_at(patience, line.shared.read(&mut bytes)).await {
                Ok(Ok(0) | Err(_)) => {
                    self.line = None;
                    return;
                }
                Ok(Ok(_)) => patience = now() + QUIET.max(self.gap),
                Err(_) => return,
            }
        }
    }

    /// After a failure: a line with transaction numbers is closed, any other is listened to until it is quiet.
    async fn give_up(&mut self, may_come_late: bool) {
        let Some(line) = &mut self.line else { return };
        line.context = None;
        if !self.is_rtu {
            self.line = None;
            return;
        }
        let first = if may_come_late { self.timeout * LATEST_ANSWER_TIMEOUTS } else { QUIET };
        self.outlast(now() + first).await;
    }
}

/// Only how long ago, for waiting; what a reading's time is, `clock.rs` says.
#[expect(clippy::disallowed_methods, reason = "the runtime's own clock, which tests pause; it dates nothing")]
fn now() -> Instant {
    Instant::now()
}

enum AskError {
    Protocol(String),
    Transport(String),
}

async fn ask(line: &mut Line, is_rtu: bool, unit: u8, block: Block) -> Result<Result<Vec<u16>, u8>, AskError> {
    let shared = line.shared.clone();
    let attach = || {
        let context = if is_rtu { client::rtu::attach_slave(shared, Slave(unit)) } else { client::tcp::attach_slave(shared, Slave(unit)) };
        (unit, context)
    };
    let (of, context) = line.context.get_or_insert_with(attach);
    if *of != unit {
        *of = unit;
        context.set_slave(Slave(unit));
    }
    // The library's read methods assert the length of what a device sent; `call` leaves the check to us.
    let question = match block.function {
        1 => Request::ReadCoils(block.address, block.count),
        2 => Request::ReadDiscreteInputs(block.address, block.count),
        3 => Request::ReadHoldingRegisters(block.address, block.count),
        4 => Request::ReadInputRegisters(block.address, block.count),
        other => return Err(AskError::Protocol(format!("function {other} is never sent: Davy only reads"))),
    };
    match context.call(question).await {
        Ok(Ok(Response::ReadInputRegisters(words) | Response::ReadHoldingRegisters(words))) => Ok(Ok(words)),
        // Bits come in whole bytes; what is beyond the count is padding.
        Ok(Ok(Response::ReadCoils(bits) | Response::ReadDiscreteInputs(bits))) => {
            let count = usize::from(block.count);
            let most = if bits.len() == count.next_multiple_of(8) { count } else { bits.len() };
            Ok(Ok(bits.into_iter().take(most).map(u16::from).collect()))
        }
        Ok(Ok(other)) => Err(AskError::Protocol(format!("an answer to function {}", other.function_code()))),
        Ok(Err(exception)) => Ok(Err(u8::from(exception))),
        Err(tokio_modbus::Error::Protocol(error)) => Err(AskError::Protocol(error.to_string())),
        // Bytes that make no frame come as InvalidData: the line itself is well.
        Err(tokio_modbus::Error::Transport(error)) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
            Err(AskError::Protocol(error.to_string()))
        }
        Err(tokio_modbus::Error::Transport(error)) => Err(AskError::Transport(error.to_string())),
    }
}

async fn open(road: &Road, dtus: &Dtus) -> io::Result<Box<dyn Stream>> {
    match road {
        Road::Tcp(address) | Road::RtuOverTcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        Road::Serial { path, baud, parity, stop_bits } => {
            let port = tokio_serial::new(path, *baud).parity(*parity).stop_bits(*stop_bits).open_native_async()?;
            Ok(Box::new(port))
        }
        Road::Dtu { registration } => dtus.line(registration).await,
    }
}

/// The line, kept while a context that used it is thrown away. Never contended: one task owns the link.
#[derive(Clone)]
struct Shared(Arc<Mutex<Box<dyn Stream>>>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    fn with<R>(&self, work: impl FnOnce(Pin<&mut Box<dyn Stream>>) -> R) -> R {
        work(Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Takes what lies there. True when there was something.
    fn has_bytes(&self) -> bool {
        self.discard_pending() > 0
    }

    fn discard_pending(&self) -> usize {
        let mut bytes = [0_u8; 256];
        let mut thrown = 0;
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            let mut context = Context::from_waker(std::task::Waker::noop());
            match self.with(|stream| stream.poll_read(&mut context, &mut buffer)) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => thrown += buffer.filled().len(),
                _ => return thrown,
            }
        }
    }
}

impl AsyncRead for Shared {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Shared {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(context, bytes))
    }
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(context))
    }
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests;
