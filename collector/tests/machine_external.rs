//! An external broker: Mosquitto in its default configuration, which forgets everything when it is killed.
//! Skipped, loudly, where Mosquitto is not installed.
#![allow(clippy::expect_used, reason = "a test that cannot go on says where")]

#[path = "machine_support/mod.rs"]
mod support;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use collector::config::MqttMode;
use support::*;
use telemetry::Lane;
use tokio_util::sync::CancellationToken;

struct Mosquitto {
    child: Child,
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<&'static str> {
    ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"].into_iter().find(|path| std::path::Path::new(path).exists())
}

fn mosquitto(program: &str, port: u16) -> Mosquitto {
    let child = Command::new(program).args(["-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Mosquitto { child: child.expect("mosquitto starts") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_forgets_everything_loses_nothing() {
    let Some(program) = program() else {
        eprintln!("SKIPPED: mosquitto is not installed (apt-get install mosquitto)");
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    let port = TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("bound").port();
    let mut broker = mosquitto(program, port);
    let mut config = config(dir.path());
    config.mqtt.mode = MqttMode::External;
    config.mqtt.url = format!("mqtt://127.0.0.1:{port}");
    let shutdown = CancellationToken::new();
    let running = collector::run(config, shutdown.clone()).await.expect("starts");
    let mut gateway = Gateway::connect_to("127.0.0.1", port, "gw-1", "", running.clock.clone()).await;
    // The collector subscribes when it can; a gateway repeats until it is acknowledged.
    let mut first = 0;
    for _ in 0..100 {
        first = gateway.send_catalogue().await;
        if !gateway.hears_nothing(300).await {
            break;
        }
    }
    gateway.send(first, &[reading(0, gateway.clock.wall(), 1.0, 0)], Lane::Live).await;
    gateway.acked_to(first).await;

    broker.child.kill().expect("killed");
    broker.child.wait().expect("gone");
    let letter = gateway.letter(first + 1, &[reading(0, gateway.clock.wall(), 2.0, 0)], Lane::Live, true);
    let _broker = mosquitto(program, port);
    let mut acked = false;
    for _ in 0..100 {
        // Our own client subscribes again as the gateway's does.
        for kind in [telemetry::topic::Kind::Ack, telemetry::topic::Kind::Cmd] {
            let _ = gateway.client.try_subscribe(telemetry::topic::topic(ROOT, &gateway.id, kind), rumqttc::QoS::AtLeastOnce);
        }
        let _ = gateway.client.try_publish(
            telemetry::topic::topic(ROOT, &gateway.id, telemetry::topic::Kind::Up),
            rumqttc::QoS::AtLeastOnce,
            false,
            letter.clone(),
        );
        let told = tokio::time::timeout(std::time::Duration::from_millis(300), gateway.ack_that(|ack| ack.contiguous > first)).await;
        acked = told.is_ok();
        if acked {
            break;
        }
    }
    assert!(acked, "the collector subscribed again and acknowledged");

    shutdown.cancel();
    running.stopped().await.expect("a clean stop");
}
