use super::*;
use crate::example::{Keeping, PAYLOAD, append, disk, fill, open, segment};
use crate::simulated::SimulatedDisk;

fn look(disk: &SimulatedDisk) -> (Listing, Vec<Record>) {
    let mut records = Vec::new();
    let listing = inspect_disk(disk, &mut |record| records.push(record.clone())).unwrap();
    (listing, records)
}

fn three_of_a_kind(disk: &SimulatedDisk) {
    let (mut spool, _) = open(disk);
    spool.set_note(b"boot 1");
    append(&mut spool, Class::Telemetry, 1);
    append(&mut spool, Class::Urgent, 1);
    append(&mut spool, Class::Other, 1);
}

#[test]
fn a_listing_counts_the_records_of_each_class() {
    let disk = disk();
    three_of_a_kind(&disk);
    let (listing, records) = look(&disk);
    let only = &listing.segments[0];
    assert_eq!((listing.epoch, listing.spares, listing.segments.len()), (Some(0xE0), 3, 1));
    assert_eq!((only.first, only.last, only.telemetry, only.urgent, only.other), (1, 3, 1, 1, 1));
    assert_eq!((only.level, only.trouble.as_deref()), (Level::Whole, None));
    assert_eq!(records.iter().map(|record| record.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(records.iter().all(|record| record.note.as_deref() == Some(b"boot 1")));
}

#[test]
fn a_listing_changes_nothing() {
    let disk = disk();
    three_of_a_kind(&disk);
    disk.set_looking(true);
    let before: Vec<(String, Vec<u8>)> = disk.names().into_iter().map(|name| (name.clone(), disk.bytes_of(&name))).collect();
    look(&disk);
    let after: Vec<(String, Vec<u8>)> = disk.names().into_iter().map(|name| (name.clone(), disk.bytes_of(&name))).collect();
    assert_eq!(before, after);
}

#[test]
fn a_damaged_record_is_seen_with_its_place() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    append(&mut spool, Class::Urgent, 2);
    // Two records and, first, the mark of the commit.
    let first = 64;
    disk.rot(&segment(1), first + 40, 1);
    let trouble = format!("bytes {first} to {} are no record", first + 16 + PAYLOAD);
    let (listing, records) = look(&disk);
    assert_eq!(listing.segments[0].trouble, Some(trouble));
    assert_eq!(records.len(), 1);
}

#[test]
fn a_damaged_end_is_seen_with_its_place() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    append(&mut spool, Class::Urgent, 3);
    append(&mut spool, Class::Urgent, 1);
    let last = 64 + 2 * (16 + PAYLOAD);
    disk.rot(&segment(1), last + 40, 1);
    // The mark of the commit lies behind it.
    disk.rot(&segment(1), last + 16 + PAYLOAD, 1);
    let (listing, _) = look(&disk);
    assert_eq!(listing.segments[0].trouble, Some(format!("bytes from {last} on are no record")));
    assert_eq!(listing.segments[1].trouble, None);
}

#[test]
fn a_damaged_head_is_seen_and_the_records_are_shown() {
    let disk = disk();
    three_of_a_kind(&disk);
    disk.rot(&segment(1), 3, 1);
    let (listing, records) = look(&disk);
    assert_eq!(listing.segments[0].trouble.as_deref(), Some("the header is damaged"));
    assert_eq!(records.len(), 3);
}

#[test]
fn a_damaged_identity_and_a_file_set_aside_are_seen() {
    let disk = disk();
    three_of_a_kind(&disk);
    disk.rot("identity", 3, 1);
    drop(disk.create("0000000000000009.segment.damaged", 10).unwrap());
    let (listing, _) = look(&disk);
    assert_eq!((listing.epoch, listing.set_aside.len()), (None, 1));
}

#[test]
fn a_thinned_segment_is_listed_as_thinned_and_whole() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    fill(&mut spool, Class::Telemetry);
    spool.make_room(&mut Keeping(vec![2])).unwrap();
    let (listing, _) = look(&disk);
    let oldest = &listing.segments[0];
    assert_eq!((oldest.level, oldest.first, oldest.last, oldest.telemetry), (Level::Thinned, 2, 2, 1));
    assert_eq!(oldest.trouble, None);
}
