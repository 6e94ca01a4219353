//! The collector as a process, killed without warning while readings flow: afterwards everything that was ever
//! acknowledged is stored, once, and everything sent is acknowledged.
#![allow(clippy::expect_used, reason = "a test that cannot go on says where")]

#[path = "machine_support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use measurement::Timestamp;
use support::*;
use telemetry::{Entry, Lane};

/// A collector process; ended when dropped.
struct Process {
    child: Child,
    mqtt: std::net::SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(config: &Path) -> Process {
        let program = env!("CARGO_BIN_EXE_davy-collector");
        let child = Command::new(program).arg("--config").arg(config).env("RUST_LOG", "warn").stdout(Stdio::piped()).spawn();
        let mut child = child.expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("gateways: mqtt://").map(str::to_owned));
        let mqtt = address.expect("it says where gateways deliver").parse().expect("an address");
        Process { child, mqtt }
    }

    /// SIGKILL: no goodbye.
    fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_nine_loses_nothing_that_was_acknowledged_and_stores_nothing_twice() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    // Admit the gateway in a collector inside this process, then stop it.
    let house = House::start(&data).await;
    let password = house.admit("gw-1").await;
    let clock = house.running.clock.clone();
    house.stop().await;
    let config = dir.path().join("davy.toml");
    let text = format!("data_dir = {data:?}\n[http]\nlisten = \"127.0.0.1:0\"\n[mqtt]\nlisten = \"127.0.0.1:0\"\n");
    std::fs::write(&config, text).expect("written");

    let mut all: Vec<Entry> = catalogue().parts().into_iter().map(Entry::CataloguePart).collect();
    let first = all.len() as u64 + 1;
    let mut acked = 0;
    for round in 0..4_u64 {
        let mut process = Process::start(&config);
        let mut gateway = Gateway::connect_to("127.0.0.1", process.mqtt.port(), "gw-1", &password, clock.clone()).await;
        // What a gateway does after connecting: everything not acknowledged, oldest first, then what is new.
        let now = clock.wall();
        all.extend((0..400).map(|n| reading(0, now.plus_ms(n), (round * 400 + n as u64) as f32 / 100.0, 0)));
        let sequence_after = acked + 1;
        for (at, letter) in all[acked as usize..].chunks(25).enumerate() {
            gateway.send(sequence_after + at as u64 * 25, letter, Lane::Live).await;
        }
        // Killed while most of it is under way, at another place each round.
        let target = acked + 1 + round * 90;
        acked = gateway.acked_to(target.min(all.len() as u64)).await.contiguous;
        process.kill();
        while let Ok(ack) = tokio::time::timeout(std::time::Duration::from_millis(50), gateway.ack_that(|_| true)).await {
            acked = acked.max(ack.contiguous);
        }
        assert!(acked <= all.len() as u64);
    }
    let process = Process::start(&config);
    let mut gateway = Gateway::connect_to("127.0.0.1", process.mqtt.port(), "gw-1", &password, clock.clone()).await;
    gateway.status(all.len() as u64, 7).await;
    let held = gateway.ack_that(|ack| ack.nonce == 7).await.contiguous;
    assert!(held >= acked, "it was acknowledged to {acked} and holds {held}");
    for (at, letter) in all[held as usize..].chunks(25).enumerate() {
        gateway.send(held + 1 + at as u64 * 25, letter, Lane::Backlog).await;
    }
    if held < all.len() as u64 {
        gateway.acked_to(all.len() as u64).await;
    }
    drop(process);

    let series = timeseries::Store::open(&data.join("series"), timeseries::Options::default()).expect("opens");
    let rows = series.query(1, Timestamp(0), Timestamp(i64::MAX)).expect("reads");
    let mut positions: Vec<u64> = rows.iter().map(|row| row.position).collect();
    positions.sort_unstable();
    assert_eq!(positions, (first..=all.len() as u64).collect::<Vec<u64>>());
}

#[test]
fn a_settings_file_with_an_unknown_key_is_refused_in_one_sentence() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = dir.path().join("davy.toml");
    std::fs::write(&config, "simulated = true\nretention = 5\n").expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_davy-collector")).arg("--config").arg(&config).output().expect("runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(told.contains("davy.toml, line 2: unknown field `retention`"), "{told}");
    assert_eq!(told.trim().lines().count(), 1, "{told}");
}
