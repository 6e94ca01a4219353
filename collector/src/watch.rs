//! Supervision: a part that ends or panics while the collector should run takes the whole process down, loudly,
//! because a collector that half lives looks well while nobody guards.

use std::future::Future;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A part that has ended, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its name.
    pub part: &'static str,
    /// In one sentence.
    pub how: String,
}

/// Watches every part. Cloned into whatever starts parts.
#[derive(Clone)]
pub struct Watch {
    shutdown: CancellationToken,
    ended: tokio::sync::mpsc::UnboundedSender<Ended>,
}

/// Where the first untimely end is told.
pub struct Untimely(tokio::sync::mpsc::UnboundedReceiver<Ended>);

impl Watch {
    /// A watch for a run that ends when `shutdown` is cancelled.
    pub fn new(shutdown: CancellationToken) -> (Watch, Untimely) {
        // Unbounded but small: one message a part, and there are a dozen parts.
        let (ended, told) = tokio::sync::mpsc::unbounded_channel();
        (Watch { shutdown, ended }, Untimely(told))
    }

    /// The token that ends the run.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Starts a part that must live as long as the run.
    pub fn spawn(&self, part: &'static str, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let task = tokio::spawn(work);
        self.follow(part, task)
    }

    /// Watches a part that was started elsewhere.
    pub fn follow(&self, part: &'static str, task: JoinHandle<()>) -> JoinHandle<()> {
        let watch = self.clone();
        tokio::spawn(async move {
            let how = match task.await {
                Ok(()) => "it ended by itself".to_owned(),
                Err(error) if error.is_panic() => "it panicked".to_owned(),
                Err(_) => "it was cancelled".to_owned(),
            };
            watch.note(part, how);
        })
    }

    /// Starts a part on a thread of its own.
    pub fn thread(&self, part: &'static str, work: impl FnOnce() + Send + 'static) -> std::io::Result<std::thread::JoinHandle<()>> {
        let watch = self.clone();
        std::thread::Builder::new().name(part.to_owned()).spawn(move || {
            let how = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
                Ok(()) => "it ended by itself",
                Err(_) => "it panicked",
            };
            watch.note(part, how.to_owned());
        })
    }

    fn note(&self, part: &'static str, how: String) {
        if !self.shutdown.is_cancelled() {
            tracing::error!(part, how, "part {part} of the collector has failed: {how}");
            // The other end is gone only when the run is over.
            let _ = self.ended.send(Ended { part, how });
        }
    }
}

impl Untimely {
    /// Waits for the first part that ends before its time; never returns when none does.
    pub async fn first(&mut self) -> Ended {
        match self.0.recv().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicking_part_is_told() {
        let (watch, mut untimely) = Watch::new(CancellationToken::new());
        watch.spawn("part", async { panic!("on purpose") });
        assert_eq!(untimely.first().await, Ended { part: "part", how: "it panicked".to_owned() });
    }

    #[tokio::test]
    async fn a_part_that_ends_after_the_shutdown_is_not_told() {
        let shutdown = CancellationToken::new();
        let (watch, mut untimely) = Watch::new(shutdown.clone());
        let token = shutdown.clone();
        let part = watch.spawn("part", async move { token.cancelled().await });
        shutdown.cancel();
        part.await.expect("ends");
        drop(watch);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), untimely.first()).await.is_err());
    }
}
