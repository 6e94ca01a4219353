//! What the API asks of the machine side. `live::Live` and `pipeline::PipelineHandle` are these; the API knows
//! them only through here, so that it can be tested without a broker.

use std::sync::Arc;

use alarm::{Episode, RefusedOrder, Stage};
use measurement::{ChannelId, Outcome, Timestamp};
use risk::{Guarded, Level};
use tokio::sync::broadcast;

use super::shapes::{Gateway, Overview};
use crate::registry::PointId;

/// The newest reading of a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LiveChannel {
    pub outcome: Outcome,
    pub sampled_at: Timestamp,
    pub received_at: Timestamp,
    /// False as soon as it is overdue.
    pub live: bool,
}

/// How a point stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointState {
    pub level: Level,
    pub guarded: Guarded,
    pub open_alarms: usize,
}

/// One event of the live stream.
#[derive(Debug, PartialEq, Eq)]
pub struct LiveEvent {
    /// Ascending.
    pub id: u64,
    /// `readings`, `alarm`, `point`, `overview`, `gateway`.
    pub name: &'static str,
    /// JSON.
    pub data: String,
}

/// A place in the live stream.
pub struct Subscription {
    /// What happened since, as far as the ring still has it.
    pub missed: Vec<Arc<LiveEvent>>,
    /// What happens from now on.
    pub events: broadcast::Receiver<Arc<LiveEvent>>,
    /// False when something between is lost and the page must load its lists again.
    pub resumed: bool,
}

/// What is known now. Answers at once, from memory.
pub trait Present: Send + Sync + 'static {
    fn channel(&self, id: ChannelId) -> Option<LiveChannel>;
    fn point(&self, id: PointId) -> Option<PointState>;
    fn overview(&self) -> Overview;
    fn gateways(&self) -> Vec<Gateway>;
    fn open_episodes(&self) -> Vec<Episode>;
    fn subscribe(&self, after: Option<u64>) -> Subscription;
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    #[error(transparent)]
    Refused(#[from] RefusedOrder),
    /// The pipeline is stopping or does not answer in time.
    #[error("the alarm engine does not answer")]
    Busy,
}

/// What people order.
#[async_trait::async_trait]
pub trait Orders: Send + Sync + 'static {
    /// A person has seen the alarm. Answered when it is recorded.
    async fn acknowledge(&self, episode: &str, who: &str, note: &str) -> Result<Episode, OrderError>;
    /// A person has looked and settles a latched alarm, or a dispute over who a gateway is. Answered when it is recorded.
    async fn reset(&self, episode: &str, who: &str, note: &str) -> Result<Episode, OrderError>;
    /// An open episode passed a stage that the engine does not see itself.
    async fn stamp(&self, episode: &str, stage: Stage, at: Timestamp);
}
