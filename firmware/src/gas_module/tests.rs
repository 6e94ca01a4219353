use std::vec::Vec;

use proptest::prelude::*;
use sensors::winsen::check_sum;

use super::*;

fn module() -> GasModule {
    GasModule::new(crate::shipped::FOUR_GAS_MODULE, MonotonicMs(0))
}

fn frame(gases: [u16; 4]) -> Vec<u8> {
    let mut frame = std::vec![0xFF, 0x86];
    frame.extend(gases.iter().flat_map(|gas| gas.to_be_bytes()));
    frame.push(check_sum(&frame[1..]));
    frame
}

/// Sends a frame at a time and gives what was believed last.
fn say(module: &mut GasModule, bytes: &[u8], at: u64) -> Option<[Signal; 4]> {
    bytes.iter().filter_map(|byte| module.byte(*byte, MonotonicMs(at))).last()
}

const AIR: [u16; 4] = [0, 0, 209, 0];

#[test]
fn the_first_number_and_every_leap_need_a_second_frame() {
    let mut module = module();
    assert_eq!(say(&mut module, &frame(AIR), 0), None);
    assert_eq!(say(&mut module, &frame(AIR), 1000).unwrap()[2], Signal::Number(20.9));
    assert_eq!(say(&mut module, &frame([300, 0, 209, 0]), 2000), None);
    assert_eq!(say(&mut module, &frame([310, 0, 209, 0]), 3000).unwrap()[0], Signal::Number(310.0));
}

#[test]
fn a_leap_that_nothing_confirms_is_never_shown() {
    let mut module = module();
    say(&mut module, &frame(AIR), 0);
    say(&mut module, &frame(AIR), 1000);
    assert_eq!(say(&mut module, &frame([900, 0, 209, 0]), 2000), None);
    assert_eq!(say(&mut module, &frame(AIR), 3000).unwrap()[0], Signal::Number(0.0));
    assert_eq!(say(&mut module, &frame([400, 0, 209, 0]), 4000), None, "two different leaps do not confirm each other");
}

#[test]
fn a_leap_is_asked_again_at_once() {
    let mut module = module();
    assert!(module.question(MonotonicMs(0)).is_some());
    assert!(module.question(MonotonicMs(100)).is_none());
    say(&mut module, &frame(AIR), 120);
    assert!(module.question(MonotonicMs(130)).is_some());
    say(&mut module, &frame(AIR), 150);
    assert!(module.question(MonotonicMs(180)).is_none());
}

#[test]
fn silence_is_a_fault_and_babble_another() {
    let mut module = module();
    assert_eq!(module.silence(MonotonicMs(2999)), None);
    assert_eq!(module.silence(MonotonicMs(3000)), Some(Signal::NoAnswer));
    assert_eq!(module.silence(MonotonicMs(3001)), None, "said once in every such time");
    say(&mut module, b"\xFF\x86nonsense on the line", 4000);
    assert_eq!(module.silence(MonotonicMs(6000)), Some(Signal::Garbled));
    assert_eq!(module.silence(MonotonicMs(9000)), Some(Signal::NoAnswer));
}

#[test]
fn what_was_said_before_a_silence_confirms_nothing_after_it() {
    let mut module = module();
    say(&mut module, &frame(AIR), 0);
    say(&mut module, &frame(AIR), 1000);
    assert!(module.silence(MonotonicMs(4000)).is_some());
    assert_eq!(say(&mut module, &frame(AIR), 4100), None);
}

#[test]
fn a_module_that_warms_up_says_so() {
    assert_eq!(say(&mut module(), &frame([0; 4]), 0), Some([Signal::WarmingUp; 4]));
}

#[test]
fn half_a_frame_before_a_pause_does_not_spoil_the_next() {
    let mut module = module();
    say(&mut module, &frame(AIR), 0);
    say(&mut module, &frame(AIR)[..6], 1000);
    assert!(say(&mut module, &frame(AIR), 2000).is_some());
}

proptest! {
    /// One byte in a hundred is changed: nothing but the truth is ever believed.
    #[test]
    fn garbled_bytes_never_become_a_number(seed in any::<u64>()) {
        let mut state = seed | 1;
        let mut random = move || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state };
        let mut module = module();
        let truth = [12, 3, 209, 7];
        let (mut believed, mut wrong) = (0, 0);
        for second in 0..500 {
            let mut bytes = frame(truth);
            for byte in &mut bytes {
                if random() % 100 == 0 {
                    *byte = random() as u8;
                }
            }
            if let Some(signals) = say(&mut module, &bytes, second * 1000) {
                believed += 1;
                wrong += usize::from(signals != [12.0, 3.0, 20.9, 7.0].map(Signal::Number));
            }
        }
        prop_assert!(believed > 350);
        prop_assert_eq!(wrong, 0);
    }
}

/// A CO module that speaks unasked and says nothing of its warm-up.
fn uploading() -> GasModule {
    let model = Model::Upload { gas: 4, unit: 3 };
    GasModule::new(ModuleSettings { model, warm_up_ms: 60_000, ..crate::shipped::FOUR_GAS_MODULE }, MonotonicMs(0))
}

fn upload(tenths: u16) -> Vec<u8> {
    let [high, low] = tenths.to_be_bytes();
    let mut frame = std::vec![0xFF, 4, 3, 1, high, low, 0x01, 0xF4];
    frame.push(check_sum(&frame[1..]));
    frame
}

#[test]
fn a_module_that_speaks_unasked_is_never_asked_and_warms_up_for_its_stated_time() {
    let mut module = uploading();
    let mut at = |at: u64| {
        assert_eq!(module.question(MonotonicMs(at)), None);
        say(&mut module, &upload(123), at).map(|signals| signals[0])
    };
    assert_eq!(at(0), None);
    assert_eq!(at(1000), Some(Signal::WarmingUp));
    assert_eq!(at(59_999), Some(Signal::WarmingUp));
    assert_eq!(at(60_000), Some(Signal::Number(12.3)));
    assert!(module.silence(MonotonicMs(70_000)).is_some());
    assert_eq!(say(&mut module, &upload(123), 71_000), None);
    assert_eq!(say(&mut module, &upload(123), 72_000).unwrap()[0], Signal::WarmingUp, "it may have been without power");
}

#[test]
fn a_module_that_kept_its_power_over_a_reset_of_the_node_measures_at_once() {
    let mut module = uploading();
    module.kept_its_power();
    say(&mut module, &upload(123), 0);
    assert_eq!(say(&mut module, &upload(123), 1000).unwrap()[0], Signal::Number(12.3));
}
