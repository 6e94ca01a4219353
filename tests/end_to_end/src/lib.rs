//! What the walks share: starting and killing the real programs, a browser, a regulator's endpoint, a broker.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "test support: a panic is a failed test")]

pub mod broker;
pub mod browser;
pub mod disk;
pub mod papers;
pub mod programs;
pub mod proxy;
pub mod room;
pub mod sink;
pub mod witness;

use std::path::PathBuf;

/// Where screenshots and logs are kept: `$DAVY_ARTEFACTS`, or `tests/artefacts`.
pub fn artefacts() -> PathBuf {
    let fallback = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../artefacts"));
    let path = std::env::var_os("DAVY_ARTEFACTS").map_or_else(fallback, PathBuf::from);
    std::fs::create_dir_all(&path).expect("the artefacts folder can be made");
    path
}

/// An HTTP client that keeps the session cookie and never waits longer than 10 s.
pub fn http_client() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let builder = reqwest::Client::builder().timeout(std::time::Duration::from_secs(20)).cookie_store(true).no_proxy();
    builder.build().expect("an HTTP client")
}

/// A loopback port that was free a moment ago, for programs that must be told theirs.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    listener.local_addr().expect("its address").port()
}
