//! A backup that was never restored is a hope. Here it is restored.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

mod people_support;

use collector::backup::{BackupError, backup, restore};
use collector::store::Store;
use measurement::{Outcome, Value};
use people_support::{Judge, NOW, judged, plant, sqlite};
use sea_orm::ConnectionTrait;
use std::path::Path;
use timeseries::{Options, Row};

#[tokio::test]
async fn a_restored_backup_has_the_same_journal_alarms_and_readings() {
    let (store, url, dir) = sqlite().await;
    let plant = plant(&store, "甲厂", "gw-1").await;
    store.record(&judged(Judge::new(&store).reads(plant.channels[0], 80.0))).await.expect("recorded");
    let series = timeseries::Store::open(&dir.path().join("series"), Options::default()).expect("opens");
    let row = Row { series: 1, stream: 1, position: 1, sampled_at: NOW, outcome: Outcome::Good(Value::new(1.5).expect("finite")) };
    series.commit(&[row], &[]).expect("stored");
    let to = dir.path().join("backup");
    let made = backup(&store, &url, &series, &to, NOW).await.expect("made");
    store.journal(NOW, &people_support::fact("after the backup")).await.expect("the collector goes on");
    assert!(matches!(backup(&store, &url, &series, &to, NOW).await, Err(BackupError::NotEmpty(_))));

    let elsewhere = tempfile::tempdir().expect("a folder");
    let new_url = format!("sqlite://{}", elsewhere.path().join("davy.sqlite").display());
    let series_dir = elsewhere.path().join("series");
    let restored = restore(&to, &new_url, &series_dir).await.expect("restored");
    assert_eq!(restored, made);
    let again = Store::open(&new_url).await.expect("opens");
    let verdict = again.verify_journal().await.expect("walked");
    assert_eq!((verdict.finding, verdict.head.count), (None, made.journal_entries));
    assert_eq!(again.open_episodes().await.expect("read"), store.open_episodes().await.expect("read"));
    assert_eq!(again.registry().channels, store.registry().channels);
    let series = timeseries::Store::open(&series_dir, Options::default()).expect("opens");
    assert_eq!(series.query(1, NOW, NOW.plus_ms(1)).expect("read"), [row]);
    assert!(matches!(restore(&to, &new_url, &series_dir).await, Err(BackupError::Exists(_))));
}

async fn spoilt(sql: &str) -> BackupError {
    let (store, url, dir) = sqlite().await;
    plant(&store, "甲厂", "gw-1").await;
    let series = timeseries::Store::open(&dir.path().join("series"), Options::default()).expect("opens");
    let to = dir.path().join("backup");
    backup(&store, &url, &series, &to, NOW).await.expect("made");
    let copy = sea_orm::Database::connect(format!("sqlite://{}", to.join("davy.sqlite").display())).await.expect("opens");
    copy.execute_unprepared(sql).await.expect("spoilt");
    copy.close().await.expect("closes");
    let new = dir.path().join("new");
    restore(&to, &format!("sqlite://{}", new.join("davy.sqlite").display()), &new.join("series")).await.expect_err("refused")
}

#[tokio::test]
async fn a_spoilt_backup_is_refused_with_what_is_wrong() {
    assert!(matches!(spoilt("DELETE FROM journal WHERE number = 2").await, BackupError::Journal(_)));
    assert!(matches!(spoilt("DELETE FROM transitions; DELETE FROM channels").await, BackupError::Count { .. }));
}

#[tokio::test]
async fn a_folder_without_a_manifest_is_no_backup() {
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", dir.path().join("new/davy.sqlite").display());
    let error = restore(dir.path(), &url, Path::new("/nonexistent/series")).await.expect_err("refused");
    assert!(error.to_string().contains("manifest.json"), "{error}");
}
