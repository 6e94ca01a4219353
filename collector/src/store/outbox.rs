//! Endpoints, and what is still to be told to them.

use measurement::Timestamp;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::{outbox, webhooks};
use super::{Result, Store, failed};
use crate::journal::Fact;

/// Somebody to be told by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub id: i64,
    pub name: String,
    pub url: String,
    pub enabled: bool,
    /// 0 low to 3 urgent.
    pub min_priority: i64,
}

/// An endpoint as a person enters it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEndpoint {
    pub name: String,
    pub url: String,
    pub enabled: bool,
    pub min_priority: i64,
}

/// One notice that waits for its endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub number: i64,
    pub key: String,
    pub episode: String,
    pub stage: String,
    /// The alarm as JSON.
    pub alarm: String,
    pub created_at: Timestamp,
    pub attempts: i64,
}

/// Notices that wait for longer than promised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LateNotices {
    pub count: u64,
    /// Since when the oldest waits.
    pub since: Option<Timestamp>,
}

impl Store {
    /// Counts again which notices wait since before this time, and remembers it for [`Store::late_notices`].
    pub async fn look_for_late_notices(&self, since: Timestamp) -> Result<LateNotices> {
        let (count, since) = self.undelivered(since).await?;
        let late = LateNotices { count, since };
        self.late.send_replace(late);
        Ok(late)
    }

    /// What the last look found; a few seconds old at most while notices are sent at all.
    pub fn late_notices(&self) -> LateNotices {
        *self.late.borrow()
    }

    /// Every endpoint that was not removed.
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>> {
        let rows = webhooks::Entity::find().filter(webhooks::Column::Removed.eq(false)).order_by_asc(webhooks::Column::Id);
        let rows = rows.all(&self.read).await.map_err(failed("read the endpoints"))?;
        Ok(rows.into_iter().map(endpoint).collect())
    }

    /// Adds an endpoint. Alarms from now on are told to it.
    pub async fn add_endpoint(&self, new: NewEndpoint, who: &str, at: Timestamp) -> Result<Endpoint> {
        let mut act = self.begin().await?;
        let row = webhooks::ActiveModel {
            id: NotSet,
            name: Set(new.name),
            url: Set(new.url),
            enabled: Set(new.enabled),
            min_priority: Set(new.min_priority),
            removed: Set(false),
        };
        let saved = row.insert(&act.tx).await.map_err(failed("add an endpoint"))?;
        let zh = format!("新增通知端点 {}", saved.name);
        let en = format!("added the endpoint {}", saved.name);
        act.tell(at, &Fact::done("endpoint.added", who, format!("endpoint/{}", saved.id), zh, en)).await?;
        act.commit().await?;
        Ok(endpoint(saved))
    }

    /// Removes an endpoint. What it was told stays on record; what waits for it is not told any more.
    pub async fn remove_endpoint(&self, id: i64, who: &str, at: Timestamp) -> Result<bool> {
        let mut act = self.begin().await?;
        let row = webhooks::Entity::find_by_id(id).filter(webhooks::Column::Removed.eq(false));
        let Some(row) = row.one(&act.tx).await.map_err(failed("read the endpoint"))? else { return Ok(false) };
        let name = row.name.clone();
        let waiting = outbox::Entity::find().filter(outbox::Column::EndpointId.eq(id)).filter(outbox::Column::AcceptedAt.is_null());
        let waiting = waiting.count(&act.tx).await.map_err(failed("read the outbox"))?;
        let mut change = row.into_active_model();
        (change.removed, change.enabled) = (Set(true), Set(false));
        change.update(&act.tx).await.map_err(failed("remove an endpoint"))?;
        let zh = format!("删除通知端点 {name};{waiting} 条未送达的通知不再发送");
        let en = format!("removed the endpoint {name}; {waiting} undelivered notices are not sent any more");
        act.tell(at, &Fact::done("endpoint.removed", who, format!("endpoint/{id}"), zh, en)).await?;
        act.commit().await?;
        Ok(true)
    }

    /// The notices that wait for an endpoint: the most urgent first, of these the least tried, then the oldest.
    pub async fn waiting(&self, endpoint: i64, skip: u64, limit: u64) -> Result<Vec<Letter>> {
        let rows = outbox::Entity::find().filter(outbox::Column::EndpointId.eq(endpoint)).filter(outbox::Column::AcceptedAt.is_null());
        let rows = rows.order_by_desc(outbox::Column::Priority).order_by_asc(outbox::Column::Attempts).order_by_asc(outbox::Column::Number);
        let rows = rows.offset(skip).limit(limit);
        let rows = rows.all(&self.read).await.map_err(failed("read the outbox"))?;
        let letter = |row: outbox::Model| Letter {
            number: row.number,
            key: row.key,
            episode: row.episode,
            stage: row.stage,
            alarm: row.body,
            created_at: Timestamp(row.created_at),
            attempts: row.attempts,
        };
        Ok(rows.into_iter().map(letter).collect())
    }

    /// How many notices wait longer than since this time, for endpoints that are in use, and since when the
    /// oldest does.
    async fn undelivered(&self, since: Timestamp) -> Result<(u64, Option<Timestamp>)> {
        let active = self.endpoints().await?.into_iter().filter(|endpoint| endpoint.enabled).map(|endpoint| endpoint.id);
        let late = outbox::Entity::find()
            .filter(outbox::Column::AcceptedAt.is_null())
            .filter(outbox::Column::CreatedAt.lte(since.0))
            .filter(outbox::Column::EndpointId.is_in(active));
        let count = late.clone().count(&self.read).await.map_err(failed("read the outbox"))?;
        let oldest = late.order_by_asc(outbox::Column::CreatedAt).one(&self.read).await.map_err(failed("read the outbox"))?;
        Ok((count, oldest.map(|row| Timestamp(row.created_at))))
    }

    /// Notices were accepted: it is on record before anybody may forget them.
    pub async fn accepted(&self, letters: &[(i64, Timestamp)]) -> Result<()> {
        let act = self.begin().await?;
        for (number, at) in letters {
            let change = outbox::Entity::update_many()
                .col_expr(outbox::Column::AcceptedAt, Expr::value(at.0))
                .col_expr(outbox::Column::Attempts, Expr::col(outbox::Column::Attempts).add(1))
                .col_expr(outbox::Column::LastError, Expr::value(Option::<String>::None))
                .filter(outbox::Column::Number.eq(*number));
            change.exec(&act.tx).await.map_err(failed("note a delivery"))?;
        }
        act.commit().await
    }

    /// An attempt failed, and why.
    pub async fn refused(&self, number: i64, why: &str) -> Result<()> {
        let act = self.begin().await?;
        let change = outbox::Entity::update_many()
            .col_expr(outbox::Column::Attempts, Expr::col(outbox::Column::Attempts).add(1))
            .col_expr(outbox::Column::LastError, Expr::value(why))
            .filter(outbox::Column::Number.eq(number));
        change.exec(&act.tx).await.map_err(failed("note a failed delivery"))?;
        act.commit().await
    }

    /// The notices of an endpoint that wait since before a time and whose lateness is not journalled.
    pub async fn late_untold(&self, endpoint: i64, since: Timestamp) -> Result<Vec<i64>> {
        let late = outbox::Entity::find()
            .filter(outbox::Column::EndpointId.eq(endpoint))
            .filter(outbox::Column::AcceptedAt.is_null())
            .filter(outbox::Column::ToldLate.eq(false))
            .filter(outbox::Column::CreatedAt.lte(since.0));
        let numbers = late.select_only().column(outbox::Column::Number).limit(10_000).into_tuple();
        numbers.all(&self.read).await.map_err(failed("read the outbox"))
    }

    /// Journals, once a notice, that notices of an endpoint wait for longer than promised.
    pub async fn tell_late(&self, endpoint: &Endpoint, letters: &[i64], at: Timestamp) -> Result<()> {
        let mut act = self.begin().await?;
        for some in letters.chunks(500) {
            let change = outbox::Entity::update_many()
                .col_expr(outbox::Column::ToldLate, Expr::value(true))
                .filter(outbox::Column::Number.is_in(some.iter().copied()));
            change.exec(&act.tx).await.map_err(failed("note a late notice"))?;
        }
        let count = letters.len();
        let zh = format!("{count} 条通知超过 120 秒仍未送达端点 {}", endpoint.name);
        let en = format!("{count} notices were not accepted by the endpoint {} for more than 120 s", endpoint.name);
        act.tell(at, &Fact::seen("notice.undelivered", format!("endpoint/{}", endpoint.id), zh, en)).await?;
        act.commit().await
    }
}

fn endpoint(row: webhooks::Model) -> Endpoint {
    Endpoint { id: row.id, name: row.name, url: row.url, enabled: row.enabled, min_priority: row.min_priority }
}
