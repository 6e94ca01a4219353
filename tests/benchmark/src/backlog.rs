//! A gateway that was cut off for a day: 16 points of 4 channels, read every 5 s, lie in a real spool. How long until
//! the collector has acknowledged them all, and how fast live readings travel meanwhile and afterwards.

use std::time::Duration;

use anyhow::{Context, Result};
use collector::clock::Clock;
use gateway::forward::record::{Kept, Note};
use gateway::site::Site;
use measurement::{ChannelId, MonotonicMs, Outcome, Reading};
use spool::{Class, Config, DirDisk, Opened, Spool};

use crate::gateway::{Load, Plant};
use crate::subscriber::Heard;

const POINTS: u16 = 16;
const CHANNELS: u16 = 4;
/// The reference gateway's.
const PERIOD_MS: i64 = 5_000;
/// A day of it: 1,105,920 values.
pub const VALUES: u64 = 86_400_000 / PERIOD_MS as u64 * (POINTS * CHANNELS) as u64;
/// While it drains the gateway reads everything once a second, so that there is enough to measure.
const LIVE: Load = Load { devices: POINTS, channels: CHANNELS, period_ms: Some(1_000), group_ms: 200, with_urgent: false };

/// What was measured.
#[derive(Debug, Clone)]
pub struct Drain {
    /// Bytes written to the spool for each value.
    pub bytes_per_value: f64,
    /// Until all of it was acknowledged.
    pub took_s: f64,
    /// Live readings meanwhile, and in as long a time after it.
    pub during: Heard,
    pub after: Heard,
}

/// Measures it. `progress` is told how much is acknowledged.
pub async fn drain(mut progress: impl FnMut(u64)) -> Result<Drain> {
    let plant = Plant::start(LIVE).await?;
    let catalogue = Site::load(&plant.site())?.catalogue();
    let log = plant.state().join("spool").join("log");
    let clock = Clock::system();
    let now = clock.wall();
    let (written, highest) = tokio::task::spawn_blocking(move || -> Result<(u64, u64)> {
        let config = Config::sized(512 << 20, 7, gateway::forward::holder());
        let Opened { mut spool, .. } = Spool::open(DirDisk::lock(&log)?, config, now.0, &mut |_| {})?;
        // Of another boot, so that nobody knows their ages.
        spool.set_note(&Note { boot: 1, catalogue: catalogue.hash() }.encode());
        for part in catalogue.parts() {
            spool.append(Class::Other, &Kept::Part(part).to_bytes())?;
        }
        spool.commit(now.0)?;
        let written = spool.written();
        let mut payload = Vec::new();
        for value in 0..VALUES {
            let (round, channel) = ((value / u64::from(POINTS * CHANNELS)) as i64, value % u64::from(POINTS * CHANNELS));
            let sampled_at = now.plus_ms(-86_400_000 + round * PERIOD_MS);
            let outcome = Outcome::measured(5.0 + (value % 40) as f32 * 0.1);
            let reading = Reading { channel: ChannelId(channel as u32), sampled_at, outcome };
            payload.clear();
            Kept::Reading { reading, parsed_at: MonotonicMs(value), sample_age_ms: 0 }.encode(&mut payload);
            spool.append(Class::Telemetry, &payload)?;
            if value % 4_096 == 0 {
                spool.commit(now.0)?;
            }
        }
        let highest = spool.commit(now.0)?;
        Ok((spool.written() - written, highest))
    })
    .await??;
    let began = clock.mono();
    let gateway = plant.start_gateway()?;
    while plant.subscriber.contiguous() < highest {
        tokio::time::sleep(Duration::from_millis(200)).await;
        progress(plant.subscriber.contiguous().min(VALUES));
        anyhow::ensure!(clock.mono().since(began) < 600_000, "the backlog is not acknowledged within ten minutes");
    }
    let took_s = clock.mono().since(began) as f64 / 1000.0;
    let during = plant.subscriber.take();
    let as_long = Duration::from_secs_f64(took_s.clamp(20.0, 60.0));
    tokio::time::sleep(as_long).await;
    let after = plant.subscriber.take();
    plant.end(gateway).await.context("the plant ends")?;
    Ok(Drain { bytes_per_value: written as f64 / VALUES as f64, took_s, during, after })
}
