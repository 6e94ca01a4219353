//! A witness for deliveries: a slave that counts. Each of its channels answers every poll with the next number, so
//! that the numbers stored prove by themselves which answers came through. With it the real programs: a
//! collector at an external broker, and a gateway enrolled the way an installer does it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use site::slave::Slave;

use crate::broker::{Broker, Kind};
use crate::programs::{Program, once, write};
use crate::room::Room;

/// Generous, because the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Channels that count.
pub const COUNTERS: u16 = 8;
/// What a gateway that dies may lose: answers that came within one group commit (1 s) of its death.
pub const IN_FLIGHT: u32 = 8;
const PERIOD_MS: u64 = 250;

/// Clean air, in hundredths of %LEL.
pub const CLEAN: u16 = 20;
/// Gas over every limit.
pub const GAS: u16 = 4000;

/// What the slave has answered, and what it will.
#[derive(Default)]
pub struct Told {
    /// Polls answered.
    pub counted: u32,
    /// Methane at one place.
    pub passing: u16,
    /// Methane at another.
    pub steady: u16,
}

/// The witness and its plant.
pub struct Witness {
    folder: tempfile::TempDir,
    /// Where the collector's pages are.
    pub base: String,
    told: Arc<Mutex<Told>>,
    kind: Kind,
}

impl Witness {
    /// A slave that counts, and folders for the programs.
    pub async fn new(kind: Kind) -> Result<Witness> {
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
        let port = crate::free_port();
        let plant = Witness { folder, base: format!("http://127.0.0.1:{port}"), told, kind };
        write(&plant.path("counter.toml"), PROFILE)?;
        write(&plant.path("buses.toml"), &buses(&slave.address().to_string()))?;
        Ok(plant)
    }

    /// A file in the witness's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The gateway's state.
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Changes what the slave says.
    pub fn tell(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock().expect("nobody panics here"));
    }

    /// What the slave has said.
    pub fn told<T>(&self, ask: impl FnOnce(&Told) -> T) -> T {
        ask(&self.told.lock().expect("nobody panics here"))
    }

    /// The collector's program.
    pub fn start_collector(&self, broker: &Broker) -> Result<Program> {
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
    pub async fn enrol(&self, room: &Room) -> Result<PathBuf> {
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

    /// The gateway's program.
    pub fn start_gateway(&self, site: &Path, state: &Path) -> Result<Program> {
        self.start_gateway_under(&[], site, state)
    }

    /// The same under a program that does something to it.
    pub fn start_gateway_under(&self, wrapper: &[&str], site: &Path, state: &Path) -> Result<Program> {
        let (site, state) = (site.display().to_string(), state.display().to_string());
        Program::start_under(wrapper, "davy-gateway", &["run", &site, "--state", &state], &format!("delivery-gateway-{:?}", self.kind))
    }

    /// The ledger's row of today, once every sequence up to now is stored or explained.
    pub async fn closed_ledger(&self, room: &Room, least_expected: i64) -> Result<serde_json::Value> {
        let closed = |ledger: &serde_json::Value| {
            let row = ledger.as_array()?.iter().find(|row| row["gateway"] == "g1")?;
            (row["open"] == 0 && row["expected"].as_i64()? >= least_expected).then(|| row.clone())
        };
        room.until("a closed ledger", PATIENCE, "ledger", closed).await
    }

    /// An enterprise with one point, to which every channel is bound. Gives the channels' numbers by tag.
    pub async fn register(&self, room: &Room) -> Result<HashMap<String, u64>> {
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
    pub async fn counts_on(&self, to: u32) -> Result<()> {
        for _ in 0..PATIENCE.as_millis() / 100 {
            if self.told(|told| told.counted) >= to {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("the gateway polls no more")
    }

    /// Waits until the collector has acknowledged everything the gateway holds, but for what is on its way.
    pub async fn caught_up(&self, room: &Room) -> Result<()> {
        room.until("the backlog is drained", PATIENCE, "gateways", |gateways| {
            let gateway = gateways.as_array()?.iter().find(|gateway| gateway["id"] == "g1")?;
            (gateway["online"] == true && gateway["unacknowledged"].as_u64()? < 200).then_some(())
        })
        .await
    }

    /// Waits until the last number that was told is stored.
    pub async fn caught_up_to(&self, room: &Room, channels: &HashMap<String, u64>, counted: u32) -> Result<()> {
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
    pub async fn numbers(&self, room: &Room, channel: u64) -> Result<Vec<f64>> {
        let now = room.get("overview").await?["now"].as_i64().context("the collector's time")?;
        let from = now - 20 * 60 * 1000;
        let series = room.get(&format!("channels/{channel}/series?from={from}&to={}&points=5000", now + 5000)).await?;
        assert_eq!(series["resolution"], "raw", "{}", series["resolution"]);
        Ok(series["rows"].as_array().context("rows")?.iter().filter_map(|row| row["last"].as_f64()).collect())
    }

    /// Every number up to `counted` is stored once, but for those in the ranges that deaths may have swallowed.
    /// Gives how many are missing in all.
    pub async fn everything_once(
        &self,
        room: &Room,
        channels: &HashMap<String, u64>,
        counted: u32,
        swallowed: &[(u32, u32)],
    ) -> Result<usize> {
        let mut missing_in_all = 0;
        for counter in 0..COUNTERS {
            let numbers = self.numbers(room, channels[&format!("counter-{counter}")]).await?;
            let mut seen: HashMap<u32, u32> = HashMap::new();
            numbers.iter().for_each(|number| *seen.entry(*number as u32).or_default() += 1);
            let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
            assert!(twice.is_empty(), "stored twice on counter {counter}: {twice:?}");
            let missing: Vec<u32> = (1..=counted).filter(|number| !seen.contains_key(number)).collect();
            let is_excused = |number: &u32| swallowed.iter().any(|(from, to)| (*from..=*to).contains(number));
            assert!(missing.iter().all(is_excused), "lost on counter {counter}: {missing:?}; deaths may have swallowed {swallowed:?}");
            missing_in_all += missing.len();
        }
        Ok(missing_in_all)
    }

    /// The ledger of today explains every gap, once what is on its way has arrived.
    pub async fn ledger_is_closed(&self, room: &Room) -> Result<()> {
        let row = room.until("a closed ledger", PATIENCE, "ledger", |ledger| {
            ledger.as_array()?.iter().find(|row| row["gateway"] == "g1" && row["open"] == 0).cloned()
        });
        println!("ledger: {}", row.await?);
        Ok(())
    }
}

/// Every record of a stopped gateway's spool can be read.
pub async fn gateway_spool_is_whole(state: &Path) -> Result<()> {
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
