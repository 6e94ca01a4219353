use super::*;

#[test]
fn the_crc_is_the_one_of_ethernet() {
    let mut crc = Crc32::new();
    crc.feed(b"123456789");
    assert_eq!(crc.end(), 0xCBF4_3926);
}

#[test]
fn every_shipped_channel_has_two_consistent_limits_the_graver_one_further_out() {
    for channel in FOUR_GAS_CHANNELS {
        let (low, high) = (channel.low.unwrap(), channel.high.unwrap());
        assert!(low.is_consistent() && high.is_consistent());
        assert!(low.is_beyond(high.setpoint));
    }
}

#[test]
fn any_changed_setting_changes_the_hash() {
    let shipped = settings_hash(&FOUR_GAS_CHANNELS);
    let changed = |change: fn(&mut ChannelSettings)| {
        let mut channels = FOUR_GAS_CHANNELS;
        change(&mut channels[3]);
        settings_hash(&channels)
    };
    assert_eq!(changed(|_| ()), shipped);
    assert_ne!(changed(|c| c.high = None), shipped);
    assert_ne!(changed(|c| c.low = high_limit(10.5, 9.0)), shipped);
    assert_ne!(changed(|c| c.calibration.span = 1.01), shipped);
    assert_ne!(changed(|c| c.latching = true), shipped);
    assert_ne!(changed(|c| c.unit = Unit::PercentVol), shipped);
    assert_ne!(settings_hash(&FOUR_GAS_CHANNELS[..3]), shipped);
}
