//! Nothing lost, nothing twice: the collector, the broker and the gateway are each killed for a minute while
//! readings flow through the real programs and a real Mosquitto in its default configuration; the same, shorter,
//! over NATS and RabbitMQ.
//!
//! The witness is a slave that counts: each of its channels answers every poll with the next number, so that
//! the numbers stored prove by themselves which answers came through.
#![expect(clippy::expect_used, reason = "a test that cannot go on says where")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use end_to_end::broker::{Broker, Kind};
use end_to_end::programs::{Program, once, write};
use end_to_end::room::Room;
use serde_json::{Value, json};
use site::slave::Slave;

/// Generous, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// Channels that count.
const COUNTERS: u16 = 8;
/// What a killed gateway may lose: answers that came within one group commit (1 s) of its death.
const IN_FLIGHT: f64 = 8.0;
const PERIOD_MS: u64 = 250;

/// Clean air, and gas over every limit, in hundredths of %LEL.
const CLEAN: u16 = 20;
const GAS: u16 = 4000;

/// What the slave has answered, and what it will.
#[derive(Default)]
struct Told {
    counted: u32,
    /// Methane at a place that becomes dangerous only while nobody is listening.
    passing: u16,
    /// Methane at a place that is in alarm all the time, but for what it says while the broker is away.
    steady: u16,
}

struct Plant {
    folder: tempfile::TempDir,
    base: String,
    told: Arc<Mutex<Told>>,
    kind: Kind,
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_for_a_minute_every_answer_is_stored_once_and_late_alarms_say_that_they_are_late() -> Result<()> {
    everything_is_stored_once(Kind::Mosquitto, Duration::from_secs(60)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_over_nats() -> Result<()> {
    everything_is_stored_once(Kind::Nats, Duration::from_secs(20)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_over_rabbitmq() -> Result<()> {
    everything_is_stored_once(Kind::RabbitMq, Duration::from_secs(20)).await
}

/// Each part is dead for `outage`.
async fn everything_is_stored_once(kind: Kind, outage: Duration) -> Result<()> {
    let Some(mut broker) = Broker::start(kind).await? else { return Ok(()) };
    let plant = Plant::new(kind).await?;
    let mut collector = plant.start_collector(&broker)?;
    let first = collector.says("first sign-in: admin / ").await?;
    let first = first.split_whitespace().next().context("the first password")?.to_owned();
    let mut room = Room::enter(&plant.base, Some(&first)).await?;
    let site = plant.enrol(&room).await?;
    let mut gateway = plant.start_gateway(&site)?;
    let channels = plant.register(&room).await?;
    let steady = channels["steady"];

    // A live alarm stands before anything is killed. Live: the gateway has learnt how long its post takes.
    room.until("readings are live", PATIENCE, "channels", |channels| {
        channels.as_array()?.iter().any(|channel| channel["id"] == steady && channel["live"] == true).then_some(())
    })
    .await?;
    plant.tell(|told| told.steady = GAS);
    let standing = room.until("the live alarm", PATIENCE, "alarms", |alarms| limit_of(alarms, steady)).await?;
    assert_eq!(standing["late"], false, "{standing}");

    // 1. The collector. Gas comes and goes while it is dead.
    collector.kill().await?;
    tokio::time::sleep(outage / 4).await;
    plant.tell(|told| told.passing = GAS);
    tokio::time::sleep(outage / 4).await;
    plant.tell(|told| told.passing = CLEAN);
    tokio::time::sleep(outage / 2).await;
    collector = plant.start_collector(&broker)?;
    collector.says("pages:").await?;
    room = Room::enter(&plant.base, None).await?;
    plant.caught_up(&room).await?;
    let passing = channels["passing"];
    let late = room.until("the alarm of the outage", PATIENCE, "alarms?state=all", |alarms| limit_of(alarms, passing)).await?;
    assert_eq!(late["late"], true, "an alarm raised by backfill says so: {late}");
    let age = late["opened_at"].as_i64().context("opened_at")? - late["began_at"].as_i64().context("began_at")?;
    assert!(age > outage.as_millis() as i64 / 4, "it began while nobody listened: {late}");

    // 2. The broker. The steady place looks clean for a while, which only backfill will ever tell.
    broker.kill().await?;
    tokio::time::sleep(outage / 4).await;
    plant.tell(|told| told.steady = CLEAN);
    let lost = room.until("the lost gateway is an alarm", PATIENCE, "alarms", |alarms| {
        alarms.as_array()?.iter().find(|alarm| alarm["kind"] == "gateway_lost").cloned()
    });
    let lost = lost.await?;
    tokio::time::sleep(outage / 4).await;
    plant.tell(|told| told.steady = GAS);
    tokio::time::sleep(outage / 2).await;
    let before: Value = room.get(&format!("alarms/{}", standing["id"].as_str().context("an id")?)).await?;
    broker.restart().await?;
    plant.caught_up(&room).await?;
    let after: Value = room.get(&format!("alarms/{}", standing["id"].as_str().context("an id")?)).await?;
    assert_eq!(after["transitions"], before["transitions"], "backfill neither cleared nor refreshed the live alarm");
    assert_eq!(after["returned_at"], Value::Null, "{after}");
    let lost_id = lost["id"].as_str().context("an id")?.to_owned();
    room.until("the gateway is back", PATIENCE, &format!("alarms/{lost_id}"), |alarm| alarm["returned_at"].is_i64().then_some(())).await?;

    // 3. The gateway. What it had read and not yet committed dies with it; what it had committed does not.
    gateway.kill().await?;
    let counted_at_death = plant.told(|told| told.counted);
    tokio::time::sleep(outage).await;
    assert_eq!(plant.told(|told| told.counted), counted_at_death, "nobody polls while the gateway is dead");
    gateway = plant.start_gateway(&site)?;
    plant.counts_on(counted_at_death + 100).await?;
    gateway.stop().await?;
    let counted = plant.told(|told| told.counted);
    gateway = plant.start_gateway(&site)?;
    plant.counts_on(counted + 20).await?;
    plant.caught_up_to(&room, &channels, counted).await?;

    // Stored = sent: every number once, but for those in flight when the gateway died.
    let mut missing_in_all = 0.0;
    for counter in 0..COUNTERS {
        let numbers = plant.numbers(&room, channels[&format!("counter-{counter}")]).await?;
        let mut seen: HashMap<u64, u32> = HashMap::new();
        numbers.iter().for_each(|number| *seen.entry(*number as u64).or_default() += 1);
        let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "stored twice on counter {counter}: {twice:?}");
        let missing: Vec<u64> = (1..=u64::from(counted)).filter(|number| !seen.contains_key(number)).collect();
        let near = |number: &u64| (f64::from(counted_at_death) - *number as f64) < IN_FLIGHT && *number <= u64::from(counted_at_death);
        // An answer that crosses with the order to stop is nobody's reading.
        assert!(
            missing.iter().all(|number| near(number) || *number == u64::from(counted)),
            "lost on counter {counter}, which counted to {counted_at_death} and then {counted}: {missing:?}"
        );
        missing_in_all += missing.len() as f64;
    }
    println!("{counted} polls of {COUNTERS} counters: nothing twice, {missing_in_all} values were in flight when the gateway was killed");

    let ledger = room.get("ledger").await?;
    let row = ledger.as_array().and_then(|rows| rows.iter().find(|row| row["gateway"] == "g1")).context("the ledger's row")?.clone();
    println!("ledger: {row}");
    assert_eq!(row["open"], 0, "the ledger explains every gap: {row}");
    gateway.stop().await?;
    gateway_spool_is_whole(&plant.state()).await?;
    collector.stop().await
}

impl Plant {
    async fn new(kind: Kind) -> Result<Plant> {
        let folder = tempfile::tempdir()?;
        let told = Arc::new(Mutex::new(Told { counted: 0, passing: CLEAN, steady: CLEAN }));
        let answers = told.clone();
        let slave = Slave::start(move |_, address, count| {
            let mut told = answers.lock().expect("nobody panics here");
            let (high, low) = {
                told.counted += 1;
                ((told.counted >> 16) as u16, told.counted as u16)
            };
            let words = [high, low, told.passing, told.steady];
            words.get(usize::from(address)..usize::from(address) + usize::from(count)).map(<[u16]>::to_vec)
        })
        .await?;
        let port = end_to_end::free_port();
        let plant = Plant { folder, base: format!("http://127.0.0.1:{port}"), told, kind };
        write(&plant.path("counter.toml"), PROFILE)?;
        write(&plant.path("buses.toml"), &buses(&slave.address().to_string()))?;
        Ok(plant)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn state(&self) -> PathBuf {
        self.path("state")
    }

    fn tell(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock().expect("nobody panics here"));
    }

    fn told<T>(&self, ask: impl FnOnce(&Told) -> T) -> T {
        ask(&self.told.lock().expect("nobody panics here"))
    }

    fn start_collector(&self, broker: &Broker) -> Result<Program> {
        let listen = self.base.trim_start_matches("http://");
        let (user, password) = self.kind.account().unwrap_or_default();
        let config = format!(
            "data_dir = {:?}\nsimulated = true\n[http]\nlisten = {listen:?}\n[mqtt]\nmode = \"external\"\nurl = {:?}\nuser = {user:?}\npassword = {password:?}\n",
            self.path("collector"),
            broker.url()
        );
        write(&self.path("collector.toml"), &config)?;
        Program::start(
            "davy-collector",
            &["--config", &self.path("collector.toml").display().to_string()],
            &format!("delivery-collector-{:?}", self.kind),
        )
    }

    /// The way an installer does it: a code from the page, exchanged by the gateway's own program.
    async fn enrol(&self, room: &Room) -> Result<PathBuf> {
        let code = room.post("gateways/enrolments", json!({"name": "gateway one"})).await?;
        let code = code["code"].as_str().context("a code")?;
        let site = self.path("site.toml");
        let told = site.display().to_string();
        once("davy-gateway", &["enrol", "--url", &self.base, "--code", code, "--gateway", "g1", "--site", &told]).await?;
        let enrolled = std::fs::read_to_string(&site)?;
        let (head, broker) = enrolled.split_once("[broker]").context("a broker")?;
        // A broker with accounts of its own: an operator writes the gateway's into the file.
        let mut broker = broker.to_owned();
        if let Some((user, password)) = self.kind.account() {
            let url = broker.lines().find(|line| line.starts_with("url")).context("the broker's address")?;
            let root = broker.lines().find(|line| line.starts_with("root")).context("the topic root")?;
            broker = format!("\n{url}\n{root}\nuser = {user:?}\npassword = {password:?}\n");
        }
        let buses = std::fs::read_to_string(self.path("buses.toml"))?;
        write(&site, &format!("{head}simulated = true\nclock_vouched = true\n\n[broker]{broker}\n{buses}"))?;
        once("davy-gateway", &["check", &told]).await?;
        Ok(site)
    }

    fn start_gateway(&self, site: &Path) -> Result<Program> {
        let (site, state) = (site.display().to_string(), self.state().display().to_string());
        Program::start("davy-gateway", &["run", &site, "--state", &state], &format!("delivery-gateway-{:?}", self.kind))
    }

    /// An enterprise with one point, to which every channel is bound. Gives the channels' numbers by tag.
    async fn register(&self, room: &Room) -> Result<HashMap<String, u64>> {
        let enterprise = room.post(
            "enterprises",
            json!({"name": "e", "uscc": "91130500MA0TEST01X", "kind": "plant", "county": "", "contact": "", "phone": ""}),
        );
        let enterprise = enterprise.await?["id"].as_i64().context("the enterprise's number")?;
        let point = room.post(
            "points",
            json!({"enterprise_id": enterprise, "code": "p", "name": "p", "kind": "k", "assessed": "blue",
            "location": "", "hazards": "", "responsible": "", "phone": ""}),
        );
        let point = point.await?["id"].as_i64().context("the point's number")?;
        let wanted = usize::from(COUNTERS) + 2;
        let channels = room.until("the catalogue", PATIENCE, "channels", |channels| {
            let channels = channels.as_array()?;
            let mine = channels.iter().filter(|channel| channel["tag"].as_str().is_some_and(|tag| tag.starts_with("slave/")));
            let named =
                mine.filter_map(|channel| Some((channel["tag"].as_str()?.strip_prefix("slave/")?.to_owned(), channel["id"].as_u64()?)));
            let named: HashMap<String, u64> = named.collect();
            (named.len() == wanted).then_some(named)
        });
        let channels = channels.await?;
        for number in channels.values() {
            room.put(&format!("channels/{number}/binding"), json!({"point_id": point})).await?;
        }
        Ok(channels)
    }

    /// Waits until the slave has been asked so often.
    async fn counts_on(&self, to: u32) -> Result<()> {
        for _ in 0..PATIENCE.as_millis() / 100 {
            if self.told(|told| told.counted) >= to {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("the gateway polls no more")
    }

    /// Waits until the collector has acknowledged everything the gateway holds, but for what is on its way.
    async fn caught_up(&self, room: &Room) -> Result<()> {
        room.until("the backlog is drained", PATIENCE, "gateways", |gateways| {
            let gateway = gateways.as_array()?.iter().find(|gateway| gateway["id"] == "g1")?;
            (gateway["online"] == true && gateway["unacknowledged"].as_u64()? < 200).then_some(())
        })
        .await
    }

    /// Waits until the last number that was told is stored.
    async fn caught_up_to(&self, room: &Room, channels: &HashMap<String, u64>, counted: u32) -> Result<()> {
        for _ in 0..PATIENCE.as_millis() / 500 {
            let mut last = 0.0_f64;
            for counter in 0..COUNTERS {
                let numbers = self.numbers(room, channels[&format!("counter-{counter}")]).await?;
                last = numbers.iter().copied().fold(last, f64::max);
            }
            if last >= f64::from(counted) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        anyhow::bail!("not everything up to {counted} is stored within {PATIENCE:?}")
    }

    /// Every number stored of a channel, through the API.
    async fn numbers(&self, room: &Room, channel: u64) -> Result<Vec<f64>> {
        let now = room.get("overview").await?["now"].as_i64().context("the collector's time")?;
        let from = now - 20 * 60 * 1000;
        let series = room.get(&format!("channels/{channel}/series?from={from}&to={}&points=5000", now + 5000)).await?;
        assert_eq!(series["resolution"], "raw", "{}", series["resolution"]);
        Ok(series["rows"].as_array().context("rows")?.iter().filter_map(|row| row["last"].as_f64()).collect())
    }
}

/// The open or closed limit alarm of highest priority of a channel.
fn limit_of(alarms: &Value, channel: u64) -> Option<Value> {
    let of = |alarm: &&Value| alarm["kind"] == "limit" && alarm["channel_id"].as_u64() == Some(channel) && alarm["priority"] == "urgent";
    alarms.as_array()?.iter().find(of).cloned()
}

async fn gateway_spool_is_whole(state: &Path) -> Result<()> {
    let said = once("davy-gateway", &["spool", "verify", &state.join("spool").display().to_string()]).await?;
    println!("{said}");
    Ok(())
}

const PROFILE: &str = r#"
id = "counter"
maker = "nobody"
model = "a witness"
source = "this test"
confidence = "own"

[[register]]
key = "count"
address = 0
type = "u32"

[[register]]
key = "passing"
address = 2
type = "u16"

[[register]]
key = "steady"
address = 3
type = "u16"

[[value]]
key = "count"
register = "count"

[[value]]
key = "passing"
register = "passing"
scale = 0.01

[[value]]
key = "steady"
register = "steady"
scale = 0.01
"#;

fn buses(address: &str) -> String {
    let mut text = format!(
        "[[bus]]\nname = \"bus\"\ntcp = {address:?}\ntimeout_ms = 2000\n\n[[bus.device]]\nname = \"slave\"\nunit = 1\n\
         profile = \"counter.toml\"\nperiod_ms = {PERIOD_MS}\n"
    );
    for counter in 0..COUNTERS {
        text += &format!("[[bus.device.channel]]\nkey = \"count\"\ntag = \"counter-{counter}\"\nquantity = \"count\"\nunit = \"1\"\n");
    }
    for key in ["passing", "steady"] {
        text += &format!(
            "[[bus.device.channel]]\nkey = {key:?}\ntag = {key:?}\nquantity = \"CH4\"\nunit = \"%LEL\"\nrange = [0, 100]\n\
             lel_percent_vol = 5.0\nlimit = [{{ high = 10 }}]\n"
        );
    }
    text
}
