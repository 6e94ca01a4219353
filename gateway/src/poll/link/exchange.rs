//! One exchange on a line: how a question is put, listened for, put again, and given up.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::frame::{self, Heard, Question, Reply, Shape};
use super::line::{self, Line};
use super::owed::Owed;
use super::{Failure, LineCounters, Link, now};

/// A late answer is waited for as long as this many timeouts; later than that no slave we know of answers.
const LATEST_ANSWER_TIMEOUTS: u32 = 4;
/// A question is put so often, as long as the bus timeout allows. Of a line that spoils a tenth of all questions and a
/// tenth of all answers about one poll in 100,000 is lost; with three attempts it would be one in 150.
const ATTEMPTS: u32 = 8;
/// So many of them may have met nothing but silence: each leaves an answer that is owed.
const SILENT_ATTEMPTS: u32 = 4;

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
    /// Asks until there is an answer, the attempts are used up, or the bus timeout is.
    pub(super) async fn ask(&mut self, unit: u8, question: &Question, patience: Option<Duration>) -> Result<Reply, Failure> {
        // A read that was dropped half-way left its question on the line.
        if let Some((unit, shape)) = self.asking.take() {
            self.owes_an_answer(unit, shape);
        }
        let (mut first, mut attempt, mut silent) = (None, 1, 0);
        loop {
            let put = self.make_ready(unit, question).await?;
            let sent = now();
            let began = *first.get_or_insert(sent);
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
                    // It refuses the registers beyond, so that a late answer may have to be waited for: the time begins anew.
                    self.owed.refused(unit, question, &put);
                    first = None;
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
