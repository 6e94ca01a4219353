//! What waits for the keeper: entries to be kept, acknowledgements, questions. Bounded.
//!
//! Waking a thread costs more than keeping a reading, so entries pile up here and the keeper is woken only for
//! what cannot wait: something urgent, a question, a full group, or the first entry while it sleeps without an
//! end. Nobody who puts something in ever waits for a disk.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use spool::RangeSet;
use tokio::sync::{Notify, oneshot};

use super::sack::Sack;

/// A group of this many entries is committed without waiting for more: it fills a batch.
pub const FULL_GROUP: usize = 1_024;
/// Entries that may wait here, and their bytes; beyond that there is no room.
const MOST_ENTRIES: usize = 65_536;
const MOST_BYTES: usize = 16 << 20;
/// Questions that may wait. A peer's orders beyond that are not heard: it gives them again.
const MOST_ASKS: usize = 256;
/// Ranges of acknowledged sequences that may wait: more come only from a peer that talks nonsense.
const MOST_RANGES: usize = 4_096;

/// What the keeper is asked.
#[derive(Debug)]
pub enum Ask {
    /// The records of a range of this epoch, as far as they fit. Unanswered when there is no such epoch now.
    Read { epoch: u64, from: u64, to: u64, most: usize, bytes: usize, reply: oneshot::Sender<Vec<spool::Record>> },
    /// The collector lost these.
    Unacknowledge { first: u64, last: u64 },
    /// Commit and end.
    Stop,
}

/// Everything that waited.
#[derive(Debug, Default)]
pub struct Work {
    /// To be kept, in order.
    pub sack: Sack,
    /// True when something in it is urgent.
    pub urgent: bool,
    /// Entries that found no room here, since the last time.
    pub lost: u64,
    /// An epoch, and what the collector has of it.
    pub acknowledged: Option<(u64, RangeSet)>,
    /// An epoch to be left for a new one: its sequences have been seen with another disk.
    pub renew: Option<u64>,
    /// To be answered after that.
    pub asks: Vec<Ask>,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Inbox {
    desk: Mutex<Desk>,
    bell: Condvar,
    room: Notify,
}

#[derive(Debug, Default)]
struct Desk {
    work: Work,
    /// The keeper cannot sleep over this.
    rung: bool,
    /// The keeper sleeps until a group is due: what is not urgent need not wake it.
    looks_by_itself: bool,
    /// Somebody waits for room.
    is_full: bool,
}

impl Inbox {
    /// Lets `fill` put `count` entries in. False when there is no room; nothing was put in then.
    pub fn put(&self, count: usize, urgent: bool, fill: impl FnOnce(&mut Sack)) -> bool {
        let mut desk = self.desk();
        let held = (desk.work.sack.records(), desk.work.sack.bytes());
        if count > 0 && (held.0 + count > MOST_ENTRIES || held.1 >= MOST_BYTES) {
            desk.is_full = true;
            return false;
        }
        fill(&mut desk.work.sack);
        desk.work.urgent |= urgent;
        let group_is_full = held.0 < FULL_GROUP && desk.work.sack.records() >= FULL_GROUP;
        if urgent || group_is_full || !desk.looks_by_itself {
            self.ring(desk);
        }
        true
    }

    /// Counts entries that found no room.
    pub fn lose(&self, count: u64) {
        self.desk().work.lost += count;
    }

    /// The same as [`Inbox::put`], after waiting up to `patience` for room.
    pub async fn put_within(&self, patience: Duration, count: usize, urgent: bool, mut fill: impl FnMut(&mut Sack)) -> bool {
        let waiting = async {
            loop {
                let room = self.room.notified();
                tokio::pin!(room);
                room.as_mut().enable();
                if self.put(count, urgent, &mut fill) {
                    return;
                }
                room.await;
            }
        };
        tokio::time::timeout(patience, waiting).await.is_ok()
    }

    /// Asks the keeper. False when too many questions wait.
    pub fn ask(&self, ask: Ask) -> bool {
        let mut desk = self.desk();
        if desk.work.asks.len() >= MOST_ASKS && !matches!(ask, Ask::Stop) {
            return false;
        }
        desk.work.asks.push(ask);
        self.ring(desk);
        true
    }

    /// Has this epoch left for a new one, unless it was already. Never refused: there is room for the newest such wish.
    pub fn renew(&self, epoch: u64) {
        let mut desk = self.desk();
        desk.work.renew = Some(epoch);
        self.ring(desk);
    }

    /// The collector has these of this epoch. The keeper hears of it when it next looks.
    pub fn acknowledge(&self, epoch: u64, ranges: impl Iterator<Item = (u64, u64)>) {
        let mut desk = self.desk();
        if desk.work.acknowledged.as_ref().is_none_or(|(of, _)| *of != epoch) {
            desk.work.acknowledged = Some((epoch, RangeSet::new()));
        }
        if let Some((_, acknowledged)) = &mut desk.work.acknowledged {
            for (first, last) in ranges {
                acknowledged.insert(first, last);
            }
            acknowledged.keep_lowest(MOST_RANGES);
        }
    }

    /// Sleeps until something cannot wait, at most so long, and takes everything. `group_is_begun` says that the
    /// keeper will look again by itself when its group is due.
    pub fn wait(&self, most: Duration, group_is_begun: bool) -> Work {
        let mut desk = self.desk();
        desk.looks_by_itself = group_is_begun;
        if !desk.rung && (group_is_begun || desk.work.sack.records() == 0) {
            let slept = self.bell.wait_timeout_while(desk, most, |desk| !desk.rung);
            desk = slept.unwrap_or_else(PoisonError::into_inner).0;
        }
        desk.rung = false;
        // While it works it comes back by itself.
        desk.looks_by_itself = true;
        if std::mem::take(&mut desk.is_full) {
            self.room.notify_waiters();
        }
        std::mem::take(&mut desk.work)
    }

    fn ring(&self, mut desk: MutexGuard<'_, Desk>) {
        let was_rung = std::mem::replace(&mut desk.rung, true);
        drop(desk);
        if !was_rung {
            self.bell.notify_one();
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spool::Class;
    use std::sync::Arc;

    use super::super::record::Kept;

    const LONG: Duration = Duration::from_secs(60);

    fn put(inbox: &Inbox, count: usize, urgent: bool) -> bool {
        let entry = Kept::Gap(telemetry::Gap::default());
        inbox.put(count, urgent, |sack| (0..count).for_each(|_| sack.push(Class::Telemetry, &entry)))
    }

    /// What a keeper, asleep until its group is due, wakes up for.
    fn woken_by(work: impl FnOnce(&Inbox)) -> Work {
        let inbox = Arc::new(Inbox::default());
        inbox.desk().looks_by_itself = true;
        work(&inbox);
        assert!(inbox.desk().rung, "the keeper sleeps on");
        inbox.wait(LONG, true)
    }

    #[test]
    fn what_is_not_urgent_waits_for_company() {
        let inbox = Inbox::default();
        let first = inbox.wait(Duration::ZERO, true);
        assert!(first.sack.is_empty());
        assert!(put(&inbox, 8, false));
        assert!(!inbox.desk().rung);
        assert_eq!(inbox.wait(Duration::from_millis(1), true).sack.records(), 8, "at the end of its sleep it takes all");
    }

    #[test]
    fn what_came_while_the_keeper_worked_begins_a_group_at_once() {
        let inbox = Inbox::default();
        inbox.wait(Duration::ZERO, false);
        assert!(put(&inbox, 8, false));
        assert_eq!(inbox.wait(LONG, false).sack.records(), 8);
    }

    #[test]
    fn the_urgent_a_full_group_and_a_question_wake_the_keeper() {
        assert!(woken_by(|inbox| assert!(put(inbox, 1, true))).urgent);
        assert_eq!(woken_by(|inbox| assert!(put(inbox, FULL_GROUP, false))).sack.records(), FULL_GROUP);
        assert_eq!(woken_by(|inbox| assert!(inbox.ask(Ask::Stop))).asks.len(), 1);
        assert_eq!(woken_by(|inbox| inbox.renew(7)).renew, Some(7));
    }

    #[test]
    fn acknowledgements_of_one_epoch_are_taken_together_and_those_of_another_replace_them() {
        let inbox = Inbox::default();
        inbox.acknowledge(1, [(1, 5)].into_iter());
        inbox.acknowledge(2, [(1, 3)].into_iter());
        inbox.acknowledge(2, [(4, 9), (12, 13)].into_iter());
        let (epoch, ranges) = inbox.wait(Duration::ZERO, true).acknowledged.unwrap_or_default();
        assert_eq!((epoch, ranges.iter().collect::<Vec<_>>()), (2, vec![(1, 9), (12, 13)]));
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_waits_and_gives_up() {
        let inbox = Inbox::default();
        assert!(put(&inbox, MOST_ENTRIES, false));
        assert!(!put(&inbox, 1, true), "a full inbox takes nothing, be it urgent");
        assert!(!inbox.put_within(Duration::from_secs(2), 1, false, |_| ()).await);
    }

    #[tokio::test]
    async fn who_finds_no_room_goes_on_when_the_keeper_has_taken_all() {
        let inbox = Arc::new(Inbox::default());
        assert!(put(&inbox, MOST_ENTRIES, false));
        let waiting = tokio::spawn({
            let inbox = inbox.clone();
            async move { inbox.put_within(LONG, 1, false, |_| ()).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(inbox.wait(LONG, false).sack.records(), MOST_ENTRIES);
        assert!(waiting.await.unwrap_or(false));
    }
}
