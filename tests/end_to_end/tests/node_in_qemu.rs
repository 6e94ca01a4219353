//! The node's own image, on an emulated Cortex-M4, from the air to the journal: its gas module breathes the simulated plant's
//! air, the real gateway polls it over Modbus RTU through QEMU's serial port, the collector shows and alarms.
//!
//! `firmware/build --images` builds the two images and names them in the variables this test reads; `tests/run` does both.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use collector::Config;
use end_to_end::garbling::Garbling;
use end_to_end::room::Room;
use gateway::clock::Clock;
use gateway::forward::Content;
use gateway::interpret::{Answer, At, Memory, interpret};
use gateway::poll::ask;
use gateway::poll::dtu::Dtus;
use gateway::poll::link::{Failure, Link};
use gateway::site::Site;
use measurement::Outcome;
use qemu::module::Module;
use qemu::{Board, Lamps};
use serde_json::{Value, json};
use site::plant::{Gas, Space};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(90);
/// The node's unit id as it leaves the house.
const UNIT: u8 = 17;
/// CO ppm, H2S ppm, O2 in tenths of %vol, CH4 %LEL of clean air.
const CLEAN: [u16; 4] = [0, 0, 209, 0];
/// Volume fraction of methane at its lower explosive limit.
const LEL: f64 = 0.05;

const POLLS_WITH_GARBLED_BYTES: u32 = 10_000;
/// The polls are shared among so many nodes, each with its own module and cable: a garbled answer is mostly waited for.
const GARBLED_NODES: u32 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn gas_at_the_node_is_heard_there_and_alarms_in_the_control_room_and_no_fault_becomes_a_number() -> Result<()> {
    if !everything_is_there() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let stop = CancellationToken::new();
    let mut config = Config { data_dir: folder.path().join("collector"), simulated: true, ..Config::default() };
    config.http.listen.set_port(0);
    config.mqtt.listen.set_port(0);
    let collector = collector::run(config, stop.clone()).await?;
    let admitted = collector.store.admit_gateway("tank-farm", "tank farm", "test", collector.clock.wall()).await?;
    let room = Room::enter(&format!("http://{}", collector.http), collector.first_password.as_deref()).await?;
    let url = format!("mqtt://{}", collector.mqtt.context("the broker inside")?);

    let ((mut node, node_pty), (hooked, hooked_pty)) = blocking(|| (Board::boot_on_pty(), Board::boot_with_hook_on_pty()));
    let head = format!(
        "gateway = \"tank-farm\"\nsimulated = true\nclock_vouched = true\n[broker]\nurl = {url:?}\nuser = \"tank-farm\"\npassword = {:?}\n",
        admitted.password
    );
    let text = head + &bus("node", &node_pty, 2000) + &bus("hooked", &hooked_pty, 2000);
    let site = Site::parse(&folder.path().join("site.toml"), &text)?;
    let gateway = gateway::run(site, folder.path().join("state"), Clock::system(true), stop.clone()).await?;

    let module = Module::plug(node.serial("gas"), CLEAN, 1);
    let _other = Module::plug(hooked.serial("gas"), CLEAN, 2);
    let space = Arc::new(Mutex::new(Space::new(30.0, 0.05, 20.0)));
    let air = tokio::spawn(breathe(space.clone(), module.clone()));

    // Clean air.
    let methane = channel(&room, "node/ch4", |ch4| ch4["value"] == 0.0 && ch4["quality"] == "good").await?;
    channel(&room, "node/o2", |o2| o2["quality"] == "good").await?;
    let quiet = Lamps { sounder: false, beacon: false, fault: false };
    blocking(|| node.wait_for_lamps(quiet, PATIENCE));
    let point = guarded_point(&room, methane["id"].as_u64().context("the channel's number")?).await?;

    // Gas rises: the node is heard by itself, the reading is in the collector, the alarm with it.
    change(&space, |space| space.leak(Gas::Methane, 0.0015));
    blocking(|| node.wait_for_lamps(Lamps { sounder: true, ..quiet }, PATIENCE));
    let reading = channel(&room, "node/ch4", |ch4| ch4["value"].as_f64().is_some_and(|value| value >= 10.0)).await?;
    assert_eq!(reading["quality"], "good", "{reading}");
    let alarms = format!("alarms?point={point}");
    let alarm =
        room.until("the alarm", PATIENCE, &alarms, |alarms| alarms.as_array()?.iter().find(|alarm| alarm["kind"] == "limit").cloned());
    println!("alarm: {}", alarm.await?);
    blocking(|| node.wait_for_lamps(Lamps { sounder: true, beacon: true, ..quiet }, PATIENCE));

    // The module is unplugged: a fault, at the node and in the control room, and never a zero.
    module.set(|air| air.plugged = false);
    let faulty = channel(&room, "node/ch4", |ch4| {
        assert!(ch4["value"] != 0.0, "a fault is no zero: {ch4}");
        ch4["quality"] == "bad"
    });
    let faulty = faulty.await?;
    assert_eq!((&faulty["value"], &faulty["fault"]), (&Value::Null, &json!("NotConnected")), "{faulty}");
    assert!(blocking(|| node.lamps()).fault);
    room.until("an alarm that says fault", PATIENCE, &alarms, |alarms| {
        alarms.as_array()?.iter().find(|alarm| alarm["kind"] == "fault").cloned()
    })
    .await?;
    change(&space, |space| (space.leak(Gas::Methane, 0.0), space.ventilate(5.0)));
    module.set(|air| air.plugged = true);
    channel(&room, "node/ch4", |ch4| ch4["value"] == 0.0 && ch4["quality"] == "good").await?;

    // A duty hangs: the watchdog resets the node, and the gateway reports why.
    channel(&room, "hooked/o2", |o2| o2["quality"] == "good").await?;
    blocking(|| std::io::Write::write_all(&mut hooked.serial("hook"), b"s")).context("the hook takes a byte")?;
    let told = room.until("the restart in the journal", PATIENCE, "journal?limit=1000", |journal| {
        let entries = journal["entries"].as_array()?;
        entries.iter().find(|entry| entry["text_en"].as_str().is_some_and(|text| text.contains("hooked restarted"))).cloned()
    });
    let told = told.await?;
    assert!(told["text_en"].as_str().is_some_and(|text| text.contains("restarted: a duty hung and its watchdog bit")), "{told}");
    println!("journal: {}", told["text_en"]);
    channel(&room, "hooked/o2", |o2| o2["quality"] == "good").await?;

    air.abort();
    stop.cancel();
    gateway.stopped().await;
    collector.stopped().await.map_err(|ended| anyhow::anyhow!("{}: {}", ended.part, ended.how))?;
    drop((node, hooked));

    // One byte in a hundred is another, on both lines of the node: whatever the gateway accepts is the truth.
    let polls = POLLS_WITH_GARBLED_BYTES / GARBLED_NODES;
    let nodes: Vec<_> = (0..u64::from(GARBLED_NODES)).map(|seed| tokio::spawn(poll_through_garbling(polls, 100 + seed))).collect();
    let mut all = Tally::default();
    for node in nodes {
        let tally = node.await??;
        all = Tally { polls: all.polls + tally.polls, right: all.right + tally.right, faults: all.faults + tally.faults };
    }
    println!("{} polls with garbled bytes: {} values accepted, all right; {} faults", all.polls, all.right, all.faults);
    assert_eq!(all.polls, POLLS_WITH_GARBLED_BYTES);
    assert!(all.right > all.polls / 10 && all.faults > all.polls / 20, "the line was garbled and yet usable");
    Ok(())
}

#[derive(Default)]
struct Tally {
    polls: u32,
    right: u32,
    faults: u32,
}

/// Polls a node of its own as the gateway does, as fast as it answers, and compares every value with the air.
async fn poll_through_garbling(polls: u32, seed: u64) -> Result<Tally> {
    let (board, pty) = blocking(Board::boot_on_pty);
    let truths = [CLEAN, [15, 3, 205, 8], [40, 9, 190, 14], [3, 1, 208, 30]];
    let module = Module::plug(board.serial("gas"), truths[0], seed);
    let cable = Garbling::to(&pty, 10, seed)?;
    let text =
        format!("gateway = \"garbled\"\nclock_vouched = true\n[broker]\nurl = \"mqtt://127.0.0.1:1\"\n{}", bus("node", cable.path(), 40));
    let site = Site::parse(Path::new("site.toml"), &text)?;
    let (bus, device) = (&site.buses[0], &site.buses[0].devices[0]);
    let mut link = Link::new(bus, &Dtus::default());
    let (mut memory, clock) = (Memory::default(), Clock::system(true));
    module.set(|air| air.garbled = 10);
    let mut tally = Tally::default();
    let mut seen = [false; 4];
    for poll in 0..polls {
        let phase = (poll * truths.len() as u32 / polls) as usize;
        module.set(|air| air.gases = truths[phase]);
        let answer = match ask(&mut link, device, &bus.workarounds).await {
            Ok(answer) => answer,
            Err(Failure::Refused(code)) => Answer::Refused(code),
            Err(_) => Answer::Nothing,
        };
        let now = clock.now();
        let entries = interpret(device, &answer, At { wall: now.wall, mono: now.mono }, &mut memory);
        let outcomes: Vec<Outcome> = entries
            .iter()
            .filter_map(|entry| if let Content::Reading { reading, .. } = &entry.content { Some(reading.outcome) } else { None })
            .collect();
        assert_eq!(outcomes.len(), device.channels.len());
        let values: Vec<f32> = outcomes.iter().filter_map(|outcome| outcome.value()).map(|value| value.get()).collect();
        tally.polls += 1;
        if values.len() < outcomes.len() {
            tally.faults += 1;
        } else {
            tally.right += 1;
        }
        for (outcome, place) in outcomes.iter().zip([2, 3]) {
            let Some(value) = outcome.value() else { continue };
            let of = |truth: [u16; 4]| if place == 2 { f32::from(truth[place]) / 10.0 } else { f32::from(truth[place]) };
            // A change is seen with the module's next frames, so the truth before it is no lie yet.
            let right = truths[phase.saturating_sub(1)..=phase].iter().any(|truth| of(*truth) == value.get());
            assert!(right, "seed {seed}, poll {poll}: {} where the air holds {:?}", value.get(), truths[phase]);
            seen[phase] |= of(truths[phase]) == value.get();
        }
    }
    assert!(seen.iter().all(|seen| *seen), "every state of the air was seen: {seen:?}");
    Ok(tally)
}

/// Time runs forty times as fast in the plant as here; the module is shown its air four times a second.
async fn breathe(space: Arc<Mutex<Space>>, module: Module) {
    loop {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let gases = {
            let mut space = space.lock().expect("nobody panics here");
            space.advance(10.0);
            let ppm = |gas| (space.fraction(gas) * 1e6).round() as u16;
            [
                ppm(Gas::CarbonMonoxide),
                ppm(Gas::HydrogenSulphide),
                (space.oxygen() * 1000.0).round() as u16,
                (space.fraction(Gas::Methane) / LEL * 100.0).round() as u16,
            ]
        };
        module.set(|air| air.gases = gases);
    }
}

fn change<T>(space: &Mutex<Space>, how: impl FnOnce(&mut Space) -> T) {
    how(&mut space.lock().expect("nobody panics here"));
}

/// The image, the image with the hook, and QEMU. False, said loudly, where one is missing.
fn everything_is_there() -> bool {
    let names = ["DAVY_NODE_IMAGE", "DAVY_NODE_IMAGE_HOOK"];
    let image = |name: &str| std::env::var_os(name).map(PathBuf::from).is_some_and(|path| path.exists());
    let qemu = std::process::Command::new("qemu-system-arm").arg("--version").output().is_ok();
    let there = qemu && names.into_iter().all(image);
    if !there {
        println!(
            "SKIPPED: the node's image was not booted; it needs qemu-system-arm (Debian package of that name) and {} (firmware/build --images)",
            names.join(" and ")
        );
    }
    there
}

fn bus(device: &str, serial: &str, timeout_ms: u64) -> String {
    format!(
        "[[bus]]\nname = {device:?}\nserial = {serial:?}\nbaud = 9600\ntimeout_ms = {timeout_ms}\n\
         [[bus.device]]\nname = {device:?}\nunit = {UNIT}\nprofile = \"davy-node\"\nperiod_ms = 500\n\
         [[bus.device.channel]]\nkey = \"2\"\ntag = \"o2\"\nquantity = \"O2\"\nunit = \"%vol\"\nrange = [0, 25]\nlimit = [{{ low = 19.5 }}]\n\
         [[bus.device.channel]]\nkey = \"3\"\ntag = \"ch4\"\nquantity = \"CH4\"\nunit = \"%LEL\"\nrange = [0, 100]\nlel_percent_vol = 5.0\n\
         limit = [{{ high = 10 }}, {{ high = 25 }}]\n"
    )
}

async fn channel(room: &Room, tag: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    let found = room.until(tag, PATIENCE, "channels", |channels| {
        channels.as_array()?.iter().find(|channel| channel["tag"] == tag && is_so(channel)).cloned()
    });
    found.await
}

/// A point of an enterprise that this channel guards.
async fn guarded_point(room: &Room, channel: u64) -> Result<i64> {
    let enterprise = room
        .post("enterprises", json!({"name": "e", "uscc": "91130500MA0TEST01X", "kind": "plant", "county": "", "contact": "", "phone": ""}));
    let enterprise = enterprise.await?["id"].as_i64().context("the enterprise's number")?;
    let point = room.post(
        "points",
        json!({"enterprise_id": enterprise, "code": "p", "name": "p", "kind": "k", "assessed": "blue",
        "location": "", "hazards": "", "responsible": "", "phone": ""}),
    );
    let point = point.await?["id"].as_i64().context("the point's number")?;
    room.put(&format!("channels/{channel}/binding"), json!({"point_id": point})).await?;
    Ok(point)
}

/// QEMU's monitor is asked with patience, away from what must not wait.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}
