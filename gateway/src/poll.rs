//! Asking: one task a bus, one question at a time on it.

use std::sync::Arc;
use std::time::Duration;

use measurement::MonotonicMs;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::forward::Post;
use crate::interpret::{Answer, At, Memory, interpret};
use crate::site::{Bus, Device};
use crate::status::board::BusBoard;
use dtu::Dtus;
use link::{Failure, Link};
use schedule::{Next, Schedule};

pub mod dtu;
pub mod link;
pub mod plan;
pub mod schedule;

/// Numbers of channels and the catalogue that names them change together: whoever keeps readings holds the gate
/// for reading, whoever loads a site again holds it for writing while the new catalogue and the new buses come
/// into force. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<RwLock<()>>);

impl Gate {
    /// Readings may be kept under the numbers in force as long as this is held.
    pub async fn keeping(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read().await
    }

    /// Nothing is kept as long as this is held: set the catalogue, publish the buses, let go.
    pub async fn changing(&self) -> RwLockWriteGuard<'_, ()> {
        self.0.write().await
    }
}

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
    while !shutdown.is_cancelled() {
        serve(&mut bus, &gate, &dtus, &post, &board, &clock, &shutdown).await;
    }
}

/// Polls until the shutdown, or until the bus in force is another one.
async fn serve(
    published: &mut watch::Receiver<Bus>,
    gate: &Gate,
    dtus: &Dtus,
    post: &Post,
    board: &BusBoard,
    clock: &Clock,
    shutdown: &CancellationToken,
) {
    let mut bus = published.borrow_and_update().clone();
    let mut link = Link::new(&bus, dtus);
    let periods: Vec<u64> = bus.devices.iter().map(|device| device.period_ms).collect();
    let mut schedule = Schedule::new(&periods, clock.mono().0);
    let mut memories: Vec<Memory> = bus.devices.iter().map(|_| Memory::default()).collect();
    let mut troubles: Vec<Option<Failure>> = vec![None; bus.devices.len()];
    loop {
        let began = clock.mono().0;
        let (place, answer) = match schedule.next(began) {
            Next::Wait(until) => {
                board.rests(until, MonotonicMs(began));
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(Duration::from_millis(until.saturating_sub(began).max(1))) => continue,
                }
            }
            Next::Assume(place) => {
                schedule.done(place, began, false, false);
                (place, Answer::Nothing)
            }
            Next::Ask(place) => {
                let device = &bus.devices[place];
                board.asks(MonotonicMs(began));
                let asked = tokio::select! {
                    () = shutdown.cancelled() => return,
                    asked = ask(&mut link, device) => asked,
                };
                let (answer, trouble) = match asked {
                    Ok(answer) => (answer, None),
                    Err(failure @ Failure::Refused(code)) => (Answer::Refused(code), Some(failure)),
                    Err(failure) => (Answer::Nothing, Some(failure)),
                };
                match &trouble {
                    None => board.answered(place, MonotonicMs(began), clock.now()),
                    Some(failure) => board.failed(place, failure),
                }
                match (&troubles[place], &trouble) {
                    (None, Some(failure)) => {
                        warn!(bus = %bus.name, device = %device.name, "device {} does not answer: {failure}", device.name);
                    }
                    (Some(_), None) => info!(bus = %bus.name, device = %device.name, "device {} answers again", device.name),
                    _ => {}
                }
                troubles[place] = trouble;
                schedule.done(place, began, true, !matches!(answer, Answer::Nothing));
                (place, answer)
            }
        };
        let now = clock.now();
        let keeping = gate.keeping().await;
        if published.has_changed().unwrap_or(false) && !bus.renumber(&published.borrow_and_update()) {
            published.mark_changed();
            return;
        }
        let device = &bus.devices[place];
        let entries = interpret(device, &answer, At { wall: now.wall, mono: now.mono }, &mut memories[place]);
        let lost = post.append(entries).await;
        drop(keeping);
        if lost > 0 {
            warn!(device = %device.name, lost, "the disk takes no readings and memory is full");
        }
    }
}

/// Asks a device for everything its channels need.
pub async fn ask(link: &mut Link, device: &Device) -> Result<Answer, Failure> {
    let keys: Vec<&str> = device.channels.iter().map(|channel| channel.key.as_str()).collect();
    let mut words = Vec::new();
    for block in device.profile.blocks(&keys) {
        words.push((block, link.read(device.unit, block).await?));
    }
    Ok(Answer::Words(words))
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
