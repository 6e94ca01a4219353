//! I2C over the two wires of the board's SBCon, at 100 kHz.
//!
//! Source: UM10204 (NXP, I2C-bus specification), 3.1 and 3.1.16 "Bus clear". Neither a part that holds the clock nor one that
//! holds the data line costs more than a few ms.

use embedded_hal::i2c::{Error as Cause, ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

use crate::peripherals::{Microseconds, TwoWire};

/// Half a clock period: 5 µs at 25 MHz.
const HALF_PERIOD_CYCLES: u32 = 125;
/// Longer than this no part may hold the clock.
const STRETCH_US: u32 = 1_000;

/// The master of a bus.
pub struct Bus(TwoWire);

/// Why a transaction failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// Nobody acknowledged.
    NoAcknowledge(NoAcknowledgeSource),
    /// A line is held low.
    Stuck,
}

impl Cause for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::NoAcknowledge(source) => ErrorKind::NoAcknowledge(*source),
            Error::Stuck => ErrorKind::Bus,
        }
    }
}

impl ErrorType for Bus {
    type Error = Error;
}

impl I2c for Bus {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Error> {
        let done = self.run(address, operations);
        // The bus is given back whatever happened.
        self.stop().and(done)
    }
}

impl Bus {
    /// A bus at rest.
    pub fn new(wires: TwoWire) -> Bus {
        wires.set_sda(true);
        wires.set_scl(true);
        Bus(wires)
    }

    fn run(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Error> {
        let mut direction = None;
        let count = operations.len();
        for at in 0..count {
            let reads = matches!(operations[at], Operation::Read(_));
            // Neighbours of one direction are one message; a change of direction is a repeated start.
            if direction != Some(reads) {
                direction = Some(reads);
                self.start()?;
                self.send(address << 1 | u8::from(reads), NoAcknowledgeSource::Address)?;
            }
            let is_last_read = !matches!(operations.get(at + 1), Some(Operation::Read(_)));
            match &mut operations[at] {
                Operation::Write(bytes) => bytes.iter().try_for_each(|byte| self.send(*byte, NoAcknowledgeSource::Data))?,
                Operation::Read(bytes) => {
                    let last = bytes.len().wrapping_sub(1);
                    for (i, byte) in bytes.iter_mut().enumerate() {
                        *byte = self.receive(!(is_last_read && i == last))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), Error> {
        self.0.set_sda(true);
        self.raise_clock()?;
        // A part that was cut off within a byte holds the data line until it has been clocked to the byte's end.
        for _ in 0..9 {
            if self.0.is_sda_high() {
                break;
            }
            self.clock()?;
            self.raise_clock()?;
        }
        if !self.0.is_sda_high() {
            return Err(Error::Stuck);
        }
        self.0.set_sda(false);
        pause();
        self.0.set_scl(false);
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.0.set_sda(false);
        pause();
        self.raise_clock()?;
        self.0.set_sda(true);
        pause();
        Ok(())
    }

    fn send(&mut self, byte: u8, what: NoAcknowledgeSource) -> Result<(), Error> {
        for bit in (0..8).rev() {
            self.0.set_sda(byte >> bit & 1 != 0);
            self.clock()?;
        }
        self.0.set_sda(true);
        if self.clock()? { Err(Error::NoAcknowledge(what)) } else { Ok(()) }
    }

    fn receive(&mut self, acknowledge: bool) -> Result<u8, Error> {
        self.0.set_sda(true);
        let mut byte = 0;
        for _ in 0..8 {
            byte = byte << 1 | u8::from(self.clock()?);
        }
        self.0.set_sda(!acknowledge);
        self.clock()?;
        Ok(byte)
    }

    /// One clock; gives what the data line was while it was high.
    fn clock(&mut self) -> Result<bool, Error> {
        self.0.set_scl(false);
        pause();
        self.raise_clock()?;
        let high = self.0.is_sda_high();
        self.0.set_scl(false);
        Ok(high)
    }

    fn raise_clock(&mut self) -> Result<(), Error> {
        self.0.set_scl(true);
        let since = Microseconds::now();
        while !self.0.is_scl_high() {
            if Microseconds::now().wrapping_sub(since) > STRETCH_US {
                return Err(Error::Stuck);
            }
        }
        pause();
        Ok(())
    }
}

fn pause() {
    cortex_m::asm::delay(HALF_PERIOD_CYCLES);
}
