//! Good, doubtful or bad, with one byte that means the same on every wire and disk.
//!
//! The top two bits are OPC UA's severity (00 good, 01 uncertain, 10 bad; OPC 10000-4, 7.39), the low six
//! name the doubt or the fault. A code is never reused for another meaning.

use crate::Value;

/// What an observation yielded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// A value to be trusted.
    Good(Value),
    /// A value, and the reason not to trust it fully. It is still compared with limits.
    Uncertain(Value, Doubt),
    /// No value, and why.
    Bad(Fault),
}

/// A byte that is no quality code of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownQuality(pub u8);

impl core::fmt::Display for UnknownQuality {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "0x{:02X} is not a quality code", self.0)
    }
}

macro_rules! coded {
    ($(#[$outer:meta])* $name:ident $base:literal { $($(#[$doc:meta])* $variant:ident = $code:literal, $opc:literal;)+ }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* $variant = $base | $code,)+ }

        impl $name {
            /// Every variant, in code order.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The quality byte.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The variant with this quality byte.
            pub const fn from_code(code: u8) -> Option<$name> {
                match code { $(c if c == $base | $code => Some($name::$variant),)+ _ => None }
            }

            /// The OPC UA status it reports as.
            pub const fn opc_ua(self) -> &'static str {
                match self { $($name::$variant => $opc,)+ }
            }

            /// The variant's own name, stable: used in the API and in files.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => stringify!($variant),)+ }
            }
        }
    };
}

coded! {
    /// Why a value is not fully trusted.
    Doubt 0x40 {
        /// Beyond the sensor's range: counts as high, whatever the number says.
        OverRange = 0x01, "UncertainEngineeringUnitsExceeded";
        /// Slightly below the range, within the zero's tolerance.
        UnderRange = 0x02, "UncertainEngineeringUnitsExceeded";
        /// Crosses a limit and has not been read a second time yet.
        Unconfirmed = 0x03, "Uncertain";
        /// Has not moved for longer than this sensor type ever rests.
        Stuck = 0x04, "UncertainSensorNotAccurate";
        /// A catalytic bead with too little oxygen to burn.
        OxygenStarved = 0x05, "UncertainSensorNotAccurate";
        /// The calibration is out of date.
        CalibrationOverdue = 0x06, "UncertainSensorCalibration";
        /// A calibration, bump test or simulation is running on the device.
        Maintenance = 0x07, "UncertainSensorCalibration";
        /// Jumps further than gas can, or disagrees with its neighbours.
        Implausible = 0x08, "UncertainSubNormal";
        /// The device itself asks for attention but still measures.
        DeviceWarning = 0x09, "UncertainSubNormal";
        /// Once over range; not to be believed until a person resets it.
        OverRangeLatched = 0x0A, "UncertainEngineeringUnitsExceeded";
    }
}

coded! {
    /// Why there is no value.
    Fault 0x80 {
        /// Nobody answered: no reply, refused connection, missing port.
        NoCommunication = 0x01, "BadNoCommunication";
        /// The device answered "no" (a Modbus exception).
        DeviceRefused = 0x02, "BadDeviceFailure";
        /// The device reports its own failure.
        DeviceFailure = 0x03, "BadDeviceFailure";
        /// The sensor or its cell failed.
        SensorFailure = 0x04, "BadSensorFailure";
        /// The current loop is open (NAMUR NE 43: below 3.6 mA).
        WireBreak = 0x05, "BadNotConnected";
        /// The current loop is shorted (NAMUR NE 43: above 21 mA).
        ShortCircuit = 0x06, "BadSensorFailure";
        /// Below anything the sensor can mean.
        BelowRange = 0x07, "BadOutOfRange";
        /// Warming up: not protecting yet.
        WarmUp = 0x08, "BadWaitingForInitialData";
        /// Inhibited on the device: whatever number it shows is not a measurement.
        Inhibited = 0x09, "BadOutOfService";
        /// NaN, infinity or the device's own "no value" mark.
        NotANumber = 0x0A, "BadNoData";
        /// The line answers but the instrument behind it has stopped.
        HeartbeatStalled = 0x0B, "BadDeviceFailure";
        /// Not the device that should be here, or not its register map.
        WrongDevice = 0x0C, "BadConfigurationError";
        /// The module was not found (unplugged).
        NotConnected = 0x0D, "BadNotConnected";
        /// A reply that contradicts itself or its checksum.
        Corrupt = 0x0E, "BadDecodingError";
        /// Settings lost or failing their checksum.
        Configuration = 0x0F, "BadConfigurationError";
        /// Taken out of service by a person.
        OutOfService = 0x10, "BadOutOfService";
        /// Nothing has been read since start-up.
        NotYetRead = 0x11, "BadWaitingForInitialData";
    }
}

impl Outcome {
    /// The quality byte of a good outcome.
    pub const GOOD: u8 = 0x00;

    /// The quality byte.
    pub const fn quality(&self) -> u8 {
        match self {
            Outcome::Good(_) => Outcome::GOOD,
            Outcome::Uncertain(_, doubt) => doubt.code(),
            Outcome::Bad(fault) => fault.code(),
        }
    }

    /// The value, if there is one to compare with a limit.
    pub const fn value(&self) -> Option<Value> {
        match self {
            Outcome::Good(value) | Outcome::Uncertain(value, _) => Some(*value),
            Outcome::Bad(_) => None,
        }
    }

    /// A measured number as an outcome: not-a-number is a fault, never a value.
    pub const fn measured(number: f32) -> Outcome {
        match Value::new(number) {
            Some(value) => Outcome::Good(value),
            None => Outcome::Bad(Fault::NotANumber),
        }
    }

    /// An outcome from its quality byte and number, as they come from a wire or a disk. A quality that
    /// promises a value together with a number that is none becomes `Bad(NotANumber)`.
    pub const fn from_parts(quality: u8, number: f32) -> Result<Outcome, UnknownQuality> {
        if let Some(fault) = Fault::from_code(quality) {
            return Ok(Outcome::Bad(fault));
        }
        let doubt = match (quality, Doubt::from_code(quality)) {
            (Outcome::GOOD, _) => None,
            (_, Some(doubt)) => Some(doubt),
            _ => return Err(UnknownQuality(quality)),
        };
        Ok(match (Value::new(number), doubt) {
            (None, _) => Outcome::Bad(Fault::NotANumber),
            (Some(value), None) => Outcome::Good(value),
            (Some(value), Some(doubt)) => Outcome::Uncertain(value, doubt),
        })
    }
}
