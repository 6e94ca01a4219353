use embedded_hal::i2c::ErrorKind;
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

use super::*;

fn loop_on(transactions: &[Transaction]) -> Ads1115<Mock> {
    Ads1115::new(Mock::new(transactions), ADDRESS, Input::Ain1, 100.0)
}

fn told(register: u8, word: u16) -> Transaction {
    Transaction::write_read(ADDRESS, std::vec![register], word.to_be_bytes().to_vec())
}

#[test]
fn one_conversion_is_started_waited_for_and_read() {
    // 20 mA across 100 ohm is 2 V, 16000 counts.
    let mut part = loop_on(&[
        Transaction::write(ADDRESS, std::vec![1, 0b1101_0011, 0b1000_0011]),
        told(1, 0b0101_0011_1000_0011),
        told(1, 0b1101_0011_1000_0011),
        told(0, 16000),
    ]);
    part.start().unwrap();
    assert_eq!(part.read(), Ok(None));
    let [current] = part.read().unwrap().unwrap();
    assert!((current - 20.0).abs() < 0.001, "{current}");
    part.release().done();
}

#[test]
fn counts_are_currents_to_the_ends_of_the_range() {
    for (count, current) in [(0, 0.0), (2880, 3.6), (3200, 4.0), (16800, 21.0), (i16::MAX, 40.958_75), (-8, -0.01)] {
        assert!((milliampere(count, 100.0) - current).abs() < 0.001, "{count}");
    }
}

#[test]
fn a_chip_that_lost_its_configuration_is_not_believed() {
    let mut part = loop_on(&[told(1, 0x8583)]);
    assert_eq!(part.read(), Err(Error::Restarted { config: 0x8583 }));
    part.release().done();
}

#[test]
fn a_bus_that_fails_is_named_with_the_register() {
    let mut part = loop_on(&[told(1, 0).with_error(ErrorKind::Bus)]);
    assert_eq!(part.read(), Err(Error::Read { register: Register::Config, source: ErrorKind::Bus }));
    part.release().done();
}
