use measurement::Value;

use super::*;

const GAS: Bounds =
    Bounds { quantity: 4, unit: Unit::PercentLel, range: (0.0, 100.0), normal: (f32::MIN, 5.0), needs_above: true, needs_below: false };
const AIR: Bounds =
    Bounds { quantity: 9, unit: Unit::Celsius, range: (-40.0, 85.0), normal: (f32::MIN, f32::MAX), needs_above: false, ..GAS };

fn limit(direction: Direction, setpoint: f32, release: f32) -> Option<Limit> {
    Some(Limit { direction, setpoint: Value::new(setpoint)?, release: Value::new(release)?, on_delay_ms: 0, off_delay_ms: 0 })
}

fn high(setpoint: f32, release: f32) -> Option<Limit> {
    limit(Direction::High, setpoint, release)
}

fn text(text: &[u8]) -> [u8; 16] {
    core::array::from_fn(|i| text.get(i).copied().unwrap_or(0))
}

fn block(bounds: &Bounds) -> ChannelSettingsBlock {
    ChannelSettingsBlock {
        quantity: bounds.quantity,
        unit: bounds.unit,
        latching: false,
        range_low: bounds.range.0,
        range_high: bounds.range.1,
        low: None,
        high: None,
        zero: 0.0,
        span: 1.0,
        zero_per_kelvin: 0.0,
        date: 0,
        gas: [0; 16],
        lot: [0; 16],
        operator: [0; 16],
    }
}

fn sheet(gas: &ChannelSettingsBlock) -> Sheet<4> {
    let channels = [gas.content(), block(&AIR).content()].into_iter().collect();
    Sheet { head: NodeSettingsBlock { unit: 17, channels: 2 }.content(), channels }
}

/// What becomes of the settings of a calibrated gas channel with two levels, once they were changed like this.
fn check(expected: Refusal, change: impl FnOnce(&mut ChannelSettingsBlock)) {
    let mut gas = ChannelSettingsBlock {
        low: high(10.0, 9.0),
        high: high(25.0, 22.0),
        zero: 0.5,
        span: 1.1,
        zero_per_kelvin: 0.02,
        date: 20_261_124,
        gas: text(b"CH4 2.5 %vol"),
        lot: text(b"LOT 4711"),
        operator: text(b"Wang Fang"),
        ..block(&GAS)
    };
    change(&mut gas);
    let expected = if expected == Refusal::None { Ok(17) } else { Err(Refused { refusal: expected, channel: Some(0) }) };
    assert_eq!(sheet(&gas).examine(&[GAS, AIR]), expected);
}

#[test]
fn settings_that_make_sense_are_taken() {
    check(Refusal::None, |_| {});
    check(Refusal::None, |gas| gas.low = None);
    check(Refusal::None, |gas| gas.latching = true);
    check(Refusal::None, |gas| (gas.high, gas.low) = (high(10.0, 9.0), high(10.0, 9.0)));
    check(Refusal::None, |gas| gas.low = high(10.0, 10.0));
}

#[test]
fn settings_of_another_device_are_refused() {
    check(Refusal::Device, |gas| gas.quantity = 5);
    check(Refusal::Device, |gas| gas.unit = Unit::PercentVol);
    check(Refusal::Device, |gas| gas.range_high = 5.0);
    let whole = sheet(&block(&GAS));
    assert_eq!(whole.examine(&[GAS]), Err(Refused { refusal: Refusal::Device, channel: None }));
}

#[test]
fn limits_outside_the_range_within_the_noise_or_at_odds_are_refused() {
    check(Refusal::Range, |gas| gas.high = high(101.0, 90.0));
    check(Refusal::Range, |gas| gas.low = high(10.0, -1.0));
    check(Refusal::Inconsistent, |gas| gas.low = high(10.0, 10.5));
    check(Refusal::Inconsistent, |gas| gas.low = high(30.0, 29.0));
    check(Refusal::Noise, |gas| gas.low = high(5.0, 4.0));
    check(Refusal::Delay, |gas| gas.low = gas.low.map(|limit| Limit { on_delay_ms: 60_001, ..limit }));
    check(Refusal::Delay, |gas| gas.high = gas.high.map(|limit| Limit { off_delay_ms: 3_600_001, ..limit }));
    check(Refusal::NoLevel, |gas| (gas.low, gas.high) = (None, None));
    let oxygen = Bounds { normal: (20.0, 22.0), range: (0.0, 25.0), ..GAS };
    let below = |setpoint, release| examine_limit(&limit(Direction::Low, setpoint, release).unwrap(), &oxygen);
    assert_eq!(below(19.5, 19.8), Ok(()));
    assert_eq!(below(20.0, 20.5), Err(Refusal::Noise));
    assert_eq!(below(19.5, 19.0), Err(Refusal::Inconsistent));
}

#[test]
fn a_channel_keeps_a_level_in_each_direction_it_was_shipped_with() {
    let oxygen = Bounds { normal: (20.0, 22.0), range: (0.0, 25.0), needs_below: true, ..GAS };
    let (above, below) = (high(23.5, 23.0), limit(Direction::Low, 19.5, 19.8));
    let check = |bounds: Bounds, low, high, expected| {
        let block = ChannelSettingsBlock { low, high, ..block(&oxygen) };
        assert_eq!(examine(&block, &bounds), expected);
    };
    check(oxygen, below, above, Ok(()));
    check(oxygen, None, above, Err(Refusal::NoLevel));
    check(oxygen, below, None, Err(Refusal::NoLevel));
    let deficiency = Bounds { needs_above: false, ..oxygen };
    check(deficiency, None, above, Err(Refusal::NoLevel));
    check(deficiency, below, None, Ok(()));
    check(deficiency, limit(Direction::Low, 19.5, 19.8), limit(Direction::Low, 18.0, 18.3), Ok(()));
}

#[test]
fn a_number_that_is_none_is_refused_wherever_it_stands() {
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        check(Refusal::Device, |gas| gas.range_low = number);
        check(Refusal::Calibration, |gas| gas.zero = number);
        check(Refusal::Calibration, |gas| gas.span = number);
        check(Refusal::Calibration, |gas| gas.zero_per_kelvin = number);
    }
    let mut sheet = sheet(&ChannelSettingsBlock { low: high(10.0, 9.0), ..block(&GAS) });
    (sheet.channels[0][7], sheet.channels[0][8]) = (0x7FC0, 0);
    assert_eq!(sheet.examine(&[GAS, AIR]), Err(Refused { refusal: Refusal::Meaningless, channel: Some(0) }));
}

#[test]
fn a_calibration_that_only_a_spent_cell_needs_is_refused() {
    check(Refusal::Calibration, |gas| gas.span = 0.49);
    check(Refusal::Calibration, |gas| gas.span = 2.01);
    check(Refusal::Calibration, |gas| gas.zero = -20.1);
    check(Refusal::Calibration, |gas| gas.zero_per_kelvin = 1.1);
}

#[test]
fn a_calibration_that_nobody_answers_for_is_refused() {
    check(Refusal::Record, |gas| gas.date = 0);
    check(Refusal::Record, |gas| gas.gas = [0; 16]);
    check(Refusal::Record, |gas| gas.lot = [0; 16]);
    check(Refusal::Record, |gas| gas.operator = text(b"\0Wang"));
    check(Refusal::Record, |gas| gas.operator = text(b"Wang\0Fang"));
    check(Refusal::Record, |gas| gas.operator = text(b"Wang\xFFFang"));
    for date in [20_260_230, 20_261_301, 20_261_100, 19_991_231, 20_261_131, u32::MAX] {
        check(Refusal::Record, |gas| gas.date = date);
    }
    check(Refusal::None, |gas| gas.date = 20_280_229);
    let uncalibrated = ChannelSettingsBlock { low: high(10.0, 9.0), ..block(&GAS) };
    assert_eq!(sheet(&uncalibrated).examine(&[GAS, AIR]), Ok(17));
    let nameless = ChannelSettingsBlock { operator: text(b"Wang"), ..uncalibrated };
    assert_eq!(sheet(&nameless).examine(&[GAS, AIR]), Err(Refused { refusal: Refusal::Record, channel: Some(0) }));
}

#[test]
fn a_unit_id_that_modbus_has_not_is_refused() {
    for (unit, expected) in [(1, Ok(1)), (247, Ok(247)), (0, Err(Refusal::Unit)), (248, Err(Refusal::Unit)), (255, Err(Refusal::Unit))] {
        let mut sheet = sheet(&ChannelSettingsBlock { low: high(10.0, 9.0), ..block(&GAS) });
        sheet.head[0] = unit;
        assert_eq!(sheet.examine(&[GAS, AIR]), expected.map_err(|refusal| Refused { refusal, channel: None }));
    }
}

#[test]
fn any_changed_word_changes_the_crc() {
    let sheet = sheet(&block(&GAS));
    for channel in 0..2 {
        for word in 0..CHANNEL_SETTINGS_CONTENT {
            let mut changed = sheet.clone();
            changed.channels[channel][word] ^= 0x0100;
            assert_ne!(changed.crc(), sheet.crc());
        }
    }
}
