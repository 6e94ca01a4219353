//! Flash that is none: memory behind the same interface, for boards without flash and for tests. It forgets with the power.
//!
//! In memory that the start-up code leaves alone it outlives a reset; whoever keeps something in it must tell people that it
//! does not outlive a loss of power (see [`crate::settings_store::SettingsStore::in_ram`]).

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// An offset or a length outside the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfBounds;

impl NorFlashError for OutOfBounds {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::OutOfBounds
    }
}

/// Memory as flash.
#[derive(Debug, Clone)]
pub struct RamFlash<M> {
    memory: M,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> RamFlash<M> {
    /// Erased flash.
    pub fn blank(mut memory: M) -> RamFlash<M> {
        memory.as_mut().fill(0xFF);
        RamFlash { memory }
    }

    /// What the memory held before a reset; whether it is whole is the store's to find out.
    pub const fn found(memory: M) -> RamFlash<M> {
        RamFlash { memory }
    }

    /// Gives the memory back.
    pub fn release(self) -> M {
        self.memory
    }

    fn part(&mut self, from: u32, length: usize) -> Result<&mut [u8], OutOfBounds> {
        let from = from as usize;
        let to = from.checked_add(length).ok_or(OutOfBounds)?;
        self.memory.as_mut().get_mut(from..to).ok_or(OutOfBounds)
    }
}

impl<M> ErrorType for RamFlash<M> {
    type Error = OutOfBounds;
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> ReadNorFlash for RamFlash<M> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), OutOfBounds> {
        bytes.copy_from_slice(self.part(offset, bytes.len())?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.memory.as_ref().len()
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> NorFlash for RamFlash<M> {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = 64;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), OutOfBounds> {
        let length = to.checked_sub(from).ok_or(OutOfBounds)?;
        self.part(from, length as usize)?.fill(0xFF);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), OutOfBounds> {
        self.part(offset, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }
}
