//! The least that polling costs on this machine: a program that asks the same questions over the same kind of
//! connections at the same times, on one thread, and does nothing else. It understands, keeps and forwards nothing. What a
//! gateway costs beyond it is the gateway's; the rest belongs to the machine, and on an idle one most of it is waking up.

use std::time::Duration;

use anyhow::{Context, Result};
use collector::clock::Clock;
use site::slave::Slave;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep_until};

use crate::usage;

const WARM_UP: Duration = Duration::from_secs(3);
const PERIOD: Duration = Duration::from_secs(1);
/// What is asked of each device.
const REGISTERS: u16 = 8;

/// CPU seconds for 100,000 registers: so many connections, with so many devices behind each, read every second.
pub async fn cpu_per_100k(connections: u16, devices: u16, seconds: u64) -> Result<f64> {
    let mut child = Command::new(std::env::current_exe()?);
    child.arg("bare-child").arg(devices.to_string());
    for _ in 0..connections {
        child.arg(Slave::start(|_, _, count| Some(vec![1; usize::from(count)])).await?.address().to_string());
    }
    let child = child.kill_on_drop(true).spawn().context("the bare program starts")?;
    let pid = child.id().context("its number")?.to_string();
    tokio::time::sleep(WARM_UP).await;
    let clock = Clock::system();
    let (began, cpu) = (clock.mono(), usage::first_thread_seconds_of(&pid));
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let took_s = clock.mono().since(began) as f64 / 1000.0;
    let registers = f64::from(connections) * f64::from(devices * REGISTERS) * took_s;
    Ok((usage::first_thread_seconds_of(&pid) - cpu) / registers * 1e5)
}

/// The process that is measured; ended by whoever started it.
#[expect(clippy::disallowed_methods, reason = "it sleeps until a moment of the runtime's clock; it dates nothing")]
pub async fn child(devices: u16, addresses: Vec<String>) -> Result<()> {
    let began = Instant::now();
    let asking: Vec<_> = addresses.into_iter().map(|address| tokio::spawn(ask(address, devices, began))).collect();
    for one in asking {
        one.await??;
    }
    Ok(())
}

async fn ask(address: String, devices: u16, mut due: Instant) -> Result<()> {
    let mut line = TcpStream::connect(address).await?;
    line.set_nodelay(true)?;
    let mut answer = [0; 9 + 2 * REGISTERS as usize];
    loop {
        sleep_until(due).await;
        due += PERIOD;
        for unit in 1..=devices {
            line.write_all(&[0, 0, 0, 0, 0, 6, unit as u8, 3, 0, 0, 0, REGISTERS as u8]).await?;
            line.read_exact(&mut answer).await?;
        }
    }
}
