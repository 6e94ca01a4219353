//! The real program as systemd and an operator meet it: ready, alive, reloaded, stopped, and what its page says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

mod support;

use std::time::Duration;

use gateway::export::export;
use gateway::forward::record::Kept;
use rustix::process::Signal;
use support::{Counter, PROFILE, Service, bus, http, shows, site_file};
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixDatagram};

const STATUS: &str = "[status]\nlisten = \"127.0.0.1:0\"";

async fn folder(slave: &Counter) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("counter.toml"), PROFILE).unwrap();
    std::fs::write(folder.path().join("site.toml"), site_file(STATUS, &[bus("one", slave.address, &["a"])])).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_hears_ready_then_the_watchdog_then_stopping_and_the_last_record_is_the_goodbye() {
    let slave = Counter::start(0).await;
    let folder = folder(&slave).await;
    let socket = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    let environment = [("NOTIFY_SOCKET", socket.display().to_string()), ("WATCHDOG_USEC", "1500000".to_owned())];
    let mut service = Service::start(folder.path(), &environment);
    slave.answers(3).await;
    let mut heard = Vec::new();
    let mut bytes = [0; 256];
    let mut is_told = false;
    while !heard.contains(&"STOPPING=1".to_owned()) {
        let length = tokio::time::timeout(Duration::from_secs(60), systemd.recv(&mut bytes)).await.expect("it says something").unwrap();
        heard.extend(String::from_utf8_lossy(&bytes[..length]).lines().map(str::to_owned));
        if heard.iter().filter(|said| *said == "WATCHDOG=1").count() >= 3 && !is_told {
            is_told = true;
            service.signal(Signal::TERM);
        }
    }
    let ready = heard.iter().position(|said| said == "READY=1").expect("ready is said");
    assert!(heard[ready..].iter().filter(|said| *said == "WATCHDOG=1").count() >= 2, "{heard:?}");
    assert!(service.child.wait().await.unwrap().success());
    service.says("stopped; everything read is on the disk").await;
    let mut last = None;
    export(&folder.path().join("state/spool"), &mut |row| last = row.kept).unwrap();
    assert!(matches!(&last, Some(Kept::Happening(said)) if said.text == "gateway stopping as asked"), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_followed_and_a_wrong_one_is_refused_on_the_page_while_polling_goes_on() {
    let slave = Counter::start(0).await;
    let folder = folder(&slave).await;
    let service = Service::start(folder.path(), &[]);
    let page = service.page().await;
    let file = folder.path().join("site.toml");
    // Nobody sends a signal: the file is followed.
    std::fs::write(&file, site_file(STATUS, &[bus("one", slave.address, &["a"]), bus("two", slave.address, &["b"])])).unwrap();
    let refused = shows(page, "/", "site file refused").await;
    assert!(refused.contains("which bus &quot;one&quot; uses already"), "two buses on one line: {refused}");
    assert!(shows(page, "/metrics", "davy_site_refused 1").await.contains("bus=\"one\""));
    slave.answers(5).await;
    let other = Counter::start(0).await;
    std::fs::write(&file, site_file(STATUS, &[bus("one", slave.address, &["a"]), bus("two", other.address, &["b"])])).unwrap();
    service.signal(Signal::HUP);
    let shown = shows(page, "/metrics", "bus=\"two\"").await;
    assert!(shown.contains("davy_site_refused 0"), "{shown}");
    other.answers(3).await;
    assert_eq!(slave.connections(), 1, "the line of the bus that goes on was never closed");
    assert_eq!(service.has_said("is refused"), 1, "a refusal is told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn alive_is_not_ready_and_the_page_is_for_this_host_and_for_reading_only() {
    let slave = Counter::start(0).await;
    let folder = folder(&slave).await;
    let service = Service::start(folder.path(), &[]);
    let page = service.page().await;
    slave.answers(3).await;
    let alive = http(page, "GET /healthz", "127.0.0.1:8470").await;
    assert!(alive.0.starts_with("HTTP/1.1 200") && alive.1 == "ok\n", "{alive:?}");
    let ready = http(page, "GET /readyz", "localhost").await;
    assert!(ready.0.starts_with("HTTP/1.1 503") && ready.1.contains("no broker: "), "{ready:?}");
    let elsewhere = http(page, "GET /", "gateway.example").await;
    assert!(elsewhere.0.starts_with("HTTP/1.1 421"), "{elsewhere:?}");
    for path in ["/", "/metrics", "/healthz", "/readyz", "/style.css"] {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let written = http(page, &format!("{method} {path}"), "localhost").await;
            assert!(written.0.starts_with("HTTP/1.1 405"), "{method} {path}: {written:?}");
        }
    }
    let (head, html) = http(page, "GET /", "localhost").await;
    assert!(head.contains("content-security-policy: default-src 'none'; style-src 'self'"), "{head}");
    assert!(
        html.contains("<html lang=\"zh-CN\">") && html.contains("采集") && html.contains("no broker") | html.contains("delivery"),
        "{html}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_port_that_is_taken_is_said_loudly_and_polling_goes_on() {
    let slave = Counter::start(0).await;
    let folder = folder(&slave).await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = format!("[status]\nlisten = \"{}\"", taken.local_addr().unwrap());
    std::fs::write(folder.path().join("site.toml"), site_file(&listen, &[bus("one", slave.address, &["a"])])).unwrap();
    let service = Service::start(folder.path(), &[]);
    service.says("NO STATUS PAGE").await;
    slave.answers(5).await;
}
