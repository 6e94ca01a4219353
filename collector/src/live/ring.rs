//! The last events, for pages that come back after a moment.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::broadcast;

use super::{LiveEvent, Subscription};

/// Events kept.
const MOST_EVENTS: usize = 4096;
/// Bytes of them kept.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The ring and the live stream behind it, which never disagree because one lock covers both.
pub(super) struct Ring {
    events: VecDeque<Arc<LiveEvent>>,
    bytes: usize,
    last: u64,
    /// The number before the oldest event that is still kept.
    before: u64,
    sender: broadcast::Sender<Arc<LiveEvent>>,
}

impl Ring {
    pub(super) fn new(first: u64) -> Ring {
        let (sender, _) = broadcast::channel(MOST_EVENTS);
        Ring { events: VecDeque::new(), bytes: 0, last: first, before: first, sender }
    }

    /// Adds an event. Frames of readings are sent but not kept.
    pub(super) fn push(&mut self, name: &'static str, data: String) {
        self.last += 1;
        let event = Arc::new(LiveEvent { id: self.last, name, data });
        if !matches!(name, "readings" | "overview") {
            self.bytes += event.data.len();
            self.events.push_back(event.clone());
            while self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
                let Some(gone) = self.events.pop_front() else { break };
                self.bytes -= gone.data.len();
                self.before = gone.id;
            }
        }
        // Nobody listening is no failure.
        let _ = self.sender.send(event);
    }

    pub(super) fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    pub(super) fn subscribe(&self, after: Option<u64>) -> Subscription {
        let events = self.sender.subscribe();
        let resumable = after.filter(|after| (self.before..=self.last).contains(after));
        let missed = match resumable {
            Some(after) => self.events.iter().filter(|event| event.id > after).cloned().collect(),
            None => Vec::new(),
        };
        Subscription { missed, events, resumed: resumable.is_some() }
    }
}
