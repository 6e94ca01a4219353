//! Reading episodes, and the stages that others than the engine observe.

use alarm::{Episode, Stage};
use measurement::Timestamp;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};

use super::entity::{episodes, outbox, transitions, webhooks};
use super::record::{body_of, episode_of};
use super::{Result, Store, failed};
use crate::registry::PointId;

/// Which episodes to list.
#[derive(Debug, Clone, Default)]
pub struct AlarmFilter {
    pub open_only: bool,
    /// Only these points; `None` is every one.
    pub points: Option<Vec<PointId>>,
    /// With `points`: also the alarms about these gateways as a whole.
    pub gateways: Vec<String>,
    /// Only those opened before.
    pub before: Option<Timestamp>,
    pub limit: u64,
}

/// An episode with the point it was recorded under.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEpisode {
    pub episode: Episode,
    pub point: Option<PointId>,
}

/// One transition of an episode, as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub at: Timestamp,
    pub event: String,
    pub who: Option<String>,
}

/// How far a notice got.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    pub endpoint: String,
    pub stage: String,
    pub attempts: i64,
    pub accepted_at: Option<Timestamp>,
    pub last_error: Option<String>,
}

impl Store {
    /// Every open episode, to resume the engine.
    pub async fn open_episodes(&self) -> Result<Vec<Episode>> {
        let rows = episodes::Entity::find()
            .filter(episodes::Column::IsOpen.eq(true))
            .order_by_asc(episodes::Column::OpenedAt)
            .order_by_asc(episodes::Column::Id);
        let rows = rows.all(&self.read).await.map_err(failed("read the open episodes"))?;
        rows.iter().map(|row| episode_of(&row.body)).collect()
    }

    /// Episodes, newest first.
    pub async fn episodes(&self, filter: &AlarmFilter) -> Result<Vec<RecordedEpisode>> {
        let mut query = episodes::Entity::find();
        if filter.open_only {
            query = query.filter(episodes::Column::IsOpen.eq(true));
        }
        if let Some(points) = &filter.points {
            let about_points = episodes::Column::PointId.is_in(points.iter().map(|point| point.0));
            let about_gateways = episodes::Column::ChannelId.is_null().and(episodes::Column::Gateway.is_in(&filter.gateways));
            query = query.filter(about_points.or(about_gateways));
        }
        if let Some(before) = filter.before {
            query = query.filter(episodes::Column::OpenedAt.lt(before.0));
        }
        let rows = query.order_by_desc(episodes::Column::OpenedAt).order_by_asc(episodes::Column::Id).limit(filter.limit);
        rows.all(&self.read).await.map_err(failed("read the episodes"))?.into_iter().map(recorded).collect()
    }

    /// One episode.
    pub async fn episode(&self, id: &str) -> Result<Option<RecordedEpisode>> {
        let row = episodes::Entity::find_by_id(id).one(&self.read).await.map_err(failed("read the episode"))?;
        row.map(recorded).transpose()
    }

    /// What happened to an episode, oldest first.
    pub async fn transitions(&self, id: &str) -> Result<Vec<Told>> {
        let rows = transitions::Entity::find().filter(transitions::Column::Episode.eq(id)).order_by_asc(transitions::Column::Number);
        let rows = rows.all(&self.read).await.map_err(failed("read the transitions"))?;
        Ok(rows.into_iter().map(|row| Told { at: Timestamp(row.at), event: row.event, who: row.who }).collect())
    }

    /// How far an episode's notices got.
    pub async fn deliveries(&self, id: &str) -> Result<Vec<Delivery>> {
        let rows = outbox::Entity::find().filter(outbox::Column::Episode.eq(id)).order_by_asc(outbox::Column::Number);
        let rows = rows.all(&self.read).await.map_err(failed("read the outbox"))?;
        let endpoints = webhooks::Entity::find().all(&self.read).await.map_err(failed("read the endpoints"))?;
        let name = |id: i64| {
            endpoints.iter().find(|endpoint| endpoint.id == id).map_or_else(|| format!("#{id}"), |endpoint| endpoint.name.clone())
        };
        let delivery = |row: outbox::Model| Delivery {
            endpoint: name(row.endpoint_id),
            stage: row.stage,
            attempts: row.attempts,
            accepted_at: row.accepted_at.map(Timestamp),
            last_error: row.last_error,
        };
        Ok(rows.into_iter().map(delivery).collect())
    }

    /// Notes when episodes passed a stage; the first time counts. Those already closed are noted too.
    pub async fn stamp(&self, stamps: &[(String, Stage, Timestamp)]) -> Result<()> {
        let act = self.begin().await?;
        for (id, stage, at) in stamps {
            let Some(row) = episodes::Entity::find_by_id(id).one(&act.tx).await.map_err(failed("read the episode"))? else { continue };
            let mut episode = episode_of(&row.body)?;
            let slot = match stage {
                Stage::Committed => &mut episode.stages.t4,
                Stage::Painted => &mut episode.stages.t5,
                Stage::Accepted => &mut episode.stages.t6,
            };
            if slot.is_some() {
                continue;
            }
            *slot = Some(*at);
            let mut change = row.into_active_model();
            change.body = Set(body_of(&episode)?);
            change.update(&act.tx).await.map_err(failed("note a stage"))?;
        }
        act.commit().await
    }
}

fn recorded(row: episodes::Model) -> Result<RecordedEpisode> {
    Ok(RecordedEpisode { episode: episode_of(&row.body)?, point: row.point_id.map(PointId) })
}
