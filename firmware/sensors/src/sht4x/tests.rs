use embedded_hal::i2c::ErrorKind;
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

use super::*;
use crate::sensirion::crc8;

#[test]
fn the_crc_is_the_datasheet_s() {
    assert_eq!(crc8(&[0xBE, 0xEF]), 0x92);
}

#[test]
fn a_measurement_is_asked_for_and_read() {
    let (t, h) = ([0x66, 0x66], [0x80, 0x00]);
    let answer = std::vec![t[0], t[1], crc8(&t), h[0], h[1], crc8(&h)];
    let mut part = Sht4x::new(Mock::new(&[Transaction::write(ADDRESS, std::vec![0xFD]), Transaction::read(ADDRESS, answer)]), ADDRESS);
    part.start().unwrap();
    let [celsius, humidity] = part.read().unwrap().unwrap();
    assert!((celsius - 25.0).abs() < 0.01 && (humidity - 56.5).abs() < 0.01, "{celsius} {humidity}");
    part.release().done();
}

#[test]
fn humidity_outside_0_to_100_is_cut() {
    assert_eq!((numbers([0, 0])[1], numbers([0, 0xFFFF])[1]), (0.0, 100.0));
}

#[test]
fn any_wrong_bit_of_the_answer_is_found() {
    let whole = [0x66, 0x66, crc8(&[0x66, 0x66]), 0x80, 0x00, crc8(&[0x80, 0x00])];
    for bit in 0..48 {
        let mut answer = whole.to_vec();
        answer[bit / 8] ^= 1 << (bit % 8);
        let mut part = Sht4x::new(Mock::new(&[Transaction::read(ADDRESS, answer)]), ADDRESS);
        assert_eq!(part.read(), Err(Error::Crc { word: bit / 24 }), "bit {bit}");
        part.release().done();
    }
}

#[test]
fn a_part_that_does_not_answer_is_named_with_the_step() {
    let mut part = Sht4x::new(Mock::new(&[Transaction::write(ADDRESS, std::vec![0xFD]).with_error(ErrorKind::Other)]), ADDRESS);
    assert_eq!(part.start(), Err(Error::Write { command: 0xFD, source: ErrorKind::Other }));
    part.release().done();
}
