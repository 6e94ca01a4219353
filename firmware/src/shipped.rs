//! The settings a four-gas node is shipped with, until a person gives it the site's own.
//!
//! They alarm early: combustible gas at 10 and 25 %LEL, toxic gas at the workplace limit and at twice that, oxygen below
//! 19.5 and 18 %vol. (GB/T 50493-2019, 5.5.2 allows 25 and 50 %LEL, and one and two times the workplace limit; GBZ 2.1-2019
//! gives CO 20 mg/m3 and H2S 10 mg/m3, which is 17 and 7 ppm at 20 °C.) Values of the ZCE04B class: CO 0 to 1000 ppm, H2S 0 to
//! 200 ppm, O2 0 to 25 %vol, CH4 0 to 100 %LEL.

use measurement::{Direction, Limit, Unit, Value};
use sensors::winsen::Model;

use crate::conversion::{Calibration, LoopBands};
use crate::gas_module::ModuleSettings;
use crate::node::ChannelSettings;
use crate::self_test::SelfTestSettings;

/// A ZCE04B-class module, asked once a second.
pub const FOUR_GAS_MODULE: ModuleSettings =
    ModuleSettings { model: Model::FourGases, ask_every_ms: 1000, silent_after_ms: 3000, leap: [20.0, 5.0, 0.5, 5.0] };

/// The four channels of that module, in its order: CO, H2S, O2, CH4.
pub const FOUR_GAS_CHANNELS: [ChannelSettings; 4] = [
    ChannelSettings { low: high_limit(17.0, 15.0), high: high_limit(34.0, 31.0), ..channel(1, Unit::Ppm, 1000.0) },
    ChannelSettings { low: high_limit(7.0, 6.0), high: high_limit(14.0, 12.0), ..channel(2, Unit::Ppm, 200.0) },
    ChannelSettings { low: low_limit(19.5, 19.8), high: low_limit(18.0, 18.3), oxygen: true, ..channel(3, Unit::PercentVol, 25.0) },
    ChannelSettings {
        low: high_limit(10.0, 9.0),
        high: high_limit(25.0, 22.0),
        self_test: SelfTestSettings { catalytic: true, ..channel(4, Unit::PercentLel, 100.0).self_test },
        ..channel(4, Unit::PercentLel, 100.0)
    },
];

const fn channel(quantity: u16, unit: Unit, full_range: f32) -> ChannelSettings {
    ChannelSettings {
        quantity,
        unit,
        // A digital module's zero may well rest for days, so rest is no sign of a stuck sensor here.
        self_test: SelfTestSettings {
            range: (0.0, full_range),
            below_tolerance: 0.03 * full_range,
            stuck_after_ms: 0,
            stuck_step: 0.0,
            catalytic: false,
        },
        calibration: Calibration::NONE,
        bands: LoopBands::NE43,
        low: None,
        high: None,
        latching: false,
        oxygen: false,
    }
}

const fn high_limit(setpoint: f32, release: f32) -> Option<Limit> {
    limit(Direction::High, setpoint, release)
}

const fn low_limit(setpoint: f32, release: f32) -> Option<Limit> {
    limit(Direction::Low, setpoint, release)
}

const fn limit(direction: Direction, setpoint: f32, release: f32) -> Option<Limit> {
    match (Value::new(setpoint), Value::new(release)) {
        (Some(setpoint), Some(release)) => Some(Limit { direction, setpoint, release, on_delay_ms: 0, off_delay_ms: 0 }),
        _ => None,
    }
}

/// CRC-32 (IEEE) over what is set on the channels, so that the limits on the device can be compared with those on file. Each
/// number as its big-endian bits, in the order of the fields; an absent limit as one zero byte, a present one after a one.
pub fn settings_hash(channels: &[ChannelSettings]) -> u32 {
    let mut crc = Crc32::new();
    for channel in channels {
        crc.feed(&channel.quantity.to_be_bytes());
        crc.feed(&[channel.unit.code(), u8::from(channel.latching), u8::from(channel.oxygen), u8::from(channel.self_test.catalytic)]);
        crc.feed(&channel.self_test.stuck_after_ms.to_be_bytes());
        let (test, calibration, bands) = (&channel.self_test, &channel.calibration, &channel.bands);
        for number in [
            test.range.0,
            test.range.1,
            test.below_tolerance,
            test.stuck_step,
            calibration.zero,
            calibration.span,
            calibration.zero_per_kelvin,
            bands.broken_at,
            bands.lowest,
            bands.highest,
            bands.shorted_at,
        ] {
            crc.feed(&number.to_bits().to_be_bytes());
        }
        for limit in [&channel.low, &channel.high] {
            let Some(limit) = limit else {
                crc.feed(&[0]);
                continue;
            };
            crc.feed(&[1, u8::from(limit.direction == Direction::Low)]);
            crc.feed(&limit.setpoint.get().to_bits().to_be_bytes());
            crc.feed(&limit.release.get().to_bits().to_be_bytes());
            crc.feed(&limit.on_delay_ms.to_be_bytes());
            crc.feed(&limit.off_delay_ms.to_be_bytes());
        }
    }
    crc.end()
}

/// CRC-32 as in Ethernet and zip, bit by bit: it runs at the start and at a calibration.
pub(crate) struct Crc32(u32);

impl Crc32 {
    pub(crate) const fn new() -> Crc32 {
        Crc32(u32::MAX)
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..8 {
                self.0 = if self.0 & 1 != 0 { self.0 >> 1 ^ 0xEDB8_8320 } else { self.0 >> 1 };
            }
        }
    }

    pub(crate) const fn end(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests;
