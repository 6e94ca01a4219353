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

/// A ZCE04B-class module, asked once a second. It says by zeros that it warms up.
pub const FOUR_GAS_MODULE: ModuleSettings =
    ModuleSettings { model: Model::FourGases, ask_every_ms: 1000, silent_after_ms: 3000, warm_up_ms: 0, leap: [20.0, 5.0, 0.5, 5.0] };

/// The four channels of that module, in its order: CO, H2S, O2, CH4.
pub const FOUR_GAS_CHANNELS: [ChannelSettings; 4] = [
    ChannelSettings {
        low: high_limit(17.0, 15.0),
        high: high_limit(34.0, 31.0),
        normal: (f32::MIN, 10.0),
        ..channel(1, Unit::Ppm, 1000.0)
    },
    ChannelSettings { low: high_limit(7.0, 6.0), high: high_limit(14.0, 12.0), normal: (f32::MIN, 3.0), ..channel(2, Unit::Ppm, 200.0) },
    ChannelSettings {
        low: low_limit(19.5, 19.8),
        high: low_limit(18.0, 18.3),
        oxygen: true,
        normal: (20.0, 22.0),
        ..channel(3, Unit::PercentVol, 25.0)
    },
    ChannelSettings {
        low: high_limit(10.0, 9.0),
        high: high_limit(25.0, 22.0),
        normal: (f32::MIN, 5.0),
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
        normal: (f32::MIN, f32::MAX),
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

#[cfg(test)]
mod tests;
