use proptest::prelude::*;

use super::*;
use crate::example::hex;

const CLASSES: [Class; 3] = [Class::Telemetry, Class::Urgent, Class::Other];

fn encoded(kind: Kind, note: u8, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes, 5, &Parsed { kind, note, sequence, payload });
    bytes
}

fn check(kind: Kind, payload: &[u8], pinned: &str) {
    assert_eq!(hex(&encoded(kind, 3, 0x0102, payload)), pinned);
}

#[test]
fn a_telemetry_record_has_these_bytes() {
    check(Kind::Record(Class::Telemetry), b"gas", "65630c58030000030201000000000000676173");
}

#[test]
fn an_urgent_record_has_these_bytes() {
    check(Kind::Record(Class::Urgent), b"gas", "005bde68030001030201000000000000676173");
}

#[test]
fn a_record_of_another_class_has_these_bytes() {
    check(Kind::Record(Class::Other), b"", "63241d26000002030201000000000000");
}

#[test]
fn an_acknowledgement_mark_has_these_bytes() {
    check(Kind::Acknowledgements, &[1; 16], "58fec6e710008003020100000000000001010101010101010101010101010101");
}

#[test]
fn a_note_has_these_bytes() {
    check(Kind::Note, b"boot", "36a5a808040081030201000000000000626f6f74");
}

#[test]
fn a_record_of_another_segment_is_no_record() {
    assert_eq!(parse(&encoded(Kind::Record(Class::Urgent), 0, 1, b"gas"), 6), None);
}

#[test]
fn zeros_are_the_untouched_rest() {
    assert_eq!(Walk::new(&[0; 100], 5, 0, 0).step(), Step::End(0));
}

#[test]
fn a_walk_goes_on_behind_damage() {
    let mut bytes = encoded(Kind::Record(Class::Urgent), 0, 1, b"one");
    let second = bytes.len();
    bytes.extend(encoded(Kind::Record(Class::Urgent), 0, 2, b"two"));
    let third = bytes.len();
    bytes.extend(encoded(Kind::Record(Class::Urgent), 0, 3, b"three"));
    bytes[second + 17] ^= 1;
    let mut walk = Walk::new(&bytes, 5, 0, 0);
    assert!(matches!(walk.step(), Step::Record(0, record) if record.sequence == 1));
    assert_eq!(walk.step(), Step::Damage { from: second, to: third });
    assert!(matches!(walk.step(), Step::Record(_, record) if record.sequence == 3));
    assert_eq!(walk.step(), Step::End(bytes.len()));
}

#[test]
fn damage_with_nothing_behind_it_is_garbage() {
    let mut bytes = encoded(Kind::Record(Class::Urgent), 0, 1, b"one");
    bytes[17] ^= 1;
    assert_eq!(Walk::new(&bytes, 5, 0, 0).step(), Step::Garbage(0));
}

#[test]
fn a_sequence_that_was_there_already_is_no_record() {
    let bytes = encoded(Kind::Record(Class::Urgent), 0, 4, b"one");
    assert_eq!(Walk::new(&bytes, 5, 0, 4).step(), Step::Garbage(0));
}

proptest! {
    #[test]
    fn a_record_is_read_as_it_was_written(
        class in 0_usize..3, note in any::<u8>(), sequence in any::<u64>(), payload in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let kind = Kind::Record(CLASSES[class]);
        let bytes = encoded(kind, note, sequence, &payload);
        prop_assert_eq!(parse(&bytes, 5), Some(Parsed { kind, note, sequence, payload: &payload }));
    }

    #[test]
    fn a_record_with_a_changed_or_a_missing_byte_is_no_record(
        payload in proptest::collection::vec(any::<u8>(), 0..60), at in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        let bytes = encoded(Kind::Record(Class::Telemetry), 1, 9, &payload);
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] ^= flip;
        prop_assert_eq!(parse(&changed, 5), None);
        prop_assert_eq!(parse(&bytes[..at.index(bytes.len())], 5), None);
    }

    #[test]
    fn no_bytes_make_a_walk_panic_or_run_for_ever(bytes in proptest::collection::vec(any::<u8>(), 0..400), last in any::<u64>()) {
        let mut walk = Walk::new(&bytes, 5, 0, last);
        let steps = (0..=2 * bytes.len()).map(|_| walk.step()).find(|step| matches!(step, Step::End(_) | Step::Garbage(_)));
        prop_assert!(steps.is_some());
    }
}
