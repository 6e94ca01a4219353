//! Four and a half days of a real longwall's methane (where ../shared/data is present), row by row through real
//! Modbus registers, a real gateway and a real collector: its limits of 1.0 and 1.5 %CH4 rise exactly as often
//! as a plain computation over the file says.
//!
//! The file is cut into stretches that are played side by side, one device each, one row a poll; the reference
//! is computed for each stretch by itself.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use collector::Config;
use end_to_end::room::Room;
use gateway::site::Site;
use site::slave::Slave;
use tokio_util::sync::CancellationToken;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/mine_longwall_methane_30s.csv");
const PATIENCE: Duration = Duration::from_secs(120);
const STRETCHES: usize = 48;
const PERIOD_MS: u64 = 100;
const COLUMNS: [&str; 2] = ["mm31", "mm116"];

/// Hundredths of %CH4 of both columns.
type Row = [u16; 2];

fn rows() -> Option<Vec<Row>> {
    let text = std::fs::read_to_string(FILE).ok()?;
    let hundredths = |field: &str| (field.parse::<f64>().expect("a number") * 100.0).round() as u16;
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        [hundredths(fields[1]), hundredths(fields[2])]
    };
    Some(text.lines().skip(1).map(row).collect())
}

/// How often a value rises to `setpoint`, having been below `release` before.
fn rises(values: impl Iterator<Item = u16>, setpoint: u16, release: u16) -> usize {
    let (mut is_high, mut count) = (false, 0);
    for value in values {
        if !is_high && value >= setpoint {
            is_high = true;
            count += 1;
        } else if is_high && value < release {
            is_high = false;
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_longwall_s_methane_raises_exactly_the_alarms_that_a_plain_computation_finds() -> Result<()> {
    let Some(rows) = rows() else {
        println!("SKIPPED: {FILE} is not here, so no mine was replayed");
        return Ok(());
    };
    let length = rows.len().div_ceil(STRETCHES);
    let stretches: Vec<Vec<Row>> = rows.chunks(length).map(<[Row]>::to_vec).collect();

    let starts = Arc::new(AtomicBool::new(false));
    let finished = Arc::new(AtomicUsize::new(0));
    let slave = {
        let (stretches, starts, finished) = (stretches.clone(), starts.clone(), finished.clone());
        let places = Mutex::new(vec![0_usize; stretches.len()]);
        Slave::start(move |unit, address, count| {
            let stretch = &stretches[usize::from(unit) - 1];
            let mut places = places.lock().expect("nobody panics here");
            let place = &mut places[usize::from(unit) - 1];
            // Clean air before the first row; the last row stays.
            let row = if *place == 0 && !starts.load(Ordering::SeqCst) { [0, 0] } else { stretch[(*place).min(stretch.len() - 1)] };
            if starts.load(Ordering::SeqCst) {
                *place += 1;
                // Twice beyond the end: the last row has been asked for and answered.
                if *place == stretch.len() + 2 {
                    finished.fetch_add(1, Ordering::SeqCst);
                }
            }
            row.get(usize::from(address)..usize::from(address + count)).map(<[u16]>::to_vec)
        })
        .await?
    };

    let folder = tempfile::tempdir()?;
    let stop = CancellationToken::new();
    let mut config = Config { data_dir: folder.path().join("collector"), simulated: true, ..Config::default() };
    config.http.listen.set_port(0);
    config.mqtt.listen.set_port(0);
    let collector = collector::run(config, stop.clone()).await?;
    let admitted = collector.store.admit_gateway("longwall", "longwall", "test", collector.clock.wall()).await?;
    let room = Room::enter(&format!("http://{}", collector.http), collector.first_password.as_deref()).await?;
    let url = format!("mqtt://{}", collector.mqtt.context("the broker inside")?);
    std::fs::write(folder.path().join("row.toml"), PROFILE)?;
    let text = site_file(&url, &admitted.password, &slave.address().to_string(), stretches.len());
    let site = Site::parse(&folder.path().join("site.toml"), &text)?;
    let gateway = gateway::run(site, folder.path().join("state"), gateway::clock::Clock::system(true), stop.clone()).await?;

    let wanted = stretches.len() * COLUMNS.len();
    room.until("every channel is live", PATIENCE, "channels", |channels| {
        (channels.as_array()?.iter().filter(|channel| channel["live"] == true).count() == wanted).then_some(())
    })
    .await?;
    starts.store(true, Ordering::SeqCst);
    for _ in 0..PATIENCE.as_millis() / 100 {
        if finished.load(Ordering::SeqCst) == stretches.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(finished.load(Ordering::SeqCst), stretches.len(), "every row was asked for");

    let mut expected: BTreeMap<(String, u16), usize> = BTreeMap::new();
    for (number, stretch) in stretches.iter().enumerate() {
        for (column, key) in COLUMNS.iter().enumerate() {
            // Coal rules: alarm at 1.0; cut at 1.5, back below 1.0.
            for (setpoint, release) in [(100, 100), (150, 100)] {
                let count = rises(stretch.iter().map(|row| row[column]), setpoint, release);
                if count > 0 {
                    expected.insert((format!("s{}/{key}", number + 1), setpoint), count);
                }
            }
        }
    }
    // The rows are answered; the last of them are still on their way through disk, broker and judgement.
    let mut found = BTreeMap::new();
    for _ in 0..100 {
        found = raised(&room).await?;
        if found == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let differing: Vec<_> = expected.iter().filter(|(key, count)| found.get(*key) != Some(count)).collect();
    assert_eq!(found, expected, "differing: {differing:?}");
    let total = |setpoint: u16| expected.iter().filter(|((_, at), _)| *at == setpoint).map(|(_, count)| count).sum::<usize>();
    println!("{} rows of 2 sensors: {} rises to 1.0 %CH4 and {} to 1.5, all raised, none besides", rows.len(), total(100), total(150));

    stop.cancel();
    gateway.stopped().await;
    collector.stopped().await.map_err(|ended| anyhow::anyhow!("{}: {}", ended.part, ended.how))
}

/// How often each limit alarm was raised, by tag and setpoint in hundredths, as the collector recorded it.
async fn raised(room: &Room) -> Result<BTreeMap<(String, u16), usize>> {
    let mut counts = BTreeMap::new();
    let alarms = room.get("alarms?state=all&limit=1000").await?;
    for alarm in alarms.as_array().context("alarms")?.iter().filter(|alarm| alarm["kind"] == "limit") {
        let id = alarm["id"].as_str().context("an id")?;
        let detail = room.get(&format!("alarms/{id}")).await?;
        let events = detail["transitions"].as_array().context("transitions")?.iter();
        let rises = events.filter(|told| matches!(told["event"].as_str(), Some("raised" | "reraised"))).count();
        assert_eq!(alarm["late"], false, "{alarm}");
        let setpoint = (alarm["setpoint"].as_f64().context("a setpoint")? * 100.0).round() as u16;
        *counts.entry((alarm["tag"].as_str().context("a tag")?.to_owned(), setpoint)).or_default() += rises;
    }
    Ok(counts)
}

const PROFILE: &str = r#"
id = "row"
maker = "nobody"
model = "a row of the file"
source = "this test"
confidence = "own"

[[register]]
key = "mm31"
address = 0
type = "u16"

[[register]]
key = "mm116"
address = 1
type = "u16"

[[value]]
key = "mm31"
register = "mm31"
scale = 0.01

[[value]]
key = "mm116"
register = "mm116"
scale = 0.01
"#;

fn site_file(url: &str, password: &str, address: &str, stretches: usize) -> String {
    let mut text = format!(
        "gateway = \"longwall\"\nsimulated = true\nclock_vouched = true\n[broker]\nurl = {url:?}\nuser = \"longwall\"\npassword = {password:?}\n[health]\nevery_ms = 0\n\
         [[bus]]\nname = \"bus\"\ntcp = {address:?}\ntimeout_ms = 10000\n"
    );
    for number in 1..=stretches {
        text += &format!("[[bus.device]]\nname = \"s{number}\"\nunit = {number}\nprofile = \"row.toml\"\nperiod_ms = {PERIOD_MS}\n");
        for key in COLUMNS {
            text += &format!(
                "[[bus.device.channel]]\nkey = {key:?}\ntag = {key:?}\nquantity = \"CH4\"\nunit = \"%vol\"\nrange = [0, 4]\nlimit = [{{ high = 1.0 }}]\n"
            );
        }
    }
    text
}
