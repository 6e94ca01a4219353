//! What a newcomer starts with `cargo run --release`: it answers, it stops when asked, a second start goes on.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use std::time::Duration;

use anyhow::{Context, Result};
use end_to_end::programs::Program;
use end_to_end::room::Room;

const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_answers_stops_cleanly_and_goes_on_where_it_stopped() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("davy-data").display().to_string();
    let arguments = ["--data", &data, "--http", "127.0.0.1:0", "--quiet"];

    let mut demo = Program::start("site", &arguments, "demo")?;
    let base = demo.says("  打开 open").await?;
    let sign_in = demo.says("  登录 sign in   admin / ").await?;
    let first = sign_in.split_whitespace().next().context("a password")?;
    let room = Room::enter(&base, Some(first)).await?;
    let points = room.until("every point is guarded", PATIENCE, "overview", |seen| {
        (seen["unguarded"] == 0 && seen["coverage"]["unbound"] == 4).then(|| seen["points"]["total"].clone())
    });
    assert_eq!(points.await?, 40);
    let channels = room.get("channels").await?;
    demo.stop().await?;

    let mut demo = Program::start("site", &arguments, "demo")?;
    let base = demo.says("  打开 open").await?;
    // The password that was chosen, not the first one: the second start made no new account.
    let room = Room::enter(&base, None).await?;
    room.until("every point is guarded again", PATIENCE, "overview", |seen| {
        (seen["unguarded"] == 0 && seen["points"]["total"] == 40 && seen["gateways"]["online"] == 4).then_some(())
    })
    .await?;
    let numbers = |channels: &serde_json::Value| -> Vec<(String, u64)> {
        let all = channels.as_array().expect("a list").iter();
        all.map(|one| (one["tag"].as_str().unwrap_or_default().to_owned(), one["id"].as_u64().unwrap_or(0))).collect()
    };
    assert_eq!(numbers(&room.get("channels").await?), numbers(&channels), "every channel kept its number");
    let verdict = room.get("journal/verify").await?;
    assert_eq!(verdict["ok"], true, "{verdict}");
    demo.stop().await
}
