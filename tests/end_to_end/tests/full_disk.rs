//! A gateway's disk is filled to the last byte, turns read-only, fails a sync, rots: readings are kept as the plan
//! says, every loss is in the ledger under its cause, nothing is stored twice, and a start never fails for ever.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use end_to_end::broker::{Broker, Kind};
use end_to_end::disk::{Disk, FileSystem};
use end_to_end::programs::{Program, write};
use end_to_end::room::Room;
use end_to_end::witness::{CLEAN, COUNTERS, GAS, IN_FLIGHT, Witness};
use serde_json::Value;

struct House {
    witness: Witness,
    broker: Broker,
    collector: Program,
    room: Room,
    site: PathBuf,
}

impl House {
    async fn build() -> Result<Option<House>> {
        let Some(broker) = Broker::start(Kind::Mosquitto).await? else { return Ok(None) };
        let witness = Witness::new(Kind::Mosquitto).await?;
        let mut collector = witness.start_collector(&broker)?;
        let first = collector.says("first sign-in: admin / ").await?;
        let room = Room::enter(&witness.base, first.split_whitespace().next()).await?;
        let site = witness.enrol(&room).await?;
        Ok(Some(House { witness, broker, collector, room, site }))
    }

    /// A spool of so many megabytes, and so many devices beside the witness that say something ten times a second.
    fn crowd(&self, capacity_mb: u32, devices: u8) -> Result<()> {
        let site = std::fs::read_to_string(&self.site)?;
        let (head, buses) = site.split_once("[[bus]]").context("a bus")?;
        let mut text = format!("{head}[spool]\ncapacity_mb = {capacity_mb}\n\n[[bus]]{buses}");
        for device in 0..devices {
            text += &format!(
                "\n[[bus.device]]\nname = \"crowd-{device}\"\nunit = {}\nprofile = \"counter.toml\"\nperiod_ms = 100\n",
                device + 2
            );
            for counter in 0..COUNTERS {
                text += &format!("[[bus.device.channel]]\nkey = \"count\"\ntag = \"c{counter}\"\nquantity = \"count\"\nunit = \"1\"\n");
            }
        }
        write(&self.site, &text)
    }

    /// The collector is back.
    async fn reopen(&mut self) -> Result<()> {
        self.collector = self.witness.start_collector(&self.broker)?;
        self.collector.says("pages:").await?;
        self.room = Room::enter(&self.witness.base, None).await?;
        Ok(())
    }

    /// Gas passes by `times`, each time with a value of its own; the values.
    async fn gas_passes(&self, from: u16, times: u16) -> Vec<f64> {
        let mut values = Vec::new();
        for number in from..from + times {
            self.witness.tell(|told| told.passing = GAS + number);
            values.push(f64::from(GAS + number) / 100.0);
            tokio::time::sleep(Duration::from_millis(600)).await;
            self.witness.tell(|told| told.passing = CLEAN);
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        values
    }

    fn counted(&self) -> u32 {
        self.witness.told(|told| told.counted)
    }
}

fn gaps(row: &Value) -> HashMap<String, i64> {
    let causes = row["gaps"].as_object().into_iter().flatten();
    causes.map(|(cause, count)| (cause.clone(), count.as_i64().unwrap_or(0))).collect()
}

/// Nothing is missing that the ledger does not name.
fn adds_up(row: &Value) {
    let lost: i64 = gaps(row).values().sum();
    assert_eq!(row["expected"].as_i64(), row["stored"].as_i64().map(|stored| stored + lost), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_filled_to_the_last_byte_thins_telemetry_keeps_the_urgent_and_says_so() -> Result<()> {
    let Some(mut house) = House::build().await? else { return Ok(()) };
    let folder = house.witness.path("disk");
    let Some(disk) = Disk::make(FileSystem::Xfs, &house.witness.path("disk.image"), &folder) else { return Ok(()) };
    house.crowd(4, 12)?;
    let state = folder.join("state");
    let mut gateway = house.witness.start_gateway(&house.site, &state)?;
    let channels = house.witness.register(&house.room).await?;
    let passing = channels["passing"];

    // Nobody listens, and somebody else's file takes the rest of the disk.
    house.collector.kill().await?;
    let mut urgent = house.gas_passes(0, 4).await;
    let taken = disk.fill()?;
    urgent.extend(house.gas_passes(4, 20).await);
    wait_for("the plan is followed", || gateway.has_logged("thinned") || is_thinned(&state)).await?;
    // A start with no free byte.
    gateway.stop().await?;
    let counted = house.counted();
    gateway = house.witness.start_gateway(&house.site, &state)?;
    house.witness.counts_on(counted + 50).await?;
    urgent.extend(house.gas_passes(24, 4).await);
    disk.free()?;
    house.reopen().await?;
    urgent.extend(house.gas_passes(28, 2).await);

    let row = house.witness.closed_ledger(&house.room, 20_000).await?;
    println!("REPORT: {taken} bytes taken away, freed after {} polls; ledger: {row}", house.counted());
    adds_up(&row);
    assert!(gaps(&row).get("thinned").is_some_and(|count| *count > 1_000), "the oldest telemetry was thinned: {row}");
    let stored = house.witness.numbers(&house.room, passing).await?;
    let missing: Vec<_> = urgent.iter().filter(|value| !stored.iter().any(|stored| (stored - **value).abs() < 0.001)).collect();
    assert!(missing.is_empty(), "urgent readings lost: {missing:?} of {}", urgent.len());
    for counter in 0..COUNTERS {
        let mut numbers = house.witness.numbers(&house.room, channels[&format!("counter-{counter}")]).await?;
        let all = numbers.len();
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        assert_eq!(numbers.len(), all, "stored twice on counter {counter}");
    }
    gateway.stop().await?;
    house.collector.stop().await
}

/// A segment of the spool is shorter than it was written and not the newest: something was taken out of it.
fn is_thinned(state: &Path) -> bool {
    let files = std::fs::read_dir(state.join("spool").join("log")).into_iter().flatten().flatten();
    files.filter(|file| file.file_name().to_string_lossy().ends_with(".segment")).any(|file| {
        // Byte 32 of a segment is its level: 0 is whole.
        std::fs::read(file.path()).is_ok_and(|bytes| bytes.get(32).is_some_and(|level| *level > 0))
    })
}

async fn wait_for(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    for _ in 0..1_200 {
        if is_so() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("not so within two minutes: {what}")
}

/// Everything up to the last poll is stored once, but for what crossed with the order to stop.
async fn everything_is_there(house: &mut House, mut gateway: Program, state: &Path, channels: &HashMap<String, u64>) -> Result<()> {
    house.witness.counts_on(house.counted() + 20).await?;
    gateway.stop().await?;
    let counted = house.counted();
    let mut gateway = house.witness.start_gateway(&house.site, state)?;
    house.witness.counts_on(counted + 20).await?;
    house.witness.caught_up_to(&house.room, channels, counted + 1).await?;
    let missing = house.witness.everything_once(&house.room, channels, counted, &[(counted, counted)]).await?;
    println!("REPORT: {counted} polls of {COUNTERS} counters, {missing} values missing");
    house.witness.ledger_is_closed(&house.room).await?;
    gateway.stop().await?;
    house.collector.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_turns_read_only_and_back_loses_nothing() -> Result<()> {
    let Some(mut house) = House::build().await? else { return Ok(()) };
    let folder = house.witness.path("disk");
    let Some(disk) = Disk::make(FileSystem::Ext4, &house.witness.path("disk.image"), &folder) else { return Ok(()) };
    house.crowd(4, 0)?;
    let state = folder.join("state");
    let gateway = house.witness.start_gateway(&house.site, &state)?;
    let channels = house.witness.register(&house.room).await?;
    house.witness.counts_on(house.counted() + 20).await?;
    disk.turn_read_only()?;
    wait_for("the gateway says so", || gateway.has_logged("the spool stopped")).await?;
    // It goes on asking, and keeps what it hears in memory.
    house.witness.counts_on(house.counted() + 40).await?;
    disk.turn_writable().await?;
    everything_is_there(&mut house, gateway, &state, &channels).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_is_never_believed_and_nothing_is_lost() -> Result<()> {
    let Some(mut house) = House::build().await? else { return Ok(()) };
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        println!("SKIPPED: no strace, so no sync of the real program failed (the spool's simulated disk does it in its own tests)");
        return Ok(());
    }
    let state = house.witness.state();
    let wrapper =
        ["strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=25"];
    let gateway = house.witness.start_gateway_under(&wrapper, &house.site, &state)?;
    let channels = house.witness.register(&house.room).await?;
    wait_for("the gateway says so", || gateway.has_logged("the spool stopped")).await?;
    everything_is_there(&mut house, gateway, &state, &channels).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotten_segment_costs_what_was_in_it_and_never_the_start() -> Result<()> {
    let Some(mut house) = House::build().await? else { return Ok(()) };
    house.crowd(4, 12)?;
    let state = house.witness.state();
    let mut gateway = house.witness.start_gateway(&house.site, &state)?;
    house.witness.register(&house.room).await?;
    house.collector.kill().await?;
    let segments = || {
        let files = std::fs::read_dir(state.join("spool").join("log")).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> =
            files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "segment")).collect();
        paths.sort();
        paths
    };
    wait_for("a few segments lie there", || segments().len() >= 5).await?;
    gateway.kill().await?;
    let counted = house.counted();
    // Of one that nobody has acknowledged, bytes in the middle are turned over.
    let all = segments();
    let victim = all.get(all.len() - 2).context("a sealed segment")?;
    let mut bytes = std::fs::read(victim)?;
    let middle = bytes.len() / 2;
    bytes[middle..middle + 200].iter_mut().for_each(|byte| *byte ^= 0xA5);
    std::fs::write(victim, bytes)?;
    gateway = house.witness.start_gateway(&house.site, &state)?;
    house.witness.counts_on(counted + 50).await?;
    house.reopen().await?;
    let row = house.witness.closed_ledger(&house.room, 5_000).await?;
    println!("REPORT: 200 bytes rotted; ledger: {row}");
    adds_up(&row);
    let lost = gaps(&row).get("corrupt").copied().unwrap_or(0);
    assert!((1..=40).contains(&lost), "only what lay there is lost, and it is named: {row}");
    assert!(counted > IN_FLIGHT);
    gateway.stop().await?;
    house.collector.stop().await
}
