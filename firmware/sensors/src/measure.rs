//! What a driver on a bus has in common with the others: it is started, and read when it is ready.

/// A part that measures `NUMBERS` quantities at once.
pub trait Measure<const NUMBERS: usize> {
    /// Why a bus transaction yielded nothing.
    type Error;
    /// How long after [`Measure::start`] the result is there at the latest, by the datasheet.
    const READY_AFTER_MS: u32;

    /// Starts a measurement.
    fn start(&mut self) -> Result<(), Self::Error>;

    /// The numbers in the units that the driver names, or `None` while there are no new ones.
    fn read(&mut self) -> Result<Option<[f32; NUMBERS]>, Self::Error>;
}
