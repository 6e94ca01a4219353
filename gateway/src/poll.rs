//! Asking: one task a bus, one question at a time on it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::forward::Post;
use crate::interpret::{Answer, At, Memory, interpret};
use crate::site::{Bus, Device, Workarounds};
use dtu::Dtus;
use link::{Failure, Link};
use schedule::{Next, Schedule};

pub mod dtu;
pub mod link;
pub mod plan;
pub mod schedule;

/// Polls a bus until the shutdown.
pub async fn run(bus: Bus, dtus: Dtus, post: Post, clock: Clock, shutdown: CancellationToken) {
    let mut link = Link::new(&bus, &dtus);
    let periods: Vec<u64> = bus.devices.iter().map(|device| device.period_ms).collect();
    let mut schedule = Schedule::new(&periods, clock.mono().0);
    let mut memories: Vec<Memory> = bus.devices.iter().map(|_| Memory::default()).collect();
    let mut troubles: Vec<Option<Failure>> = vec![None; bus.devices.len()];
    loop {
        let began = clock.mono().0;
        let place = match schedule.next(began) {
            Next::Wait(until) => {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(Duration::from_millis(until.saturating_sub(began).max(1))) => continue,
                }
            }
            Next::Assume(place) => {
                keep(&bus.devices[place], &Answer::Nothing, &clock, &mut memories[place], &post).await;
                schedule.done(place, began, false, false);
                continue;
            }
            Next::Ask(place) => place,
        };
        let device = &bus.devices[place];
        let asked = tokio::select! {
            () = shutdown.cancelled() => return,
            asked = ask(&mut link, device, &bus.workarounds) => asked,
        };
        let (answer, trouble) = match asked {
            Ok(answer) => (answer, None),
            Err(failure @ Failure::Refused(code)) => (Answer::Refused(code), Some(failure)),
            Err(failure) => (Answer::Nothing, Some(failure)),
        };
        match (&troubles[place], &trouble) {
            (None, Some(failure)) => warn!(bus = %bus.name, device = %device.name, "device {} does not answer: {failure}", device.name),
            (Some(_), None) => info!(bus = %bus.name, device = %device.name, "device {} answers again", device.name),
            _ => {}
        }
        troubles[place] = trouble;
        schedule.done(place, began, true, !matches!(answer, Answer::Nothing));
        keep(device, &answer, &clock, &mut memories[place], &post).await;
    }
}

/// Asks a device for everything its channels need.
pub async fn ask(link: &mut Link, device: &Device, workarounds: &Workarounds) -> Result<Answer, Failure> {
    let keys: Vec<&str> = device.channels.iter().map(|channel| channel.key.as_str()).collect();
    let mut words = Vec::new();
    for block in device.profile.blocks(&keys, workarounds) {
        match link.read(device.unit, block).await {
            Ok(read) => words.push((block, read)),
            Err(failure) => {
                link.gathered();
                return Err(failure);
            }
        }
    }
    link.gathered();
    Ok(Answer::Words(words))
}

async fn keep(device: &Device, answer: &Answer, clock: &Clock, memory: &mut Memory, post: &Post) {
    let now = clock.now();
    let entries = interpret(device, answer, At { wall: now.wall, mono: now.mono }, memory);
    let lost = post.append(entries).await;
    if lost > 0 {
        warn!(device = %device.name, lost, "the disk takes no readings and memory is full");
    }
}
