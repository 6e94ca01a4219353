//! How much of a serial wire the gateway uses when it asks as fast as it goes.
//!
//! `cargo bench -p gateway --bench wire`
//!
//! A thread behind a pseudo-terminal takes exactly the time that a wire would: each character of question and answer
//! lasts bits / baud, the device thinks for one silent gap before it answers (the least that the specification lets it),
//! and the answer arrives in the portions of a UART's buffer, its last character when the wire would have carried it.
//! The ideal exchange is question + thinking + answer + one silent gap; a question that comes before the gap is over is
//! counted as a breach. What is missing to 100 % is ours and the host's: waking up, judging, asking.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::device::Block;
use gateway::poll::dtu::Dtus;
use gateway::poll::link::{Link, Road};
use gateway::site::Workarounds;
use rustix::pty::OpenptFlags;

/// Start, eight data, one stop.
const BITS: u64 = 10;
/// Characters that a UART collects before it tells the host.
const PORTION: usize = 14;
/// The last stretch before a moment is waited for without sleeping.
const SPIN_NS: u64 = 120_000;

fn main() -> anyhow::Result<()> {
    // As `davy-gateway` has it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("serial wire, 8N1, polled flat out; thinking time = one silent gap (3.5 characters; 1.75 ms above 19200 baud)");
    println!(
        "{:>7} {:>9} {:>9} {:>12} {:>12} {:>8} {:>8} {:>8}",
        "baud", "registers", "exchanges", "ideal ms", "median ms", "median", "all", "breaches"
    );
    for (baud, registers, exchanges) in [(9_600, 8, 300), (9_600, 125, 40), (115_200, 8, 1_500), (115_200, 125, 400)] {
        let result = runtime.block_on(measure(baud, registers, exchanges))?;
        println!(
            "{baud:>7} {registers:>9} {exchanges:>9} {:>12.3} {:>12.3} {:>7.1}% {:>7.1}% {:>8}",
            result.ideal_ns as f64 / 1e6,
            result.median_ns as f64 / 1e6,
            result.ideal_ns as f64 / result.median_ns as f64 * 100.0,
            (result.ideal_ns * exchanges as u64) as f64 / result.all_ns as f64 * 100.0,
            result.breaches,
        );
    }
    Ok(())
}

struct Measured {
    ideal_ns: u64,
    median_ns: u64,
    all_ns: u64,
    breaches: u32,
}

async fn measure(baud: u64, registers: u16, exchanges: usize) -> anyhow::Result<Measured> {
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    rustix::pty::grantpt(&master)?;
    rustix::pty::unlockpt(&master)?;
    let path = rustix::pty::ptsname(&master, Vec::new())?.into_string()?;
    let wire = Wire { character_ns: BITS * 1_000_000_000 / baud, gap_ns: gap_ns(baud), registers };
    let ideal_ns = wire.character_ns * (8 + 5 + 2 * u64::from(registers)) + 2 * wire.gap_ns;
    let breaches = Arc::new(Mutex::new(0));
    let counted = breaches.clone();
    let road = Road::Serial { path, baud: baud as u32, parity: tokio_serial::Parity::None, stop_bits: tokio_serial::StopBits::One };
    let mut link = Link::along(&road, Duration::from_secs(2), &Workarounds::default(), &Dtus::default());
    let device = std::thread::spawn(move || wire.serve(master, &counted));
    let asked = tokio::spawn(async move {
        let block = Block { function: 3, address: 0, count: registers };
        for _ in 0..3 {
            link.read(1, block).await?;
        }
        let (began, mut took) = (now_ns(), Vec::with_capacity(exchanges));
        let mut last = began;
        for _ in 0..exchanges {
            link.read(1, block).await?;
            let at = now_ns();
            took.push(at - last);
            last = at;
        }
        took.sort_unstable();
        anyhow::Ok((took[took.len() / 2], last - began))
    });
    let (median_ns, all_ns) = asked.await??;
    // The link has closed its end: the thread reads the end of the line.
    let _ = device.join();
    let breaches = *breaches.lock().map_err(|_| anyhow::anyhow!("the device's thread failed"))?;
    Ok(Measured { ideal_ns, median_ns, all_ns, breaches })
}

fn gap_ns(baud: u64) -> u64 {
    if baud > 19_200 { 1_750_000 } else { BITS * 3_500_000_000 / baud }
}

struct Wire {
    character_ns: u64,
    gap_ns: u64,
    registers: u16,
}

impl Wire {
    /// Answers questions until the other end is closed.
    fn serve(&self, master: OwnedFd, breaches: &Mutex<u32>) {
        let mut line = File::from(master);
        let mut question = [0_u8; 8];
        let mut free_at = 0;
        while line.read_exact(&mut question).is_ok() {
            let began = now_ns();
            if began < free_at + self.gap_ns
                && let Ok(mut breaches) = breaches.lock()
            {
                *breaches += 1;
            }
            let answer = self.answer(question[0]);
            let mut at = began + 8 * self.character_ns + self.gap_ns;
            for portion in answer.chunks(PORTION) {
                at += portion.len() as u64 * self.character_ns;
                wait_until(at);
                if line.write_all(portion).is_err() {
                    return;
                }
            }
            free_at = at;
        }
    }

    fn answer(&self, unit: u8) -> Vec<u8> {
        let mut frame = vec![unit, 3, (self.registers * 2) as u8];
        frame.extend((0..self.registers).flat_map(u16::to_be_bytes));
        let crc = frame.iter().fold(0xFFFF_u16, |crc, byte| {
            (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
        });
        frame.extend(crc.to_le_bytes());
        frame
    }
}

fn wait_until(at_ns: u64) {
    let left = at_ns.saturating_sub(now_ns());
    std::thread::sleep(Duration::from_nanos(left.saturating_sub(SPIN_NS)));
    while now_ns() < at_ns {
        std::hint::spin_loop();
    }
}

fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
