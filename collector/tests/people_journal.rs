//! Somebody with the database file in hand cannot change the past unseen.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

mod people_support;

use collector::journal::verify::Finding;
use collector::store::Store;
use people_support::{NOW, fact, sqlite};
use sea_orm::ConnectionTrait;

/// Writes twenty entries, meddles with the file by SQL, opens it again and gives what verification finds.
async fn after(sql: &str) -> Option<Finding> {
    let (store, url, _dir) = sqlite().await;
    for number in 0..20 {
        store.journal(NOW, &fact(&format!("entry {number}"))).await.expect("journalled");
    }
    store.close().await.expect("closes");
    meddle(&url, sql).await;
    let store = Store::open(&url).await.expect("a meddled journal still opens: alarms come first");
    store.verify_journal().await.expect("walked").finding
}

async fn meddle(url: &str, sql: &str) {
    let db = sea_orm::Database::connect(url).await.expect("opens");
    db.execute_unprepared(sql).await.expect("meddled");
    db.close().await.expect("closes");
}

#[tokio::test]
async fn an_untouched_journal_is_whole() {
    assert_eq!(after("SELECT 1").await, None);
}

#[tokio::test]
async fn an_edited_text_is_found() {
    assert_eq!(after("UPDATE journal SET text_en = 'nothing happened' WHERE number = 7").await, Some(Finding::Content { number: 7 }));
    assert_eq!(after("UPDATE journal SET hash = 'not a hash' WHERE number = 7").await, Some(Finding::Content { number: 7 }));
}

#[tokio::test]
async fn a_deleted_entry_is_found() {
    assert_eq!(after("DELETE FROM journal WHERE number = 7").await, Some(Finding::Number { expected: 7, found: 8 }));
}

#[tokio::test]
async fn two_swapped_entries_are_found() {
    let swap = "UPDATE journal SET number = -1 WHERE number = 7; UPDATE journal SET number = 7 WHERE number = 8; UPDATE journal SET number = 8 WHERE number = -1";
    assert_eq!(after(swap).await, Some(Finding::Content { number: 7 }));
}

#[tokio::test]
async fn a_cut_off_tail_is_found() {
    assert_eq!(after("DELETE FROM journal WHERE number > 15").await, Some(Finding::Anchor { count: 20, entries: 15 }));
    assert_eq!(after("DELETE FROM journal").await, Some(Finding::Anchor { count: 20, entries: 0 }));
}

#[tokio::test]
async fn a_cut_stays_visible_after_new_entries_grew_over_it() {
    let (store, url, _dir) = sqlite().await;
    for number in 0..20 {
        store.journal(NOW, &fact(&format!("entry {number}"))).await.expect("journalled");
    }
    store.close().await.expect("closes");
    meddle(&url, "DELETE FROM journal WHERE number > 15").await;
    for _ in 0..2 {
        let store = Store::open(&url).await.expect("opens");
        for number in 0..10 {
            store.journal(NOW, &fact(&format!("later {number}"))).await.expect("journalled");
        }
        let finding = store.verify_journal().await.expect("walked").finding;
        assert_eq!(finding.map(|finding| finding.first_bad()), Some(20));
        store.close().await.expect("closes");
    }
}
