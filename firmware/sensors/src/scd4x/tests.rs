use embedded_hal_mock::eh1::delay::NoopDelay;
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

use super::*;
use crate::sensirion::crc8;

fn ready(word: u16) -> [Transaction; 2] {
    let [high, low] = word.to_be_bytes();
    [Transaction::write(ADDRESS, std::vec![0xE4, 0xB8]), Transaction::read(ADDRESS, std::vec![high, low, crc8(&[high, low])])]
}

#[test]
fn the_datasheet_s_example_is_read() {
    let [asked, told] = ready(0x8006);
    let mut part = Scd4x::new(
        Mock::new(&[
            Transaction::write(ADDRESS, std::vec![0x21, 0xB1]),
            asked,
            told,
            Transaction::write(ADDRESS, std::vec![0xEC, 0x05]),
            Transaction::read(ADDRESS, std::vec![0x01, 0xF4, 0x33, 0x66, 0x67, 0xA2, 0x5E, 0xB9, 0x3C]),
            Transaction::write(ADDRESS, std::vec![0x3F, 0x86]),
        ]),
        NoopDelay::new(),
    );
    part.start().unwrap();
    let [co2, celsius, humidity] = part.read().unwrap().unwrap();
    assert!(co2 == 500.0 && (celsius - 25.0).abs() < 0.01 && (humidity - 37.0).abs() < 0.01, "{co2} {celsius} {humidity}");
    part.stop().unwrap();
    part.release().done();
}

#[test]
fn nothing_new_is_no_number() {
    let mut part = Scd4x::new(Mock::new(&ready(0x8000)), NoopDelay::new());
    assert_eq!(part.read(), Ok(None));
    part.release().done();
}

#[test]
fn a_garbled_answer_is_no_number() {
    let [asked, told] = ready(0x8006);
    let mut part = Scd4x::new(
        Mock::new(&[
            asked,
            told,
            Transaction::write(ADDRESS, std::vec![0xEC, 0x05]),
            Transaction::read(ADDRESS, std::vec![0x01, 0xF5, 0x33, 0x66, 0x67, 0xA2, 0x5E, 0xB9, 0x3C]),
        ]),
        NoopDelay::new(),
    );
    assert_eq!(part.read(), Err(Error::Crc { word: 0 }));
    part.release().done();
}
