//! Asking: one task a bus, one question at a time on it.

use std::time::Duration;

use measurement::{Fault, MonotonicMs};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::device::Block;
use crate::forward::{NewEntry, Post};
use crate::interpret::{Answer, At, Memory, interpret, unconfirmed};
use crate::site::{Bus, Device, Workarounds};
use crate::status::board::BusBoard;
use dtu::Dtus;
pub use keep::Gate;
use keep::{Desk, PostDesk};
use link::{Failure, Link};
use plan::Plan;
use schedule::{Next, Schedule};

pub mod dtu;
mod keep;
pub mod link;
pub mod plan;
pub mod schedule;

/// A device whose readings contradict each other is asked again at once so often and no more: the others wait.
const MOST_AGAIN: usize = 2;

/// Polls a bus until the shutdown. A bus published later that differs only in its channels' numbers changes
/// nothing but the numbers, from the next reading on; any other begins anew.
pub async fn run(
    mut bus: watch::Receiver<Bus>,
    gate: Gate,
    dtus: Dtus,
    post: Post,
    board: BusBoard,
    clock: Clock,
    shutdown: CancellationToken,
) {
    let name = bus.borrow().name.clone();
    let (desk, keeping) = PostDesk::open(name, post);
    while !shutdown.is_cancelled() {
        let link = Link::new(&bus.borrow(), &dtus);
        board.line(link.counters());
        Round::new(&mut bus, link, &gate, &desk, &board, &clock, &shutdown).serve().await;
    }
    drop(desk);
    let _ = keeping.await;
}

/// A bus that is being polled.
struct Round<'a, D> {
    bus: Bus,
    link: Link,
    schedule: Schedule,
    plan: Plan,
    /// By the device's place on the bus, as all below.
    questions: Vec<Vec<Block>>,
    who: Vec<Who>,
    memories: Vec<Memory>,
    troubles: Vec<Option<Failure>>,
    /// Who is near a limit, and who is silent: what the pace of the others depends on.
    near: Vec<bool>,
    silent: Vec<bool>,
    published: &'a mut watch::Receiver<Bus>,
    gate: &'a Gate,
    desk: &'a D,
    board: &'a BusBoard,
    clock: &'a Clock,
    shutdown: &'a CancellationToken,
}

/// Whether a device's serial number must be asked for by itself.
struct Who {
    /// What reads it, where the polls do not.
    questions: Vec<Block>,
    /// It has been silent, so another may stand in its place.
    is_in_doubt: bool,
}

impl Who {
    fn of(device: &Device, workarounds: &Workarounds) -> Who {
        Who { questions: device.profile.serial_blocks(&keys(device), workarounds), is_in_doubt: true }
    }
}

/// Why a bus is no longer polled as it was.
enum Ended {
    Shutdown,
    AnotherBus,
}

impl<'a, D: Desk> Round<'a, D> {
    fn new(
        published: &'a mut watch::Receiver<Bus>,
        link: Link,
        gate: &'a Gate,
        desk: &'a D,
        board: &'a BusBoard,
        clock: &'a Clock,
        shutdown: &'a CancellationToken,
    ) -> Round<'a, D> {
        let bus = published.borrow_and_update().clone();
        let now = clock.mono().0;
        let periods: Vec<u64> = bus.devices.iter().map(|device| device.period_ms).collect();
        let count = periods.len();
        Round {
            schedule: if bus.flat_out { Schedule::flat_out(&periods, now) } else { Schedule::new(&periods, now) },
            plan: Plan::of(&bus),
            questions: bus.devices.iter().map(|device| questions(device, &bus.workarounds)).collect(),
            who: bus.devices.iter().map(|device| Who::of(device, &bus.workarounds)).collect(),
            memories: bus.devices.iter().map(|_| Memory::default()).collect(),
            troubles: vec![None; count],
            near: vec![false; count],
            silent: vec![false; count],
            bus,
            link,
            published,
            gate,
            desk,
            board,
            clock,
            shutdown,
        }
    }

    /// Polls until the shutdown, or until the bus in force is another one.
    async fn serve(mut self) {
        loop {
            let now = self.clock.mono().0;
            let turn = match self.schedule.next(now) {
                Next::Wait(until) => {
                    self.board.rests(until, MonotonicMs(now));
                    self.wait(until.saturating_sub(now).max(1)).await
                }
                Next::Assume(place) => {
                    self.schedule.done(place, now, false, false);
                    self.understand(place, &Answer::Nothing).await
                }
                Next::Ask(place) => self.turn(place, now).await,
            };
            if turn.is_err() {
                return;
            }
        }
    }

    async fn wait(&mut self, ms: u64) -> Result<(), Ended> {
        let changed = async {
            // When nobody can publish any more, only the time is left to wait for.
            if self.published.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.shutdown.cancelled() => return Err(Ended::Shutdown),
            () = tokio::time::sleep(Duration::from_millis(ms)) => return Ok(()),
            () = changed => {}
        }
        self.published.mark_changed();
        let _keeping = self.gate.keeping().await;
        self.renumber()
    }

    /// Asks a device, and at once again while what it says must be confirmed.
    async fn turn(&mut self, place: usize, began: u64) -> Result<(), Ended> {
        let answer = self.ask(place).await?;
        self.schedule.done(place, began, true, !matches!(answer, Answer::Nothing));
        self.understand(place, &answer).await?;
        for _ in 0..MOST_AGAIN {
            if !self.memories[place].wants_again() {
                break;
            }
            self.who[place].is_in_doubt |= self.memories[place].doubts_who();
            match self.ask(place).await? {
                answer @ Answer::Words(_) => self.understand(place, &answer).await?,
                Answer::Refused(_) => self.leave_unconfirmed(place, Fault::DeviceRefused).await?,
                Answer::Nothing => self.leave_unconfirmed(place, Fault::NoCommunication).await?,
            }
        }
        if self.memories[place].wants_again() {
            self.leave_unconfirmed(place, Fault::Corrupt).await?;
        }
        self.keep_pace(place);
        Ok(())
    }

    async fn ask(&mut self, place: usize) -> Result<Answer, Ended> {
        let device = &self.bus.devices[place];
        let began = self.clock.mono();
        self.board.asks(began);
        let (link, questions, who) = (&mut self.link, &self.questions[place], &mut self.who[place]);
        let asking = async {
            let mut asked = read(link, device.unit, questions).await;
            if let (Ok(words), true) = (&mut asked, who.is_in_doubt) {
                who.is_in_doubt = false;
                // A device that refuses to say who it is still measures.
                words.extend(read(link, device.unit, &who.questions).await.unwrap_or_default());
            }
            link.gathered();
            asked
        };
        let asked = tokio::select! {
            () = self.shutdown.cancelled() => return Err(Ended::Shutdown),
            asked = asking => asked,
        };
        match &asked {
            Ok(_) => self.board.answered(place, began, self.clock.now()),
            Err(failure) => self.board.failed(place, failure),
        }
        let (answer, trouble) = match asked {
            Ok(words) => (Answer::Words(words), None),
            Err(failure @ Failure::Refused(code)) => (Answer::Refused(code), Some(failure)),
            Err(failure) => {
                self.who[place].is_in_doubt = true;
                (Answer::Nothing, Some(failure))
            }
        };
        match (&self.troubles[place], &trouble) {
            (None, Some(failure)) => {
                warn!(bus = %self.bus.name, device = %device.name, "device {} gives no registers: {failure}", device.name);
            }
            (Some(_), None) => info!(bus = %self.bus.name, device = %device.name, "device {} answers again", device.name),
            _ => {}
        }
        self.troubles[place] = trouble;
        Ok(answer)
    }

    async fn understand(&mut self, place: usize, answer: &Answer) -> Result<(), Ended> {
        self.kept(place, |device, at, memory| interpret(device, answer, at, memory)).await
    }

    async fn leave_unconfirmed(&mut self, place: usize, why: Fault) -> Result<(), Ended> {
        self.kept(place, |device, at, memory| unconfirmed(device, why, at, memory)).await
    }

    /// Hands on what is made of an answer, under the numbers in force.
    async fn kept(&mut self, place: usize, make: impl FnOnce(&Device, At, &mut Memory) -> Vec<NewEntry>) -> Result<(), Ended> {
        let now = self.clock.now();
        let keeping = self.gate.keeping().await;
        self.renumber()?;
        let entries = make(&self.bus.devices[place], At { wall: now.wall, mono: now.mono }, &mut self.memories[place]);
        if !entries.is_empty() {
            self.desk.take(entries, keeping).await;
        }
        Ok(())
    }

    /// Takes up the numbers in force. To be called with the gate held.
    fn renumber(&mut self) -> Result<(), Ended> {
        if !self.published.has_changed().unwrap_or(false) || self.bus.renumber(&self.published.borrow_and_update()) {
            return Ok(());
        }
        Err(Ended::AnotherBus)
    }

    /// Near a limit a device is asked more often, where the wire has room.
    fn keep_pace(&mut self, place: usize) {
        let (near, silent) = (self.memories[place].is_near_a_limit(), self.schedule.is_silent(place));
        if (near, silent) == (self.near[place], self.silent[place]) {
            return;
        }
        (self.near[place], self.silent[place]) = (near, silent);
        if self.bus.flat_out {
            return;
        }
        let paces = self.plan.paces(&self.near, &self.silent);
        paces.into_iter().enumerate().for_each(|(place, pace)| self.schedule.hurry(place, pace));
    }
}

/// What must be asked for all that a device's channels need.
fn questions(device: &Device, workarounds: &Workarounds) -> Vec<Block> {
    device.profile.blocks(&keys(device), workarounds)
}

fn keys(device: &Device) -> Vec<&str> {
    device.channels.iter().map(|channel| &*channel.key).collect()
}

/// Asks a device for everything its channels need.
pub async fn ask(link: &mut Link, device: &Device, workarounds: &Workarounds) -> Result<Answer, Failure> {
    let asked = read(link, device.unit, &questions(device, workarounds)).await;
    link.gathered();
    asked.map(Answer::Words)
}

async fn read(link: &mut Link, unit: u8, blocks: &[Block]) -> Result<Vec<(Block, Vec<u16>)>, Failure> {
    let mut words = Vec::with_capacity(blocks.len());
    for block in blocks {
        words.push((*block, link.read(unit, *block).await?));
    }
    Ok(words)
}

impl Bus {
    /// Takes the channel numbers of another bus. False, and nothing is taken, when it differs in anything else.
    pub(crate) fn renumber(&mut self, other: &Bus) -> bool {
        let mut renumbered = self.clone();
        let numbers = other.devices.iter().map(|device| device.channels.iter().map(|channel| channel.number));
        for (device, numbers) in renumbered.devices.iter_mut().zip(numbers) {
            device.channels.iter_mut().zip(numbers).for_each(|(channel, number)| channel.number = number);
        }
        let same = renumbered == *other;
        if same {
            *self = renumbered;
        }
        same
    }
}

#[cfg(test)]
mod tests;
