use super::*;
use crate::example::{self, disk, hex, open};
use crate::simulated::Dice;

fn header() -> Header {
    Header { number: 0x11, first: 0x0203, begun_ms: 1_700_000_000_000, level: Level::Thinned }
}

#[test]
fn a_header_has_these_bytes() {
    assert_eq!(
        hex(&header().encode()),
        "4441565953454731110000000000000003020000000000000068e5cf8b010000010000000000000000000000000000000000000000000000000000000ef5be6a"
    );
}

#[test]
fn a_header_is_read_as_it_was_written() {
    assert_eq!(Header::decode(&header().encode(), 0x11), Some(header()));
}

#[test]
fn the_header_of_another_file_is_none() {
    assert_eq!(Header::decode(&header().encode(), 0x12), None);
}

#[test]
fn a_header_with_a_changed_byte_is_none() {
    for at in 0..HEADER_BYTES {
        let mut bytes = header().encode();
        bytes[at] ^= 0x10;
        assert_eq!(Header::decode(&bytes, 0x11), None, "byte {at}");
    }
}

#[test]
fn a_name_carries_the_number() {
    assert_eq!(name(0xAB), "00000000000000ab.segment");
    assert_eq!(number("00000000000000ab.segment"), Some(0xAB));
    assert_eq!([number("ab.segment"), number("00000000000000ab.segment.damaged"), number("spare-1")], [None; 3]);
}

#[test]
fn a_segment_with_a_note_a_record_and_a_mark_has_these_bytes() {
    let disk = disk();
    let (mut spool, _) = open(&disk);
    spool.set_note(b"boot 1");
    spool.append(Class::Urgent, b"gas").unwrap();
    spool.commit(1_000).unwrap();
    spool.acknowledge(1, &[]);
    spool.append(Class::Telemetry, b"").unwrap();
    spool.commit(1_000).unwrap();
    let bytes = disk.bytes_of(&example::segment(1));
    let end = spool.segments[0].end as usize;
    let pinned = concat!(
        "4441565953454731",
        "0100000000000000",
        "0100000000000000",
        "e803000000000000",
        "00",
        "000000000000000000000000000000000000000000000000000000",
        "5e665b87", // The header.
        "069df759",
        "0600",
        "81",
        "01",
        "0100000000000000",
        "626f6f742031", // The note, "boot 1".
        "6650b6af",
        "0300",
        "01",
        "01",
        "0100000000000000",
        "676173", // The urgent record, "gas".
        "e930e163",
        "0000",
        "80",
        "00",
        "0200000000000000", // A mark: nothing is acknowledged.
        "858dc0ed",
        "0000",
        "00",
        "01",
        "0200000000000000", // The telemetry record, empty.
        "486be929",
        "1000",
        "80",
        "00",
        "0300000000000000",
        "0100000000000000",
        "0100000000000000", // A mark: 1 to 1.
    );
    assert_eq!(hex(&bytes[..end]), pinned);
    assert!(bytes[end..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_segment_has_its_header_before_it_has_its_name() {
    // Whatever a power cut leaves: a file with a segment's name says where its sequences begin.
    for operations in 0..40 {
        let disk = disk();
        disk.power_off_in(operations);
        if let Ok((mut spool, _)) = example::try_open(&disk) {
            let _ = spool.append(Class::Urgent, b"gas");
        }
        for seed in 0..8 {
            let after = disk.after_power_cut(&mut Dice::new(seed));
            if after.names().contains(&name(1)) {
                assert!(Header::decode(&after.bytes_of(&name(1)), 1).is_some(), "cut before operation {operations}");
            }
        }
    }
}
