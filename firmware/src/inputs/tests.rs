use embedded_hal_mock::eh1::delay::NoopDelay;
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
use sensors::ads1115::{self, Ads1115};
use sensors::scd4x::{self, Scd4x};
use sensors::sensirion::crc8;
use sensors::sht4x::{self, Sht4x};

use super::*;

const SETTINGS: InputSettings = InputSettings {
    kind: InputKind::Digital,
    channels: [Some(ChannelId(0)), None, None],
    every_ms: 1000,
    warm_up_ms: 0,
    silent_after_ms: 3000,
    converter: None,
};

fn input(settings: InputSettings) -> Input {
    Input::new(settings, true, MonotonicMs(0))
}

/// Shows the part every ms and gives what was told when.
fn run<const N: usize>(input: &mut Input, part: &mut impl Measure<N>, until_ms: u64) -> std::vec::Vec<(u64, [Signal; N])> {
    let told = |at| Some((at, input.attend(part, true, MonotonicMs(at))?));
    (0..until_ms).filter_map(told).map(|(at, told)| (at, core::array::from_fn(|i| told.signals[i]))).collect()
}

fn word(word: u16) -> std::vec::Vec<u8> {
    let [high, low] = word.to_be_bytes();
    std::vec![high, low, crc8(&[high, low])]
}

#[test]
fn a_loop_through_an_ads1115_is_told_as_a_current() {
    let told = |register: u8, word: u16| Transaction::write_read(ads1115::ADDRESS, std::vec![register], word.to_be_bytes().to_vec());
    let config = 0b1100_0011_1000_0011_u16;
    let [high, low] = config.to_be_bytes();
    let mut part = Ads1115::new(
        Mock::new(&[Transaction::write(ads1115::ADDRESS, std::vec![1, high, low]), told(1, config), told(0, 9600)]),
        ads1115::ADDRESS,
        ads1115::Input::Ain0,
        100.0,
    );
    let mut input = input(InputSettings { kind: InputKind::Loop, ..SETTINGS });
    let [(9, [Signal::Milliampere(current)])] = run(&mut input, &mut part, 900)[..] else { panic!("another story") };
    assert!((current - 12.0).abs() < 0.001, "{current}");
    part.release().done();
}

#[test]
fn an_scd4x_is_started_once_and_tells_co2_temperature_and_humidity() {
    let ask = |command: u16, answer: std::vec::Vec<u8>| {
        [Transaction::write(scd4x::ADDRESS, command.to_be_bytes().to_vec()), Transaction::read(scd4x::ADDRESS, answer)]
    };
    let start = [Transaction::write(scd4x::ADDRESS, std::vec![0x21, 0xB1])];
    let measured = || [ask(0xE4B8, word(0x8006)), ask(0xEC05, [word(500), word(0x6667), word(0x5EB9)].concat())].concat();
    let script = [&start[..], &measured(), &measured()].concat();
    let mut part = Scd4x::new(Mock::new(&script), NoopDelay::new());
    let mut input = input(InputSettings { every_ms: 5000, silent_after_ms: 15_000, ..SETTINGS });
    let told = run(&mut input, &mut part, 10_001);
    assert_eq!(
        told.iter().map(|(at, signals)| (*at, signals[0])).collect::<std::vec::Vec<_>>(),
        [(5000, Signal::Number(500.0)), (10_000, Signal::Number(500.0))]
    );
    part.release().done();
}

#[test]
fn an_sht4x_whose_answers_fail_their_crc_is_garbled_and_one_that_is_gone_is_not_there() {
    let measure = || Transaction::write(sht4x::ADDRESS, std::vec![0xFD]);
    let answer = |bytes: [std::vec::Vec<u8>; 2]| Transaction::read(sht4x::ADDRESS, bytes.concat());
    let bad = || std::vec![0x66, 0x66, 0x00];
    let gone = || measure().with_error(embedded_hal::i2c::ErrorKind::Other);
    let mut script = std::vec![measure(), answer([word(0x6666), word(0x8000)])];
    for _ in 0..3 {
        script.extend([measure(), answer([bad(), word(0x8000)])]);
    }
    script.extend((0..3).map(|_| gone()));
    let mut part = Sht4x::new(Mock::new(&script), sht4x::ADDRESS);
    let told = run(&mut input(SETTINGS), &mut part, 6500);
    let brief: std::vec::Vec<_> = told.iter().map(|(at, signals)| (*at, core::mem::discriminant(&signals[0]))).collect();
    let is = |signal: Signal| core::mem::discriminant(&signal);
    assert_eq!(brief, [(9, is(Signal::Number(0.0))), (3009, is(Signal::Garbled)), (6009, is(Signal::NoAnswer))]);
    part.release().done();
}

#[test]
fn what_warms_up_says_so_for_its_stated_time_and_again_after_it_was_away() {
    struct Steady(bool);
    impl Measure<1> for Steady {
        type Error = ();
        const READY_AFTER_MS: u32 = 0;
        fn start(&mut self) -> Result<(), ()> {
            if self.0 { Ok(()) } else { Err(()) }
        }
        fn read(&mut self) -> Result<Option<[f32; 1]>, ()> {
            Ok(Some([7.0]))
        }
        fn is_garbled((): &()) -> bool {
            false
        }
    }
    let mut input = input(InputSettings { warm_up_ms: 2000, ..SETTINGS });
    let mut part = Steady(true);
    let mut at = |part: &mut Steady, range: core::ops::Range<u64>| {
        let told: std::vec::Vec<_> = range.filter_map(|at| input.attend(part, true, MonotonicMs(at))).collect();
        told.last().map(|told| told.signals[0])
    };
    assert_eq!(at(&mut part, 0..1999), Some(Signal::WarmingUp));
    assert_eq!(at(&mut part, 1999..2500), Some(Signal::Number(7.0)));
    part.0 = false;
    assert_eq!(at(&mut part, 2500..5500), Some(Signal::NoAnswer));
    part.0 = true;
    assert_eq!(at(&mut part, 5500..6900), Some(Signal::WarmingUp));
    assert_eq!(at(&mut part, 6900..8900), Some(Signal::Number(7.0)));
}
