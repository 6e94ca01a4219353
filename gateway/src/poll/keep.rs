//! The last step of asking: readings are handed to the post in order. When the disk is so slow that the post's
//! memory is full, that holds up a step of its own and not the polling: what comes meanwhile goes to the post together.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedRwLockReadGuard, RwLock, RwLockWriteGuard, mpsc};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::forward::{NewEntry, Post};

/// Answers that may wait to be kept; beyond this the bus waits. The post takes or refuses within two seconds, and is
/// handed many at once.
pub const MOST_WAITING: usize = 1_024;

/// Entries that are enough to hand over at once: a quarter of what the post has room for.
const ENOUGH: usize = 16_384;

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

/// Takes the readings of a bus, in order.
pub trait Desk {
    /// Takes those of one answer. Waits only when very much waits already.
    fn take(&self, entries: Vec<NewEntry>, keeping: Keeping) -> impl Future<Output = ()> + Send;
}

impl Desk for mpsc::Sender<Parcel> {
    async fn take(&self, entries: Vec<NewEntry>, keeping: Keeping) {
        // The other end lives until this one is dropped.
        let _ = self.send(Parcel { entries, keeping }).await;
    }
}

/// The desk before the post.
pub struct PostDesk {
    post: Post,
    parcels: mpsc::Sender<Parcel>,
    /// Parcels on their way: as long as there are any, what follows them goes the same way.
    waiting: Arc<AtomicUsize>,
}

impl PostDesk {
    /// A desk, and the step behind it, which ends once the desk is dropped and everything is handed over.
    pub fn open(bus: String, post: Post) -> (PostDesk, JoinHandle<()>) {
        let (parcels, coming) = mpsc::channel(MOST_WAITING);
        let waiting = Arc::new(AtomicUsize::new(0));
        let keeping = tokio::spawn(keep(coming, waiting.clone(), bus, post.clone()));
        (PostDesk { post, parcels, waiting }, keeping)
    }
}

impl Desk for PostDesk {
    async fn take(&self, entries: Vec<NewEntry>, keeping: Keeping) {
        if self.waiting.load(Ordering::Acquire) == 0 && self.post.try_append(&entries) {
            return;
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.parcels.take(entries, keeping).await;
    }
}

/// Hands parcels over until no more can come, together where they wait together.
async fn keep(mut parcels: mpsc::Receiver<Parcel>, on_their_way: Arc<AtomicUsize>, bus: String, post: Post) {
    while let Some(mut parcel) = parcels.recv().await {
        let mut held = vec![parcel.keeping];
        while parcel.entries.len() < ENOUGH
            && let Ok(next) = parcels.try_recv()
        {
            parcel.entries.extend(next.entries);
            held.push(next.keeping);
        }
        let lost = post.append(parcel.entries).await;
        on_their_way.fetch_sub(held.len(), Ordering::AcqRel);
        if lost > 0 {
            warn!(%bus, lost, "bus {bus}: the disk takes no readings and memory is full");
        }
    }
}

#[cfg(test)]
mod tests;
