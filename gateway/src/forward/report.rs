//! How the spool stands, told by the keeper's thread to the forwarding task. Bounded: only the newest is kept, and
//! what an older one said that the newest does not is taken over from it.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::keeper::Standing;

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Reports {
    newest: Mutex<Option<Standing>>,
    bell: Notify,
}

impl Reports {
    /// Tells how it stands now. Never waits: what nobody has looked at yet is replaced.
    pub fn tell(&self, mut standing: Standing) {
        {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            // Told once after an opening. One of another epoch, or of a spool that has stopped since, is of no use any more.
            if let Some(before) = newest.take().filter(|before| before.epoch == standing.epoch) {
                standing.acknowledged = standing.acknowledged.or(before.acknowledged);
            }
            *newest = Some(standing);
        }
        self.bell.notify_one();
    }

    /// The newest, once.
    pub fn take(&self) -> Option<Standing> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The newest, once there is one. Nothing is lost when this is dropped.
    pub async fn next(&self) -> Standing {
        loop {
            if let Some(standing) = self.take() {
                return standing;
            }
            self.bell.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spool::RangeSet;

    fn opened(epoch: u64, highest: u64) -> Standing {
        let mut acknowledged = RangeSet::new();
        acknowledged.insert(1, highest);
        Standing { acknowledged: Some(acknowledged), ..committed(epoch, highest) }
    }

    fn committed(epoch: u64, highest: u64) -> Standing {
        Standing { epoch, highest, ..Standing::default() }
    }

    /// What is heard of these when nobody looked in between: the epoch, the highest, and up to where it was acknowledged when opened.
    fn check(told: Vec<Standing>, want: (u64, u64, Option<u64>)) {
        let reports = Reports::default();
        told.into_iter().for_each(|standing| reports.tell(standing));
        let heard = reports.take().map(|heard| (heard.epoch, heard.highest, heard.acknowledged.map(|set| set.first_missing(1) - 1)));
        assert_eq!(heard, Some(want));
        assert!(reports.take().is_none(), "it is heard once");
    }

    #[test]
    fn what_was_acknowledged_when_the_spool_was_opened_is_heard_however_many_commits_follow() {
        check(vec![opened(1, 5), committed(1, 6), committed(1, 7)], (1, 7, Some(5)));
    }

    #[test]
    fn a_new_epoch_or_another_opening_takes_the_place_of_the_one_before() {
        check(vec![opened(1, 5), committed(1, 6), opened(2, 3)], (2, 3, Some(3)));
        check(vec![opened(1, 5), committed(0, 0), opened(1, 6), committed(1, 9)], (1, 9, Some(6)));
    }

    #[test]
    fn a_spool_that_stopped_is_not_said_to_be_open() {
        check(vec![opened(1, 5), committed(0, 0)], (0, 0, None));
    }

    #[tokio::test]
    async fn who_waits_hears_of_the_next() {
        let reports = std::sync::Arc::new(Reports::default());
        let waiting = tokio::spawn({
            let reports = reports.clone();
            async move { reports.next().await.highest }
        });
        tokio::task::yield_now().await;
        reports.tell(committed(1, 4));
        assert_eq!(waiting.await.unwrap_or(0), 4);
    }
}
