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
use tokio::time::{Instant, timeout, timeout_at};

use super::dtu::Dtus;
use crate::device::{Block, MOST_REGISTERS};
use crate::site::{Bus, Workarounds};
pub use counters::{LineCounters, LineSnapshot};
use frame::{Heard, Question, Reading, Reply, Shape};
use line::Line;
use owed::Owed;
use patience::Patience;
pub use patience::{FULL_PROBE, PROBE_MARGIN};
pub use road::{Road, watch};
use settings::SettingsWrite;
use silence::Silence;

mod counters;
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

/// A late answer is waited for as long as this many timeouts; later than that no slave we know of answers.
const LATEST_ANSWER_TIMEOUTS: u32 = 4;
/// The least that counts as quiet after something that had no business there, and within a frame.
const QUIET: Duration = Duration::from_millis(20);
/// A question is put so often, as long as the bus timeout allows. Of a line that spoils a tenth of all questions and a
/// tenth of all answers one poll in 500,000 is lost; with three attempts it would be one in 150.
const ATTEMPTS: u32 = 8;
/// So many of them may have met nothing but silence: each leaves an answer that is owed.
const SILENT_ATTEMPTS: u32 = 4;

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

/// How an attempt failed.
enum Miss {
    /// The answer came damaged, or something else came and the answer no longer will.
    Spoilt(String),
    /// The other end hung up.
    Closed(String),
    /// Nothing came that is an answer, until it was overdue.
    Silent(Failure),
    /// Nothing can be gained by asking again.
    For(Failure),
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

    /// Asks until there is an answer, the attempts are used up, or the bus timeout is.
    async fn ask(&mut self, unit: u8, question: &Question, patience: Option<Duration>) -> Result<Reply, Failure> {
        // A read that was dropped half-way left its question on the line.
        if let Some((unit, shape)) = self.asking.take() {
            self.owes_an_answer(unit, shape);
        }
        let (mut began, mut attempt, mut silent) = (None, 1, 0);
        loop {
            let put = self.make_ready(unit, question).await?;
            let sent = now();
            let began = *began.get_or_insert(sent);
            let end = began + self.timeout;
            let wait = self.patience.with(unit).min(patience.unwrap_or(self.timeout));
            // A question that was lost is put again as soon as its answer is overdue. The last one is waited for to the end.
            let may_again = self.is_rtu && silent < SILENT_ATTEMPTS && self.owed.can_put_again(unit, question, &put, sent);
            let overdue = self.patience.overdue(unit).filter(|overdue| may_again && sent + *overdue * 2 <= end);
            self.asking = Some((unit, put.shape()));
            self.counters.asked(attempt > 1);
            let outcome = self.attempt(unit, &put, sent, (sent + overdue.unwrap_or(wait)).min(end)).await;
            self.asking = None;
            let (why, most) = match outcome {
                Ok(Reply::Exception(_)) if put != *question => {
                    // It refuses the registers beyond; only the question as it stands will do.
                    self.owed.refused(unit, question, &put);
                    continue;
                }
                Ok(Reply::Words(mut words)) => {
                    self.owed.put(unit, question, &put, true);
                    if let Question::Read(reading) = question {
                        words.truncate(reading.count().into());
                    }
                    return Ok(Reply::Words(words));
                }
                Ok(reply) => return Ok(reply),
                Err(Miss::For(failure)) => return Err(failure),
                Err(Miss::Silent(failure)) => {
                    self.owed.put(unit, question, &put, false);
                    self.owes_an_answer(unit, put.shape());
                    if overdue.is_none() || attempt >= ATTEMPTS {
                        self.counters.missed();
                        self.patience.missed(unit);
                        return Err(if matches!(failure, Failure::NoAnswer(_)) { no_answer(now() - began) } else { failure });
                    }
                    silent += 1;
                    attempt += 1;
                    continue;
                }
                Err(Miss::Spoilt(why)) => (why, ATTEMPTS),
                Err(Miss::Closed(why)) => (why, 2),
            };
            // Another attempt takes about as long as this one.
            if question.writes() || attempt >= most || now() + (now() - sent) > end {
                return Err(Failure::Wrong(why));
            }
            attempt += 1;
        }
    }

    /// Opens the line, sees to it that no late answer of this unit can be taken for the one to this question, and waits for
    /// silence. Says in which shape the question is to be put.
    async fn make_ready(&mut self, unit: u8, question: &Question) -> Result<Question, Failure> {
        // A line that turns out to be closed is opened anew, once; owed answers are waited for once.
        for _ in 0..3 {
            if self.line.is_none() {
                self.open().await?;
            }
            let put = match self.owed.shaped(unit, question, now()) {
                Ok(put) => put,
                Err(until) => {
                    self.outlast(unit, question, until).await?;
                    continue;
                }
            };
            self.settle().await?;
            if self.line.is_some() {
                return Ok(put);
            }
        }
        Err(Failure::NoLine("it is closed as soon as it is opened".to_owned()))
    }

    async fn open(&mut self) -> Result<(), Failure> {
        let wait = self.timeout;
        let stream = match timeout(wait, (self.opener)()).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Failure::NoLine(error.to_string())),
            Err(_) => return Err(Failure::NoLine(format!("not connected within {} ms", wait.as_millis()))),
        };
        if !self.pause_after_connect.is_zero() {
            tokio::time::sleep(self.pause_after_connect).await;
        }
        self.counters.opened();
        self.line = Some(Line::new(stream));
        Ok(())
    }

    /// Listens for answers that are owed. A single one is waited for until it has come or no longer can; with more, as long
    /// as an answer would be waited for.
    async fn outlast(&mut self, unit: u8, question: &Question, until: Instant) -> Result<(), Failure> {
        let (is_single, began) = (self.owed.is_single(unit), now());
        let wait = self.patience.with(unit);
        let until = if is_single { until } else { until.min(began + wait) };
        let (mut patience, mut unasked) = (until, Vec::new());
        loop {
            let Some(line) = &mut self.line else { return Ok(()) };
            match timeout_at(patience, line.hear()).await {
                Ok(Ok(_)) => {
                    let strangers = pass_over(&mut unasked, &mut line.heard, &mut self.owed, &self.interjections);
                    self.counters.heard_unasked(strangers);
                    if now() > until + self.timeout {
                        return Err(blocked(&self.counters, frame::talker(&unasked)));
                    }
                    // A heartbeat is not the answer waited for.
                    if strangers > 0 && is_single {
                        patience = now() + self.quiet;
                    }
                }
                Ok(Err(_)) => self.line = None,
                Err(_) if is_single => {
                    self.owed.forget(unit);
                    return Ok(());
                }
                Err(_) if self.owed.shaped(unit, question, now()).is_ok() => return Ok(()),
                Err(_) => {
                    self.counters.missed();
                    self.patience.missed(unit);
                    return Err(no_answer(wait));
                }
            }
        }
    }

    /// Waits until the line has been silent for long enough, throwing away what comes. A closed line is left behind.
    async fn settle(&mut self) -> Result<(), Failure> {
        let Some(line) = &mut self.line else { return Ok(()) };
        let began = now();
        let mut unasked = Vec::new();
        let mut heard = line.hear_pending();
        loop {
            if heard.is_err() {
                self.line = None;
                return Ok(());
            }
            let strangers = pass_over(&mut unasked, &mut line.heard, &mut self.owed, &self.interjections);
            if strangers > 0 {
                self.counters.heard_unasked(strangers);
                line.is_unsettled = self.is_rtu;
            }
            let gap = if line.is_unsettled { self.quiet } else { self.gap };
            let quiet_at = line.busy + gap;
            let at = now();
            if at >= quiet_at {
                line.is_unsettled = false;
                return Ok(());
            }
            if !unasked.is_empty() && at - began > self.timeout.max(gap * 2) {
                return Err(blocked(&self.counters, frame::talker(&unasked)));
            }
            heard = tokio::select! {
                biased;
                heard = line.hear() => heard,
                () = self.silence.until(quiet_at) => line.hear_pending(),
            };
        }
    }

    /// Puts the question and listens until there is an answer or none can come.
    async fn attempt(&mut self, unit: u8, question: &Question, sent: Instant, deadline: Instant) -> Result<Reply, Miss> {
        let Some(line) = &mut self.line else { return Err(Miss::Closed("the line is closed".to_owned())) };
        let transaction = line.transaction;
        line.transaction = transaction.wrapping_add(1);
        let asked = if self.is_rtu { question.rtu(unit) } else { question.tcp(unit, transaction) };
        if !matches!(timeout_at(deadline, line.send(&asked)).await, Ok(Ok(()))) {
            return Err(self.lost("the question cannot be sent".to_owned(), unit, question));
        }
        // Once something else was heard, an answer is waited for no longer than this unit is known to take.
        let hopeless = self.patience.pace(unit).map_or(deadline, |pace| (sent + pace).min(deadline));
        let mut strange: Option<String> = None;
        let (mut bytes, mut talker) = (0, None);
        loop {
            let heard =
                if self.is_rtu { frame::rtu(&line.heard, unit, question) } else { frame::tcp(&line.heard, transaction, unit, question) };
            match heard {
                Heard::Answer { reply, end } => {
                    line.heard.drain(..end);
                    let strangers = line::strip_unasked(&mut line.heard, &self.interjections);
                    line.is_unsettled = self.is_rtu && strangers > 0;
                    self.counters.heard_unasked(strangers);
                    self.patience.answered(unit, line.busy - sent);
                    self.counters.answered(unit, line.busy - sent, matches!(reply, Reply::Exception(_)));
                    return Ok(reply);
                }
                Heard::Other { unit: of, why, end } if self.is_rtu => {
                    let was_owed = self.owed.came(of, frame::shape(&line.heard));
                    line.heard.drain(..end);
                    if of == unit && was_owed {
                        self.counters.heard_unasked(end);
                        continue;
                    }
                    if of == unit {
                        self.counters.heard_garbage(unit);
                        return Err(Miss::Spoilt(why));
                    }
                    self.counters.heard_foreign(of);
                    self.talkers.insert(of);
                    talker = Some(of);
                    strange = Some(why);
                    continue;
                }
                Heard::Other { why, .. } | Heard::Broken(why) => {
                    self.counters.heard_garbage(unit);
                    self.line = None;
                    return Err(Miss::Spoilt(why));
                }
                // Some adapters hear themselves.
                Heard::More if self.is_rtu && line.heard.starts_with(&asked) => {
                    line.heard.drain(..asked.len());
                    continue;
                }
                Heard::More => {}
            }
            let may_be_the_answer = !self.is_rtu || frame::may_begin(&line.heard, unit, question);
            if !may_be_the_answer && line::strip(&mut line.heard, &self.interjections) {
                continue;
            }
            let alarm = match (line.heard.is_empty(), &strange) {
                (false, _) if self.is_rtu => (line.busy + self.lull).min(deadline),
                (true, Some(_)) => hopeless,
                _ => deadline,
            };
            match timeout_at(alarm, line.hear()).await {
                Ok(Ok(more)) => bytes += more,
                Ok(Err(error)) => return Err(self.lost(error.to_string(), unit, question)),
                Err(_) if now() >= deadline => {
                    let babbles = bytes > 2 * frame::LONGEST && now() - line.busy < self.quiet;
                    let blocked = babbles.then(|| blocked(&self.counters, frame::talker(&line.heard).or(talker)));
                    if !line.heard.is_empty() {
                        self.counters.heard_garbage(unit);
                        strange = Some(format!("{} bytes that are no frame", line.heard.len()));
                    }
                    let failure = blocked.unwrap_or(strange.map_or(no_answer(deadline - sent), Failure::Wrong));
                    return Err(Miss::Silent(failure));
                }
                // Half a frame that goes on no more, or something that never was one.
                Err(_) if !line.heard.is_empty() => {
                    if line::strip(&mut line.heard, &self.interjections) {
                        continue;
                    }
                    let rest = std::mem::take(&mut line.heard);
                    self.counters.heard_garbage(unit);
                    let why = format!("{} bytes that are no frame", rest.len());
                    if frame::was_the_answer(&rest, unit, question) {
                        return Err(Miss::Spoilt(why));
                    }
                    strange = Some(why);
                }
                Err(_) => return Err(Miss::Spoilt(strange.unwrap_or_default())),
            }
        }
    }

    /// The line is gone. Without transaction numbers an answer may still come out of the new one.
    fn lost(&mut self, why: String, unit: u8, question: &Question) -> Miss {
        self.line = None;
        if !self.is_rtu {
            return Miss::Closed(why);
        }
        self.owes_an_answer(unit, question.shape());
        Miss::For(Failure::Wrong(why))
    }

    /// From now on an answer of this unit may come that nobody waits for.
    fn owes_an_answer(&mut self, unit: u8, shape: Shape) {
        if self.is_rtu {
            self.owed.add(unit, shape, now(), self.timeout * LATEST_ANSWER_TIMEOUTS);
        } else {
            self.line = None;
        }
        if let Some(line) = &mut self.line {
            line.heard.clear();
        }
    }
}

/// Moves bytes that nobody waits for to the few that are kept to tell who talks; says how many are strangers. An answer
/// that was owed is so no longer.
fn pass_over(unasked: &mut Vec<u8>, heard: &mut Vec<u8>, owed: &mut Owed, interjections: &[Vec<u8>]) -> usize {
    if heard.is_empty() {
        return 0;
    }
    let mut rest = &heard[..];
    while let Some((frame, behind)) = frame::whole(rest).and_then(|end| rest.split_at_checked(end)) {
        owed.came(frame[0], frame::shape(frame));
        rest = behind;
    }
    let before = unasked.len();
    unasked.extend_from_slice(heard);
    let strangers = line::strip_unasked(heard, interjections);
    if strangers == 0 {
        unasked.truncate(before);
    }
    unasked.drain(..unasked.len().saturating_sub(frame::LONGEST));
    strangers
}

fn blocked(counters: &LineCounters, talker: Option<u8>) -> Failure {
    counters.found_blocked(talker);
    Failure::Blocked { talker }
}

fn no_answer(within: Duration) -> Failure {
    Failure::NoAnswer(u64::try_from(within.as_millis()).unwrap_or(u64::MAX))
}

/// Only how long ago, for waiting; what a reading's time is, `clock.rs` says.
#[expect(clippy::disallowed_methods, reason = "the runtime's own clock, which tests pause; it dates nothing")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
