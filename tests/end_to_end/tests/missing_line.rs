//! A serial port that is not there and a connection that is refused are faults of their own channels: the others
//! go on, and what comes back is read again by itself.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use std::time::Duration;

use anyhow::{Context, Result};
use collector::Config;
use end_to_end::room::Room;
use gateway::site::Site;
use serde_json::Value;
use site::slave::Slave;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

const PROFILE: &str = "id = \"one\"\nmaker = \"nobody\"\nmodel = \"one register\"\nsource = \"this test\"\nconfidence = \"own\"\n\
    [[register]]\nkey = \"r\"\naddress = 0\ntype = \"u16\"\n[[value]]\nkey = \"v\"\nregister = \"r\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_port_and_a_refused_connection_fail_alone_and_recover_by_themselves() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stop = CancellationToken::new();
    let mut config = Config { data_dir: folder.path().join("collector"), simulated: true, ..Config::default() };
    config.http.listen.set_port(0);
    config.mqtt.listen.set_port(0);
    let collector = collector::run(config, stop.clone()).await?;
    let admitted = collector.store.admit_gateway("g1", "g1", "test", collector.clock.wall()).await?;
    let room = Room::enter(&format!("http://{}", collector.http), collector.first_password.as_deref()).await?;

    let there = Slave::start(|_, _, _| Some(vec![7])).await?;
    let absent = end_to_end::free_port();
    let roads = [
        ("there", format!("tcp = \"{}\"", there.address())),
        ("refused", format!("tcp = \"127.0.0.1:{absent}\"")),
        ("missing", "serial = \"/dev/there-is-no-such-port\"".to_owned()),
    ];
    let mut text = format!(
        "gateway = \"g1\"\nsimulated = true\nclock_vouched = true\n[broker]\nurl = \"mqtt://{}\"\nuser = \"g1\"\npassword = {:?}\n",
        collector.mqtt.context("the broker inside")?,
        admitted.password
    );
    for (name, road) in roads {
        text += &format!(
            "[[bus]]\nname = {name:?}\n{road}\ntimeout_ms = 500\n[[bus.device]]\nname = {name:?}\nunit = 1\nprofile = \"one.toml\"\n\
             period_ms = 500\n[[bus.device.channel]]\nkey = \"v\"\ntag = \"v\"\nquantity = \"count\"\nunit = \"1\"\n"
        );
    }
    std::fs::write(folder.path().join("one.toml"), PROFILE)?;
    let site = Site::parse(&folder.path().join("site.toml"), &text)?;
    let gateway = gateway::run(site, folder.path().join("state"), gateway::clock::Clock::system(true), stop.clone()).await?;

    for tag in ["refused/v", "missing/v"] {
        let channel = channel(&room, tag, |channel| channel["fault"] == "NoCommunication").await?;
        assert_eq!(channel["value"], Value::Null, "no number where nobody answers: {channel}");
    }
    channel(&room, "there/v", |channel| channel["value"] == 7.0 && channel["live"] == true).await?;

    let _back = Slave::start_at(&format!("127.0.0.1:{absent}"), |_, _, _| Some(vec![9])).await?;
    channel(&room, "refused/v", |channel| channel["value"] == 9.0 && channel["quality"] == "good").await?;
    channel(&room, "missing/v", |channel| channel["fault"] == "NoCommunication").await?;
    stop.cancel();
    gateway.stopped().await;
    collector.stopped().await.map_err(|ended| anyhow::anyhow!("{}: {}", ended.part, ended.how))
}

async fn channel(room: &Room, tag: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    let found = room.until(tag, PATIENCE, "channels", |channels| {
        channels.as_array()?.iter().find(|channel| channel["tag"] == tag && is_so(channel)).cloned()
    });
    found.await
}
