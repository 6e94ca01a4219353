use measurement::{Fault, Outcome};
use proptest::prelude::*;

use super::*;

fn row(series: u32, position: u64, at: i64, number: f32) -> Row {
    Row { series, stream: 1, position, sampled_at: Timestamp(at), outcome: Outcome::measured(number) }
}

fn open(path: &Path) -> Store {
    Store::open(path, Options { chunk_rows: 16, chunk_age_ms: 1000 }).unwrap()
}

fn everything(store: &Store, series: u32) -> Vec<Row> {
    store.query(series, Timestamp(i64::MIN / 2), Timestamp(i64::MAX / 2)).unwrap()
}

#[test]
fn what_is_committed_is_there_after_the_store_is_opened_again_sealed_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<Row> = (0..40).map(|i| row(7, i + 1, i as i64 * 5000, i as f32 / 10.0)).collect();
    {
        let store = open(folder.path());
        store.commit(&rows[..20], &[SideWrite::Put(b"ack".to_vec(), b"20".to_vec())]).unwrap();
        store.seal_all().unwrap();
        store.commit(&rows[20..], &[]).unwrap();
        assert_eq!(everything(&store, 7), rows);
    }
    let store = open(folder.path());
    assert_eq!(everything(&store, 7), rows);
    assert_eq!(store.side(b"ack").unwrap().as_deref(), Some(&b"20"[..]));
}

#[test]
fn a_commit_is_replayed_until_it_is_released_and_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let replayed = |store: &Store| {
        let mut seen = Vec::new();
        store.replay(0, |commit, rows| seen.push((commit, rows.len()))).unwrap();
        seen
    };
    let store = open(folder.path());
    store.commit(&[row(1, 1, 0, 1.0), row(2, 2, 0, 1.0)], &[]).unwrap();
    store.commit(&[row(1, 3, 5000, 1.0)], &[]).unwrap();
    store.seal_all().unwrap();
    assert_eq!(replayed(&store), [(1, 2), (2, 1)], "sealed, but nobody has judged them");
    store.release(1);
    store.commit(&[row(1, 4, 10_000, 1.0)], &[]).unwrap();
    store.seal_all().unwrap();
    assert_eq!(replayed(&store), [(2, 1), (3, 1)]);
    drop(store);
    let store = open(folder.path());
    assert_eq!(replayed(&store), [(2, 1), (3, 1)]);
    assert_eq!(everything(&store, 1).len(), 3, "sealed rows still in the head are not doubled");
}

#[test]
fn extremes_remember_the_peak_and_count_the_faults() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut rows: Vec<Row> = (0..24).map(|i| row(1, i + 1, i as i64 * 5000, if i == 5 { 80.0 } else { 1.0 })).collect();
    rows[7].outcome = Outcome::Bad(Fault::WireBreak);
    store.commit(&rows[..15], &[]).unwrap();
    store.seal_all().unwrap();
    store.commit(&rows[15..], &[]).unwrap();
    let minutes = store.extremes(1, Timestamp(0), Timestamp(120_000), Resolution::Minute).unwrap();
    assert_eq!(minutes.len(), 2);
    assert_eq!((minutes[0].min, minutes[0].max, minutes[0].values, minutes[0].faults), (Some(1.0), Some(80.0), 11, 1));
    assert_eq!(minutes[0].worst, Fault::WireBreak.code());
    let hours = store.extremes(1, Timestamp(0), Timestamp(120_000), Resolution::Hour).unwrap();
    assert_eq!((hours.len(), hours[0].max, hours[0].values), (1, Some(80.0), 23));
}

#[test]
fn late_rows_are_found_in_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.commit(&[row(1, 10, 100_000, 1.0)], &[]).unwrap();
    store.seal_all().unwrap();
    store.commit(&[row(1, 11, 50_000, 2.0)], &[]).unwrap();
    store.seal_all().unwrap();
    let found: Vec<u64> = everything(&store, 1).iter().map(|row| row.position).collect();
    assert_eq!(found, [11, 10]);
    assert_eq!(store.latest(1).unwrap().map(|row| row.position), Some(10));
}

#[test]
fn old_rows_are_forgotten_and_their_extremes_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for hour in 0..3 {
        store.commit(&[row(1, hour + 1, hour as i64 * 7_200_000, 5.0)], &[]).unwrap();
        store.seal_all().unwrap();
    }
    assert_eq!(store.retain_raw(Timestamp(7_200_000), 100).unwrap(), 1);
    assert_eq!(everything(&store, 1).len(), 2);
    assert_eq!(store.extremes(1, Timestamp(0), Timestamp(3_600_000), Resolution::Hour).unwrap().len(), 1);
}

#[test]
fn a_backup_holds_what_the_store_held_and_no_more() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(folder.path());
    store.commit(&[row(1, 1, 0, 1.0)], &[]).unwrap();
    store.seal_all().unwrap();
    store.commit(&[row(1, 2, 5000, 2.0)], &[]).unwrap();
    store.backup(copy.path()).unwrap();
    store.commit(&[row(1, 3, 10_000, 3.0)], &[]).unwrap();
    assert_eq!(everything(&open(copy.path()), 1).len(), 2);
}

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<(u32, i64, f32)>),
    Seal,
    Release,
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => proptest::collection::vec((0..4_u32, -1_000_000..1_000_000_000_i64, -100.0..100.0_f32), 1..20).prop_map(Step::Commit),
        2 => Just(Step::Seal),
        1 => Just(Step::Release),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_happens_every_row_is_there_once(steps in proptest::collection::vec(any_step(), 1..25)) {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, mut model, mut position) = (open(folder.path()), Vec::new(), 0);
        for step in steps {
            match step {
                Step::Commit(rows) => {
                    let rows: Vec<Row> = rows.into_iter().map(|(series, at, number)| { position += 1; row(series, position, at, number) }).collect();
                    store.commit(&rows, &[]).unwrap();
                    model.extend(rows);
                }
                Step::Seal => store.seal_all().unwrap(),
                Step::Release => {
                    // By itself, so that the writer's lock is given back before the release takes it.
                    let last = store.writer().next_commit - 1;
                    store.release(last);
                }
                Step::Reopen => {
                    drop(store);
                    store = open(folder.path());
                }
            }
        }
        for series in 0..4 {
            let mut expected: Vec<Row> = model.iter().copied().filter(|row| row.series == series).collect();
            expected.sort_by_key(|row| (row.sampled_at, row.position));
            prop_assert_eq!(everything(&store, series), expected);
        }
    }
}
