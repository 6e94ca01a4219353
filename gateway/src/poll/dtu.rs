//! DTUs: modems that dial in and say who they are. A bus behind one waits here for its line.

use std::io;

use super::link::Stream;

/// The DTUs that have dialled in. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Dtus;

impl Dtus {
    /// What the DTU of this registration sends of its own accord, at any time between frames.
    pub fn interjections(&self, registration: &[u8]) -> Vec<Vec<u8>> {
        vec![registration.to_vec()]
    }

    /// The line of the DTU that sent this registration packet.
    pub async fn line(&self, registration: &[u8]) -> io::Result<Box<dyn Stream>> {
        let id = String::from_utf8_lossy(registration).into_owned();
        Err(io::Error::new(io::ErrorKind::NotConnected, format!("the DTU {id:?} has not dialled in")))
    }
}
