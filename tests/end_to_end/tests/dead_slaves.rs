//! A bus of 31 living slaves at 9600 baud keeps its periods when one to five dead ones hang on it as well.
//!
//! Six buses in one run, each a pseudo-terminal that takes the time the wire would take; the slaves themselves
//! note when they were asked. What differs between the buses is only how many of their devices are dead.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]
#![expect(clippy::disallowed_methods, reason = "the slaves note the real time at which they are asked")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gateway::site::Site;
use site::slave::crc16;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_serial::{SerialPort, SerialStream};
use tokio_util::sync::CancellationToken;

const LIVING: u8 = 31;
const PERIOD_MS: u64 = 2_000;
/// 11 bits a character at 9600 baud.
const CHARACTER: Duration = Duration::from_micros(1_146);
/// A slave thinks for so long.
const TURN_AROUND: Duration = Duration::from_millis(5);
/// The beginning, in which the gateway learns who is dead, is not measured.
const LEARNING: Duration = Duration::from_secs(20);
const MEASURED: Duration = Duration::from_secs(40);

type Asked = Arc<Mutex<HashMap<u8, Vec<Instant>>>>;

/// Slaves 1 to 31 on a wire that takes its time. Nobody else answers.
async fn wire(mut line: SerialStream, asked: Asked) -> std::io::Result<()> {
    loop {
        let mut question = [0; 8];
        line.read_exact(&mut question).await?;
        if crc16(&question[..6]).to_le_bytes() != question[6..] {
            continue;
        }
        simulated::heard::request(&question[1..6]);
        let (unit, count) = (question[0], question[5]);
        asked.lock().expect("nobody panics here").entry(unit).or_default().push(Instant::now());
        if unit > LIVING {
            continue;
        }
        let mut answer = vec![unit, question[1], count * 2];
        answer.resize(3 + usize::from(count) * 2, unit);
        answer.extend(crc16(&answer).to_le_bytes());
        // The question's own characters, the slave's thought, the answer's characters.
        tokio::time::sleep(CHARACTER * 8 + TURN_AROUND + CHARACTER * answer.len() as u32).await;
        line.write_all(&answer).await?;
    }
}

fn site_file(path: &str, dead: u8) -> String {
    let mut text = format!(
        "gateway = \"bus-{dead}\"\nclock_vouched = true\n[broker]\nurl = \"mqtt://127.0.0.1:1\"\n[[bus]]\nname = \"bus\"\nserial = {path:?}\nbaud = 9600\ntimeout_ms = 1000\n"
    );
    for unit in 1..=LIVING + dead {
        text += &format!("[[bus.device]]\nname = \"d{unit}\"\nunit = {unit}\nprofile = \"eight.toml\"\nperiod_ms = {PERIOD_MS}\n");
        for register in 0..8 {
            text += &format!("[[bus.device.channel]]\nkey = \"v{register}\"\ntag = \"v{register}\"\nquantity = \"count\"\nunit = \"1\"\n");
        }
    }
    text
}

fn profile() -> String {
    let registers = (0..8)
        .map(|n| format!("[[register]]\nkey = \"r{n}\"\naddress = {n}\ntype = \"u16\"\n[[value]]\nkey = \"v{n}\"\nregister = \"r{n}\"\n"));
    format!(
        "id = \"eight\"\nmaker = \"nobody\"\nmodel = \"eight\"\nsource = \"this test\"\nconfidence = \"own\"\n{}",
        registers.collect::<String>()
    )
}

/// Mean and 95th percentile of the time between two questions to a living slave, ms.
fn periods(asked: &Asked, from: Instant) -> (f64, f64) {
    let asked = asked.lock().expect("nobody panics here");
    let mut gaps: Vec<f64> = Vec::new();
    for unit in 1..=LIVING {
        let times: Vec<Instant> = asked[&unit].iter().copied().filter(|at| *at >= from).collect();
        gaps.extend(times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1000.0));
    }
    gaps.sort_by(f64::total_cmp);
    (gaps.iter().sum::<f64>() / gaps.len() as f64, gaps[gaps.len() * 95 / 100])
}

#[tokio::test(flavor = "multi_thread")]
async fn up_to_five_dead_slaves_leave_the_periods_of_the_living_as_they_are() -> Result<()> {
    if SerialStream::pair().is_err() {
        println!("SKIPPED: this machine has no pseudo-terminals");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("eight.toml"), profile())?;
    let stop = CancellationToken::new();
    let mut buses = Vec::new();
    for dead in 0..=5 {
        let (ours, theirs) = SerialStream::pair()?;
        let path = theirs.name().context("the pseudo-terminal's name")?;
        let asked = Asked::default();
        tokio::spawn(wire(ours, asked.clone()));
        let site = Site::parse(&folder.path().join("site.toml"), &site_file(&path, dead))?;
        let running =
            gateway::run(site, folder.path().join(format!("state-{dead}")), gateway::clock::Clock::system(true), stop.clone()).await?;
        buses.push((dead, asked, running, theirs));
    }
    tokio::time::sleep(LEARNING).await;
    let from = Instant::now();
    tokio::time::sleep(MEASURED).await;
    let figures: Vec<(u8, f64, f64)> = buses
        .iter()
        .map(|(dead, asked, ..)| {
            let (mean, late) = periods(asked, from);
            (*dead, mean, late)
        })
        .collect();
    for (dead, mean, late) in &figures {
        println!("{LIVING} living, {dead} dead: period mean {mean:.0} ms, 95th percentile {late:.0} ms");
    }
    for (dead, asked, ..) in &buses {
        for unit in LIVING + 1..=LIVING + dead {
            let probes = asked.lock().expect("nobody panics here").get(&unit).map_or(0, Vec::len);
            assert!(probes >= 4, "dead slave {unit} is still probed: {probes} times");
        }
    }
    stop.cancel();
    for (.., running, _theirs) in buses {
        running.stopped().await;
    }
    let (_, mean_without, late_without) = figures[0];
    for (dead, mean, late) in &figures[1..] {
        assert!(*mean <= mean_without * 1.1, "{dead} dead: mean {mean:.0} ms instead of {mean_without:.0}");
        assert!(*late <= late_without * 1.1, "{dead} dead: 95th percentile {late:.0} ms instead of {late_without:.0}");
    }
    Ok(())
}
