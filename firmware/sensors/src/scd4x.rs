//! Sensirion SCD4x: CO2 over I2C, address 0x62; measures by itself every 5 s once started.
//!
//! Source: SCD4x datasheet (<https://sensirion.com/resource/datasheet/scd4x>): 3.5.1 start_periodic_measurement, 3.5.2
//! read_measurement, 3.5.3 stop_periodic_measurement, 3.8.2 get_data_ready_status. Numbers: ppm CO2, °C, %RH.

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

use crate::measure::Measure;
use crate::sensirion::{Error, celsius, words};

/// Its only address.
pub const ADDRESS: u8 = 0x62;

const START_PERIODIC_MEASUREMENT: u16 = 0x21B1;
const READ_MEASUREMENT: u16 = 0xEC05;
const STOP_PERIODIC_MEASUREMENT: u16 = 0x3F86;
const GET_DATA_READY_STATUS: u16 = 0xE4B8;

/// The part on its bus.
#[derive(Debug)]
pub struct Scd4x<I2C, D> {
    i2c: I2C,
    delay: D,
}

impl<I2C: I2c, D: DelayNs> Scd4x<I2C, D> {
    /// The part on this bus.
    pub const fn new(i2c: I2C, delay: D) -> Scd4x<I2C, D> {
        Scd4x { i2c, delay }
    }

    /// Stops measuring. The part takes no command for 500 ms after it.
    pub fn stop(&mut self) -> Result<(), Error<I2C::Error>> {
        self.command(STOP_PERIODIC_MEASUREMENT)
    }

    /// Gives the bus back.
    pub fn release(self) -> I2C {
        self.i2c
    }

    fn command(&mut self, command: u16) -> Result<(), Error<I2C::Error>> {
        self.i2c.write(ADDRESS, &command.to_be_bytes()).map_err(|source| Error::Write { command, source })
    }

    /// Table 9: the part needs 1 ms between these commands and their answers.
    fn ask<const BYTES: usize>(&mut self, command: u16) -> Result<[u8; BYTES], Error<I2C::Error>> {
        self.command(command)?;
        self.delay.delay_ms(1);
        let mut answer = [0; BYTES];
        self.i2c.read(ADDRESS, &mut answer).map_err(|source| Error::Read { command, source })?;
        Ok(answer)
    }
}

/// ppm, °C and %RH of the three raw words.
pub fn numbers([co2, temperature, humidity]: [u16; 3]) -> [f32; 3] {
    [f32::from(co2), celsius(temperature), 100.0 * f32::from(humidity) / 65535.0]
}

impl<I2C: I2c, D: DelayNs> Measure<3> for Scd4x<I2C, D> {
    type Error = Error<I2C::Error>;
    const READY_AFTER_MS: u32 = 5000;
    const CONTINUOUS: bool = true;

    fn start(&mut self) -> Result<(), Self::Error> {
        self.command(START_PERIODIC_MEASUREMENT)
    }

    fn read(&mut self) -> Result<Option<[f32; 3]>, Self::Error> {
        let [status] = words(&self.ask::<3>(GET_DATA_READY_STATUS)?)?;
        // 3.8.2: the lowest eleven bits are zero while there is nothing new.
        if status & 0x07FF == 0 {
            return Ok(None);
        }
        Ok(Some(numbers(words(&self.ask::<9>(READ_MEASUREMENT)?)?)))
    }

    fn is_garbled(error: &Self::Error) -> bool {
        matches!(error, Error::Crc { .. })
    }
}

#[cfg(test)]
mod tests;
