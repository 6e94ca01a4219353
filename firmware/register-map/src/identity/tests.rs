use super::*;

const NODE: Identity = Identity {
    serial: 0x0123_4567_89AB_CDEF,
    firmware: 0x0102,
    boot_count: 70_000,
    uptime_s: 86_400,
    reset_cause: ResetCause::Watchdog,
    channels: 4,
    settings_version: 9,
    settings_hash: 0xDEAD_BEEF,
};

#[test]
fn what_is_written_is_read() {
    assert_eq!(Identity::decode(&NODE.encode()), Ok(NODE));
}

#[test]
fn a_foreign_device_is_told_by_its_first_register() {
    let mut words = NODE.encode();
    words[0] = 0x240A;
    assert_eq!(Identity::decode(&words), Err(BlockError::Magic(0x240A)));
}

#[test]
fn a_later_map_is_refused_by_version() {
    let mut words = NODE.encode();
    words[1] = 2;
    assert_eq!(Identity::decode(&words), Err(BlockError::Version(2)));
}

#[test]
fn every_single_wrong_bit_is_noticed() {
    for bit in 0..IDENTITY_WORDS * 16 {
        let mut words = NODE.encode();
        words[bit / 16] ^= 1 << (bit % 16);
        assert!(Identity::decode(&words).is_err(), "bit {bit}");
    }
}
