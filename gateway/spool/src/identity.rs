//! Who the sequences belong to: the file `identity`.
//!
//! ```text
//! 0  magic  "DAVYSPL1"
//! 8  epoch  u64 le   random when the spool was made, or renewed
//! 16 holder u64 le   the caller's mark of the machine it ran on
//! 24 base   u64 le   the log's own numbering less the epoch's: sequences start at 1 in every epoch
//! 32 crc32c u32 le   of the above
//! ```
//!
//! Replaced by writing `identity.new`, syncing it and renaming it, so that there is always one whole.

use std::io;

use crate::disk::{Disk, DiskFile, is_damage, is_full};

pub const NAME: &str = "identity";
pub const NEW_NAME: &str = "identity.new";
const MAGIC: &[u8; 8] = b"DAVYSPL1";
const BYTES: usize = 36;

/// See the head of this file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Identity {
    pub epoch: u64,
    pub holder: u64,
    pub base: u64,
}

impl Identity {
    fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.holder.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.base.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..32]);
        bytes[32..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Identity> {
        let bytes: &[u8; BYTES] = bytes.get(..BYTES)?.try_into().ok()?;
        let crc = u32::from_le_bytes([bytes[32], bytes[33], bytes[34], bytes[35]]);
        if &bytes[..8] != MAGIC || crc32c::crc32c(&bytes[..32]) != crc {
            return None;
        }
        let number = |at: usize| bytes[at..at + 8].iter().rev().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        Some(Identity { epoch: number(8), holder: number(16), base: number(24) })
    }

    /// The identity on the disk; `None` when there is none, or it is damaged or cannot be read.
    pub fn load<D: Disk>(disk: &D) -> io::Result<Option<Identity>> {
        let mut bytes = [0; BYTES];
        match disk.open(NAME).and_then(|file| file.read_at(0, &mut bytes)) {
            Ok(n) => Ok(Identity::decode(&bytes[..n])),
            Err(error) if is_damage(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts this identity in the place of the one there was. On a full disk it takes a spare's space.
    pub fn store<D: Disk>(&self, disk: &D, spares: &mut Vec<String>) -> io::Result<()> {
        let file = match disk.create(NEW_NAME, BYTES as u64) {
            Err(error) if is_full(&error) => {
                let Some(spare) = spares.pop() else { return Err(error) };
                disk.rename(&spare, NEW_NAME)?;
                let file = disk.open(NEW_NAME)?;
                file.set_length(BYTES as u64)?;
                file
            }
            other => other?,
        };
        file.write_at(0, &self.encode())?;
        file.sync()?;
        disk.rename(NEW_NAME, NAME)?;
        disk.sync_names()
    }
}

#[cfg(test)]
mod tests;
