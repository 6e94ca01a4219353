//! The last step of asking: readings are handed to the post in order, while the next question is already on the
//! wire. A slow disk holds up this step and not the polling: what comes meanwhile goes to the post together.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, RwLock, RwLockWriteGuard, mpsc};
use tracing::warn;

use crate::forward::{NewEntry, Post};

/// Answers that may wait to be kept; beyond this the bus waits. The post takes or refuses within two seconds, and
/// takes all that wait at once, so the bus never waits longer.
pub const MOST_WAITING: usize = 1_024;

/// Numbers of channels and the catalogue that names them change together: whoever keeps readings holds the gate
/// for reading, whoever loads a site again holds it for writing while the new catalogue and the new buses come
/// into force. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<RwLock<()>>);

/// As long as this is held, the numbers in force stay.
pub type Keeping = OwnedRwLockReadGuard<()>;

impl Gate {
    /// To be held from before readings take their channels' numbers until the post has them.
    pub async fn keeping(&self) -> Keeping {
        self.0.clone().read_owned().await
    }

    /// Nothing is kept as long as this is held: set the catalogue, publish the buses, let go.
    pub async fn changing(&self) -> RwLockWriteGuard<'_, ()> {
        self.0.write().await
    }
}

/// What came of one answer.
#[derive(Debug)]
pub struct Parcel {
    pub entries: Vec<NewEntry>,
    /// Held until the post has them.
    pub keeping: Keeping,
}

/// Hands parcels over until no more can come.
pub async fn keep(mut parcels: mpsc::Receiver<Parcel>, bus: String, post: Post) {
    let mut waiting = Vec::new();
    while parcels.recv_many(&mut waiting, MOST_WAITING).await > 0 {
        let (mut entries, mut held) = (Vec::new(), Vec::with_capacity(waiting.len()));
        for Parcel { entries: more, keeping } in waiting.drain(..) {
            if entries.is_empty() {
                entries = more;
            } else {
                entries.extend(more);
            }
            held.push(keeping);
        }
        let lost = post.append(entries).await;
        if lost > 0 {
            warn!(%bus, lost, "bus {bus}: the disk takes no readings and memory is full");
        }
    }
}
