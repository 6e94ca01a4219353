#![allow(clippy::unwrap_used, reason = "a test may stop here")]
use proptest::prelude::*;

use super::*;

fn question(function: u8, address: u16, count: u16) -> Question {
    Question::Read(Reading::of(Block { function, address, count }).unwrap())
}

fn framed(content: &[u8]) -> Vec<u8> {
    let mut frame = content.to_vec();
    frame.extend(crc16(&frame).to_le_bytes());
    frame
}

#[test]
fn the_example_frames_of_the_specification_are_made() {
    // Application protocol 6.3: read registers 108 to 110 of unit 17; its CRC is that of the usual worked example.
    assert_eq!(question(3, 0x6B, 3).rtu(0x11), [0x11, 0x03, 0x00, 0x6B, 0x00, 0x03, 0x76, 0x87]);
    assert_eq!(question(3, 0x6B, 3).tcp(0x11, 1), [0, 1, 0, 0, 0, 6, 0x11, 0x03, 0x00, 0x6B, 0x00, 0x03]);
    assert_eq!(Question::Identification.rtu(1)[..5], [1, 0x2B, 0x0E, 1, 0]);
}

#[test]
fn the_check_value_of_crc_16_modbus_is_right() {
    assert_eq!(crc16(b"123456789"), 0x4B37);
}

#[test]
fn only_reading_can_be_said() {
    let block = |function, address, count| Reading::of(Block { function, address, count });
    for function in (0..=255).filter(|function| !(1..=4).contains(function)) {
        assert_eq!(block(function, 0, 1), None, "{function}");
    }
    assert!(block(3, 65535, 1).is_some() && block(3, 0, 125).is_some());
    assert!(block(3, 65535, 2).is_none() && block(3, 0, 126).is_none() && block(3, 0, 0).is_none());
}

#[test]
fn settings_are_written_and_the_echo_must_be_of_what_was_asked() {
    let asked = Question::WriteSettings(SettingsWrite::of(0x0500, &[1, 0xFFFE]).unwrap());
    assert_eq!(asked.rtu(7), framed(&[7, 16, 0x05, 0x00, 0, 2, 4, 0, 1, 0xFF, 0xFE]));
    let echo = framed(&[7, 16, 0x05, 0x00, 0, 2]);
    assert_eq!(rtu(&echo, 7, &asked), Heard::Answer { reply: Reply::Written, end: 8 });
    assert_eq!(rtu(&framed(&[7, 0x90, 3]), 7, &asked), Heard::Answer { reply: Reply::Exception(3), end: 5 });
    for other in [[7, 16, 0x05, 0x01, 0, 2], [7, 16, 0x05, 0x00, 0, 1]] {
        assert!(matches!(rtu(&framed(&other), 7, &asked), Heard::Other { unit: 7, .. }), "{other:?}");
    }
}

#[test]
fn an_answer_is_read_and_an_exception_is_one() {
    let heard = rtu(&framed(&[7, 3, 4, 0, 1, 0xFF, 0xFE]), 7, &question(3, 0, 2));
    assert_eq!(heard, Heard::Answer { reply: Reply::Words(vec![1, 0xFFFE]), end: 9 });
    assert_eq!(rtu(&framed(&[7, 0x83, 2]), 7, &question(3, 0, 2)), Heard::Answer { reply: Reply::Exception(2), end: 5 });
    // 6.1: 19 coils in three bytes, the first lowest.
    let heard = rtu(&framed(&[7, 1, 3, 0xCD, 0x6B, 0x05]), 7, &question(1, 19, 19));
    let bits = vec![1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1];
    assert_eq!(heard, Heard::Answer { reply: Reply::Words(bits), end: 8 });
}

#[test]
fn an_identification_is_read() {
    let frame = framed(&[5, 0x2B, 0x0E, 1, 1, 0, 0, 2, 0, 4, b'A', b'c', b'm', b'e', 1, 2, b'X', b'1']);
    let reply = Reply::Identification(vec![(0, "Acme".to_owned()), (1, "X1".to_owned())]);
    assert_eq!(rtu(&frame, 5, &Question::Identification), Heard::Answer { reply, end: frame.len() });
}

#[test]
fn frames_of_others_are_seen_to_be_such() {
    let asked = question(3, 0, 2);
    let check = |content: &[u8], unit: u8| {
        let frame = framed(content);
        match rtu(&frame, 7, &asked) {
            Heard::Other { unit: of, end, .. } => assert_eq!((of, end), (unit, frame.len())),
            other => panic!("{content:?}: {other:?}"),
        }
    };
    check(&[8, 3, 4, 0, 1, 0, 2], 8);
    // Broadcasts of another master: one coil, one register, several registers.
    check(&[0, 5, 0, 1, 0xFF, 0], 0);
    check(&[0, 6, 0, 1, 0, 9], 0);
    check(&[0, 16, 0, 1, 0, 1, 2, 0, 9], 0);
    // Its question to another unit, and an exception of that.
    check(&[9, 4, 0, 0, 0, 8], 9);
    check(&[9, 0x84, 2], 9);
    // Of the unit asked, but no answer.
    check(&[7, 3, 2, 0, 1], 7);
    check(&[7, 4, 4, 0, 1, 0, 2], 7);
}

#[test]
fn an_answer_behind_a_foreign_frame_or_a_character_of_nothing_is_found() {
    let answer = framed(&[7, 3, 4, 0, 1, 0, 2]);
    let foreign = framed(&[8, 3, 4, 9, 9, 9, 9]);
    let both = [foreign.clone(), answer.clone()].concat();
    assert!(matches!(rtu(&both, 7, &question(3, 0, 2)), Heard::Other { unit: 8, end, .. } if end == foreign.len()));
    for noise in [&[0x00][..], &[0xFF, 0x00]] {
        let heard = rtu(&[noise, &answer].concat(), 7, &question(3, 0, 2));
        assert_eq!(heard, Heard::Answer { reply: Reply::Words(vec![1, 2]), end: answer.len() + noise.len() });
    }
}

#[test]
fn a_damaged_answer_is_known_for_one_and_noise_is_not() {
    let asked = question(3, 0, 2);
    let answer = framed(&[7, 3, 4, 0, 1, 0, 2]);
    for place in 0..answer.len() {
        let mut damaged = answer.clone();
        damaged[place] ^= 0x10;
        assert!(!matches!(rtu(&damaged, 7, &asked), Heard::Answer { .. }), "{place}");
        assert!(was_the_answer(&damaged, 7, &asked), "{place}");
    }
    assert!(was_the_answer(&answer[..5], 7, &asked));
    assert!(was_the_answer(&[&[0xA5, 0x5A, 0x11][..], &answer].concat(), 7, &asked));
    assert!(was_the_answer(&[7, 0x83, 2, 9, 9], 7, &asked));
    for noise in [&[0xA5, 0x5A, 0x11][..], &[7, 3], &[0xA5; 9], &[7, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5]] {
        assert!(!was_the_answer(noise, 7, &asked), "{noise:?}");
    }
}

#[test]
fn the_last_talker_is_read_from_what_it_said() {
    let bytes = [&[0x55, 0xAA][..], &framed(&[9, 3, 2, 0, 1]), &framed(&[12, 3, 2, 0, 1]), &[0x01]].concat();
    assert_eq!(talker(&bytes), Some(12));
    assert_eq!(talker(&[0x55; 64]), None);
}

#[test]
fn a_tcp_answer_must_be_of_this_transaction_and_this_unit() {
    let asked = question(3, 0, 1);
    let frame = [0, 9, 0, 0, 0, 5, 7, 3, 2, 0, 42];
    assert_eq!(tcp(&frame, 9, 7, &asked), Heard::Answer { reply: Reply::Words(vec![42]), end: 11 });
    assert!(matches!(tcp(&frame, 10, 7, &asked), Heard::Other { .. }));
    assert!(matches!(tcp(&frame, 9, 8, &asked), Heard::Other { .. }));
    assert_eq!(tcp(&frame[..10], 9, 7, &asked), Heard::More);
    assert!(matches!(tcp(&[0, 9, 1, 0, 0, 5, 7], 9, 7, &asked), Heard::Broken(_)));
    assert!(matches!(tcp(&[0, 9, 0, 0, 9, 5, 7], 9, 7, &asked), Heard::Broken(_)));
    assert!(matches!(tcp(&[0, 9, 0, 0, 0, 1, 7], 9, 7, &asked), Heard::Broken(_)));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_read_beyond_what_there_is(
        bytes in prop::collection::vec(any::<u8>(), 0..300), function in 1_u8..=4, count in 1_u16..=125, unit in any::<u8>(),
    ) {
        for asked in [question(function, 0, count), Question::Identification] {
            for heard in [rtu(&bytes, unit, &asked), tcp(&bytes, 0, unit, &asked)] {
                if let Heard::Answer { end, .. } | Heard::Other { end, .. } = heard {
                    prop_assert!(end <= bytes.len());
                }
            }
            was_the_answer(&bytes, unit, &asked);
        }
        talker(&bytes);
    }

    #[test]
    fn an_answer_in_pieces_is_the_same_answer(words in prop::collection::vec(any::<u16>(), 1..=125), cut in 0_usize..300) {
        let mut content = vec![7, 3, words.len() as u8 * 2];
        content.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        let frame = framed(&content);
        let asked = question(3, 0, words.len() as u16);
        let cut = cut.min(frame.len() - 1);
        prop_assert_eq!(rtu(&frame[..cut], 7, &asked), Heard::More);
        prop_assert_eq!(rtu(&frame, 7, &asked), Heard::Answer { reply: Reply::Words(words), end: frame.len() });
    }
}
