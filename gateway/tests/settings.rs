//! A real node's settings, through the real program: shown, changed whole, refused with the node's own reason, and
//! never touched where the site does not allow it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use serde_json::Value;
use simulated::{Line, SimulatedNode};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

struct Plant {
    folder: TempDir,
    _stop: tokio_util::sync::DropGuard,
}

async fn plant(writable: bool) -> Plant {
    let stop = CancellationToken::new();
    let identity =
        firmware::NodeSettings { unit: 3, serial: 0xD0, firmware: 1, boot_count: 1, reset_cause: register_map::ResetCause::PowerOn };
    let node = SimulatedNode::new(3, identity, firmware::shipped::FOUR_GAS_CHANNELS.to_vec());
    let line = Line::rtu_over_tcp(vec![node], stop.clone()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "gateway = \"g\"\n[broker]\nurl = \"mqtt://127.0.0.1:1\"\n[[bus]]\nname = \"line\"\nrtu_over_tcp = \"{}\"\n[[bus.device]]\nname = \"node\"\n\
         unit = 3\nprofile = \"davy-node\"\nsettings_writable = {writable}\n",
        line.address().unwrap()
    );
    std::fs::write(folder.path().join("site.toml"), text).unwrap();
    Plant { folder, _stop: stop.drop_guard() }
}

impl Plant {
    async fn run(&self, arguments: &[&str], wanted: Option<&str>) -> (Option<i32>, String, String) {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_davy-gateway"));
        command.arg("settings").arg(self.folder.path().join("site.toml")).arg("node").args(arguments);
        if let Some(wanted) = wanted {
            let file = self.folder.path().join("wanted.toml");
            std::fs::write(&file, wanted).unwrap();
            command.arg("--write").arg(file);
        }
        let done = command.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (done.status.code(), text(done.stdout), text(done.stderr))
    }

    async fn shown(&self) -> Value {
        let (code, out, err) = self.run(&["--json"], None).await;
        assert_eq!(code, Some(0), "{err}");
        serde_json::from_str(&out).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_shown_staged_committed_and_then_in_force_and_nothing_else_is_other() {
    let plant = plant(true).await;
    let before = plant.shown().await;
    assert_eq!(before["channels"][3]["low"]["setpoint"], 10.0);
    let (code, out, err) = plant.run(&[], Some("[[channel]]\nnumber = 3\nlow = { setpoint = 12.0, release = 11.0 }\n")).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("channel 3: - low = { danger = \"above\", setpoint = 10.0, release = 9.0"), "{out}");
    assert!(out.contains("channel 3: + low = { danger = \"above\", setpoint = 12.0, release = 11.0"), "{out}");
    let mut after = plant.shown().await;
    assert!(out.contains(&format!("settings_hash = {}", after["hash"])), "{out} {after}");
    assert_eq!(after["version"].as_u64().unwrap(), before["version"].as_u64().unwrap() + 1);
    assert_eq!(after["channels"][3]["low"]["setpoint"], 12.0);
    for untouched in ["version", "hash"] {
        after[untouched] = before[untouched].clone();
    }
    after["channels"][3]["low"] = before["channels"][3]["low"].clone();
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed_can_be_written_and_then_changes_nothing() {
    let plant = plant(true).await;
    let (_, printed, _) = plant.run(&[], None).await;
    let (code, out, err) = plant.run(&[], Some(&printed)).await;
    assert_eq!((code, out.as_str()), (Some(0), "nothing changes\n"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_s_own_reason_is_told_and_what_was_in_force_stays() {
    let plant = plant(true).await;
    let before = plant.shown().await;
    let (code, _, err) = plant.run(&[], Some("[[channel]]\nnumber = 3\nlow = { setpoint = 2.0, release = 1.0 }\n")).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("a setpoint lies within what clean air shows; it would alarm without cause (channel 3)"), "{err}");
    assert_eq!(plant.shown().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_where_the_site_does_not_allow_it_or_the_file_is_wrong() {
    let guarded = plant(false).await;
    let (code, _, err) = guarded.run(&[], Some("[[channel]]\nnumber = 3\nlatching = true\n")).await;
    assert!(code == Some(2) && err.contains("the site does not allow it; write settings_writable = true"), "{err}");
    let open = plant(true).await;
    for (wanted, said) in [
        ("[[channel]]\nnumber = 3\nlatchnig = true\n", "wanted.toml:3: unknown field `latchnig`; did you mean `latching`?"),
        ("[[channel]]\nnumber = 9\n", "there is no channel 9; the node has 4"),
        ("[[channel]]\nnumber = 3\nlow = { setpoint = 10.0, release = 11.0 }\n", "release 11 lies beyond the setpoint 10"),
    ] {
        let before = open.shown().await;
        let (code, _, err) = open.run(&[], Some(wanted)).await;
        assert!(code == Some(2) && err.contains(said), "{err}");
        assert_eq!(open.shown().await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_finds_the_node_and_says_by_which_profile_it_is_read() {
    let plant = plant(false).await;
    let site = plant.folder.path().join("site.toml").display().to_string();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_davy-gateway"));
    command.args(["scan", "line", "--units", "2-4", "--json", "--site", &site]);
    let done = command.output().await.unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<&Value> = lines.iter().filter(|line| line["progress"].is_null()).collect();
    assert!(lines.len() > found.len(), "how far it is, is told: {said}");
    assert_eq!(found.len(), 1, "{said}");
    assert_eq!((found[0]["unit"].as_u64(), found[0]["guesses"][0]["profile"].as_str()), (Some(3), Some("davy-node")), "{said}");
}
