//! The commands as a person and a machine use them: what is printed where, and the exit code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{Counter, PROFILE, bus, site_file};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    fn json_lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }
}

async fn gateway(arguments: &[&str]) -> Said {
    let done = tokio::process::Command::new(env!("CARGO_BIN_EXE_davy-gateway")).args(arguments).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
}

fn folder(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("counter.toml"), PROFILE).unwrap();
    let site = folder.path().join("site.toml");
    std::fs::write(&site, text).unwrap();
    (folder, site.display().to_string())
}

#[tokio::test]
async fn a_wrong_site_file_is_exit_code_2_one_sentence_and_a_document_for_machines() {
    let (_folder, site) = folder("gateway = \"g\"\nclock_vouchd = true\n[broker]\nurl = \"mqtt://b\"\n");
    let said = gateway(&["check", &site, "--json"]).await;
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert_eq!(said.json()["ok"], false);
    assert_eq!(said.json()["line"], 2);
    assert_eq!(said.err.lines().count(), 1, "{}", said.err);
    assert!(said.err.ends_with("site.toml:2: unknown field `clock_vouchd`; did you mean `clock_vouched`?\n"), "{}", said.err);
    assert_eq!(gateway(&["check"]).await.code, Some(2));
    assert_eq!(gateway(&["sing"]).await.code, Some(2));
    assert_eq!(gateway(&["spool", "ls", "/there/is/no/such"]).await.code, Some(2));
}

#[tokio::test]
async fn check_plan_and_profile_speak_to_people_and_machines() {
    let slave = Counter::start(0).await;
    let (_folder, site) = folder(&site_file("", &[bus("one", slave.address, &["a"])]));
    let said = gateway(&["check", &site]).await;
    assert!(said.code == Some(0) && said.out.contains("gateway g with 1 buses, 1 devices"), "{}", said.out);
    assert_eq!(gateway(&["--json", "check", &site]).await.json()["devices"], 1);
    assert!(gateway(&["plan", &site, "--explain"]).await.out.contains("device"));
    let plan = gateway(&["plan", &site, "--json"]).await.json();
    let bus = &plan["buses"][0];
    assert_eq!((bus["bus"].as_str(), bus["parts"][0]["device"].as_str()), (Some("one"), Some("one")), "{plan}");
    assert!(plan["spool_hours"].as_f64().unwrap() > 0.0, "{plan}");
    assert!(gateway(&["profile", "ls"]).await.out.lines().any(|name| name == "honeywell-xnx"));
    let tested = gateway(&["profile", "test", "honeywell-xnx", "--json"]).await.json();
    assert!(tested["vectors"].as_u64().unwrap() > 0 && tested["failures"].as_array().unwrap().is_empty(), "{tested}");
    let unknown = gateway(&["profile", "test", "acme"]).await;
    assert!(unknown.code == Some(2) && unknown.err.contains("there is no profile \"acme\""), "{}", unknown.err);
}

#[tokio::test]
async fn poll_once_prints_each_channel_and_a_fault_without_a_number() {
    let slave = Counter::start(41).await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (_folder, site) = folder(&site_file("", &[bus("one", slave.address, &["a"]), bus("two", gone, &["b"])]));
    let said = gateway(&["poll", &site, "--once", "--json"]).await;
    let lines = said.json_lines();
    assert_eq!((lines[0]["tag"].as_str(), lines[0]["value"].as_f64()), (Some("one/a"), Some(42.0)));
    assert_eq!((lines[1]["value"].is_null(), lines[1]["fault"].as_str()), (true, Some("NoCommunication")));
    assert_eq!(said.code, Some(0), "{}", said.err);
}

async fn filled(slave: &Counter) -> (TempDir, String) {
    let (folder, site) = folder(&site_file("", &[bus("one", slave.address, &["a"])]));
    let stop = CancellationToken::new();
    let site = gateway::site::Site::load(Path::new(&site)).unwrap();
    let running = gateway::run(site, folder.path().join("state"), gateway::clock::Clock::system(true), stop.clone()).await.unwrap();
    slave.answers(12).await;
    stop.cancel();
    running.stopped().await;
    let spool = folder.path().join("state/spool").display().to_string();
    (folder, spool)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_is_exported_record_by_record_with_its_tags() {
    let slave = Counter::start(0).await;
    let (_folder, spool) = filled(&slave).await;
    let lines = gateway(&["spool", "export", &spool, "--json"]).await.json_lines();
    let sequences: Vec<u64> = lines.iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (1..=lines.len() as u64).collect::<Vec<_>>(), "every record, in order");
    let values: Vec<f64> = lines.iter().filter(|line| line["tag"] == "one/a").map(|line| line["value"].as_f64().unwrap()).collect();
    assert_eq!(values, (1..=values.len()).map(|count| count as f64).collect::<Vec<_>>());
    assert!(lines.iter().any(|line| line["what"] == "catalogue") && lines.iter().any(|line| line["what"] == "happening"));

    let csv = gateway(&["spool", "export", &spool, "--from", "3", "--to", "4"]).await.out;
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.starts_with("sequence,class,what,tag,sampled_at,quality,value,unit,first,last,lost,text\n3,"), "{csv}");
    let none = gateway(&["spool", "export", &spool, "--from", "2100-01-01T00:00:00Z", "--json"]).await.json_lines();
    assert!(none.iter().all(|line| line["what"] == "catalogue"), "only what has no time of its own: {none:?}");
    let verified = gateway(&["spool", "verify", &spool, "--json"]).await;
    assert_eq!((verified.code, verified.json()["segments"][0]["trouble"].is_null()), (Some(0), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_part_of_a_spool_is_named_and_stepped_over() {
    let slave = Counter::start(0).await;
    let (_folder, spool) = filled(&slave).await;
    let before = gateway(&["spool", "export", &spool, "--json"]).await.json_lines();
    let log = Path::new(&spool).join("log");
    let segment =
        std::fs::read_dir(&log).unwrap().flatten().find(|entry| entry.path().extension().is_some_and(|e| e == "segment")).unwrap();
    let mut bytes = std::fs::read(segment.path()).unwrap();
    // The value of the fifth poll is somewhere in the middle.
    let five = 5.0_f32.to_le_bytes();
    let at = bytes.windows(4).position(|four| four == five).unwrap();
    bytes[at] ^= 0x40;
    std::fs::write(segment.path(), bytes).unwrap();
    let said = gateway(&["spool", "export", &spool, "--json"]).await;
    let after = said.json_lines();
    assert!(said.err.contains("damaged and stepped over: ") && said.err.contains(".segment"), "{}", said.err);
    assert!(after.len() < before.len() && after.len() + 3 >= before.len(), "{} of {}", after.len(), before.len());
    assert!(after.iter().all(|line| before.contains(line)), "nothing is invented");
    assert_eq!(gateway(&["spool", "verify", &spool]).await.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_behind_a_dtu_is_polled_once_it_has_dialled_in() {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
    let door = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gone = "127.0.0.1:9".parse().unwrap();
    let text = site_file(&format!("[dtu]\nlisten = \"{door}\""), &[bus("one", gone, &["a"])])
        .replace("tcp = \"127.0.0.1:9\"", "dtu = \"13800138000\"");
    let (_folder, site) = folder(&text);
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_davy-gateway"));
    command.args(["poll", &site, "--once"]).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).kill_on_drop(true);
    let mut poll = command.spawn().unwrap();
    let mut told = tokio::io::BufReader::new(poll.stderr.take().unwrap()).lines();
    let first = told.next_line().await.unwrap().unwrap();
    assert_eq!(first, "bus one: its DTU must dial in first; waiting up to 60 s");
    let mut modem = tokio::net::TcpStream::connect(door).await.unwrap();
    modem.write_all(b"13800138000").await.unwrap();
    tokio::spawn(async move {
        let mut question = [0; 8];
        while modem.read_exact(&mut question).await.is_ok() {
            let mut answer = vec![1, 3, 4, 0, 0, 0, 77];
            let mut crc = 0xFFFF_u16;
            for byte in &answer {
                crc ^= u16::from(*byte);
                for _ in 0..8 {
                    crc = if crc & 1 != 0 { crc >> 1 ^ 0xA001 } else { crc >> 1 };
                }
            }
            answer.extend(crc.to_le_bytes());
            modem.write_all(&answer).await.unwrap();
        }
    });
    let done = poll.wait_with_output().await.unwrap();
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stdout).as_ref()), (Some(0), "one/a\t77 1\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_that_a_gateway_has_open_is_not_verified_and_its_listing_says_so() {
    let slave = Counter::start(0).await;
    let (_folder, spool) = filled(&slave).await;
    // As a gateway holds it.
    let open = std::fs::File::open(Path::new(&spool).join("log")).unwrap();
    open.lock().unwrap();
    let verified = gateway(&["spool", "verify", &spool]).await;
    assert!(verified.code == Some(2) && verified.err.contains("stop it first"), "{}", verified.err);
    let listed = gateway(&["spool", "ls", &spool]).await;
    assert!(listed.code == Some(0) && listed.err.contains("may look damaged"), "{}", listed.err);
    drop(open);
    assert_eq!(gateway(&["spool", "verify", &spool]).await.code, Some(0));
}
