use measurement::{Doubt, Fault};
use proptest::prelude::*;

use super::*;

fn any_block() -> impl Strategy<Value = ChannelBlock> {
    let outcome = prop_oneof![
        any::<f32>().prop_map(Outcome::measured),
        (any::<f32>().prop_filter_map("finite", Value::new), proptest::sample::select(Doubt::ALL))
            .prop_map(|(v, d)| Outcome::Uncertain(v, d)),
        proptest::sample::select(Fault::ALL).prop_map(Outcome::Bad),
    ];
    let rest = (any::<u16>(), any::<u16>(), any::<u16>(), any::<u32>(), -1e6_f32..1e6, -1e6_f32..1e6, any::<u8>(), any::<u8>());
    (outcome, proptest::sample::select(Unit::ALL), rest).prop_map(|(outcome, unit, rest)| ChannelBlock {
        outcome,
        unit,
        sequence: rest.0,
        quantity: rest.1,
        device_fault: rest.2,
        sample_age_ms: rest.3,
        range_low: rest.4,
        range_high: rest.5,
        local_alarm: rest.6,
        boot: rest.7,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(block in any_block(), channel in 0..MAX_CHANNELS) {
        prop_assert_eq!(ChannelBlock::decode(channel, &block.encode(channel)), Ok(block));
    }

    #[test]
    fn a_block_is_never_taken_for_another_channel_s(block in any_block(), channel in 0..MAX_CHANNELS, other in 0..MAX_CHANNELS) {
        prop_assume!(channel != other);
        prop_assert!(ChannelBlock::decode(other, &block.encode(channel)).is_err());
    }

    #[test]
    fn every_wrong_bit_and_every_wrong_pair_of_bits_is_noticed(block in any_block(), first in 0..256_usize, second in 0..256_usize) {
        let mut words = block.encode(3);
        words[first / 16] ^= 1 << (first % 16);
        if second != first {
            words[second / 16] ^= 1 << (second % 16);
        }
        prop_assert!(ChannelBlock::decode(3, &words).is_err());
    }

    #[test]
    fn no_registers_panic(registers in proptest::collection::vec(any::<u16>(), 0..40), channel in 0..MAX_CHANNELS) {
        let _ = ChannelBlock::decode(channel, &registers);
    }
}

#[test]
fn a_fault_shows_nan_and_never_zero() {
    let block = ChannelBlock {
        sequence: 1,
        outcome: Outcome::Bad(Fault::WireBreak),
        unit: Unit::Ppm,
        quantity: 2,
        device_fault: 0,
        sample_age_ms: 5,
        range_low: 0.0,
        range_high: 100.0,
        local_alarm: 0,
        boot: 1,
    };
    assert!(f32::from_bits(get_u32(&block.encode(0), 1)).is_nan());
}
