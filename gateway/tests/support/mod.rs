//! A Modbus TCP slave whose one register pair counts the polls it answered, so that the numbers kept prove by
//! themselves which answers came through.
#![allow(dead_code, clippy::unwrap_used, reason = "a test may stop here, and not every test needs all of it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The slave.
#[derive(Clone)]
pub struct Counter {
    pub address: SocketAddr,
    polls: Arc<AtomicU32>,
    connections: Arc<AtomicU32>,
}

impl Counter {
    /// A slave that answers its first poll with `from` + 1.
    pub async fn start(from: u32) -> Counter {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let slave = Counter { address, polls: Arc::default(), connections: Arc::default() };
        let (polls, connections) = (slave.polls.clone(), slave.connections.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let polls = polls.clone();
                tokio::spawn(async move {
                    let mut question = [0; 12];
                    while stream.read_exact(&mut question).await.is_ok() {
                        let count = from + polls.fetch_add(1, Ordering::SeqCst) + 1;
                        let mut answer = vec![question[0], question[1], 0, 0, 0, 7, question[6], question[7], 4];
                        answer.extend(count.to_be_bytes());
                        if stream.write_all(&answer).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        slave
    }

    /// Polls answered so far.
    pub fn polls(&self) -> u32 {
        self.polls.load(Ordering::SeqCst)
    }

    /// Connections taken so far.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until it has answered so many more polls.
    pub async fn answers(&self, more: u32) {
        let goal = self.polls() + more;
        until("the slave is asked", || self.polls() >= goal).await;
    }
}

/// Waits, at most a minute, until something is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), wait).await.is_ok(), "not so within a minute: {what}");
}

/// A profile of one counter in two registers.
pub const PROFILE: &str = "id = \"counter\"\nmaker = \"nobody\"\nmodel = \"counts\"\nsource = \"this test\"\nconfidence = \"own\"\n\
    [[register]]\nkey = \"count\"\naddress = 0\ntype = \"u32\"\n[[value]]\nkey = \"count\"\nregister = \"count\"\n";

/// A bus with one device on it, named as the bus, whose counter goes to these tags.
pub fn bus(name: &str, address: SocketAddr, tags: &[&str]) -> String {
    let mut text = format!(
        "[[bus]]\nname = {name:?}\ntcp = \"{address}\"\n[[bus.device]]\nname = {name:?}\nunit = 1\nprofile = \"counter.toml\"\nperiod_ms = 100\n"
    );
    for tag in tags {
        text += &format!("[[bus.device.channel]]\nkey = \"count\"\ntag = {tag:?}\nquantity = \"count\"\nunit = \"1\"\n");
    }
    text
}

/// A site file whose broker is not there.
pub fn site_file(head: &str, buses: &[String]) -> String {
    format!(
        "gateway = \"g\"\nclock_vouched = true\n[broker]\nurl = \"mqtt://127.0.0.1:1\"\n[health]\nevery_ms = 1000\n{head}\n{}",
        buses.concat()
    )
}
