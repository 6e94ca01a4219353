//! Units, and the conversions that a gas and a reference temperature make possible.

use crate::Value;

macro_rules! units {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $symbol:literal;)+) => {
        /// The unit of a channel's values.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Unit { $($(#[$doc])* $variant = $code,)+ }

        impl Unit {
            /// Every unit, in code order.
            pub const ALL: &'static [Unit] = &[$(Unit::$variant),+];

            /// The code used in registers, telemetry and on disk. Never reused.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The unit with this code.
            pub const fn from_code(code: u8) -> Option<Unit> {
                match code { $($code => Some(Unit::$variant),)+ _ => None }
            }

            /// How it is written beside a number, and in site files.
            pub const fn symbol(self) -> &'static str {
                match self { $(Unit::$variant => $symbol,)+ }
            }

            /// The unit written this way.
            pub fn from_symbol(symbol: &str) -> Option<Unit> {
                match symbol { $($symbol => Some(Unit::$variant),)+ _ => None }
            }
        }
    };
}

units! {
    /// A pure number: a state, a count, a ratio.
    None = 0, "1";
    /// Volume parts per hundred.
    PercentVol = 1, "%vol";
    /// Per cent of the lower explosive limit; needs its LEL base.
    PercentLel = 2, "%LEL";
    /// Volume parts per million.
    Ppm = 3, "ppm";
    /// Volume parts per milliard.
    Ppb = 4, "ppb";
    /// Milligrams per cubic metre at the channel's reference temperature and 101.325 kPa.
    MgPerM3 = 5, "mg/m3";
    /// Degrees Celsius.
    Celsius = 6, "°C";
    /// Relative humidity.
    PercentRh = 7, "%RH";
    /// Air velocity.
    MetrePerSecond = 8, "m/s";
    /// Volume flow.
    CubicMetrePerHour = 9, "m3/h";
    /// Level or distance.
    Metre = 10, "m";
    /// Pressure.
    Pascal = 11, "Pa";
    /// Air pressure as mines log it.
    Hectopascal = 12, "hPa";
    /// Loop current.
    Milliampere = 13, "mA";
    /// Frequency of a drive.
    Hertz = 14, "Hz";
    /// Illuminance.
    Lux = 15, "lx";
    /// Sound level.
    Decibel = 16, "dB";
    /// Time.
    Second = 17, "s";
    /// A share, 0 to 100.
    Percent = 18, "%";
    /// Storage.
    Mebibyte = 19, "MiB";
    /// A rate of events.
    PerSecond = 20, "1/s";
}

/// What conversion between volume and mass needs to know of a gas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gas {
    /// Molar mass, g/mol.
    pub molar_mass: f32,
    /// Lower explosive limit, %vol, when the gas burns. Methane is 5.0 in Chinese mine practice and 4.4
    /// in IEC 60079-20-1, so it belongs to the channel and is not a constant.
    pub lel_percent_vol: Option<f32>,
}

/// Converts values of one gas between units at one reference temperature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conversion {
    /// The gas.
    pub gas: Gas,
    /// Reference temperature of mg/m3, °C: 20 for GBZ 2.1, 25 for most US tables.
    pub reference_celsius: f32,
}

impl Conversion {
    /// Litres that one mole takes at the reference temperature and 101.325 kPa: R·T/p.
    pub fn molar_volume(&self) -> f32 {
        8.314_463 * (273.15 + self.reference_celsius) / 101.325
    }

    /// The value in another unit, or `None` when the two units do not measure the same thing or the gas
    /// has no LEL. Overflow is `None` too.
    pub fn convert(&self, value: Value, from: Unit, to: Unit) -> Option<Value> {
        if from == to {
            return Some(value);
        }
        let ppm = self.ppm_of(value.get(), from)?;
        Value::new(self.number_of(ppm, to)?)
    }

    fn ppm_of(&self, number: f32, from: Unit) -> Option<f32> {
        Some(match from {
            Unit::Ppm => number,
            Unit::Ppb => number / 1000.0,
            Unit::PercentVol => number * 10_000.0,
            Unit::PercentLel => number * self.gas.lel_percent_vol? * 100.0,
            Unit::MgPerM3 => number * self.molar_volume() / self.gas.molar_mass,
            _ => return None,
        })
    }

    fn number_of(&self, ppm: f32, to: Unit) -> Option<f32> {
        Some(match to {
            Unit::Ppm => ppm,
            Unit::Ppb => ppm * 1000.0,
            Unit::PercentVol => ppm / 10_000.0,
            Unit::PercentLel => ppm / (self.gas.lel_percent_vol? * 100.0),
            Unit::MgPerM3 => ppm * self.gas.molar_mass / self.molar_volume(),
            _ => return None,
        })
    }
}
