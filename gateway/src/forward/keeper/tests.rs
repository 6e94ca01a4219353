use super::*;

/// A keeper at work in a folder that goes away, and the state it works on.
fn keeper(folder: &tempfile::TempDir) -> (Keeper, State) {
    let clock = Clock::manual(1, measurement::Timestamp(1_800_000_000_000));
    let mut keeper = Keeper {
        directory: folder.path().to_owned(),
        capacity_bytes: 1 << 20,
        rhythm: Rhythm::new(200, clock.mono()),
        holder: 1,
        clock,
        inbox: Arc::default(),
        reports: Arc::default(),
        promise: Promise::default(),
    };
    let mut state = State::default();
    keeper.open(&mut state);
    (keeper, state)
}

/// Entries that are on the disk when this returns.
fn keep(keeper: &mut Keeper, state: &mut State, count: usize) {
    let mut sack = Sack::default();
    (0..count).for_each(|_| sack.push(Class::Telemetry, &Kept::Gap(Gap::default())));
    keeper.turn(state, Work { sack, urgent: true, ..Work::default() });
}

fn epoch_and_unacknowledged(state: &State) -> Option<(u64, u64)> {
    state.spool.as_ref().map(|spool| (spool.epoch(), spool.unacknowledged()))
}

#[test]
fn what_is_acknowledged_of_an_epoch_that_is_to_be_left_lets_nothing_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut keeper, mut state) = keeper(&folder);
    keep(&mut keeper, &mut state, 5);
    let (epoch, _) = epoch_and_unacknowledged(&state).expect("an open spool");
    let mut all = RangeSet::new();
    all.insert(1, 5);
    keeper.turn(&mut state, Work { acknowledged: Some((epoch, all)), renew: Some(epoch), ..Work::default() });
    let (renewed, unacknowledged) = epoch_and_unacknowledged(&state).expect("an open spool");
    assert_ne!(renewed, epoch);
    assert_eq!(unacknowledged, 5);
    keeper.turn(&mut state, Work { renew: Some(epoch), ..Work::default() });
    assert_eq!(epoch_and_unacknowledged(&state).map(|(epoch, _)| epoch), Some(renewed), "an epoch is left once");
}

#[test]
fn who_asks_for_records_of_another_epoch_is_given_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut keeper, mut state) = keeper(&folder);
    keep(&mut keeper, &mut state, 5);
    let (epoch, _) = epoch_and_unacknowledged(&state).expect("an open spool");
    let mut read = |epoch| {
        let (reply, mut answer) = tokio::sync::oneshot::channel();
        keeper.answer(&mut state, Ask::Read { epoch, from: 1, to: 5, most: 9, bytes: 1 << 16, reply });
        answer.try_recv().ok().map(|records| records.len())
    };
    assert_eq!(read(epoch), Some(5));
    assert_eq!(read(epoch ^ 1), None);
}

fn records(sequences: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    sequences.map(|sequence| Record { sequence, class: Class::Telemetry, payload: vec![sequence as u8], note: None }).collect()
}

#[test]
fn what_reached_the_disk_after_all_is_not_stored_again() {
    assert_eq!(not_recovered(records(4..=9), 1, 1, 6), records(7..=9));
}

#[test]
fn in_a_new_epoch_nothing_uncommitted_is_on_the_disk() {
    assert_eq!(not_recovered(records(4..=9), 1, 2, 6), records(4..=9));
}
