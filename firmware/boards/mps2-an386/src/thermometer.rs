//! The thermometer beside the gas module: a TMP105 at 0x48 on shield 1, read by the crate `lm75` behind our own trait.

use lm75::{Error, Lm75, ic};
use sensors::Measure;

use crate::i2c::{self, Bus};

const ADDRESS: u8 = 0x48;

/// The part on its bus.
pub struct Thermometer(Lm75<Bus, ic::Lm75>);

impl Thermometer {
    /// The part on this bus.
    pub fn new(bus: Bus) -> Thermometer {
        Thermometer(Lm75::new(bus, ADDRESS))
    }
}

/// °C.
impl Measure<1> for Thermometer {
    type Error = Error<i2c::Error>;
    // It converts by itself, every 300 ms at most (TMP105 datasheet SBOS304, 6.5: 220 ms at 12 bits).
    const READY_AFTER_MS: u32 = 0;
    const CONTINUOUS: bool = true;

    fn start(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn read(&mut self) -> Result<Option<[f32; 1]>, Self::Error> {
        self.0.read_temperature().map(|celsius| Some([celsius]))
    }

    /// It has no check of its own.
    fn is_garbled(_: &Self::Error) -> bool {
        false
    }
}
