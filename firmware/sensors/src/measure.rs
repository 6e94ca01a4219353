//! What a driver on a bus has in common with the others: it is started, and read when it is ready.

/// A part that measures `NUMBERS` quantities at once.
pub trait Measure<const NUMBERS: usize> {
    /// Why a bus transaction yielded nothing.
    type Error;
    /// How long after [`Measure::start`] the result is there at the latest, by the datasheet.
    const READY_AFTER_MS: u32;
    /// True for a part that goes on measuring once it was started, and is not started again while it does.
    const CONTINUOUS: bool = false;

    /// Starts a measurement.
    fn start(&mut self) -> Result<(), Self::Error>;

    /// The numbers in the units that the driver names, or `None` while there are no new ones.
    fn read(&mut self) -> Result<Option<[f32; NUMBERS]>, Self::Error>;

    /// True when the part did answer and what it said fails its own check; false when it did not answer.
    fn is_garbled(error: &Self::Error) -> bool;
}
