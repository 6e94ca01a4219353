use super::*;

#[test]
fn every_shipped_channel_has_two_consistent_limits_the_graver_one_further_out() {
    for channel in FOUR_GAS_CHANNELS {
        let (low, high) = (channel.low.unwrap(), channel.high.unwrap());
        assert!(low.is_consistent() && high.is_consistent());
        assert!(low.is_beyond(high.setpoint));
    }
}

#[test]
fn what_is_shipped_could_also_be_set_and_a_node_without_settings_alarms_earlier() {
    for channel in FOUR_GAS_CHANNELS {
        for limit in [channel.low, channel.high].into_iter().flatten() {
            let (from, to) = channel.normal;
            let setpoint = limit.setpoint.get();
            assert!(setpoint < from || setpoint > to, "{setpoint} lies within {from} to {to}");
            assert!((channel.self_test.range.0..=channel.self_test.range.1).contains(&setpoint));
        }
    }
}
