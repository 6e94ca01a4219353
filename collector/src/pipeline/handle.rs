//! What people order of the pipeline, answered when it is on record.

use std::time::Duration;

use alarm::{Episode, RefusedOrder, Shelving, Stage};
use measurement::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::Pipeline;
use crate::api::present::{OrderError, Orders};

/// Nobody waits longer for a database.
const PATIENCE: Duration = Duration::from_secs(10);
/// Orders that may wait; more are refused as busy.
const MOST_ORDERS: usize = 1024;

type Answer = oneshot::Sender<Result<Episode, OrderError>>;

/// Somebody who waits for an order to be on record.
pub struct Reply {
    answer: Answer,
    episode: Episode,
}

impl Reply {
    pub(super) fn recorded(self) {
        // Who asked may have gone away; the order is on record all the same.
        let _ = self.answer.send(Ok(self.episode));
    }
}

/// Tells everybody who waits that it cannot be recorded now.
pub(super) fn refuse(replies: Vec<Reply>) {
    for reply in replies {
        let _ = reply.answer.send(Err(OrderError::Busy));
    }
}

/// An order.
pub enum Order {
    /// A person has seen the alarm.
    Acknowledge { episode: String, who: String, note: String, answer: Answer },
    /// Put aside for a while.
    Shelve { episode: String, order: Shelving, answer: Answer },
    /// Back from the shelf.
    Unshelve { episode: String, who: String, note: String, answer: Answer },
    /// A latched condition, or an identity dispute, is settled.
    Reset { episode: String, who: String, note: String, answer: Answer },
    /// An open episode passed a stage.
    Stamp { episode: String, stage: Stage, at: Timestamp },
}

/// The way to the pipeline. Cheap to clone.
#[derive(Clone)]
pub struct PipelineHandle {
    orders: mpsc::Sender<Order>,
}

impl PipelineHandle {
    /// A handle, and the pipeline's end of it.
    pub fn new() -> (PipelineHandle, mpsc::Receiver<Order>) {
        let (orders, out) = mpsc::channel(MOST_ORDERS);
        (PipelineHandle { orders }, out)
    }

    async fn order(&self, make: impl FnOnce(Answer) -> Order) -> Result<Episode, OrderError> {
        let (answer, told) = oneshot::channel();
        self.orders.try_send(make(answer)).map_err(|_| OrderError::Busy)?;
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(told)) => told,
            _ => Err(OrderError::Busy),
        }
    }

    /// Puts an alarm aside for a while.
    pub async fn shelve(&self, episode: &str, order: Shelving) -> Result<Episode, OrderError> {
        self.order(|answer| Order::Shelve { episode: episode.to_owned(), order, answer }).await
    }

    /// Takes an alarm back from the shelf.
    pub async fn unshelve(&self, episode: &str, who: &str, note: &str) -> Result<Episode, OrderError> {
        self.order(|answer| Order::Unshelve { episode: episode.to_owned(), who: who.to_owned(), note: note.to_owned(), answer }).await
    }
}

#[async_trait::async_trait]
impl Orders for PipelineHandle {
    async fn acknowledge(&self, episode: &str, who: &str, note: &str) -> Result<Episode, OrderError> {
        self.order(|answer| Order::Acknowledge { episode: episode.to_owned(), who: who.to_owned(), note: note.to_owned(), answer }).await
    }

    async fn reset(&self, episode: &str, who: &str, note: &str) -> Result<Episode, OrderError> {
        self.order(|answer| Order::Reset { episode: episode.to_owned(), who: who.to_owned(), note: note.to_owned(), answer }).await
    }

    async fn stamp(&self, episode: &str, stage: Stage, at: Timestamp) {
        // A stage that finds no room is missing on the screen only; whoever saw it also stores it.
        let _ = self.orders.try_send(Order::Stamp { episode: episode.to_owned(), stage, at });
    }
}

impl Pipeline {
    /// Carries an order out.
    pub fn order(&mut self, order: Order) {
        let (now, at) = (self.clock.mono(), self.clock.wall());
        let out = &mut self.transitions;
        let (done, answer) = match order {
            Order::Acknowledge { episode, who, note, answer } => (self.engine.acknowledge(&episode, &who, &note, at, out), answer),
            Order::Shelve { episode, order, answer } => (self.engine.shelve(&episode, &order, now, at, out), answer),
            Order::Unshelve { episode, who, note, answer } => (self.engine.unshelve(&episode, &who, &note, at, out), answer),
            Order::Reset { episode, who, note, answer } => (self.engine.reset(&episode, &who, &note, at, out), answer),
            Order::Stamp { episode, stage, at } => return self.stamp(&episode, stage, at),
        };
        match done {
            Ok(episode) => self.carried_out(vec![Reply { answer, episode }]),
            Err(refused) => refused_to(answer, refused),
        }
    }

    fn carried_out(&mut self, replies: Vec<Reply>) {
        self.settle_disputes();
        for transition in &self.transitions {
            self.live.tell_alarm(&transition.episode);
        }
        self.grade_changed();
        self.hand_over(replies);
    }

    fn stamp(&mut self, id: &str, stage: Stage, at: Timestamp) {
        let Some(before) = self.engine.episode(id).map(|episode| episode.stages) else { return };
        self.engine.stamp(id, stage, at);
        let Some(episode) = self.engine.episode(id) else { return };
        if episode.stages == before {
            return;
        }
        if stage == Stage::Accepted
            && let (Some(t2), false) = (episode.stages.t2, episode.late)
        {
            self.live.count(|figures| figures.t2_t6.record(at.since(t2)));
        }
        self.live.tell_alarm(episode);
    }
}

fn refused_to(answer: Answer, refused: RefusedOrder) {
    let _ = answer.send(Err(OrderError::Refused(refused)));
}
