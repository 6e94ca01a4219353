use super::*;
use crate::example::{
    self, Keeping, PAYLOAD, SEGMENT, append, config, cut_power, disk, fill, held, open, payload, read, segment, try_open,
};
use crate::segment::HEADER_BYTES;
use crate::simulated::{Dice, SimulatedDisk};
use crate::{AppendError, Failed};

/// Where the n-th record (from 0) of a segment of [`payload`]s begins, unless marks lie between.
fn offset(n: usize) -> usize {
    HEADER_BYTES + n * (16 + PAYLOAD)
}

fn corrupt(first: u64, last: u64) -> Loss {
    Loss { first, last, lost: last - first + 1, cause: LossCause::Corrupt }
}

/// Nine records in three segments, all committed, and an empty segment behind them.
fn three_segments(disk: &SimulatedDisk) -> Spool<SimulatedDisk> {
    let (mut spool, _) = open(disk);
    for sequence in 1..=9 {
        spool.append(Class::Urgent, &payload(sequence)).unwrap();
    }
    spool.commit(1_000).unwrap();
    spool
}

fn open_as(disk: &SimulatedDisk, holder: u64, new_epoch: u64) -> (Spool<SimulatedDisk>, Report) {
    let opened = Spool::open(disk.clone(), Config { holder, new_epoch, ..config() }, 1_000, &mut |_| {}).unwrap();
    (opened.spool, opened.report)
}

fn opened_with(disk: &SimulatedDisk, segment_bytes: u64) -> Spool<SimulatedDisk> {
    Spool::open(disk.clone(), Config { segment_bytes, ..config() }, 1_000, &mut |_| {}).unwrap().spool
}

// Epochs.

#[test]
fn a_new_spool_takes_the_epoch_it_is_given_and_counts_from_1() {
    let (mut spool, report) = open(&disk());
    assert_eq!(report, Report { fresh: true, ..Report::default() });
    assert_eq!((spool.epoch(), append(&mut spool, Class::Urgent, 1)), (0xE0, vec![1]));
}

#[test]
fn a_restart_keeps_the_epoch_and_goes_on_counting() {
    let disk = disk();
    append(&mut open(&disk).0, Class::Urgent, 2);
    let (mut spool, report) = open_as(&disk, 7, 0xE1);
    assert_eq!(report, Report { records: 2, ..Report::default() });
    assert_eq!((spool.epoch(), append(&mut spool, Class::Urgent, 1)), (0xE0, vec![3]));
}

#[test]
fn another_holder_is_reported_and_changes_nothing_by_itself() {
    let disk = disk();
    append(&mut open(&disk).0, Class::Urgent, 2);
    let (spool, report) = open_as(&disk, 8, 0xE1);
    assert_eq!(report, Report { records: 2, holder_changed: true, ..Report::default() });
    assert_eq!(spool.epoch(), 0xE0);
}

#[test]
fn a_renewed_epoch_counts_from_1_at_the_first_unacknowledged_record() {
    let disk = disk();
    let mut spool = three_segments(&disk);
    spool.acknowledge(4, &[]);
    assert_eq!(spool.renew_epoch(0xE1, 8), Ok(vec![]));
    let (records, _) = read(&mut spool);
    assert_eq!((spool.epoch(), spool.highest(), spool.floor()), (0xE1, 5, 1));
    assert_eq!((records[0].sequence, &records[0].payload), (1, &payload(5)));
}

#[test]
fn a_renewed_epoch_outlives_a_power_cut() {
    let disk = disk();
    let mut spool = three_segments(&disk);
    spool.acknowledge(4, &[]);
    spool.renew_epoch(0xE1, 8).unwrap();
    let disk = disk.after_power_cut(&mut Dice::new(3));
    let (mut spool, report) = open_as(&disk, 8, 0xE2);
    assert_eq!((spool.epoch(), report.holder_changed, report.holes), (0xE1, false, vec![]));
    assert_eq!(held(&mut spool), [1, 2, 3, 4, 5]);
}

#[test]
fn a_renewal_without_room_for_a_mark_settles_the_old_epoch_all_the_same() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    fill(&mut spool, Class::Urgent);
    for _ in 0..100 {
        spool.unacknowledge(1, 40);
        spool.commit_acknowledgements(1_000).unwrap();
    }
    spool.acknowledge(5, &[]);
    spool.renew_epoch(0xE1, 8).unwrap();
    let disk = disk.after_power_cut(&mut Dice::new(3));
    let (mut spool, _) = open_as(&disk, 8, 0xE2);
    fill(&mut spool, Class::Urgent);
    // Of the oldest segment only 6 is of this epoch, as 1.
    let room = spool.make_room(&mut Keeping::default()).unwrap();
    assert_eq!(room.losses[0], Loss { first: 1, last: 1, lost: 1, cause: LossCause::UrgentDropped });
}

#[test]
fn a_renewal_says_what_will_never_come_under_the_new_epoch() {
    let disk = disk();
    let mut spool = three_segments(&disk);
    spool.acknowledge(2, &[(5, 6)]);
    let (first, last) = spool.skip(10);
    append(&mut spool, Class::Other, 1);
    assert_eq!((first, last), (10, 19));
    // Sequence 3 becomes 1.
    let moved = |first, last| Loss { first, last, lost: 0, cause: LossCause::Moved };
    assert_eq!(spool.renew_epoch(0xE1, 8), Ok(vec![moved(3, 4), moved(8, 17)]));
}

#[test]
fn a_full_disk_does_not_stop_a_renewal() {
    let disk = disk();
    let mut spool = three_segments(&disk);
    disk.set_space(disk.used());
    assert_eq!(spool.renew_epoch(0xE1, 8), Ok(vec![]));
    assert_eq!(cut_power(&disk).1.epoch(), 0xE1);
}

#[test]
fn a_lost_identity_begins_an_epoch_at_the_first_unacknowledged_record() {
    let disk = disk();
    let mut spool = three_segments(&disk);
    spool.acknowledge(4, &[(6, 6)]);
    spool.commit_acknowledgements(1_000).unwrap();
    disk.rot("identity", 9, 1);
    let (mut spool, report) = open_as(&disk, 7, 0xE1);
    assert!(report.identity_lost && !report.fresh);
    assert_eq!(report.holes, [Loss { first: 2, last: 2, lost: 0, cause: LossCause::Moved }]);
    assert_eq!((spool.epoch(), spool.highest()), (0xE1, 5));
    assert_eq!(read(&mut spool).0[0].payload, payload(5));
    let (_, report) = open_as(&disk, 7, 0xE2);
    assert!(!report.identity_lost, "once");
}

#[test]
fn an_identity_that_cannot_be_read_is_lost_and_does_not_stop_the_start() {
    let disk = disk();
    three_segments(&disk);
    disk.fail_opening(identity::NAME, 5);
    let (mut spool, report) = open(&disk);
    assert!(report.identity_lost);
    assert_eq!(held(&mut spool).len(), 9);
    assert_eq!(open(&disk).1, Report { records: 9, ..Report::default() });
}

#[test]
fn too_many_open_files_is_no_reason_to_call_the_identity_lost() {
    let disk = disk();
    three_segments(&disk);
    disk.fail_opening(identity::NAME, 24);
    assert!(matches!(try_open(&disk), Err(OpenError::Disk { step: "read the spool's identity", .. })));
}

#[test]
fn a_lost_identity_does_not_stop_the_start_on_a_full_disk() {
    let disk = disk();
    three_segments(&disk);
    disk.remove(identity::NAME).unwrap();
    disk.set_space(0);
    let (mut spool, report) = open(&disk);
    assert!(report.identity_lost);
    assert_eq!(held(&mut spool), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

// Sequences never go back.

#[test]
fn sequences_go_on_after_everything_was_forgotten_and_the_power_went() {
    // Whatever operation it goes at: what was let go was numbered.
    for operations in 0..60 {
        for seed in 0..6 {
            let disk = disk();
            let mut spool = three_segments(&disk);
            spool.acknowledge(9, &[]);
            disk.power_off_in(operations);
            let _ = spool.append(Class::Urgent, &payload(10));
            let _ = spool.forget(i64::MAX);
            let after = disk.after_power_cut(&mut Dice::new(seed));
            let next = open(&after).0.append(Class::Urgent, b"gas").unwrap();
            assert!(next == 10 || next == 11, "{next} after {operations} operations");
        }
    }
}

#[test]
fn sequences_go_on_when_all_is_forgotten_and_segments_have_another_size() {
    let disk = disk();
    three_segments(&disk);
    let mut spool = opened_with(&disk, SEGMENT / 2);
    spool.acknowledge(9, &[]);
    spool.forget(i64::MAX).unwrap();
    drop(spool);
    assert_eq!(opened_with(&disk, SEGMENT / 2).append(Class::Urgent, b"gas"), Ok(10));
}

#[test]
fn sequences_go_on_when_a_full_disk_leaves_no_segment_to_go_on_in() {
    let disk = disk();
    three_segments(&disk);
    disk.set_space(0);
    let mut spool = opened_with(&disk, SEGMENT / 2);
    spool.acknowledge(9, &[]);
    assert!(!spool.make_room(&mut Keeping::default()).unwrap().made);
    disk.set_space(64 * SEGMENT);
    assert_eq!(opened_with(&disk, SEGMENT / 2).append(Class::Urgent, b"gas"), Ok(10));
}

#[test]
fn segments_of_another_size_are_read_all_the_same() {
    let disk = disk();
    three_segments(&disk);
    assert_eq!(held(&mut opened_with(&disk, SEGMENT / 2)), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn what_comes_after_a_damaged_end_is_not_taken_for_acknowledged() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    append(&mut spool, Class::Urgent, 2);
    spool.acknowledge(2, &[]);
    spool.commit_acknowledgements(1_000).unwrap();
    disk.rot(&segment(1), offset(1) + 100, 1);
    let (mut spool, _) = open(&disk);
    assert_eq!(append(&mut spool, Class::Urgent, 1), [3]);
    assert_eq!(spool.unacknowledged(), 1);
}

// Damage.

#[test]
fn a_damaged_record_in_the_middle_costs_itself_and_is_reported() {
    let disk = disk();
    three_segments(&disk);
    disk.rot(&segment(2), offset(1) + 30, 0x20);
    let (mut spool, report) = open(&disk);
    assert_eq!((report.holes, report.damaged, report.records), (vec![corrupt(5, 5)], 1, 8));
    assert_eq!(held(&mut spool), [1, 2, 3, 4, 6, 7, 8, 9]);
}

#[test]
fn a_damaged_last_record_of_a_segment_is_reported_by_what_follows() {
    let disk = disk();
    three_segments(&disk);
    disk.rot(&segment(2), offset(2) + 30, 0x20);
    assert_eq!(open(&disk).1.holes, [corrupt(6, 6)]);
}

#[test]
fn a_damaged_end_before_an_empty_segment_is_reported_at_once() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    append(&mut spool, Class::Urgent, 3);
    // The next segment is begun, and its record is lost.
    spool.append(Class::Urgent, &payload(4)).unwrap();
    let disk = disk.after_power_cut(&mut Dice::new(1));
    disk.rot(&segment(1), offset(2) + 30, 1);
    let (mut spool, report) = open(&disk);
    assert_eq!(report.holes, [corrupt(3, 3)]);
    assert_eq!(append(&mut spool, Class::Urgent, 1), [4]);
}

#[test]
fn a_torn_end_is_reported_once_and_cleared() {
    let torn = (0..64).map(|seed| {
        let disk = disk();
        let (mut spool, _) = open(&disk);
        append(&mut spool, Class::Urgent, 1);
        spool.append(Class::Urgent, &payload(2)).unwrap();
        disk.power_off_in(1);
        spool.commit(1_000).unwrap_err();
        disk.after_power_cut(&mut Dice::new(seed))
    });
    let mut seen = 0;
    for disk in torn {
        let (mut spool, report) = open(&disk);
        seen += report.damaged;
        assert_eq!((held(&mut spool)[0], report.holes), (1, vec![]));
        assert_eq!(open(&disk).1.damaged, 0);
    }
    assert!(seen > 0, "one of 64 was torn");
}

#[test]
fn damage_is_reported_until_it_is_declared_or_acknowledged() {
    let disk = disk();
    let mut spool = three_segments(&disk);
    disk.rot(&segment(2), offset(1) + 30, 0x20);
    for _ in 0..2 {
        let (again, report) = open(&disk);
        assert_eq!(report.holes, [corrupt(5, 5)]);
        spool = again;
    }
    spool.acknowledge(9, &[]);
    spool.commit_acknowledgements(1_000).unwrap();
    assert_eq!(open(&disk).1.holes, []);
}

#[test]
fn damage_that_comes_while_running_is_found_by_the_reader_once() {
    let disk = disk();
    let mut spool = three_segments(&disk);
    disk.rot(&segment(2), offset(1) + 30, 0x20);
    let (records, damaged) = read(&mut spool);
    assert_eq!((records.len(), damaged), (8, vec![corrupt(5, 5)]));
    assert_eq!(read(&mut spool).1, [], "declared once");
}

#[test]
fn a_damaged_note_costs_the_records_under_it_and_is_reported() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    spool.set_note(b"boot 1");
    append(&mut spool, Class::Urgent, 2);
    disk.rot(&segment(1), HEADER_BYTES + 17, 1);
    let (mut spool, report) = open(&disk);
    assert_eq!(report.holes, [corrupt(1, 2)]);
    assert_eq!(read(&mut spool), (vec![], vec![]));
}

#[test]
fn the_note_of_the_last_user_does_not_stand_over_new_records() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    spool.set_note(b"boot 1");
    append(&mut spool, Class::Urgent, 1);
    let (mut spool, _) = open(&disk);
    append(&mut spool, Class::Urgent, 1);
    spool.set_note(b"boot 2");
    append(&mut spool, Class::Urgent, 1);
    let notes: Vec<Option<Vec<u8>>> = read(&mut spool).0.iter().map(|record| record.note.as_ref().map(|note| note.to_vec())).collect();
    assert_eq!(notes, [Some(b"boot 1".to_vec()), None, Some(b"boot 2".to_vec())]);
}

#[test]
fn a_damaged_segment_head_costs_no_record() {
    for number in 1..=3 {
        let disk = disk();
        three_segments(&disk);
        disk.rot(&segment(number), 20, 0xFF);
        let (mut spool, report) = open(&disk);
        assert_eq!((report.holes, report.damaged), (vec![], 1), "segment {number}");
        assert_eq!(held(&mut spool), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(append(&mut spool, Class::Urgent, 1), [10]);
    }
}

#[test]
fn a_damaged_head_with_the_record_behind_it_is_a_hole() {
    for number in [1, 2] {
        let disk = disk();
        three_segments(&disk);
        disk.rot(&segment(number), 20, 0xFF);
        disk.rot(&segment(number), offset(0) + 20, 0xFF);
        let first = 3 * (number - 1) + 1;
        assert_eq!(open(&disk).1.holes, [corrupt(first, first)], "segment {number}");
    }
}

#[test]
fn no_damaged_byte_stops_a_start_or_costs_more_than_its_record() {
    // Small payloads, so that every byte of a segment can be tried.
    let whole = disk();
    let (mut spool, _) = open(&whole);
    spool.set_note(b"boot 1");
    for round in 0..3_u8 {
        spool.append(Class::Urgent, &[round; 20]).unwrap();
        spool.commit(1_000).unwrap();
        // Notes of their own, so that a lost one costs one record too.
        spool.set_note(&[round]);
    }
    let end = spool.segments[0].end as usize;
    let before = read(&mut spool).0;
    for at in 0..end {
        let damaged = whole.after_power_cut(&mut Dice::new(1));
        damaged.rot(&segment(1), at, 0x41);
        let (mut spool, report) = open(&damaged);
        let (after, _) = read(&mut spool);
        let lost = before.iter().filter(|record| !after.contains(record)).count();
        assert!(lost <= 1 && after.len() + lost == before.len(), "byte {at} costs {lost}");
        assert!(report.damaged > 0, "byte {at} goes unnoticed");
        assert!(append(&mut spool, Class::Urgent, 1)[0] >= 3);
    }
}

#[test]
fn a_segment_that_cannot_be_read_is_set_aside_with_a_gap() {
    for number in [1, 2] {
        let disk = disk();
        three_segments(&disk);
        disk.fail_opening(&segment(number), 5);
        let (mut spool, report) = open(&disk);
        let first = 3 * (number - 1) + 1;
        assert_eq!(report.holes, [corrupt(first, first + 2)], "segment {number}");
        assert_eq!(report.set_aside, [segment(number)]);
        assert!(disk.names().contains(&format!("{}.damaged", segment(number))));
        assert_eq!(held(&mut spool).len(), 6);
        // Until somebody declares it, the next start says it again, and does not fail.
        assert_eq!(open(&disk).1.holes, [corrupt(first, first + 2)], "segment {number}");
    }
}

#[test]
fn a_segment_that_cannot_be_read_while_running_is_set_aside_with_a_gap() {
    let disk = disk();
    let mut spool = three_segments(&disk);
    disk.fail_opening(&segment(2), 5);
    let (records, damaged) = read(&mut spool);
    assert_eq!((records.len(), damaged), (6, vec![corrupt(4, 6)]));
    assert_eq!(append(&mut spool, Class::Urgent, 1), [10]);
}

#[test]
fn at_most_four_damaged_files_are_kept() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    fill(&mut spool, Class::Urgent);
    (1..=7).for_each(|number| disk.fail_opening(&segment(number), 5));
    let (_, report) = open(&disk);
    assert_eq!(report.set_aside.len(), 7);
    assert_eq!(disk.names().iter().filter(|name| name.ends_with(".damaged")).count(), 4);
    assert_eq!(report.holes, [corrupt(1, 21)]);
}

#[test]
fn too_many_open_files_is_no_reason_to_set_a_segment_aside() {
    let disk = disk();
    let mut spool = three_segments(&disk);
    disk.fail_opening(&segment(2), 24);
    assert!(spool.read(1, 9, 100, 1 << 20).is_err());
    assert!(matches!(try_open(&disk), Err(OpenError::Disk { step: "read a segment", .. })));
    assert!(disk.names().contains(&segment(2)));
}

#[test]
fn files_that_are_not_ours_are_left_alone() {
    let disk = disk();
    drop(disk.create("lost+found", 10).unwrap());
    drop(disk.create("12.segment", 10).unwrap());
    append(&mut open(&disk).0, Class::Urgent, 1);
    open(&disk);
    assert!(["lost+found", "12.segment"].iter().all(|name| disk.names().contains(&(*name).to_owned())));
}

#[test]
fn what_an_interrupted_rewrite_left_is_cleared() {
    let disk = disk();
    three_segments(&disk);
    drop(disk.create(REWRITE_NAME, 100).unwrap());
    let (mut spool, report) = open(&disk);
    assert_eq!((report.damaged, held(&mut spool).len()), (0, 9));
    assert!(!disk.names().contains(&REWRITE_NAME.to_owned()));
}

// The disk fails.

#[test]
fn a_failed_sync_stops_the_spool() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    append(&mut spool, Class::Urgent, 1);
    spool.append(Class::Urgent, b"gas").unwrap();
    disk.fail_sync_in(1);
    let failed = spool.commit(1_000).unwrap_err();
    assert_eq!(failed.step, "write to the disk");
    assert!(!failed.read_only);
    assert_eq!(spool.append(Class::Urgent, b"gas"), Err(AppendError::Failed(failed.clone())));
    assert_eq!(spool.commit(1_000), Err(failed), "a second sync proves nothing");
}

#[test]
fn what_was_not_committed_when_the_disk_failed_is_given_back() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    spool.set_note(b"boot 1");
    append(&mut spool, Class::Urgent, 1);
    spool.append(Class::Telemetry, b"two").unwrap();
    spool.set_note(b"boot 2");
    spool.append(Class::Urgent, b"three").unwrap();
    disk.fail_sync_in(1);
    spool.commit(1_000).unwrap_err();
    let note = |bytes: &[u8]| Some(bytes.into());
    let two = Record { sequence: 2, class: Class::Telemetry, payload: b"two".to_vec(), note: None };
    let three = Record { sequence: 3, class: Class::Urgent, payload: b"three".to_vec(), note: note(b"boot 2") };
    // The note of the first is on the disk already, and not known here any more.
    assert_eq!(spool.uncommitted(), [two, three]);
}

#[test]
fn what_a_start_finds_after_a_failed_sync_outlives_a_power_cut() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    append(&mut spool, Class::Urgent, 1);
    spool.append(Class::Urgent, &payload(2)).unwrap();
    disk.fail_sync_in(1);
    spool.commit(1_000).unwrap_err();
    // The kernel still shows what it could not write.
    let (mut spool, _) = open(&disk);
    assert_eq!((spool.highest(), held(&mut spool)), (2, vec![1, 2]));
    for seed in 0..8 {
        let (mut spool, _) = open(&disk.after_power_cut(&mut Dice::new(seed)));
        assert_eq!(held(&mut spool), [1, 2]);
    }
}

#[test]
fn a_disk_that_turns_read_only_stops_the_spool_and_says_so() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    append(&mut spool, Class::Urgent, 1);
    spool.append(Class::Urgent, b"gas").unwrap();
    disk.set_read_only(true);
    assert!(matches!(spool.commit(1_000), Err(Failed { read_only: true, .. })));
    assert_eq!(spool.uncommitted().len(), 1);
}

#[test]
fn a_spool_on_a_read_only_disk_opens_as_soon_as_it_can_be_written() {
    let disk = disk();
    three_segments(&disk);
    disk.set_read_only(true);
    assert!(try_open(&disk).is_err());
    disk.set_read_only(false);
    let (mut spool, report) = open(&disk);
    assert_eq!((held(&mut spool).len(), report.set_aside), (9, vec![]));
}

#[test]
fn a_start_needs_no_free_byte() {
    let disk = disk();
    three_segments(&disk);
    disk.set_space(0);
    let (mut spool, _) = open(&disk);
    assert_eq!(append(&mut spool, Class::Urgent, 1), [10]);
}

#[test]
fn a_new_spool_on_a_full_disk_says_why_it_does_not_start() {
    let error = try_open(&SimulatedDisk::new(0)).unwrap_err();
    assert_eq!(error.to_string(), "cannot write the spool's identity");
}

// Settings.

#[test]
fn a_capacity_that_leaves_no_room_for_the_plan_is_refused() {
    let opened = Spool::open(disk(), Config { capacity_bytes: 6 * SEGMENT, ..config() }, 0, &mut |_| {});
    assert!(matches!(opened, Err(OpenError::TooSmall { segments: 7, .. })));
}

#[test]
fn a_segment_larger_than_is_ever_read_is_refused() {
    let config = Config { segment_bytes: 65 << 20, capacity_bytes: 1 << 40, ..config() };
    assert!(matches!(Spool::open(disk(), config, 0, &mut |_| {}), Err(OpenError::SegmentTooLarge { .. })));
}

#[test]
fn every_capacity_from_one_mebibyte_on_has_sizes_that_are_taken() {
    for shift in 20..40 {
        Config::sized(1 << shift, 1, 1).check().unwrap();
    }
    Config::sized(crate::LEAST_CAPACITY, 1, 1).check().unwrap();
}

// Acknowledgements.

#[test]
fn acknowledgements_outlive_a_restart_once_they_are_committed() {
    let disk = disk();
    let mut spool = three_segments(&disk);
    assert_eq!(spool.acknowledge(3, &[(5, 6), (100, 200)]), 5);
    spool.commit_acknowledgements(1_000).unwrap();
    let spool = cut_power(&disk).1;
    assert_eq!(spool.acknowledged().iter().collect::<Vec<_>>(), [(1, 3), (5, 6)]);
}

#[test]
fn what_is_let_go_as_acknowledged_is_not_called_lost_after_a_power_cut() {
    let disk = disk();
    let mut spool = three_segments(&disk);
    spool.acknowledge(0, &[(4, 6)]);
    assert_eq!(spool.forget(i64::MAX), Ok(1));
    let (_, mut spool, report) = cut_power(&disk);
    assert_eq!(report.holes, []);
    assert_eq!(held(&mut spool), [1, 2, 3, 7, 8, 9]);
}

#[test]
fn only_what_is_held_is_unacknowledged() {
    let disk = disk();
    let mut spool = three_segments(&disk);
    spool.acknowledge(6, &[]);
    spool.forget(i64::MAX).unwrap();
    spool.acknowledge(9, &[]);
    spool.unacknowledge(1, 8);
    assert_eq!(spool.acknowledged().iter().collect::<Vec<_>>(), [(1, 6), (9, 9)]);
}

#[test]
fn a_young_segment_is_not_forgotten_although_it_is_acknowledged() {
    let mut spool = three_segments(&disk());
    spool.acknowledge(9, &[]);
    assert_eq!(spool.forget(1_000), Ok(0));
}

#[test]
fn a_gap_record_of_before_is_shown_to_who_opens() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    fill(&mut spool, Class::Telemetry);
    let room = spool.make_room(&mut Keeping(vec![1])).unwrap();
    let mut shown = Vec::new();
    Spool::open(disk, config(), 0, &mut |record: &Record| shown.push(record.payload.clone())).unwrap();
    assert_eq!(shown, room.losses.iter().map(example::declaration).collect::<Vec<_>>());
}
