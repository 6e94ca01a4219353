use proptest::prelude::*;

use super::*;

fn any_limit() -> impl Strategy<Value = Option<Limit>> {
    let value = || any::<f32>().prop_filter_map("finite", Value::new);
    let limit = (any::<bool>(), value(), value(), any::<u32>(), any::<u32>()).prop_map(|(below, setpoint, release, on, off)| Limit {
        direction: if below { Direction::Low } else { Direction::High },
        setpoint,
        release,
        on_delay_ms: on,
        off_delay_ms: off,
    });
    proptest::option::of(limit)
}

fn any_settings() -> impl Strategy<Value = ChannelSettingsBlock> {
    let finite = || -1e6_f32..1e6;
    let numbers = (finite(), finite(), finite(), finite(), finite());
    let texts = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<[u8; 16]>());
    let rest = (any::<u16>(), proptest::sample::select(Unit::ALL), any::<bool>(), any::<u32>());
    (any_limit(), any_limit(), numbers, texts, rest).prop_map(|(low, high, numbers, texts, rest)| ChannelSettingsBlock {
        quantity: rest.0,
        unit: rest.1,
        latching: rest.2,
        range_low: numbers.0,
        range_high: numbers.1,
        low,
        high,
        zero: numbers.2,
        span: numbers.3,
        zero_per_kelvin: numbers.4,
        date: rest.3,
        gas: texts.0,
        lot: texts.1,
        operator: texts.2,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(block in any_settings(), channel in 0..MAX_CHANNELS) {
        prop_assert_eq!(ChannelSettingsBlock::decode(channel, &block.encode(channel)), Ok(block));
    }

    #[test]
    fn every_wrong_bit_is_noticed(block in any_settings(), bit in 0..CHANNEL_SETTINGS_WORDS * 16) {
        let mut words = block.encode(2);
        words[bit / 16] ^= 1 << (bit % 16);
        prop_assert!(ChannelSettingsBlock::decode(2, &words).is_err());
    }

    #[test]
    fn content_that_is_read_at_all_is_written_back_word_for_word(words in any::<[[u16; 21]; 3]>()) {
        let mut content = [0; CHANNEL_SETTINGS_CONTENT];
        for (i, word) in words.iter().flatten().enumerate() {
            content[i] = *word;
        }
        content[1] &= 0x0F01;
        content[6] &= 0b11;
        content[15] &= 0b11;
        content[56..].fill(0);
        if let Ok(block) = ChannelSettingsBlock::from_content(&content) {
            prop_assert_eq!(block.content(), content);
        }
    }
}

#[test]
fn words_that_mean_nothing_are_refused_by_their_place() {
    let limit = Limit { direction: Direction::High, setpoint: Value::ZERO, release: Value::ZERO, on_delay_ms: 0, off_delay_ms: 0 };
    let block = ChannelSettingsBlock {
        quantity: 1,
        unit: Unit::Ppm,
        latching: false,
        range_low: 0.0,
        range_high: 1.0,
        low: None,
        high: Some(limit),
        zero: 0.0,
        span: 1.0,
        zero_per_kelvin: 0.0,
        date: 0,
        gas: [0; 16],
        lot: [0; 16],
        operator: [0; 16],
    };
    let check = |at: usize, word: u16| {
        let mut content = block.content();
        content[at] = word;
        assert_eq!(ChannelSettingsBlock::from_content(&content), Err(BlockError::Setting { offset: at as u16 }), "word {at}");
    };
    check(1, 0x0302);
    check(6, 0b10);
    check(7, 1);
    check(15, 0b101);
    check(16, 0x8000);
    check(16, 0x7FC0);
    check(62, 1);
    let mut head = NodeSettingsBlock { unit: 17, channels: 4 }.content();
    head[0] = 0x0111;
    assert_eq!(NodeSettingsBlock::from_content(&head), Err(BlockError::Setting { offset: 0 }));
}

#[test]
fn the_crc_is_the_one_of_ethernet() {
    let mut crc = SettingsCrc::new();
    crc.bytes(b"123456789");
    assert_eq!(crc.end(), 0xCBF4_3926);
    let mut words = SettingsCrc::new();
    words.words(&[0x3132, 0x3334]);
    let mut bytes = SettingsCrc::new();
    bytes.bytes(b"1234");
    assert_eq!(words.end(), bytes.end());
}

#[test]
fn every_refusal_is_found_by_its_code() {
    for (code, refusal) in (0..).zip(Refusal::ALL) {
        assert_eq!((Refusal::from_code(code), refusal as u16), (Some(refusal), code));
    }
}
