//! A gateway's hard life: its link cut, its process killed, its power cut, each at random moments and many times.
//! Nothing that was committed is lost, nothing is stored twice, the ledger explains every gap.
//!
//! CI cuts 20 times, kills 10 times and takes the power 10 times; `tests/run --long` 200, 50 and 50 times.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use end_to_end::broker::{Broker, Kind};
use end_to_end::disk::{Disk, FileSystem};
use end_to_end::programs::{Program, write};
use end_to_end::proxy::Cable;
use end_to_end::room::Room;
use end_to_end::witness::{COUNTERS, IN_FLIGHT, Witness};
use rand::{RngExt, SeedableRng, rngs::StdRng};

fn times(in_ci: u32, long: u32) -> u32 {
    if std::env::var_os("DAVY_LONG").is_some() { long } else { in_ci }
}

/// Everything that a hardship needs: the programs at work, and the channels by tag.
struct House {
    witness: Witness,
    _broker: Broker,
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
        let first = first.split_whitespace().next().context("the first password")?.to_owned();
        let room = Room::enter(&witness.base, Some(&first)).await?;
        let site = witness.enrol(&room).await?;
        Ok(Some(House { witness, _broker: broker, collector, room, site }))
    }

    /// Ends the gateway, and looks whether everything that it was told is there.
    async fn account(
        mut self,
        mut gateway: Program,
        state: &Path,
        channels: HashMap<String, u64>,
        mut swallowed: Vec<(u32, u32)>,
    ) -> Result<usize> {
        let counted = self.witness.told(|told| told.counted);
        self.witness.counts_on(counted + 20).await?;
        gateway.stop().await?;
        let counted = self.witness.told(|told| told.counted);
        // An answer that crosses with the order to stop is nobody's reading.
        swallowed.push((counted, counted));
        let mut gateway = self.witness.start_gateway(&self.site, state)?;
        self.witness.counts_on(counted + 20).await?;
        self.witness.caught_up_to(&self.room, &channels, counted + 1).await?;
        let missing = self.witness.everything_once(&self.room, &channels, counted, &swallowed).await?;
        self.witness.ledger_is_closed(&self.room).await?;
        gateway.stop().await?;
        self.collector.stop().await?;
        println!("REPORT: {counted} polls of {COUNTERS} counters, nothing twice, {missing} values were in flight at a death");
        Ok(missing)
    }

    fn counted(&self) -> u32 {
        self.witness.told(|told| told.counted)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_cut_at_random_moments_loses_nothing_and_doubles_nothing() -> Result<()> {
    let Some(house) = House::build().await? else { return Ok(()) };
    let site = std::fs::read_to_string(&house.site)?;
    let far = house._broker.url().trim_start_matches("mqtt://").to_owned();
    let cable = Cable::to(far.clone()).await?;
    write(&house.site, &site.replace(&far, &cable.address().to_string()))?;
    let state = house.witness.state();
    let gateway = house.witness.start_gateway(&house.site, &state)?;
    let channels = house.witness.register(&house.room).await?;
    let mut chance = StdRng::seed_from_u64(200);
    let cuts = times(20, 200);
    println!("REPORT: the link is cut {cuts} times");
    for _ in 0..cuts {
        tokio::time::sleep(Duration::from_millis(chance.random_range(50..1_500))).await;
        cable.cut();
        tokio::time::sleep(Duration::from_millis(chance.random_range(1..800))).await;
        cable.mend();
    }
    let missing = house.account(gateway, &state, channels, Vec::new()).await?;
    assert!(missing <= usize::from(COUNTERS), "a cut link swallows nothing: {missing}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_killed_at_random_moments_loses_only_what_was_in_flight() -> Result<()> {
    let Some(house) = House::build().await? else { return Ok(()) };
    let state = house.witness.state();
    let mut gateway = house.witness.start_gateway(&house.site, &state)?;
    let channels = house.witness.register(&house.room).await?;
    let (mut chance, mut swallowed) = (StdRng::seed_from_u64(50), Vec::new());
    let kills = times(10, 50);
    println!("REPORT: the gateway is killed {kills} times");
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(chance.random_range(300..3_000))).await;
        gateway.kill().await?;
        let counted = house.counted();
        swallowed.push((counted.saturating_sub(IN_FLIGHT), counted));
        gateway = house.witness.start_gateway(&house.site, &state)?;
    }
    house.account(gateway, &state, channels, swallowed).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_power_is_cut_at_random_moments_loses_only_what_was_in_flight() -> Result<()> {
    let Some(house) = House::build().await? else { return Ok(()) };
    let Some(disk) = Disk::make(FileSystem::Xfs, &house.witness.path("disk.image"), &house.witness.path("disk")) else { return Ok(()) };
    let state = house.witness.path("disk").join("state");
    let mut gateway = house.witness.start_gateway(&house.site, &state)?;
    let channels = house.witness.register(&house.room).await?;
    let (mut chance, mut swallowed) = (StdRng::seed_from_u64(51), Vec::new());
    let cuts = times(10, 50);
    println!("REPORT: the power is cut {cuts} times");
    for _ in 0..cuts {
        tokio::time::sleep(Duration::from_millis(chance.random_range(500..3_000))).await;
        let from = house.counted().saturating_sub(IN_FLIGHT);
        disk.cut_power()?;
        gateway.kill().await?;
        swallowed.push((from, house.counted()));
        disk.power_again()?;
        gateway = house.witness.start_gateway(&house.site, &state)?;
    }
    house.account(gateway, &state, channels, swallowed).await.map(drop)
}
