//! A changed site file is set to work while the buses that it leaves as they are go on: no poll is missed, and every
//! reading lies in the spool under its own tag.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

mod support;

use std::collections::HashMap;
use std::path::Path;

use gateway::Running;
use gateway::clock::Clock;
use gateway::export::export;
use gateway::forward::record::Kept;
use gateway::site::Site;
use support::{Counter, PROFILE, bus, site_file, until};
use telemetry::HappeningKind;
use tokio_util::sync::CancellationToken;

async fn start(folder: &Path, text: &str, stop: &CancellationToken) -> Running {
    std::fs::write(folder.join("counter.toml"), PROFILE).unwrap();
    gateway::run(site(folder, text), folder.join("state"), Clock::system(true), stop.clone()).await.unwrap()
}

fn site(folder: &Path, text: &str) -> Site {
    Site::parse(&folder.join("site.toml"), text).unwrap()
}

/// Numbers by tag.
type Numbers = HashMap<String, Vec<f32>>;

/// Numbers by tag, and what happened.
fn kept(folder: &Path) -> (Numbers, Vec<(HappeningKind, String)>) {
    let (mut numbers, mut happenings) = (Numbers::new(), Vec::new());
    let listing = export(&folder.join("state/spool"), &mut |row| match row.kept {
        Some(Kept::Reading { reading, .. }) => {
            let tag = row.channel.expect("every reading's catalogue is kept").tag;
            numbers.entry(tag).or_default().extend(reading.outcome.value().map(|value| value.get()));
        }
        Some(Kept::Happening(said)) => happenings.push((HappeningKind::try_from(said.kind).unwrap(), said.text)),
        _ => {}
    });
    assert!(listing.unwrap().segments.iter().all(|segment| segment.trouble.is_none()));
    (numbers, happenings)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_changes_one_bus_leaves_the_other_s_polls_and_tags_alone() {
    let (folder, stop) = (tempfile::tempdir().unwrap(), CancellationToken::new());
    let (one, two) = (Counter::start(1_000).await, Counter::start(1_000_000).await);
    let before = site_file("", &[bus("one", one.address, &["a"]), bus("two", two.address, &["z"])]);
    let running = start(folder.path(), &before, &stop).await;
    two.answers(10).await;

    // The first bus gets two channels more, so that every number of the second changes.
    let after = site_file("", &[bus("one", one.address, &["x", "y", "a"]), bus("two", two.address, &["z"])]);
    let change = running.loader().load(site(folder.path(), &after)).await.unwrap();
    assert_eq!(change.to_string(), "made anew: one; one bus goes on; the channel catalogue is another");
    two.answers(10).await;
    let third = site_file("", &[bus("two", two.address, &["z"])]);
    running.loader().load(site(folder.path(), &third)).await.unwrap();
    let ones = one.polls();
    two.answers(15).await;
    assert_eq!(one.polls(), ones, "a bus that is gone is asked no more");
    stop.cancel();
    running.stopped().await;

    assert_eq!(two.connections(), 1, "the line of the bus that goes on was never closed");
    let (numbers, happenings) = kept(folder.path());
    let all = &numbers["two/z"];
    let expected: Vec<f32> = (1..=all.len() as u32).map(|count| (1_000_000 + count) as f32).collect();
    assert_eq!(*all, expected, "every answer of the second bus, in order, under its own tag");
    assert!(all.len() as u32 >= two.polls() - 1, "but for the one on its way at the end: {} of {}", all.len(), two.polls());
    for tag in ["one/a", "one/x", "one/y"] {
        assert!(numbers[tag].iter().all(|number| (1_000.0..10_000.0).contains(number)), "{tag}: {:?}", numbers[tag]);
    }
    assert!(numbers["gateway/memory"].iter().all(|mebibytes| (1.0..500.0).contains(mebibytes)), "{:?}", numbers["gateway/memory"]);
    let reloads: Vec<&str> =
        happenings.iter().filter(|(kind, _)| *kind == HappeningKind::SiteReloaded).map(|(_, text)| text.as_str()).collect();
    assert_eq!(
        reloads,
        [
            "the site file is loaded: made anew: one; one bus goes on; the channel catalogue is another",
            "the site file is loaded: gone: one; one bus goes on; the channel catalogue is another",
        ]
    );
    assert_eq!(happenings.last().unwrap().0, HappeningKind::Stopping, "the last word is the goodbye");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_file_is_told_of_and_the_one_before_goes_on() {
    let (folder, stop) = (tempfile::tempdir().unwrap(), CancellationToken::new());
    let one = Counter::start(0).await;
    let running = start(folder.path(), &site_file("", &[bus("one", one.address, &["a"])]), &stop).await;
    let refusal = Site::parse(Path::new("site.toml"), "gateway = 7").unwrap_err().to_string();
    running.loader().refuse(refusal.clone()).await;
    until("the board says so", || running.board().site_standing().refused.as_ref() == Some(&refusal)).await;
    one.answers(3).await;
    stop.cancel();
    running.stopped().await;
    let (_, happenings) = kept(folder.path());
    assert!(happenings.iter().any(|(_, text)| text.ends_with(&refusal)), "{happenings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_hangs_is_seen_and_one_that_works_is_not() {
    let (folder, stop) = (tempfile::tempdir().unwrap(), CancellationToken::new());
    let one = Counter::start(0).await;
    let running = start(folder.path(), &site_file("", &[bus("one", one.address, &["a"])]), &stop).await;
    one.answers(3).await;
    let now = Clock::system(true).mono();
    assert_eq!(running.board().hanging(now, 0), []);
    // Had nothing moved for an hour, everything would hang.
    let later = measurement::MonotonicMs(now.0 + 3_600_000);
    let hanging: Vec<String> = running.board().hanging(later, 0).into_iter().map(|(name, _)| name).collect();
    assert_eq!(hanging, ["bus one", "carrier", "health", "keeper"]);
    stop.cancel();
    running.stopped().await;
}
