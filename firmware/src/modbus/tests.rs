use measurement::Unit;
use proptest::prelude::*;
use register_map::{Identity, ResetCause};

use super::*;
use crate::conversion::{Calibration, LoopBands};
use crate::node::{ChannelSettings, NodeSettings};
use crate::self_test::SelfTestSettings;
use crate::settings::Forgetful;

fn node() -> Node {
    let settings = NodeSettings { serial: 7, firmware: 1, boot_count: 1, reset_cause: ResetCause::PowerOn, unit: 5 };
    let channel = ChannelSettings {
        quantity: 1,
        unit: Unit::Ppm,
        self_test: SelfTestSettings { range: (0.0, 100.0), below_tolerance: 3.0, stuck_after_ms: 0, stuck_step: 0.0, catalytic: false },
        calibration: Calibration::NONE,
        bands: LoopBands::NE43,
        low: None,
        high: None,
        latching: false,
        oxygen: false,
        normal: (f32::MIN, 5.0),
    };
    Node::new(settings, &[channel])
}

fn framed(bytes: &[u8]) -> std::vec::Vec<u8> {
    let mut frame = bytes.to_vec();
    frame.extend(crc16(bytes).to_le_bytes());
    frame
}

/// The answer of unit 5 to a frame, without its CRC, which is checked here.
fn ask(frame: &[u8]) -> Option<std::vec::Vec<u8>> {
    ask_of(&mut node(), frame)
}

fn ask_of(node: &mut Node, frame: &[u8]) -> Option<std::vec::Vec<u8>> {
    let mut out = [0; MAX_FRAME];
    let length = answer_frame(node, &mut Forgetful, frame, &mut out, MonotonicMs(0))?;
    let (body, crc) = out[..length].split_last_chunk::<2>().unwrap();
    assert_eq!(*crc, crc16(body).to_le_bytes());
    Some(body.to_vec())
}

#[test]
fn the_crc_is_the_one_of_the_standard_s_own_example() {
    // Read ten registers of unit 1, as a Chinese gas module's manual prints it.
    assert_eq!(crc16(&[1, 3, 0, 0, 0, 10]).to_le_bytes(), [0xC5, 0xCD]);
}

#[test]
fn the_identity_block_is_read_over_both_functions() {
    for function in [3, 4] {
        let body = ask(&framed(&[5, function, 0, 0, 0, 18])).unwrap();
        assert_eq!(body[..3], [5, function, 36]);
        let words: std::vec::Vec<u16> = body[3..].chunks(2).map(|c| u16::from_be_bytes([c[0], c[1]])).collect();
        assert_eq!(Identity::decode(&words).unwrap().serial, 7);
    }
}

#[test]
fn wrong_functions_addresses_and_counts_get_their_exception() {
    let check = |request: &[u8], code: u8| assert_eq!(ask(&framed(request)).unwrap(), [5, request[1] | 0x80, code], "{request:?}");
    for function in [0, 1, 2, 7, 8, 22, 23, 43, 0x7F] {
        check(&[5, function, 0, 0, 0, 1], 1);
    }
    check(&[5, 3, 0, 200, 0, 1], 2);
    check(&[5, 3, 0xFF, 0xFF, 0, 2], 2);
    check(&[5, 3, 0, 0, 0, 0], 3);
    check(&[5, 3, 0, 0, 0, 126], 3);
    check(&[5, 3, 0, 0], 3);
}

#[test]
fn single_writes_are_no_function_of_a_node_wherever_they_aim() {
    for address in [0, 0x0400, 0x0410, 0x0507] {
        for function in [5, 6, 15, 22, 23] {
            let [high, low] = u16::to_be_bytes(address);
            assert_eq!(ask(&framed(&[5, function, high, low, 0, 1])).unwrap(), [5, function | 0x80, 1]);
        }
    }
}

#[test]
fn a_malformed_write_gets_its_exception_and_a_well_formed_one_without_key_is_refused() {
    let check = |request: &[u8], code: u8| assert_eq!(ask(&framed(request)).unwrap(), [5, 0x90, code], "{request:?}");
    check(&[5, 16, 4, 0, 0, 1, 2, 0], 3);
    check(&[5, 16, 4, 0, 0, 1, 4, 0, 17], 3);
    check(&[5, 16, 4, 0, 0, 0, 0], 3);
    check(&[5, 16, 4, 0, 0, 124, 248], 3);
    check(&[5, 16], 3);
    check(&[5, 16, 0, 0, 0, 1, 2, 0, 0], 2);
    check(&[5, 16, 4, 7, 0, 1, 2, 0, 0], 2);
    check(&[5, 16, 4, 0, 0, 1, 2, 0, 17], 4);
}

#[test]
fn answers_and_bad_frames_are_counted() {
    let mut node = node();
    ask_of(&mut node, &framed(&[5, 3, 0, 0, 0, 1]));
    ask_of(&mut node, &framed(&[6, 3, 0, 0, 0, 1]));
    ask_of(&mut node, &[5, 3, 0, 0, 0, 1, 0, 0]);
    assert_eq!((node.health().answered, node.health().bad_frames), (1, 1));
}

#[test]
fn another_unit_a_broadcast_and_a_bad_crc_are_met_with_silence() {
    assert_eq!(ask(&framed(&[6, 3, 0, 0, 0, 1])), None);
    assert_eq!(ask(&framed(&[0, 3, 0, 0, 0, 1])), None);
    let mut bad = framed(&[5, 3, 0, 0, 0, 1]);
    bad[2] ^= 1;
    assert_eq!(ask(&bad), None);
    assert_eq!(ask(&[]), None);
    assert_eq!(ask(&[5, 3]), None);
}

const SPEEDS: [(u32, u64); 5] = [(2400, 16_041), (9600, 4_010), (19_200, 2_005), (38_400, 1_750), (115_200, 1_750)];

#[test]
fn three_and_a_half_characters_end_a_frame_at_every_speed() {
    for (baud, silence) in SPEEDS {
        assert_eq!(u64::from(silence_us(baud)), silence, "{baud} baud");
        let mut framer = Framer::new(baud);
        let mut frame = [0; MAX_FRAME];
        framer.byte(1, 0);
        framer.byte(2, silence - 1);
        let last = silence - 1;
        assert_eq!(framer.take(last + silence - 1, &mut frame), None);
        assert_eq!(framer.take(last + silence, &mut frame), Some(2));
        assert_eq!(framer.take(u64::MAX, &mut frame), None);
    }
}

/// Sends frames with so many µs of silence between them, each byte a character time after the last, and gives what is framed by a
/// board that looks at every µs that matters.
fn framed_by(baud: u32, frames: &[std::vec::Vec<u8>], between: u64) -> std::vec::Vec<std::vec::Vec<u8>> {
    let character = 11_000_000 / u64::from(baud);
    let (mut framer, mut found, mut out, mut now) = (Framer::new(baud), std::vec::Vec::new(), [0; MAX_FRAME], 0);
    for frame in frames {
        for (i, byte) in frame.iter().enumerate() {
            now += character + if i == 0 { between } else { 0 };
            // A byte is known at its end; the silence before it ended where it began.
            if let Some(length) = framer.take(now - character, &mut out) {
                found.push(out[..length].to_vec());
            }
            framer.byte(*byte, now);
        }
    }
    if let Some(length) = framer.take(now + 1_000_000, &mut out) {
        found.push(out[..length].to_vec());
    }
    found
}

#[test]
fn whole_frames_are_told_apart_by_the_silence_between_them_at_every_speed() {
    let frames = [framed(&[5, 3, 0, 0, 0, 18]), framed(&[6, 3, 1, 0, 0, 16]), framed(&[5, 16, 4, 0, 0, 1, 2, 0, 9])];
    for (baud, silence) in SPEEDS {
        assert_eq!(framed_by(baud, &frames, silence), frames, "{baud} baud");
        // With less they run into each other, and what comes out fails its CRC: nobody answers it.
        let run_together = framed_by(baud, &frames, silence - 1 - 11_000_000 / u64::from(baud));
        assert_eq!(run_together, [frames.concat()], "{baud} baud");
        assert_eq!(ask(&run_together[0]), None);
    }
}

#[test]
fn a_gap_of_two_characters_within_a_frame_does_not_end_it() {
    // The standard asks for a frame with a gap of more than 1.5 characters to be dropped. A node keeps it: converters and
    // radios make such gaps, the CRC tells whether the frame is whole, and a frame that is dropped is a reading that is late.
    for (baud, silence) in SPEEDS {
        let character = 11_000_000 / u64::from(baud);
        let request = framed(&[5, 3, 0, 0, 0, 1]);
        let (mut framer, mut out, mut now) = (Framer::new(baud), [0; MAX_FRAME], 0);
        for (i, byte) in request.iter().enumerate() {
            now += character + if i == 4 { (2 * character).min(silence - character - 1) } else { 0 };
            assert_eq!(framer.take(now - character, &mut out), None);
            framer.byte(*byte, now);
        }
        assert_eq!(framer.take(now + silence, &mut out), Some(request.len()), "{baud} baud");
    }
}

#[test]
fn a_write_is_taken_at_once_when_it_is_whole_by_its_own_count() {
    let mut framer = Framer::with_silence(50_000);
    let mut out = [0; MAX_FRAME];
    let request = framed(&[5, 16, 4, 16, 0, 2, 4, 1, 2, 3, 4]);
    for (i, byte) in request.iter().enumerate() {
        assert_eq!(framer.take_request(&mut out), None, "after {i} bytes");
        framer.byte(*byte, 0);
    }
    assert_eq!(framer.take_request(&mut out), Some(13));
    assert_eq!(out[..13], request[..]);
}

#[test]
fn a_babbling_line_yields_no_frame() {
    let mut framer = Framer::new(9600);
    for i in 0..1000 {
        framer.byte(0x55, i);
    }
    assert_eq!(framer.take(1_000_000, &mut [0; MAX_FRAME]), None);
}

proptest! {
    #[test]
    fn no_bytes_panic_and_none_but_whole_frames_for_us_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut out = [0; MAX_FRAME];
        let answered = answer_frame(&mut node(), &mut Forgetful, &bytes, &mut out, MonotonicMs(0)).is_some();
        let ours = bytes.len() >= 4 && bytes[0] == 5 && crc16(&bytes[..bytes.len() - 2]).to_le_bytes() == bytes[bytes.len() - 2..];
        prop_assert_eq!(answered, ours);
    }
}
