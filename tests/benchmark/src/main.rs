//! `cargo run --release -p benchmark`: values a second through ingest, store and alarm; bytes a stored value; t2→t4 at
//! a city's size. Prints as it goes; the figures stand at the end, one a line.

use std::path::PathBuf;
use std::time::Duration;

use benchmark::gateway::{Load, PER_SLAVE};
use benchmark::letters::{CHANNELS, PERIOD_MS, Sender, senders};
use benchmark::rig::Rig;
use benchmark::usage;
use clap::Parser;
use collector::clock::Clock;

/// Measures ingest → store → alarm on this machine.
#[derive(Parser)]
struct Arguments {
    /// Values to push through as fast as they go.
    #[arg(long, default_value_t = 12_000_000)]
    values: u64,
    /// Seconds of the paced run at a city's size.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Channels.
    #[arg(long, default_value_t = CHANNELS)]
    channels: u32,
    /// Gateways that the channels hang on.
    #[arg(long, default_value_t = 58)]
    gateways: u32,
    /// Of a thousand readings of the paced run, how many are beyond their limit.
    #[arg(long, default_value_t = 2)]
    high: u32,
    /// Where to put the data; a temporary folder by default.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Only what a gateway costs.
    #[arg(long)]
    gateway_only: bool,
    #[command(subcommand)]
    child: Option<Child>,
}

#[derive(clap::Subcommand)]
enum Child {
    /// The process whose cost is measured; started by the benchmark itself.
    #[command(hide = true)]
    GatewayChild {
        site: PathBuf,
        state: PathBuf,
        #[arg(long)]
        flat_out: bool,
    },
    /// The process that a gateway's cost is compared with; started by the benchmark itself.
    #[command(hide = true)]
    BareChild { devices: u16, addresses: Vec<String> },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(child) = arguments.child {
        // As `davy-gateway` has it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(async {
            match child {
                Child::GatewayChild { site, state, flat_out } => benchmark::gateway::child(&site, state, flat_out).await,
                Child::BareChild { devices, addresses } => benchmark::bare::child(devices, addresses).await,
            }
        });
    }
    // As many threads as a small collector has: the figure is for two cores.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut figures = Vec::new();
        if !arguments.gateway_only {
            measure(&arguments, &mut figures).await?;
            flood(&mut figures).await?;
        }
        if benchmark::gateway::broker_is_there() {
            gateways(arguments.seconds.min(20), &mut figures).await?;
            backlog(&mut figures).await?;
        }
        done("done");
        println!();
        figures.iter().for_each(|figure| println!("{figure}"));
        Ok(())
    })
}

/// What gateways cost, and how fast their readings travel.
async fn gateways(seconds: u64, figures: &mut Vec<String>) -> anyhow::Result<()> {
    let every_second = Load { devices: 50, channels: 8, period_ms: Some(1_000), group_ms: 200, with_urgent: false };
    let many = Load { devices: 500, ..every_second };
    let reference = Load { devices: 16, channels: 4, period_ms: Some(5_000), ..every_second };
    let loads = [
        ("16 x 4 registers every 5 s", reference),
        ("50 x 8 registers/s", every_second),
        ("500 x 8 registers/s", many),
        ("500 x 8 registers/s, group_ms = 1", Load { group_ms: 1, ..many }),
        ("500 x 8 registers/s, some urgent", Load { with_urgent: true, ..many }),
        ("50 x 8 registers flat out", Load { period_ms: None, ..every_second }),
        ("500 x 8 registers flat out", Load { period_ms: None, ..many }),
    ];
    for (name, load) in loads {
        progress(&format!("a gateway, {name}"));
        let cost = benchmark::gateway::cost(load, seconds).await?;
        let heard = &cost.heard;
        let lines = [
            format!(
                "{:.0} registers/s, {:.2} CPU-s per 100,000, RSS {:.0} MB, {:.2} GB a day to its disk, {:.1} % stored at the end",
                cost.registers_per_s, cost.cpu_per_100k, cost.resident_mb, cost.written_gb_a_day, cost.stored_percent
            ),
            format!("read to publish: {}; read to subscriber: {}", heard.to_publish, heard.to_subscriber),
        ];
        for line in lines {
            figures.push(format!("gateway, {name}: {line}"));
        }
        if load == every_second || load == many {
            progress(&format!("the same questions without a gateway, {name}"));
            let bare = benchmark::bare::cpu_per_100k(load.connections(), PER_SLAVE, seconds / 2 + 1).await?;
            let times = cost.cpu_per_100k / bare;
            figures.push(format!("gateway, {name}: the bare questions {bare:.2} CPU-s per 100,000; the gateway {times:.1} times that"));
        }
        if load.with_urgent {
            figures.push(format!("gateway, {name}: the {} urgent, read to subscriber: {}", heard.urgent.count(), heard.urgent));
        }
        for line in figures.iter().rev().take(4).rev().filter(|line| line.contains(name)) {
            done(line);
        }
    }
    Ok(())
}

async fn flood(figures: &mut Vec<String>) -> anyhow::Result<()> {
    use benchmark::flood::{ALARMS, took_s};
    let took = took_s(|recorded| progress(&format!("a flood: {recorded} of {ALARMS} alarms recorded"))).await?;
    figures.push(format!("{ALARMS} alarms at once     recorded with their notices in {took:.1} s"));
    done("a flood of alarms");
    Ok(())
}

async fn backlog(figures: &mut Vec<String>) -> anyhow::Result<()> {
    use benchmark::backlog::{VALUES, drain};
    progress("writing a day of a reference gateway into a spool");
    let drain = drain(|acknowledged| progress(&format!("draining a day: {acknowledged} of {VALUES} values acknowledged"))).await?;
    figures.push(format!("spool bytes per value     {:.1}", drain.bytes_per_value));
    figures.push(format!(
        "backlog of 24 h           {VALUES} values acknowledged in {:.0} s, {:.0} values/s",
        drain.took_s,
        VALUES as f64 / drain.took_s
    ));
    for (when, heard) in [("while it drains", &drain.during), ("afterwards", &drain.after)] {
        figures.push(format!(
            "live {when}: read to subscriber: {}; read to acknowledged: {} ({} readings)",
            heard.to_subscriber,
            heard.to_acknowledged,
            heard.to_subscriber.count()
        ));
    }
    if let (Some(during), Some(after)) = (drain.during.to_subscriber.quantile(0.99), drain.after.to_subscriber.quantile(0.99)) {
        figures.push(format!("live p99 while it drains, against afterwards: {:.2} times", f64::from(during) / f64::from(after.max(1))));
    }
    Ok(())
}

async fn measure(arguments: &Arguments, figures: &mut Vec<String>) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let dir = arguments.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&dir)?;
    let mut senders = senders(arguments.channels, arguments.gateways, 7)?;
    let mut rig = Rig::start(&dir).await?;
    let clock = rig.clock.clone();
    let began = clock.mono();
    let count = senders.len();
    rig.introduce(&mut senders, |done| progress(&format!("adopting catalogues {done}/{count}"))).await?;
    done(&format!("{} channels of {count} gateways adopted in {:.1} s", arguments.channels, since(&clock, began)));

    as_fast_as_it_goes(arguments, &mut rig, &mut senders, figures).await?;
    paced(arguments, &rig, &mut senders, figures).await?;

    let (live, series) = rig.stop().await?;
    let latency = live.figures().t2_t4;
    figures.push(format!("t2->t4 p50                {} ms", latency.quantile(0.5).map_or("none".to_owned(), |ms| ms.to_string())));
    figures.push(format!("t2->t4 p99                {} ms", latency.quantile(0.99).map_or("none".to_owned(), |ms| ms.to_string())));
    figures.push(format!("alarms measured           {}", latency.count()));
    progress("sealing what is open");
    series.seal_all()?;
    let stored = series.figures()?;
    let bytes = stored.sealed_bytes as f64 / stored.sealed_rows.max(1) as f64;
    figures.push(format!("bytes per stored value    {bytes:.2} (chunks, frames and extremes of {} values)", stored.sealed_rows));
    done("sealed");
    Ok(())
}

/// Letters that were made before are pushed through without a pause, live, with alarms on.
async fn as_fast_as_it_goes(arguments: &Arguments, rig: &mut Rig, senders: &mut [Sender], figures: &mut Vec<String>) -> anyhow::Result<()> {
    let clock = rig.clock.clone();
    let rounds = arguments.values.div_ceil(u64::from(arguments.channels)).max(1);
    let start = clock.wall().plus_ms(-(rounds as i64) * i64::from(PERIOD_MS));
    let mut letters = Vec::new();
    let mut pushed = 0_u64;
    for round in 0..rounds {
        for (number, sender) in senders.iter_mut().enumerate() {
            let at = start.plus_ms(round as i64 * i64::from(PERIOD_MS));
            letters.extend(sender.round(at, 100, 1000, 0).into_iter().map(|letter| (number, letter)));
            pushed += sender.channels() as u64;
        }
        progress(&format!("writing letters: round {} of {rounds}", round + 1));
    }
    let (began, used) = (clock.mono(), usage::cpu_seconds());
    for (sent, (number, letter)) in letters.iter().enumerate() {
        rig.send(&senders[*number].id, letter).await?;
        if sent % 2000 == 0 {
            progress(&format!("pushing letters: {sent} of {}", letters.len()));
        }
    }
    for sender in senders.iter() {
        rig.acknowledged(&sender.id, sender.next() - 1).await?;
    }
    // Packing what is due belongs to it: a store that only puts off its work would look fast.
    let (series, now) = (rig.series.clone(), clock.wall());
    tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        while series.seal_due(now, 256)? > 0 {}
        Ok(())
    })
    .await??;
    let (took_ms, cpu) = (clock.mono().since(began), usage::cpu_seconds() - used);
    let rate = pushed as f64 * 1000.0 / took_ms.max(1) as f64;
    done(&format!("{pushed} values in {:.1} s", took_ms as f64 / 1000.0));
    figures.push(format!("values through ingest->store->alarm   {rate:.0}/s"));
    figures.push(format!("CPU for a million values  {:.2} s", cpu / pushed.max(1) as f64 * 1e6));
    figures.push(format!("RSS after it              {:.0} MB", usage::resident_megabytes()));
    Ok(())
}

/// Every channel every five seconds, in letters of 64 readings spread over the time, as gateways send them.
async fn paced(arguments: &Arguments, rig: &Rig, senders: &mut [Sender], figures: &mut Vec<String>) -> anyhow::Result<()> {
    let clock = rig.clock.clone();
    let (began, used) = (clock.mono(), usage::cpu_seconds());
    let step = Duration::from_millis(u64::from(PERIOD_MS)) / senders.len().max(1) as u32;
    let mut beat = tokio::time::interval(step);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let (mut values, mut number) = (0_u64, 0_usize);
    while clock.mono().since(began) < arguments.seconds * 1000 {
        beat.tick().await;
        let all = senders.len();
        let sender = &mut senders[number];
        number = (number + 1) % all;
        let letters = sender.round(clock.wall(), 0, 64, arguments.high);
        let (id, channels) = (sender.id.clone(), sender.channels());
        for letter in letters {
            rig.send(&id, &letter).await?;
        }
        values += channels as u64;
        if number == 0 {
            progress(&format!("paced: {} of {} s, {values} values", clock.mono().since(began) / 1000, arguments.seconds));
        }
    }
    let seconds = since(&clock, began);
    let cpu = usage::cpu_seconds() - used;
    done(&format!("paced: {values} values in {seconds:.0} s"));
    figures.push(format!(
        "paced                     {:.0} values/s, {:.0} % of one core, the senders included",
        values as f64 / seconds,
        cpu / seconds * 100.0
    ));
    // What was raised last is still on its way to the database.
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(())
}

fn since(clock: &Clock, began: measurement::MonotonicMs) -> f64 {
    clock.mono().since(began) as f64 / 1000.0
}

fn progress(what: &str) {
    eprint!("\r\x1b[K{what} …");
}

fn done(what: &str) {
    eprintln!("\r\x1b[K{what}");
}
