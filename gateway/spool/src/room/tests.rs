use super::*;
use crate::example::{
    BLOCK, Keeping, PAYLOAD, SEGMENT, append, config, cut_power, declaration, disk, fill, held, open, payload, read, segment,
};
use crate::simulated::SimulatedDisk;

/// Three records fill a segment, and telemetry may fill nine of the twelve: two are the reserve, one is for rewriting.
const TELEMETRY_FITS: u64 = 27;

fn full(disk: &SimulatedDisk) -> Spool<SimulatedDisk> {
    let (mut spool, _) = open(disk);
    assert_eq!(fill(&mut spool, Class::Telemetry).last(), Some(&TELEMETRY_FITS));
    spool
}

fn make_room(spool: &mut Spool<SimulatedDisk>, keep: &[u64]) -> Room {
    spool.make_room(&mut Keeping(keep.to_vec())).unwrap()
}

fn loss(first: u64, last: u64, lost: u64, cause: LossCause) -> Loss {
    Loss { first, last, lost, cause }
}

/// The declarations that are held, in order.
fn declared(spool: &mut Spool<SimulatedDisk>) -> Vec<Vec<u8>> {
    let others = read(spool).0.into_iter().filter(|record| record.class == Class::Other);
    others.map(|record| record.payload).collect()
}

/// True when this declaration covers this sequence.
fn declares(declaration: &[u8], sequence: u64) -> bool {
    let text = String::from_utf8_lossy(declaration);
    let (first, rest) = text.split_once("..=").unwrap();
    let last = rest.split(' ').next().unwrap();
    (first.parse().unwrap()..=last.parse().unwrap()).contains(&sequence)
}

fn check_all_missing_are_declared(spool: &mut Spool<SimulatedDisk>) {
    let (held, declared) = (held(spool), declared(spool));
    for missing in (1..=spool.highest()).filter(|sequence| !held.contains(sequence)) {
        assert!(declared.iter().any(|text| declares(text, missing)), "{missing} is gone without a word");
    }
}

#[test]
fn telemetry_stops_where_the_reserve_begins() {
    let disk = disk();
    let spool = full(&disk);
    assert_eq!(spool.spares.len(), 1 + config().reserve_segments);
    assert_eq!(spool.bytes(), spool.capacity());
}

#[test]
fn urgent_records_go_on_into_the_reserve() {
    let mut spool = full(&disk());
    assert_eq!(fill(&mut spool, Class::Urgent).len(), 6, "two segments of three");
    assert_eq!(spool.spares.len(), 1, "the last one is for rewriting");
}

#[test]
fn a_full_spool_takes_nothing_and_loses_nothing_by_itself() {
    let mut spool = full(&disk());
    assert_eq!(spool.append(Class::Telemetry, &payload(28)), Err(AppendError::Full));
    assert_eq!(held(&mut spool), (1..=TELEMETRY_FITS).collect::<Vec<u64>>());
}

#[test]
fn what_is_wholly_acknowledged_goes_first_and_nothing_is_lost() {
    let mut spool = full(&disk());
    spool.acknowledge(0, &[(13, 15)]);
    assert_eq!(make_room(&mut spool, &[]), Room { made: true, losses: vec![] });
    let left: Vec<u64> = (1..=12).chain(16..=TELEMETRY_FITS).collect();
    assert_eq!(held(&mut spool), left);
}

#[test]
fn the_oldest_segments_are_thinned_to_what_the_caretaker_keeps() {
    let mut spool = full(&disk());
    let room = make_room(&mut spool, &[2, 5, 8, 11, 14, 17, 20, 23, 26]);
    assert!(room.made);
    let thinned = [loss(1, 1, 1, LossCause::Thinned), loss(3, 3, 1, LossCause::Thinned)];
    assert_eq!(room.losses[..2], thinned);
    assert!(spool.is_thinned());
    assert!(held(&mut spool).contains(&2));
}

#[test]
fn every_loss_is_declared_with_its_range_its_count_and_its_cause() {
    let mut spool = full(&disk());
    let room = make_room(&mut spool, &[3, 4]);
    assert!(room.made && !room.losses.is_empty());
    assert_eq!(declared(&mut spool), room.losses.iter().map(declaration).collect::<Vec<_>>());
    let lost: u64 = room.losses.iter().map(|loss| loss.lost).sum();
    let telemetry = read(&mut spool).0.iter().filter(|record| record.class == Class::Telemetry).count() as u64;
    assert_eq!(telemetry + lost, TELEMETRY_FITS, "held or declared, and not both");
}

#[test]
fn records_in_a_row_are_lost_in_one_declaration() {
    let mut spool = full(&disk());
    assert_eq!(make_room(&mut spool, &[]).losses[0], loss(1, 3, 3, LossCause::Thinned));
}

#[test]
fn urgent_and_other_records_are_not_thinned_whatever_the_caretaker_says() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    append(&mut spool, Class::Telemetry, 1);
    append(&mut spool, Class::Urgent, 1);
    append(&mut spool, Class::Other, 1);
    fill(&mut spool, Class::Telemetry);
    let room = make_room(&mut spool, &[]);
    assert_eq!(room.losses[0], loss(1, 1, 1, LossCause::Thinned));
    assert_eq!(held(&mut spool)[..2], [2, 3]);
}

#[test]
fn when_all_are_thinned_the_oldest_lose_the_rest_of_their_telemetry() {
    let mut spool = full(&disk());
    let everything: Vec<u64> = (1..=TELEMETRY_FITS).collect();
    let room = make_room(&mut spool, &everything);
    assert!(room.made);
    assert_eq!(room.losses, [loss(1, 3, 3, LossCause::Dropped)]);
    assert_eq!(held(&mut spool)[0], 4);
}

#[test]
fn urgent_records_outlive_the_telemetry_around_them() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    append(&mut spool, Class::Urgent, 1);
    for _ in 0..20 {
        fill(&mut spool, Class::Telemetry);
        assert!(make_room(&mut spool, &[]).made);
    }
    assert_eq!(held(&mut spool)[0], 1);
}

#[test]
fn merged_declarations_cover_all_that_is_missing() {
    let (mut spool, _) = open(&disk());
    append(&mut spool, Class::Urgent, 1);
    let mut declarations = 0;
    for _ in 0..20 {
        fill(&mut spool, Class::Telemetry);
        declarations += make_room(&mut spool, &[]).losses.len();
        check_all_missing_are_declared(&mut spool);
    }
    assert!(declared(&mut spool).len() < declarations / 2, "some were merged");
}

#[test]
fn when_even_the_reserve_is_full_the_oldest_urgent_records_go() {
    let (mut spool, _) = open(&disk());
    let most = fill(&mut spool, Class::Urgent).len() as u64;
    assert_eq!(most, 33, "eleven segments of three");
    let room = make_room(&mut spool, &[]);
    assert!(room.made);
    assert_eq!(room.losses[0], loss(1, 3, 3, LossCause::UrgentDropped));
    assert!(room.losses.iter().all(|loss| loss.cause == LossCause::UrgentDropped));
    assert!(held(&mut spool).contains(&most));
}

#[test]
fn a_loss_counts_only_what_nobody_else_has() {
    let mut spool = full(&disk());
    spool.acknowledge(0, &[(2, 2)]);
    assert_eq!(make_room(&mut spool, &[]).losses[0], loss(1, 3, 2, LossCause::Thinned));
}

#[test]
fn what_was_acknowledged_is_not_declared_lost() {
    let mut spool = full(&disk());
    spool.acknowledge(2, &[]);
    let room = make_room(&mut spool, &[]);
    assert!(room.losses.iter().all(|loss| loss.first > 2), "{:?}", room.losses);
}

#[test]
fn what_is_kept_of_a_thinned_segment_keeps_its_note() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    spool.set_note(b"boot 1");
    fill(&mut spool, Class::Telemetry);
    make_room(&mut spool, &[3, 6, 9, 12, 15, 18, 21, 24, 27]);
    for mut spool in [spool, open(&disk).0] {
        let (records, damaged) = read(&mut spool);
        assert_eq!(damaged, []);
        assert_eq!(records[0].sequence, 3);
        assert!(records.iter().all(|record| record.note.as_deref() == Some(b"boot 1")));
    }
}

#[test]
fn a_record_found_damaged_while_thinning_is_declared_as_corrupt() {
    let disk = disk();
    let mut spool = full(&disk);
    disk.rot(&segment(1), 64 + 16 + PAYLOAD + 20, 1);
    let room = make_room(&mut spool, &[1, 3]);
    assert_eq!(room.losses[0], loss(2, 2, 1, LossCause::Corrupt));
    assert_eq!(declared(&mut spool)[0], declaration(&room.losses[0]));
}

#[test]
fn a_segment_that_cannot_be_thinned_for_damage_is_dropped_as_corrupt() {
    let disk = disk();
    let mut spool = full(&disk);
    disk.fail_opening(&segment(1), 5);
    let room = make_room(&mut spool, &[]);
    assert!(room.made);
    assert_eq!(room.losses[0], loss(1, 3, 3, LossCause::Corrupt));
}

#[test]
fn a_segment_that_cannot_be_opened_for_want_of_handles_is_not_given_up() {
    let disk = disk();
    let mut spool = full(&disk);
    disk.fail_opening(&segment(1), 24);
    assert!(spool.make_room(&mut Keeping::default()).is_err());
    assert!(disk.names().contains(&segment(1)));
}

#[test]
fn urgent_records_go_without_the_declarations_beside_them() {
    let mut spool = full(&disk());
    let room = make_room(&mut spool, &[1, 3]);
    assert_eq!(room.losses[0], loss(2, 2, 1, LossCause::Thinned));
    // However many urgent ones come, 1 and 3 are held and the next ones are not: somebody must say so.
    for _ in 0..10 {
        fill(&mut spool, Class::Urgent);
        make_room(&mut spool, &[1, 3]);
        assert!(held(&mut spool).starts_with(&[1, 3]));
        check_all_missing_are_declared(&mut spool);
    }
}

#[test]
fn the_spool_keeps_its_bound_however_much_comes() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    for round in 0..60 {
        fill(&mut spool, if round % 7 == 0 { Class::Urgent } else { Class::Telemetry });
        assert!(make_room(&mut spool, &[round * 13]).made);
        assert!(spool.bytes() <= spool.capacity());
        assert!(disk.used() <= spool.capacity() + BLOCK, "the identity takes one block");
    }
}

#[test]
fn a_disk_that_is_full_before_the_bound_is_a_bound() {
    let disk = SimulatedDisk::new(9 * SEGMENT + BLOCK);
    let (mut spool, _) = open(&disk);
    for _ in 0..20 {
        fill(&mut spool, Class::Telemetry);
        assert!(make_room(&mut spool, &[]).made);
        assert!(disk.used() <= 9 * SEGMENT + BLOCK);
    }
}

#[test]
fn room_is_made_without_one_free_byte() {
    let disk = disk();
    let mut spool = full(&disk);
    disk.set_space(0);
    assert!(spool.append(Class::Urgent, &payload(28)).is_ok(), "the reserve is there");
    disk.set_space(disk.used());
    let room = make_room(&mut spool, &[]);
    assert!(room.made, "{room:?}");
}

#[test]
fn a_full_disk_that_gives_nothing_back_loses_no_more_than_it_declares() {
    let disk = disk();
    let mut spool = full(&disk);
    // Somebody else takes every block that is set free.
    disk.set_space(0);
    let room = make_room(&mut spool, &[]);
    assert!(!room.made);
    let held = held(&mut spool);
    for sequence in 1..=TELEMETRY_FITS {
        let said = room.losses.iter().any(|loss| (loss.first..=loss.last).contains(&sequence));
        assert!(held.contains(&sequence) || said, "{sequence}");
    }
}

#[test]
fn a_loss_is_on_the_disk_before_it_happens() {
    for operations in 0..200 {
        let disk = disk();
        let mut spool = full(&disk);
        disk.power_off_in(operations);
        let done = spool.make_room(&mut Keeping(vec![2, 7])).is_ok();
        let (_, mut spool, _) = cut_power(&disk);
        check_all_missing_are_declared(&mut spool);
        if done {
            return;
        }
    }
    panic!("making room takes more than 200 operations");
}
