use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const CO2: Model = Model::Answer { decimals: 0, zero_is_warm_up: true };
const CO: Model = Model::Upload { gas: 4, unit: 3 };
/// Captured from a real MH-Z19B: 636 ppm.
const CAPTURED: [u8; 9] = [0xFF, 0x86, 0x02, 0x7C, 0x42, 0, 0, 0, 0xBA];

fn sealed(body: &[u8]) -> Vec<u8> {
    let mut frame = std::vec![START];
    frame.extend(body);
    frame.push(check_sum(body));
    frame
}

fn four(co: u16, h2s: u16, o2: u16, ch4: u16) -> Vec<u8> {
    let mut body = std::vec![0x86];
    for gas in [co, h2s, o2, ch4] {
        body.extend(gas.to_be_bytes());
    }
    sealed(&body)
}

fn heard(model: Model, bytes: &[u8]) -> Vec<Frame> {
    let mut parser = Parser::new(model);
    bytes.iter().filter_map(|byte| parser.push(*byte)).collect()
}

fn one(number: f32) -> Frame {
    Frame::Concentrations([number, 0.0, 0.0, 0.0])
}

#[test]
fn the_commands_are_those_the_manuals_print() {
    assert_eq!(READ, [0xFF, 1, 0x86, 0, 0, 0, 0, 0, 0x79]);
    assert_eq!(QUESTION_AND_ANSWER, [0xFF, 1, 0x78, 0x41, 0, 0, 0, 0, 0x46]);
    assert_eq!(INITIATIVE_UPLOAD, [0xFF, 1, 0x78, 0x40, 0, 0, 0, 0, 0x47]);
}

#[test]
fn a_captured_answer_is_read() {
    assert_eq!(parse(CO2, &CAPTURED), Ok(one(636.0)));
    assert_eq!(parse(CO2, &[0xFF, 0x86, 0, 0xD1, 0, 0, 0, 0, 0xA9]), Ok(one(209.0)));
}

#[test]
fn an_upload_is_read_with_its_own_decimals() {
    assert_eq!(parse(CO, &sealed(&[4, 3, 1, 0x00, 0x7B, 0x01, 0xF4])), Ok(one(12.3)));
    assert_eq!(parse(CO, &sealed(&[4, 3, 0, 0x00, 0x7B, 0x01, 0xF4])), Ok(one(123.0)));
}

#[test]
fn four_gases_stand_in_their_order() {
    assert_eq!(parse(Model::FourGases, &four(24, 7, 209, 10)), Ok(Frame::Concentrations([24.0, 7.0, 20.9, 10.0])));
}

#[test]
fn zeros_are_a_warm_up_where_zero_is_no_reading() {
    assert_eq!(parse(CO2, &sealed(&[0x86, 0, 0, 0, 0, 0, 0])), Ok(Frame::WarmingUp));
    assert_eq!(parse(Model::FourGases, &four(0, 0, 0, 0)), Ok(Frame::WarmingUp));
    assert_eq!(parse(Model::Answer { decimals: 1, zero_is_warm_up: false }, &sealed(&[0x86, 0, 0, 0, 0, 0, 0])), Ok(one(0.0)));
}

#[test]
fn what_is_not_this_model_s_frame_is_refused_with_the_reason() {
    assert_eq!(parse(CO2, &CAPTURED[..8]), Err(FrameError::Length));
    assert_eq!(parse(CO2, &[0xFE, 0x86, 0, 0xD1, 0, 0, 0, 0, 0xA9]), Err(FrameError::Start));
    assert_eq!(parse(CO2, &[0xFF, 0x86, 0, 0xD2, 0, 0, 0, 0, 0xA9]), Err(FrameError::CheckSum));
    assert_eq!(parse(CO2, &sealed(&[0x78, 1, 0, 0, 0, 0, 0])), Err(FrameError::Foreign));
    assert_eq!(parse(CO, &sealed(&[3, 3, 1, 0, 1, 0, 100])), Err(FrameError::Foreign), "another gas");
    assert_eq!(parse(CO, &sealed(&[4, 4, 1, 0, 1, 0, 100])), Err(FrameError::Foreign), "another unit");
    assert_eq!(parse(CO, &sealed(&[4, 3, 9, 0, 1, 0, 100])), Err(FrameError::Contradiction), "nine decimals");
    assert_eq!(parse(CO, &sealed(&[4, 3, 0, 0xFF, 0xFF, 0, 100])), Err(FrameError::Contradiction), "65535 of 100");
}

#[test]
fn a_stream_cut_at_any_byte_loses_no_later_frame() {
    let stream = [CAPTURED, CAPTURED, CAPTURED].concat();
    for cut in 0..=9 {
        let found = heard(CO2, &stream[cut..]);
        assert_eq!(found.len(), if cut == 0 { 3 } else { 2 }, "cut {cut}");
    }
    for length in 0..=27 {
        assert_eq!(heard(CO2, &stream[..length]).len(), length / 9, "ends after {length}");
    }
}

#[test]
fn an_uploading_module_s_stream_cut_at_any_byte_loses_no_later_frame() {
    let frames: Vec<Vec<u8>> = (1..4).map(|tenths| sealed(&[4, 3, 1, 0x00, tenths, 0x01, 0xF4])).collect();
    let stream = frames.concat();
    for cut in 0..=9 {
        let found = heard(CO, &stream[cut..]);
        assert_eq!(found, [one(0.1), one(0.2), one(0.3)][usize::from(cut > 0)..], "cut {cut}");
    }
    for length in 0..=27 {
        assert_eq!(heard(CO, &stream[..length]).len(), length / 9, "ends after {length}");
    }
}

#[test]
fn any_one_garbled_byte_of_an_upload_costs_its_own_frame_and_never_the_next_two() {
    let frames: Vec<Vec<u8>> = (1..4).map(|tenths| sealed(&[4, 3, 1, 0x00, tenths, 0x01, 0xF4])).collect();
    let truth = [one(0.1), one(0.2), one(0.3)];
    for at in 0..9 {
        for garbled in 0..=255 {
            let mut stream = frames.concat();
            if stream[at] == garbled {
                continue;
            }
            stream[at] = garbled;
            let found = heard(CO, &stream);
            assert!(found.iter().all(|frame| truth.contains(frame)), "byte {at} = {garbled}: {found:?}");
            assert!(found.contains(&truth[1]) && found.contains(&truth[2]), "byte {at} = {garbled}: {found:?}");
        }
    }
}

#[test]
fn any_one_garbled_byte_costs_its_own_frame_and_never_the_next_two() {
    let frames = [four(1, 2, 209, 3), four(4, 5, 208, 6), four(7, 8, 207, 9)];
    let truth: Vec<Frame> = frames.iter().map(|f| parse(Model::FourGases, f).unwrap()).collect();
    for at in 0..11 {
        for garbled in 0..=255 {
            let mut stream = frames.concat();
            if stream[at] == garbled {
                continue;
            }
            stream[at] = garbled;
            let found = heard(Model::FourGases, &stream);
            assert!(found.iter().all(|frame| truth.contains(frame)), "byte {at} = {garbled}: {found:?}");
            assert!(found.contains(&truth[1]) && found.contains(&truth[2]), "byte {at} = {garbled}: {found:?}");
        }
    }
}

#[test]
fn start_bytes_within_a_frame_do_not_confuse_the_search() {
    let frame = sealed(&[0x86, 0xFF, 0xFF, 0xFF, 0x86, 0, 0]);
    let stream = [&[0xFF, 0xFF, 0x86, 0xFF][..], &frame, &frame].concat();
    assert_eq!(heard(CO2, &stream), [one(65535.0), one(65535.0)]);
}

proptest! {
    #[test]
    fn no_bytes_panic_and_noise_is_counted(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for model in [CO2, CO, Model::FourGases] {
            let mut parser = Parser::new(model);
            let found = bytes.iter().filter_map(|byte| parser.push(*byte)).count();
            prop_assert!(found <= bytes.len() / model.frame_length());
            prop_assert!(parser.refused() as usize <= bytes.len());
        }
    }

    #[test]
    fn a_whole_frame_behind_any_noise_without_start_bytes_is_found(
        noise in proptest::collection::vec(0u8..0xFF, 0..60),
        co in 0u16..2000,
    ) {
        let stream = [noise, four(co, 1, 209, 0)].concat();
        prop_assert_eq!(heard(Model::FourGases, &stream), [Frame::Concentrations([f32::from(co), 1.0, 20.9, 0.0])]);
    }
}
