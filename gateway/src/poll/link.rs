//! The line to a bus, and the guard that makes sure an answer belongs to its question.
//!
//! A line without transaction numbers is guarded by listening. Before a question it has been silent for 3.5 characters,
//! counted from the last byte seen, and whatever lay on it is thrown away. An answer must pass its check and be of the
//! unit, function and length asked. A damaged answer is asked for again at once; one that is overdue, by what its unit is
//! known to take, is asked for again as well. Frames of other units, broadcasts and noise are passed over.
//!
//! A question that met silence may still be answered (`owed`): until it has been or no longer can, a question to the same
//! unit has another shape, a register more, so that the late answer is seen to be one. Other units are asked meanwhile,
//! because a frame of another unit is seen to be one. Modbus TCP has transaction numbers: on any mismatch or silence the
//! connection is made anew.
//!
//! A silent device is probed with little patience (`patience`), so that it costs little of the wire.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::dtu::Dtus;
use crate::device::{Block, MOST_REGISTERS};
use crate::site::{Bus, Workarounds};
pub use counters::{LineCounters, LineSnapshot};
use frame::{Question, Reading, Reply, Shape};
use line::Line;
use owed::Owed;
use patience::Patience;
pub use patience::{FULL_PROBE, PROBE_MARGIN};
pub use road::{Road, watch};
use settings::SettingsWrite;
use silence::Silence;

mod counters;
mod exchange;
mod frame;
mod line;
mod owed;
mod patience;
mod road;
mod settings;
mod silence;

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
    /// It must not be written; nothing was sent.
    #[error("not written: {0}")]
    Forbidden(String),
    /// Bytes that nobody asked for do not stop, so nothing can be asked.
    #[error("the bus is blocked: bytes that nobody asked for do not stop{}", talker.map_or(String::new(), |unit| format!(", last talker is unit {unit}")))]
    Blocked { talker: Option<u8> },
}

/// The least that counts as quiet after something that had no business there, and within a frame.
const QUIET: Duration = Duration::from_millis(20);

/// One line, used by one task.
pub struct Link {
    opener: Opener,
    is_rtu: bool,
    timeout: Duration,
    /// Silence before each question.
    gap: Duration,
    /// After something that had no business there, the line counts as quiet after this silence.
    quiet: Duration,
    /// A frame that stands still for so long within itself is cut off.
    lull: Duration,
    /// What a DTU sends of its own accord.
    interjections: Vec<Vec<u8>>,
    pause_after_connect: Duration,
    closes_after_gather: bool,
    silence: Silence,
    line: Option<Line>,
    patience: Patience,
    owed: Owed,
    /// The unit whose question is on the line, and its answer's shape; still there when a read was dropped half-way.
    asking: Option<(u8, Shape)>,
    /// Units whose frames were heard although another was asked.
    talkers: BTreeSet<u8>,
    counters: Arc<LineCounters>,
}

impl Link {
    /// The line of a bus.
    pub fn new(bus: &Bus, dtus: &Dtus) -> Link {
        Link::along(&bus.road, Duration::from_millis(bus.timeout_ms), &bus.workarounds, dtus)
    }

    /// The line along a road.
    pub fn along(road: &Road, timeout: Duration, workarounds: &Workarounds, dtus: &Dtus) -> Link {
        let mut link = Link::over(road.opener(dtus), !matches!(road, Road::Tcp(_)), timeout, workarounds.pause_between_requests);
        match road {
            Road::Serial { baud, parity, stop_bits, .. } => {
                // Serial line 2.5.1.1: 3.5 characters, and 1.75 ms above 19200 baud.
                let parity = u64::from(*parity != tokio_serial::Parity::None);
                let stops = if *stop_bits == tokio_serial::StopBits::Two { 2 } else { 1 };
                let baud = u64::from((*baud).max(1));
                let character_us = |tenths: u64| (1 + 8 + parity + stops) * tenths * 100_000 / baud + 1;
                let silence = if baud > 19_200 { 1_750 } else { character_us(35) };
                link.gap = link.gap.max(Duration::from_micros(silence));
                // A UART hands over up to 16 characters at a time, a USB adapter every 16 ms.
                link.quiet = link.gap.max(QUIET + Duration::from_micros(character_us(320)));
                link.lull = link.quiet;
                link.silence = Silence::Precise(None);
            }
            Road::Dtu { registration } => link.interjections = dtus.interjections(registration),
            Road::Tcp(_) | Road::RtuOverTcp(_) => {}
        }
        // Who needs each register asked for by itself gets no question that is longer.
        link.owed = Owed::new(if workarounds.one_request_per_field { 0 } else { workarounds.max_registers_per_request });
        link.pause_after_connect = workarounds.pause_after_connect;
        // A DTU's line is not ours to dial again.
        link.closes_after_gather = workarounds.close_connection_after_gather && !matches!(road, Road::Dtu { .. });
        link
    }

    /// A line that `opener` opens; `is_rtu` when frames have no transaction numbers.
    pub fn over(opener: Opener, is_rtu: bool, timeout: Duration, gap: Duration) -> Link {
        Link {
            opener,
            is_rtu,
            timeout,
            gap,
            quiet: QUIET.max(gap),
            // Through a network or a radio, the pieces of one frame may come a good while apart.
            lull: QUIET.max(timeout / 4),
            interjections: Vec::new(),
            pause_after_connect: Duration::ZERO,
            closes_after_gather: false,
            silence: Silence::Coarse,
            line: None,
            patience: Patience::new(timeout),
            owed: Owed::new(MOST_REGISTERS),
            asking: None,
            talkers: BTreeSet::new(),
            counters: Arc::new(LineCounters::default()),
        }
    }

    /// Reads a block of registers of a unit. A damaged answer is asked for again at once.
    pub async fn read(&mut self, unit: u8, block: Block) -> Result<Vec<u16>, Failure> {
        self.read_within(unit, block, None).await
    }

    async fn read_within(&mut self, unit: u8, block: Block, patience: Option<Duration>) -> Result<Vec<u16>, Failure> {
        let reading =
            Reading::of(block).ok_or_else(|| Failure::Wrong(format!("{block:?} is never asked: Davy only reads, functions 1 to 4")))?;
        match self.ask(unit, &Question::Read(reading), patience).await? {
            Reply::Words(words) => Ok(words),
            Reply::Exception(code) => Err(Failure::Refused(code)),
            other => Err(Failure::Wrong(format!("{other:?} where registers were asked for"))),
        }
    }

    /// Writes settings of a Davy node, and nothing else to nobody else: any address outside the settings is refused, and so
    /// is a unit whose identity block is not that of a node. It is asked once; what stands there now, reading tells.
    pub async fn write_settings(&mut self, unit: u8, address: u16, words: &[u16]) -> Result<(), Failure> {
        let write = SettingsWrite::of(address, words).ok_or_else(|| {
            Failure::Forbidden(format!("{} registers from {address:#06x} on are not within one block of a node's settings", words.len()))
        })?;
        if !(1..=247).contains(&unit) {
            return Err(Failure::Forbidden(format!("unit {unit} is not one node: write to 1 to 247")));
        }
        let block = Block { function: 3, address: register_map::IDENTITY, count: register_map::IDENTITY_WORDS as u16 };
        let identity = self.read(unit, block).await?;
        if register_map::Identity::decode(&identity).is_err() {
            return Err(Failure::Forbidden(format!("unit {unit} is no Davy node")));
        }
        match self.ask(unit, &Question::WriteSettings(write), None).await? {
            Reply::Written => Ok(()),
            Reply::Exception(code) => Err(Failure::Refused(code)),
            other => Err(Failure::Wrong(format!("{other:?} where registers were written"))),
        }
    }

    /// Reads a block with no more than this patience, to find out whether somebody is there.
    pub async fn probe(&mut self, unit: u8, block: Block, patience: Duration) -> Result<Vec<u16>, Failure> {
        self.read_within(unit, block, Some(patience)).await
    }

    /// What the device says of itself (function 43/14): objects by number, 0 maker, 1 product code, 2 revision.
    pub async fn identify(&mut self, unit: u8) -> Result<Vec<(u8, String)>, Failure> {
        match self.ask(unit, &Question::Identification, None).await? {
            Reply::Identification(objects) => Ok(objects),
            Reply::Exception(code) => Err(Failure::Refused(code)),
            other => Err(Failure::Wrong(format!("{other:?} where an identification was asked for"))),
        }
    }

    /// True when an answer that comes too late may still be heard: over Modbus TCP the connection is made anew instead.
    pub fn hears_late_answers(&self) -> bool {
        self.is_rtu
    }

    /// Units whose frames were heard although another was asked, since this was last called.
    pub fn take_talkers(&mut self) -> BTreeSet<u8> {
        std::mem::take(&mut self.talkers)
    }

    /// The device has been asked for everything: the line is closed where a workaround wants it so.
    pub fn gathered(&mut self) {
        if self.closes_after_gather {
            self.line = None;
        }
    }

    /// What this line has gone through. The same object for as long as the link lives.
    pub fn counters(&self) -> Arc<LineCounters> {
        self.counters.clone()
    }
}

/// Only how long ago, for waiting; what a reading's time is, `clock.rs` says.
#[expect(clippy::disallowed_methods, reason = "the runtime's own clock, which tests pause; it dates nothing")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
