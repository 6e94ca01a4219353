//! The gateway's post over TLS, to a real Mosquitto that wants a certificate: who cannot prove its name gets nothing,
//! and renewed certificates are taken while readings flow.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use end_to_end::broker::{Broker, Kind};
use end_to_end::papers::Authority;
use end_to_end::room::Room;
use end_to_end::witness::{COUNTERS, PATIENCE, Witness};
use gateway::clock::Clock;
use gateway::forward::{BrokerConfig, Content, NewEntry, Post, PostConfig, PostStatus};
use gateway::site::Site;
use measurement::{ChannelId, Outcome, Reading};
use telemetry::topic::{DEFAULT_ROOT, GatewayId};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

fn post(broker: BrokerConfig, spool: &Path, clock: &Clock, stop: &CancellationToken) -> Result<Post> {
    let config = PostConfig {
        gateway: GatewayId::new("g1")?,
        root: DEFAULT_ROOT.to_owned(),
        broker,
        spool: spool.to_owned(),
        capacity_bytes: 16 << 20,
        group_ms: 50,
        version: "test".to_owned(),
    };
    Ok(Post::start(config, clock.clone(), stop.clone()))
}

/// Papers in `folder`: `ca.pem`, and our own when there are any.
fn destination(url: String, folder: &Path, with_own: bool) -> BrokerConfig {
    let own = with_own.then(|| (folder.join("own.pem"), folder.join("own.key")));
    BrokerConfig { url, ca: Some(folder.join("ca.pem")), client_certificate: own, ..BrokerConfig::default() }
}

async fn until(what: &str, post: &Post, is_so: impl Fn(&PostStatus) -> bool) -> Result<PostStatus> {
    for _ in 0..PATIENCE.as_millis() / 20 {
        let status = post.status();
        if is_so(&status) {
            return Ok(status);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("not so within {PATIENCE:?}: {what}; the post says {:?}", post.status())
}

/// Waits until renewed papers are in use: another connection stands, and there is nothing to complain of.
async fn renewed(post: &Post, before: u64) -> Result<u64> {
    post.look_at_certificates();
    let is_so = |status: &PostStatus| status.connected && status.connections > before && status.certificates.is_none();
    Ok(until("the renewed certificates are in use", post, is_so).await?.connections)
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_while_readings_flow_and_everything_is_stored_once() -> Result<()> {
    let papers = tempfile::tempdir()?;
    let first = Authority::found(papers.path())?;
    first.issue("server", "localhost")?;
    first.issue("own", "g1")?;
    let Some(mut broker) = Broker::start_with_tls(papers.path()).await? else { return Ok(()) };
    let witness = Witness::new(Kind::Mosquitto).await?;
    let mut collector = witness.start_collector(&broker)?;
    let password = collector.says("first sign-in: admin / ").await?;
    let room = Room::enter(&witness.base, password.split_whitespace().next()).await?;
    let site = Site::load(&witness.enrol(&room).await?)?;

    let (clock, stop) = (Clock::system(true), CancellationToken::new());
    let url = format!("mqtts://localhost:{}", broker.tls_port().context("a port for TLS")?);
    let post = post(destination(url, papers.path(), true), &witness.path("spool"), &clock, &stop)?;
    post.set_catalogue(site.catalogue()).await;
    let channels = witness.register(&room).await?;
    let (counted, feeding) = (Arc::new(AtomicU32::new(0)), CancellationToken::new());
    let feeder = tokio::spawn(feed(post.clone(), clock.clone(), counted.clone(), feeding.clone()));
    let mut connections = until("the post is connected", &post, |status| status.connected).await?.connections;

    // Our own pair is renewed.
    first.issue("own", "g1")?;
    connections = renewed(&post, connections).await?;
    // Half of the next pair is there: the connection goes on, and says so.
    let (certificate, key) = first.sign("g1", (2020, 2040))?;
    first.write("own.pem", &certificate)?;
    post.look_at_certificates();
    let status = until("half a pair is told of", &post, |status| status.certificates.is_some()).await?;
    let said = status.certificates.unwrap_or_default();
    assert!(said.contains("cannot be used") && said.contains("own.key"), "{said}");
    assert!(status.connected && status.connections == connections, "the connection before it goes on");
    first.write("own.key", &key)?;
    connections = renewed(&post, connections).await?;
    // A new authority: trusted beside the old one, then the server's certificate is of it, then ours, then it alone is.
    let next_folder = tempfile::tempdir()?;
    let next = Authority::found(next_folder.path())?;
    first.write("ca.pem", &format!("{}{}", first.pem(), next.pem()))?;
    connections = renewed(&post, connections).await?;
    let (certificate, key) = next.sign("localhost", (2020, 2040))?;
    first.write("server.key", &key)?;
    first.write("server.pem", &certificate)?;
    broker.kill().await?;
    broker.restart().await?;
    connections = until("back at the renewed server", &post, |s| s.connected && s.connections > connections).await?.connections;
    let (certificate, key) = next.sign("g1", (2020, 2040))?;
    first.write("own.key", &key)?;
    first.write("own.pem", &certificate)?;
    connections = renewed(&post, connections).await?;
    first.write("ca.pem", &next.pem())?;
    renewed(&post, connections).await?;

    tokio::time::sleep(Duration::from_secs(1)).await;
    feeding.cancel();
    feeder.await?;
    let counted = counted.load(Ordering::SeqCst);
    witness.caught_up_to(&room, &channels, counted).await?;
    let missing = witness.everything_once(&room, &channels, counted, &[]).await?;
    println!("REPORT: {counted} rounds of {COUNTERS} readings over five renewals: {missing} missing, none twice");
    assert_eq!(missing, 0);
    stop.cancel();
    post.stopped().await;
    collector.stop().await
}

/// Appends the next number on every counter, ten times a second.
async fn feed(post: Post, clock: Clock, counted: Arc<AtomicU32>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let (now, number) = (clock.now(), counted.fetch_add(1, Ordering::SeqCst) + 1);
        let entry = |channel: u16| {
            let outcome = Outcome::measured(number as f32);
            let reading = Reading { channel: ChannelId(u32::from(channel)), sampled_at: now.wall, outcome };
            NewEntry { content: Content::Reading { reading, parsed_at: now.mono, sample_age_ms: 0 }, urgent: false }
        };
        assert_eq!(post.append((0..COUNTERS).map(entry).collect()).await, 0, "the post takes everything");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What a post says of a broker with these papers, after several attempts; it never was connected.
async fn refusal(server: impl FnOnce(&Authority) -> Result<()>, other_authority: bool, with_own: bool) -> Result<Option<String>> {
    let papers = tempfile::tempdir()?;
    let authority = Authority::found(papers.path())?;
    authority.issue("own", "g1")?;
    server(&authority)?;
    let Some(broker) = Broker::start_with_tls(papers.path()).await? else { return Ok(None) };
    if other_authority {
        // The gateway trusts somebody else; the broker has read its own papers.
        Authority::found(papers.path())?;
    }
    let url = format!("mqtts://localhost:{}", broker.tls_port().context("a port for TLS")?);
    let (state, stop) = (tempfile::tempdir()?, CancellationToken::new());
    let post = post(destination(url, papers.path(), with_own), state.path(), &Clock::system(true), &stop)?;
    let status = until("three attempts", &post, |status| status.connected || status.connections >= 3).await?;
    assert!(!status.connected, "a broker that must be refused was believed");
    let said = until("why", &post, |status| status.trouble.is_some()).await?.trouble.unwrap_or_default();
    println!("refused: {said}");
    stop.cancel();
    post.stopped().await;
    Ok(Some(said))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_certificate_is_made_out_to_another_name_is_refused() -> Result<()> {
    let Some(said) = refusal(|authority| authority.issue("server", "elsewhere.example"), false, true).await? else { return Ok(()) };
    assert!(said.contains("NotValidForName") || said.contains("not valid for name"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_certificate_another_authority_signed_is_refused() -> Result<()> {
    let Some(said) = refusal(|authority| authority.issue("server", "localhost"), true, true).await? else { return Ok(()) };
    assert!(said.contains("UnknownIssuer") || said.contains("BadSignature"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_certificate_has_expired_is_refused() -> Result<()> {
    let Some(said) = refusal(|authority| authority.issue_expired("server", "localhost"), false, true).await? else { return Ok(()) };
    assert!(said.to_lowercase().contains("expired"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_a_certificate_is_refused_by_the_broker() -> Result<()> {
    refusal(|authority| authority.issue("server", "localhost"), false, false).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_tls_never_sees_a_word_in_plain_text() -> Result<()> {
    let papers = tempfile::tempdir()?;
    Authority::found(papers.path())?.issue("own", "g1")?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("mqtts://localhost:{}", listener.local_addr()?.port());
    let (state, stop) = (tempfile::tempdir()?, CancellationToken::new());
    let post = post(destination(url, papers.path(), true), state.path(), &Clock::system(true), &stop)?;
    for _ in 0..3 {
        let (mut stream, _) = tokio::time::timeout(PATIENCE, listener.accept()).await??;
        let first = tokio::time::timeout(PATIENCE, stream.read_u8()).await??;
        assert_eq!(first, 0x16, "a TLS handshake begins with 0x16, an MQTT CONNECT with 0x10");
    }
    assert!(!post.status().connected);
    stop.cancel();
    post.stopped().await;
    Ok(())
}
