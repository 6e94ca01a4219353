//! Devices of other makers, served by pymodbus (a Modbus server that none of us wrote) over TCP and over a serial
//! line: what the real gateway reads of each profile's register images is what the collector shows.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use collector::Config;
use end_to_end::room::Room;
use gateway::device::Profile;
use gateway::site::Site;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(90);

/// One register image of one profile, as a device of its own.
struct Device {
    unit: u8,
    name: String,
    profile: String,
    /// As `foreign/serve.py` wants it.
    image: Value,
    expect: BTreeMap<String, toml::Value>,
}

fn devices() -> Vec<Device> {
    let profiles = Profile::shipped_names().map(|name| Profile::find(name, Path::new(".")).expect("a shipped profile"));
    let vectors = profiles.flat_map(|profile| {
        let id = profile.id.clone();
        // What has a heartbeat moves it, or it would be called stalled.
        let beat = profile.heartbeat.as_ref().map(|heartbeat| heartbeat.register.clone());
        let beats: Vec<u16> =
            profile.registers.iter().filter(|register| Some(&register.key) == beat.as_ref()).map(|one| one.address).collect();
        profile.vectors.into_iter().map(move |vector| (id.clone(), beats.clone(), vector))
    });
    let address =
        |text: &str| text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u16::from_str_radix(hex, 16)).expect("an address");
    let decimal = |image: &BTreeMap<String, Vec<u16>>| -> BTreeMap<String, Vec<u16>> {
        image.iter().map(|(first, words)| (address(first).to_string(), words.clone())).collect()
    };
    (1..)
        .zip(vectors)
        .map(|(unit, (profile, beats, vector))| Device {
            unit,
            name: format!("device-{unit}"),
            profile,
            image: json!({
                "words": decimal(&vector.words), "coils": decimal(&vector.coils), "inputs": decimal(&vector.inputs), "beats": beats
            }),
            expect: vector.expect,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_every_maker_over_tcp_show_what_their_registers_say() -> Result<()> {
    over_tcp(Trouble::NONE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_every_maker_over_a_serial_line_show_what_their_registers_say() -> Result<()> {
    over_a_serial_line(Trouble::NONE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_refuse_dawdle_and_speak_through_noise_over_tcp_never_show_a_wrong_value() -> Result<()> {
    over_tcp(Trouble { seed: 1815 }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_refuse_dawdle_and_speak_through_noise_over_a_serial_line_never_show_a_wrong_value() -> Result<()> {
    over_a_serial_line(Trouble { seed: 1816 }).await
}

/// What is wrong with the devices and their line: nothing, or what `foreign/serve.py` makes of a seed.
#[derive(Clone, Copy)]
struct Trouble {
    seed: u32,
}

impl Trouble {
    const NONE: Trouble = Trouble { seed: 0 };
}

async fn over_tcp(trouble: Trouble) -> Result<()> {
    let Some(python) = python() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let devices = devices();
    let (_server, port) = serve(&python, folder.path(), &devices, trouble, &["tcp"], "port ").await?;
    everything_is_read(folder.path(), &devices, trouble, &format!("tcp = \"127.0.0.1:{port}\"")).await
}

async fn over_a_serial_line(trouble: Trouble) -> Result<()> {
    let Some(python) = python() else { return Ok(()) };
    if !Path::new("/usr/bin/socat").exists() {
        println!("SKIPPED: no /usr/bin/socat, so there is no serial line to try");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let ends = [folder.path().join("theirs"), folder.path().join("ours")];
    let end = |path: &Path| format!("pty,raw,echo=0,link={}", path.display());
    let mut cable = Command::new("/usr/bin/socat").args([end(&ends[0]), end(&ends[1])]).kill_on_drop(true).spawn()?;
    for _ in 0..100 {
        if ends.iter().all(|path| path.exists()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let devices = devices();
    let theirs = ends[0].display().to_string();
    let (_server, _) = serve(&python, folder.path(), &devices, trouble, &["rtu", &theirs], "ready").await?;
    let road = format!("serial = {:?}\nbaud = 19200", ends[1].display().to_string());
    let done = everything_is_read(folder.path(), &devices, trouble, &road).await;
    cable.kill().await?;
    done
}

fn python() -> Option<String> {
    let python = std::env::var("DAVY_PYMODBUS").ok().filter(|path| Path::new(path).exists());
    if python.is_none() {
        println!("SKIPPED: no Python with pymodbus ($DAVY_PYMODBUS; tests/run makes one), so no foreign device was read");
    }
    python
}

/// Starts pymodbus; gives what follows `beginning` on the line that says it is ready.
async fn serve(
    python: &str,
    folder: &Path,
    devices: &[Device],
    trouble: Trouble,
    road: &[&str],
    beginning: &str,
) -> Result<(Child, String)> {
    let images: BTreeMap<String, &Value> = devices.iter().map(|device| (device.unit.to_string(), &device.image)).collect();
    let file = folder.join("images.json");
    std::fs::write(&file, serde_json::to_string(&images)?)?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/foreign/serve.py");
    let mut command = Command::new(python);
    command.arg(script).arg(&file).arg(trouble.seed.to_string()).args(road).stdout(Stdio::piped()).kill_on_drop(true);
    let mut server = command.spawn().context("pymodbus starts")?;
    let mut lines = BufReader::new(server.stdout.take().context("its output")?).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some(rest) = line.strip_prefix(beginning) {
            return Ok((server, rest.to_owned()));
        }
    }
    anyhow::bail!("pymodbus ended before it was ready")
}

async fn everything_is_read(folder: &Path, devices: &[Device], trouble: Trouble, road: &str) -> Result<()> {
    let stop = CancellationToken::new();
    let mut config = Config { data_dir: folder.join("collector"), simulated: true, ..Config::default() };
    config.http.listen.set_port(0);
    config.mqtt.listen.set_port(0);
    let collector = collector::run(config, stop.clone()).await?;
    let admitted = collector.store.admit_gateway("foreign", "foreign", "test", collector.clock.wall()).await?;
    let base = format!("http://{}", collector.http);
    let room = Room::enter(&base, collector.first_password.as_deref()).await?;

    let url = format!("mqtt://{}", collector.mqtt.context("the broker inside")?);
    let period_ms = if trouble.seed == 0 { 20_000 } else { 5_000 };
    let text = site_file(&url, &admitted.password, road, period_ms, devices);
    let site = Site::parse(&folder.join("site.toml"), &text)?;
    let gateway = gateway::run(site, folder.join("state"), gateway::clock::Clock::system(true), stop.clone()).await?;

    // Each channel is waited for until it shows something other than the trouble that there is, and that is confirmed by a
    // second reading where it claims something; what it shows then is judged.
    let mut waiting: BTreeMap<String, (&Device, &String, &toml::Value)> = BTreeMap::new();
    for device in devices {
        waiting.extend(device.expect.iter().map(|(key, expected)| (format!("{}/{key}", device.name), (device, key, expected))));
    }
    let (seen, mut failures) = (waiting.len(), Vec::new());
    let all = room.until("a reading of every channel", PATIENCE, "channels", |channels| {
        for channel in channels.as_array()? {
            let is_trouble = trouble.seed != 0 && TROUBLES.iter().any(|fault| channel["fault"] == *fault);
            if !channel["sampled_at"].is_i64() || channel["fault"] == "NotYetRead" || is_trouble || channel["doubt"] == "Unconfirmed" {
                continue;
            }
            let Some((device, key, expected)) = channel["tag"].as_str().and_then(|tag| waiting.remove(tag)) else { continue };
            if !is_as_expected(channel, expected) {
                failures.push(format!("{} {key}: expected {expected}, the collector shows {channel}", device.profile));
            }
        }
        waiting.is_empty().then_some(())
    });
    all.await?;
    if trouble.seed != 0 {
        // Until every device was asked often; every reading of it is judged, not only the last.
        let (mut good, mut bad) = (0, 0);
        for _ in 0..PATIENCE.as_secs() / 5 {
            tokio::time::sleep(Duration::from_secs(5)).await;
            (good, bad) = every_stored_value_is_right(&room, devices).await?;
            if good > 3 * seen && bad > seen / 10 {
                break;
            }
        }
        println!("through trouble: {good} values, all right, and {bad} faults");
        assert!(good > 3 * seen && bad > seen / 10, "the devices were read often, and there was trouble");
    }
    stop.cancel();
    gateway.stopped().await;
    collector.stopped().await.map_err(|ended| anyhow::anyhow!("{}: {}", ended.part, ended.how))?;
    assert!(failures.is_empty(), "{failures:#?}");
    println!("{seen} values of {} register images, all as their profiles say", devices.len());
    assert!(seen > 20, "the profiles have vectors");
    Ok(())
}

/// What a device that is not answered by, or refuses, looks like. Anything else under trouble is a wrong reading.
const TROUBLES: [&str; 3] = ["NoCommunication", "DeviceRefused", "HeartbeatStalled"];

/// Looks at everything that is stored of the devices; gives how many values and how many faults there are.
async fn every_stored_value_is_right(room: &Room, devices: &[Device]) -> Result<(usize, usize)> {
    let channels = room.get("channels").await?;
    let now = room.get("overview").await?["now"].as_i64().context("the collector's time")?;
    let (mut good, mut bad) = (0, 0);
    for device in devices {
        for (key, expected) in &device.expect {
            let tag = format!("{}/{key}", device.name);
            let number = channels.as_array().and_then(|all| all.iter().find(|one| one["tag"] == tag)).context("the channel")?["id"].clone();
            let path = format!("channels/{number}/series?from={}&to={}&points=5000", now - 600_000, now + 60_000);
            let series = room.get(&path).await?;
            anyhow::ensure!(series["resolution"] == "raw", "{tag}: {}", series["resolution"]);
            for row in series["rows"].as_array().context("rows")? {
                match row["last"].as_f64() {
                    None => bad += 1,
                    Some(value) => {
                        good += 1;
                        let wanted = number_in(expected);
                        let right = wanted.is_some_and(|wanted| (value - wanted).abs() <= wanted.abs() * 1e-5 + 1e-6);
                        assert!(right, "{} {key}: {row} where {expected} is right", device.profile);
                    }
                }
            }
        }
    }
    Ok((good, bad))
}

/// The number that is expected, if one is.
fn number_in(expected: &toml::Value) -> Option<f64> {
    match expected {
        toml::Value::Float(number) => Some(*number),
        toml::Value::Integer(number) => Some(*number as f64),
        toml::Value::String(text) => text.split_once(' ').and_then(|(number, _)| number.parse().ok()),
        _ => None,
    }
}

fn site_file(url: &str, password: &str, road: &str, period_ms: u32, devices: &[Device]) -> String {
    let mut text = format!(
        "gateway = \"foreign\"\nsimulated = true\nclock_vouched = true\n[broker]\nurl = {url:?}\nuser = \"foreign\"\npassword = {password:?}\n\
         [[bus]]\nname = \"bus\"\n{road}\ntimeout_ms = 2000\n"
    );
    for device in devices {
        text += &format!(
            "[[bus.device]]\nname = {:?}\nunit = {}\nprofile = {:?}\nperiod_ms = {period_ms}\n",
            device.name, device.unit, device.profile
        );
        for key in device.expect.keys() {
            text += &format!("[[bus.device.channel]]\nkey = {key:?}\ntag = {key:?}\nquantity = \"vector\"\nunit = \"1\"\n");
        }
    }
    text
}

/// A number, the name of a fault, or a number with the name of a doubt.
fn is_as_expected(channel: &Value, expected: &toml::Value) -> bool {
    let is_number = |value: f64| channel["value"].as_f64().is_some_and(|shown| (shown - value).abs() <= value.abs() * 1e-5 + 1e-6);
    match expected {
        toml::Value::String(text) => match text.split_once(' ') {
            Some((number, doubt)) => number.parse().is_ok_and(is_number) && channel["doubt"] == doubt,
            None => channel["fault"] == text.as_str() && channel["value"] == json!(null),
        },
        toml::Value::Float(number) => is_number(*number) && channel["quality"] == "good",
        toml::Value::Integer(number) => is_number(*number as f64) && channel["quality"] == "good",
        _ => false,
    }
}
