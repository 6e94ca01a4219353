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

/// The gateway's program on a site file, at work; killed when it is dropped.
pub struct Service {
    pub child: tokio::process::Child,
    said: tokio::sync::watch::Receiver<Vec<String>>,
}

impl Service {
    /// Starts `davy-gateway run` in this folder, on `site.toml`, with this environment beside.
    pub fn start(folder: &std::path::Path, environment: &[(&str, String)]) -> Service {
        use tokio::io::AsyncBufReadExt;
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_davy-gateway"));
        command.arg("run").arg(folder.join("site.toml")).arg("--state").arg(folder.join("state"));
        command.envs(environment.iter().map(|(name, value)| (*name, value.as_str()))).env("NO_COLOR", "1");
        command.stderr(std::process::Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = tokio::io::BufReader::new(child.stderr.take().unwrap()).lines();
        let (say, said) = tokio::sync::watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                say.send_modify(|said: &mut Vec<String>| said.push(line));
            }
        });
        Service { child, said }
    }

    /// Waits for a line of its log that has this in it, and gives what follows.
    pub async fn says(&self, what: &str) -> String {
        let mut said = self.said.clone();
        let heard = said.wait_for(|lines| lines.iter().any(|line| line.contains(what)));
        let lines =
            tokio::time::timeout(Duration::from_secs(60), heard).await.unwrap_or_else(|_| panic!("it never says {what:?}")).unwrap();
        lines.iter().find_map(|line| line.split_once(what)).unwrap().1.trim().to_owned()
    }

    /// How often its log has said this.
    pub fn has_said(&self, what: &str) -> usize {
        self.said.borrow().iter().filter(|line| line.contains(what)).count()
    }

    /// Where its status page is.
    pub async fn page(&self) -> SocketAddr {
        self.says("the status page is on http://").await.parse().unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_raw(self.child.id().unwrap() as i32).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
    }
}

/// Asks a status page; the answer's head and body.
pub async fn http(page: SocketAddr, question: &str, host: &str) -> (String, String) {
    let mut stream = tokio::net::TcpStream::connect(page).await.unwrap();
    let asked = format!("{question} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Asks it for a path until its body has this in it.
pub async fn shows(page: SocketAddr, path: &str, what: &str) -> String {
    for _ in 0..600 {
        let (_, body) = http(page, &format!("GET {path}"), "localhost").await;
        if body.contains(what) {
            return body;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{path} never shows {what:?}")
}
