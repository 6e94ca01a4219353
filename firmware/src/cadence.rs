//! When a part on a bus is started and when it is read. Pure: it is told the time and what became of the bus.

use measurement::MonotonicMs;

/// What a part's datasheet and its place in the node ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From one measurement to the next.
    pub every_ms: u32,
    /// From the start of a measurement until its result is there at the latest.
    pub ready_after_ms: u32,
    /// It goes on measuring once it was started.
    pub continuous: bool,
}

/// What must be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Start a measurement.
    Start,
    /// Read its result.
    Read,
}

/// What became of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// A measurement was started.
    Started,
    /// Its result was read.
    Measured,
    /// There is no result yet.
    NotYet,
    /// The bus or the part failed.
    Failed,
}

/// A result that is late is asked for again this often.
const ASK_AGAIN_MS: u64 = 10;
/// A part that measures by itself need not be asked as often.
const ASK_AGAIN_CONTINUOUS_MS: u64 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Resting,
    Measuring { since: MonotonicMs, ask_at_ms: u64 },
}

/// Remembers where one part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    state: State,
    started_at: Option<MonotonicMs>,
}

impl Default for Cadence {
    fn default() -> Cadence {
        Cadence::new()
    }
}

impl Cadence {
    /// A part that was never started.
    pub const fn new() -> Cadence {
        Cadence { state: State::Resting, started_at: None }
    }

    /// What is due, if anything. Stays due until [`Cadence::done`] says what became of it.
    pub fn turn(&self, pace: Pace, now: MonotonicMs) -> Option<Turn> {
        match self.state {
            State::Resting => {
                let rested = self.started_at.is_none_or(|at| now.since(at) >= u64::from(pace.every_ms));
                rested.then_some(Turn::Start)
            }
            State::Measuring { ask_at_ms, .. } => (now.0 >= ask_at_ms).then_some(Turn::Read),
        }
    }

    /// Takes what became of the turn.
    pub fn done(&mut self, turn: Turn, done: Done, pace: Pace, now: MonotonicMs) {
        let ask_after = |ms: u64| now.0.saturating_add(ms);
        self.state = match (turn, done, self.state) {
            // A part that measures by itself takes no second start while it does; so a refused start is followed by a reading too.
            (Turn::Start, done, _) => {
                self.started_at = Some(now);
                if done == Done::Failed && !pace.continuous {
                    State::Resting
                } else {
                    State::Measuring { since: now, ask_at_ms: ask_after(u64::from(pace.ready_after_ms)) }
                }
            }
            (Turn::Read, Done::Measured, _) if pace.continuous => {
                State::Measuring { since: now, ask_at_ms: ask_after(u64::from(pace.every_ms)) }
            }
            (Turn::Read, Done::Measured, _) | (_, _, State::Resting) => State::Resting,
            (Turn::Read, Done::Failed, _) if !pace.continuous => State::Resting,
            (Turn::Read, _, State::Measuring { since, .. }) => {
                let patience = u64::from(pace.ready_after_ms) + 2 * u64::from(pace.every_ms);
                if now.since(since) >= patience {
                    State::Resting
                } else {
                    let again = if pace.continuous { ASK_AGAIN_CONTINUOUS_MS } else { ASK_AGAIN_MS };
                    State::Measuring { since, ask_at_ms: ask_after(again) }
                }
            }
        };
    }

    /// True between the start of a measurement and its end: parts that share a converter wait.
    pub const fn is_measuring(&self) -> bool {
        matches!(self.state, State::Measuring { .. })
    }
}

#[cfg(test)]
mod tests;
