//! The no-loss ledger: for each gateway and day, how many entries were expected, stored, and lost to which cause.

use measurement::Timestamp;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use std::collections::BTreeMap;
use telemetry::{Gap, GapCause};

use super::entity::{gaps, ledger, ledger_gaps};
use super::{Result, Store, failed};
use crate::journal::Fact;

/// What a stretch of ingest adds to one gateway's day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LedgerDelta {
    pub gateway: String,
    /// See [`day_of`].
    pub day: String,
    pub expected: i64,
    pub stored: i64,
    /// See [`cause_name`].
    pub gap_cause: Option<String>,
    pub gap_count: i64,
}

/// One gateway's day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    pub gateway: String,
    pub day: String,
    pub expected: i64,
    pub stored: i64,
    pub gaps: BTreeMap<String, i64>,
}

impl LedgerRow {
    /// Entries of which nobody knows yet: neither stored nor declared lost.
    pub fn open(&self) -> i64 {
        self.expected - self.stored - self.gaps.values().sum::<i64>()
    }
}

/// The day of a time in China (UTC+8), as `2026-11-24`.
pub fn day_of(at: Timestamp) -> String {
    let days = at.0.saturating_add(8 * 3_600_000).div_euclid(86_400_000);
    // Civil date from days since 1970, after Howard Hinnant's `civil_from_days`.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A gap's cause as the API names it.
pub fn cause_name(why: i32) -> &'static str {
    match GapCause::try_from(why) {
        Ok(GapCause::Thinned) => "thinned",
        Ok(GapCause::DroppedOldest) => "dropped_oldest",
        Ok(GapCause::Corrupt) => "corrupt",
        Ok(GapCause::StorageFailed) => "storage_failed",
        Ok(GapCause::PowerLost) => "power_lost",
        Ok(GapCause::BelowFloor) => "below_floor",
        Ok(GapCause::Unknown) | Err(_) => "unknown",
    }
}

impl Store {
    /// Adds to the ledger; at most once a second.
    pub async fn add_to_ledger(&self, deltas: &[LedgerDelta]) -> Result<()> {
        if deltas.is_empty() {
            return Ok(());
        }
        let act = self.begin().await?;
        for delta in deltas {
            let row = ledger::ActiveModel {
                gateway: Set(delta.gateway.clone()),
                day: Set(delta.day.clone()),
                expected: Set(delta.expected),
                stored: Set(delta.stored),
            };
            let sum = |column: ledger::Column, more: i64| Expr::col((ledger::Entity, column)).add(more);
            let add = OnConflict::columns([ledger::Column::Gateway, ledger::Column::Day])
                .value(ledger::Column::Expected, sum(ledger::Column::Expected, delta.expected))
                .value(ledger::Column::Stored, sum(ledger::Column::Stored, delta.stored))
                .to_owned();
            ledger::Entity::insert(row).on_conflict(add).exec_without_returning(&act.tx).await.map_err(failed("add to the ledger"))?;
            let Some(cause) = &delta.gap_cause else { continue };
            let row = ledger_gaps::ActiveModel {
                gateway: Set(delta.gateway.clone()),
                day: Set(delta.day.clone()),
                cause: Set(cause.clone()),
                entries: Set(delta.gap_count),
            };
            let sum = Expr::col((ledger_gaps::Entity, ledger_gaps::Column::Entries)).add(delta.gap_count);
            let add = OnConflict::columns([ledger_gaps::Column::Gateway, ledger_gaps::Column::Day, ledger_gaps::Column::Cause])
                .value(ledger_gaps::Column::Entries, sum)
                .to_owned();
            ledger_gaps::Entity::insert(row).on_conflict(add).exec_without_returning(&act.tx).await.map_err(failed("add to the ledger"))?;
        }
        act.commit().await
    }

    /// The ledger of one day, by gateway.
    pub async fn ledger_day(&self, day: &str) -> Result<Vec<LedgerRow>> {
        let rows = ledger::Entity::find().filter(ledger::Column::Day.eq(day)).order_by_asc(ledger::Column::Gateway);
        let rows = rows.all(&self.read).await.map_err(failed("read the ledger"))?;
        let lost = ledger_gaps::Entity::find()
            .filter(ledger_gaps::Column::Day.eq(day))
            .all(&self.read)
            .await
            .map_err(failed("read the ledger"))?;
        let row = |row: ledger::Model| LedgerRow {
            gaps: lost.iter().filter(|gap| gap.gateway == row.gateway).map(|gap| (gap.cause.clone(), gap.entries)).collect(),
            gateway: row.gateway,
            day: row.day,
            expected: row.expected,
            stored: row.stored,
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Keeps a declared gap and journals it; true the first time, so that the same gap is counted once.
    pub async fn record_gap(&self, gateway: &str, epoch: u64, gap: Gap, at: Timestamp) -> Result<bool> {
        let mut act = self.begin().await?;
        let number = |sequence: u64| i64::try_from(sequence).unwrap_or(i64::MAX);
        let (epoch, cause) = (format!("{epoch:016x}"), cause_name(gap.why));
        let key = (gateway.to_owned(), epoch.clone(), number(gap.first), number(gap.last));
        if gaps::Entity::find_by_id(key).one(&act.tx).await.map_err(failed("read the gaps"))?.is_some() {
            return Ok(false);
        }
        let lost = if gap.lost == 0 { gap.last.saturating_sub(gap.first) + 1 } else { gap.lost };
        let row = gaps::ActiveModel {
            gateway: Set(gateway.to_owned()),
            epoch: Set(epoch.clone()),
            first: Set(number(gap.first)),
            last: Set(number(gap.last)),
            cause: Set(cause.to_owned()),
            lost: Set(number(lost)),
            at: Set(at.0),
        };
        gaps::Entity::insert(row).exec_without_returning(&act.tx).await.map_err(failed("keep a gap"))?;
        let (first, last) = (gap.first, gap.last);
        let zh = format!("网关 {gateway} 声明缺口:纪元 {epoch} 序号 {first} 至 {last},丢失 {lost} 条,原因 {cause}");
        let en = format!("gateway {gateway} declared a gap: epoch {epoch}, sequences {first} to {last}, {lost} lost, cause {cause}");
        act.tell(at, &Fact::seen("gap.declared", gateway, zh, en)).await?;
        act.commit().await?;
        Ok(true)
    }
}
