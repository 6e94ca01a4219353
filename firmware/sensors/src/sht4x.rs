//! Sensirion SHT4x: temperature and humidity over I2C, address 0x44 (SHT40-AD1B) or 0x45.
//!
//! Source: SHT4x datasheet (<https://sensirion.com/resource/datasheet/sht4x>): 4.5 "Command overview", 4.6 "Conversion of
//! signal output". Numbers: °C and %RH, the latter cut to 0 to 100 as 4.6 recommends.

use embedded_hal::i2c::I2c;

use crate::measure::Measure;
use crate::sensirion::{Error, celsius, words};

/// The usual address.
pub const ADDRESS: u8 = 0x44;
/// Measures both with high precision.
const MEASURE_HIGH_PRECISION: u8 = 0xFD;

/// The part on its bus.
#[derive(Debug)]
pub struct Sht4x<I2C> {
    i2c: I2C,
    address: u8,
}

impl<I2C> Sht4x<I2C> {
    /// The part at this address.
    pub const fn new(i2c: I2C, address: u8) -> Sht4x<I2C> {
        Sht4x { i2c, address }
    }

    /// Gives the bus back.
    pub fn release(self) -> I2C {
        self.i2c
    }
}

/// °C and %RH of the two raw words.
pub fn numbers([temperature, humidity]: [u16; 2]) -> [f32; 2] {
    [celsius(temperature), (-6.0 + 125.0 * f32::from(humidity) / 65535.0).clamp(0.0, 100.0)]
}

impl<I2C: I2c> Measure<2> for Sht4x<I2C> {
    type Error = Error<I2C::Error>;
    // Table 4: 8.3 ms at most for high precision.
    const READY_AFTER_MS: u32 = 9;

    fn start(&mut self) -> Result<(), Self::Error> {
        let command = MEASURE_HIGH_PRECISION;
        self.i2c.write(self.address, &[command]).map_err(|source| Error::Write { command: u16::from(command), source })
    }

    fn read(&mut self) -> Result<Option<[f32; 2]>, Self::Error> {
        let mut answer = [0; 6];
        let command = u16::from(MEASURE_HIGH_PRECISION);
        self.i2c.read(self.address, &mut answer).map_err(|source| Error::Read { command, source })?;
        Ok(Some(numbers(words(&answer)?)))
    }

    fn is_garbled(error: &Self::Error) -> bool {
        matches!(error, Error::Crc { .. })
    }
}

#[cfg(test)]
mod tests;
