//! Sounder, beacon and fault lamp: PB0, PB1 and PB2, high is on.

use embassy_stm32::Peri;
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::pac;
use embassy_stm32::peripherals::{PB0, PB1, PB2};

/// The pins.
pub struct Pins {
    sounder: Output<'static>,
    beacon: Output<'static>,
    fault: Output<'static>,
}

impl Pins {
    /// All on, until the first judgement.
    pub fn new(sounder: Peri<'static, PB0>, beacon: Peri<'static, PB1>, fault: Peri<'static, PB2>) -> Pins {
        Pins {
            sounder: Output::new(sounder, Level::High, Speed::Low),
            beacon: Output::new(beacon, Level::High, Speed::Low),
            fault: Output::new(fault, Level::High, Speed::Low),
        }
    }

    /// Shows what was judged.
    pub fn show(&mut self, outputs: firmware::Outputs) {
        self.sounder.set_level(outputs.sounder.into());
        self.beacon.set_level(outputs.beacon.into());
        self.fault.set_level(outputs.fault.into());
    }
}

/// Switches all of them on from wherever a life ends.
pub fn force_on() {
    pac::GPIOB.bsrr().write(|set| (0..3).for_each(|pin| set.set_bs(pin, true)));
}
