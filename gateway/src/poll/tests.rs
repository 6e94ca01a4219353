#![allow(clippy::unwrap_used, reason = "a test may stop here")]
//! A bus in memory under paused time: what comes of it is what the post would have been handed.

use std::sync::{Arc, Mutex};

use measurement::{LimitMonitor, Outcome, Timestamp, Value};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::keep::Parcel;
use super::link::{Opener, Stream};
use super::*;
use crate::device::Profile;
use crate::forward::Content;
use crate::site::Site;

mod confirmed;
mod paced;
mod reloaded;

/// A question and its answer take so long.
const EXCHANGE: Duration = Duration::from_millis(60);

/// What was told of a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Told {
    channel: u32,
    outcome: Outcome,
    /// When its frame was complete, ms.
    at: u64,
    urgent: bool,
}

/// A bus with so many devices of one register, in tenths; `more` stands in each device's only channel.
fn bus(devices: usize, period_ms: u64, more: &str, top: &str) -> Bus {
    let profile = "id = \"tenths\"\nmaker = \"nobody\"\nmodel = \"one register\"\nsource = \"this test\"\nconfidence = \"own\"\n\
                   [[register]]\nkey = \"r\"\naddress = 0\ntype = \"u16\"\n[[value]]\nkey = \"0\"\nregister = \"r\"\nscale = 0.1\n";
    let mut text = format!("gateway = \"g\"\n[broker]\nurl = \"mqtt://b:1\"\n[[bus]]\nname = \"bus\"\ntcp = \"b:502\"\n{top}\n");
    for unit in 1..=devices {
        text += &format!(
            "[[bus.device]]\nname = \"d{unit}\"\nunit = {unit}\nprofile = \"davy-node\"\nperiod_ms = {period_ms}\n[[bus.device.channel]]\n\
             key = \"0\"\ntag = \"gas\"\nquantity = \"CH4\"\nunit = \"1\"\n{more}\n"
        );
    }
    let mut bus = Site::parse(std::path::Path::new("site.toml"), &text).unwrap().buses.remove(0);
    bus.devices.iter_mut().for_each(|device| device.profile = Arc::new(Profile::parse("tenths", profile).unwrap()));
    bus
}

/// CRC-16/MODBUS, bit by bit: written apart from the code under test.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc: u16, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}

/// What a slave answers for its register, by unit; nothing when it is silent.
type Answering = Arc<Mutex<dyn FnMut(u8) -> Option<u16> + Send>>;

async fn slaves(mut stream: impl Stream, answering: Answering, exchange: Duration) {
    let mut question = [0; 8];
    while stream.read_exact(&mut question).await.is_ok() {
        let Some(word) = (answering.lock().unwrap())(question[0]) else { continue };
        tokio::time::sleep(exchange).await;
        // The link may ask for a register more, to tell a late answer by its length.
        let count = question[5];
        let mut frame = vec![question[0], 3, 2 * count];
        frame.extend(word.to_be_bytes());
        frame.resize(3 + 2 * usize::from(count), 0);
        frame.extend(crc16(&frame).to_le_bytes());
        if stream.write_all(&frame).await.is_err() {
            return;
        }
    }
}

/// Polls the bus until `enough` of what was told.
async fn polled(
    published: &mut watch::Receiver<Bus>,
    clock: &Clock,
    answering: impl FnMut(u8) -> Option<u16> + Send + 'static,
    enough: impl FnMut(Told) -> bool,
) {
    polled_at(EXCHANGE, published, clock, answering, enough).await;
}

async fn polled_at(
    exchange: Duration,
    published: &mut watch::Receiver<Bus>,
    clock: &Clock,
    answering: impl FnMut(u8) -> Option<u16> + Send + 'static,
    mut enough: impl FnMut(Told) -> bool,
) {
    let answering: Answering = Arc::new(Mutex::new(answering));
    let opener: Opener = Box::new(move || {
        let (near, far) = tokio::io::duplex(1024);
        tokio::spawn(slaves(far, answering.clone(), exchange));
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    });
    let link = Link::over(opener, true, Duration::from_millis(200), Duration::from_millis(4));
    let (gate, board, shutdown) = (Gate::default(), crate::status::board::BusBoard::new(&published.borrow()), CancellationToken::new());
    let (parcels, mut kept) = mpsc::channel::<Parcel>(keep::MOST_WAITING);
    let until = async {
        while let Some(parcel) = kept.recv().await {
            let told = |entry: &NewEntry| match entry.content {
                Content::Reading { reading, parsed_at, .. } => {
                    Some(Told { channel: reading.channel.0, outcome: reading.outcome, at: parsed_at.0, urgent: entry.urgent })
                }
                Content::Happening(_) => None,
            };
            if parcel.entries.iter().filter_map(told).any(&mut enough) {
                return;
            }
        }
    };
    tokio::select! {
        () = Round::new(published, link, &gate, &parcels, &board, clock, &shutdown).serve() => {}
        () = until => {}
    }
}

fn runtime_clock() -> Clock {
    Clock::of_runtime(1, Timestamp(1_800_000_000_000))
}
