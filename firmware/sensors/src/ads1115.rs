//! TI ADS1115: a 16-bit converter over I2C, here for 4-20 mA loops across a shunt.
//!
//! Source: ADS1115 datasheet SBAS444E (<https://www.ti.com/lit/ds/symlink/ads1115.pdf>): 8.1.2 conversion register, 8.1.3 config
//! register (table 8-3). The range is +-4.096 V, 125 µV a count: with the usual 100 ohm a loop is seen up to 40 mA, so that a
//! short (21 mA and more) is told from a high reading. What a current means is the firmware's (NE 43 bands are data).

use embedded_hal::i2c::I2c;

use crate::measure::Measure;

/// The address with ADDR at ground.
pub const ADDRESS: u8 = 0x48;
/// Volts a count at +-4.096 V.
const VOLTS_A_COUNT: f32 = 0.000_125;

/// The chip's registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Register {
    /// The last result.
    Conversion = 0,
    /// What is measured and how.
    Config = 1,
}

/// An input against ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Input {
    /// AIN0.
    Ain0 = 0b100,
    /// AIN1.
    Ain1 = 0b101,
    /// AIN2.
    Ain2 = 0b110,
    /// AIN3.
    Ain3 = 0b111,
}

/// Why a transaction yielded nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error<E> {
    /// A register was not given.
    Read {
        /// Which.
        register: Register,
        /// What the bus says.
        source: E,
    },
    /// A register was not taken.
    Write {
        /// Which.
        register: Register,
        /// What the bus says.
        source: E,
    },
    /// The chip holds another configuration than it was given: it lost its supply, and the count means something else.
    Restarted {
        /// The config register.
        config: u16,
    },
}

/// OS, one conversion; +-4.096 V; single shot; 128 samples a second; comparator off.
const fn config(input: Input) -> u16 {
    1 << 15 | (input as u16) << 12 | 0b001 << 9 | 1 << 8 | 0b100 << 5 | 0b11
}

/// One loop on one input.
#[derive(Debug)]
pub struct Ads1115<I2C> {
    i2c: I2C,
    address: u8,
    input: Input,
    shunt_ohm: f32,
}

impl<I2C> Ads1115<I2C> {
    /// The loop whose shunt stands between this input and ground.
    pub const fn new(i2c: I2C, address: u8, input: Input, shunt_ohm: f32) -> Ads1115<I2C> {
        Ads1115 { i2c, address, input, shunt_ohm }
    }

    /// Gives the bus back.
    pub fn release(self) -> I2C {
        self.i2c
    }
}

impl<I2C: I2c> Ads1115<I2C> {
    fn register(&mut self, register: Register) -> Result<u16, Error<I2C::Error>> {
        let mut word = [0; 2];
        self.i2c.write_read(self.address, &[register as u8], &mut word).map_err(|source| Error::Read { register, source })?;
        Ok(u16::from_be_bytes(word))
    }
}

/// The current that a count means, mA.
pub fn milliampere(count: i16, shunt_ohm: f32) -> f32 {
    f32::from(count) * VOLTS_A_COUNT / shunt_ohm * 1000.0
}

impl<I2C: I2c> Measure<1> for Ads1115<I2C> {
    type Error = Error<I2C::Error>;
    // 1/128 s, 10 % slow at worst, and 25 µs to wake.
    const READY_AFTER_MS: u32 = 9;

    fn start(&mut self) -> Result<(), Self::Error> {
        let [high, low] = config(self.input).to_be_bytes();
        let register = Register::Config;
        self.i2c.write(self.address, &[register as u8, high, low]).map_err(|source| Error::Write { register, source })
    }

    fn read(&mut self) -> Result<Option<[f32; 1]>, Self::Error> {
        let seen = self.register(Register::Config)?;
        if (seen ^ config(self.input)) & 0x7FFF != 0 {
            return Err(Error::Restarted { config: seen });
        }
        // OS reads zero while a conversion is under way.
        if seen & 1 << 15 == 0 {
            return Ok(None);
        }
        let count = self.register(Register::Conversion)? as i16;
        Ok(Some([milliampere(count, self.shunt_ohm)]))
    }

    fn is_garbled(error: &Self::Error) -> bool {
        matches!(error, Error::Restarted { .. })
    }
}

#[cfg(test)]
mod tests;
