use measurement::Unit;
use proptest::prelude::*;
use register_map::{Identity, ResetCause};

use super::*;
use crate::conversion::{Calibration, LoopBands};
use crate::node::{ChannelSettings, NodeSettings};
use crate::self_test::SelfTestSettings;

fn node() -> Node {
    let settings =
        NodeSettings { serial: 7, firmware: 1, boot_count: 1, reset_cause: ResetCause::PowerOn, settings_version: 0, settings_hash: 0 };
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
    let mut out = [0; MAX_FRAME];
    let length = answer_frame(&node(), 5, frame, &mut out, MonotonicMs(0))?;
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
    check(&[5, 6, 0, 0, 0, 1], 1);
    check(&[5, 16, 0, 0, 0, 1, 2, 0, 0], 1);
    check(&[5, 3, 0, 200, 0, 1], 2);
    check(&[5, 3, 0xFF, 0xFF, 0, 2], 2);
    check(&[5, 3, 0, 0, 0, 0], 3);
    check(&[5, 3, 0, 0, 0, 126], 3);
    check(&[5, 3, 0, 0], 3);
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

#[test]
fn three_and_a_half_characters_end_a_frame_at_every_speed() {
    for (baud, silence) in [(2400, 16_041), (9600, 4_010), (19_200, 2_005), (38_400, 1_750), (115_200, 1_750)] {
        assert_eq!(silence_us(baud), silence, "{baud} baud");
        let mut framer = Framer::new(baud);
        let mut frame = [0; MAX_FRAME];
        framer.byte(1, 0);
        framer.byte(2, u64::from(silence) - 1);
        let last = u64::from(silence) - 1;
        assert_eq!(framer.take(last + u64::from(silence) - 1, &mut frame), None);
        assert_eq!(framer.take(last + u64::from(silence), &mut frame), Some(2));
        assert_eq!(framer.take(u64::MAX, &mut frame), None);
    }
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
        let answered = answer_frame(&node(), 5, &bytes, &mut out, MonotonicMs(0)).is_some();
        let ours = bytes.len() >= 4 && bytes[0] == 5 && crc16(&bytes[..bytes.len() - 2]).to_le_bytes() == bytes[bytes.len() - 2..];
        prop_assert_eq!(answered, ours);
    }
}
