//! Channels: what they are bound to, their limits and their past.

use std::collections::HashSet;

use alarm::{Rule, RuleKind};
use axum::Json;
use axum::extract::State;
use measurement::{ChannelId, Direction, Limit, Outcome, Timestamp, Value};
use serde::Deserialize;
use timeseries::{Extreme, Resolution, Row};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::body::{Asked, Body, Id};
use super::caller::Caller;
use super::error::{Answer, ApiError, Refusal};
use super::points::{channel_now, check_texts};
use super::shapes::{self, SeriesGap, SeriesRow, Side, quality_name};
use crate::registry::{Channel, PointId};

/// A channel with more limits than this is a mistake.
const MOST_LIMITS: usize = 16;
/// No answer has more rows.
const MOST_ROWS: i64 = 20_000;

#[derive(Deserialize, IntoParams)]
pub struct ChannelQuery {
    /// Only channels that watch no point.
    pub unbound: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The point, or null for none.
    pub point_id: Option<i64>,
}

#[derive(Deserialize, IntoParams)]
pub struct SeriesQuery {
    /// Unix ms, inclusive.
    pub from: i64,
    /// Unix ms, exclusive.
    pub to: i64,
    /// About how many rows are wanted.
    pub points: Option<u32>,
}

/// Every channel the caller sees, as it stands now.
#[utoipa::path(get, path = "/api/v1/channels", tag = "registry", params(ChannelQuery), responses((status = 200, body = [shapes::ChannelNow])))]
pub async fn channels(State(state): State<ApiState>, caller: Caller, Asked(query): Asked<ChannelQuery>) -> Json<Vec<shapes::ChannelNow>> {
    let registry = state.store.registry();
    let wanted = |channel: &&Channel| caller.sees_channel(&registry, channel) && (query.unbound != Some(true) || channel.point.is_none());
    Json(registry.channels.iter().filter(wanted).map(|channel| channel_now(channel, &*state.live)).collect())
}

/// Bind a channel to a point, or to none.
#[utoipa::path(put, path = "/api/v1/channels/{id}/binding", tag = "registry", params(("id" = u32, Path)), request_body = Binding,
    responses((status = 200, body = shapes::ChannelNow), (status = 404, body = Refusal)))]
pub async fn bind(
    State(state): State<ApiState>,
    caller: Caller,
    Id(id): Id<u32>,
    Body(binding): Body<Binding>,
) -> Answer<Json<shapes::ChannelNow>> {
    state.store.bind(ChannelId(id), binding.point_id.map(PointId), &caller.user.account, state.now()).await?;
    let registry = state.store.registry();
    // A withdrawn channel leaves the registry with its binding; it is answered as it was bound last: not at all.
    registry.channel(ChannelId(id)).map(|channel| Json(channel_now(channel, &*state.live))).ok_or_else(ApiError::not_found)
}

/// Give a channel its limits: those of its rule pack or stricter, and the site's own.
#[utoipa::path(put, path = "/api/v1/channels/{id}/limits", tag = "registry", params(("id" = u32, Path)), request_body = [shapes::Limit],
    responses((status = 200, body = shapes::ChannelNow), (status = 404, body = Refusal), (status = 422, body = Refusal)))]
pub async fn set_limits(
    State(state): State<ApiState>,
    caller: Caller,
    Id(id): Id<u32>,
    Body(limits): Body<Vec<shapes::Limit>>,
) -> Answer<Json<shapes::ChannelNow>> {
    let registry = state.store.registry();
    let channel = registry.channel(ChannelId(id)).ok_or_else(ApiError::not_found)?;
    let rules = rules_with(channel, limits)?;
    state.store.set_rules(channel.id, rules, &caller.user.account, state.now()).await?;
    let registry = state.store.registry();
    registry.channel(ChannelId(id)).map(|channel| Json(channel_now(channel, &*state.live))).ok_or_else(ApiError::not_found)
}

/// The channel's rules with these limits in place of its own. Silence, fault and the like stay as they are.
fn rules_with(channel: &Channel, limits: Vec<shapes::Limit>) -> Answer<Vec<Rule>> {
    if limits.len() > MOST_LIMITS {
        return Err(ApiError::invalid(format!("一个通道最多 {MOST_LIMITS} 条限值"), format!("a channel has at most {MOST_LIMITS} limits")));
    }
    let mut rules: Vec<Rule> = channel.rules.iter().filter(|rule| !matches!(rule.what, RuleKind::Limit { .. })).cloned().collect();
    let mut ids: HashSet<String> = rules.iter().map(|rule| rule.id.clone()).collect();
    let mut given = Vec::with_capacity(limits.len());
    for limit in limits {
        check_texts(&[("rule", &limit.rule, true), ("source", &limit.source, false)])?;
        if !ids.insert(limit.rule.clone()) {
            return Err(ApiError::invalid(format!("限值 {} 重复", limit.rule), format!("the limit {} is given twice", limit.rule)));
        }
        given.push(rule_of(channel, limit)?);
    }
    given.append(&mut rules);
    Ok(given)
}

fn rule_of(channel: &Channel, given: shapes::Limit) -> Answer<Rule> {
    let value = |number: f32| Value::new(number).ok_or_else(|| ApiError::invalid("限值须为有限数", "a limit must be a finite number"));
    let limit = Limit {
        direction: if given.direction == Side::High { Direction::High } else { Direction::Low },
        setpoint: value(given.setpoint)?,
        release: value(given.release)?,
        on_delay_ms: given.on_delay_ms,
        off_delay_ms: given.off_delay_ms,
    };
    if !limit.is_consistent() {
        let en = format!(
            "rule {}: the release {} lies beyond the setpoint {}; it must lie on the safe side of it",
            given.rule, given.release, given.setpoint
        );
        return Err(ApiError::invalid(
            format!("限值 {}:复位值 {} 须在设定值 {} 的安全一侧", given.rule, given.release, given.setpoint),
            en,
        ));
    }
    let what = RuleKind::Limit { limit, unit: channel.unit };
    let before = channel.rules.iter().find(|rule| rule.id == given.rule);
    // A number that a person changed no longer carries the pack's source as if it were the pack's.
    let source = match before {
        Some(rule) if rule.what == what && rule.priority == given.priority => rule.source.clone(),
        Some(rule) if rule.source.starts_with("site, stricter than: ") => rule.source.clone(),
        Some(rule) => format!("site, stricter than: {}", rule.source),
        None if given.source.is_empty() => "site".to_owned(),
        None => given.source,
    };
    Ok(Rule { id: given.rule, what, priority: given.priority, source })
}

/// A channel's past: raw readings, or extremes of a minute or an hour when there are too many.
#[utoipa::path(get, path = "/api/v1/channels/{id}/series", tag = "now", params(("id" = u32, Path), SeriesQuery),
    responses((status = 200, body = shapes::Series), (status = 404, body = Refusal), (status = 422, body = Refusal)))]
pub async fn series(
    State(state): State<ApiState>,
    caller: Caller,
    Id(id): Id<u32>,
    Asked(query): Asked<SeriesQuery>,
) -> Answer<Json<shapes::Series>> {
    let registry = state.store.registry();
    let channel =
        registry.channel(ChannelId(id)).filter(|channel| caller.sees_channel(&registry, channel)).ok_or_else(ApiError::not_found)?;
    let span_ms = query.to.saturating_sub(query.from);
    let wanted = i64::from(query.points.unwrap_or(800)).clamp(1, MOST_ROWS / 4) * 4;
    if span_ms <= 0 || span_ms / Resolution::Hour.ms() > MOST_ROWS {
        return Err(ApiError::invalid("from 须早于 to,且相距不超过两年", "from must lie before to, and at most two years"));
    }
    let period_ms = i64::from(channel.period_ms.max(1));
    let (from, to, unit, number) = (Timestamp(query.from), Timestamp(query.to), channel.unit.symbol(), channel.id.0);
    let series = state.series.clone();
    // Reads the disk, so it runs where blocking is allowed.
    let read = move || -> Result<(&'static str, Vec<SeriesRow>, i64), timeseries::Error> {
        if span_ms / period_ms <= wanted {
            let rows = series.query(number, from, to)?;
            return Ok(("raw", rows.iter().map(raw_row).collect(), period_ms.saturating_mul(3)));
        }
        let (name, resolution) =
            if span_ms / Resolution::Minute.ms() <= wanted { ("1m", Resolution::Minute) } else { ("1h", Resolution::Hour) };
        let rows = series.extremes(number, from, to, resolution)?;
        Ok((name, rows.iter().map(extreme_row).collect(), resolution.ms().max(period_ms.saturating_mul(3))))
    };
    let (resolution, rows, apart_ms) = tokio::task::spawn_blocking(read).await.map_err(|error| ApiError::internal(&error))??;
    let gaps = gaps(&rows, query.from, query.to.min(state.now().0), apart_ms);
    Ok(Json(shapes::Series { channel: number, unit, resolution, from: query.from, to: query.to, rows, gaps }))
}

fn raw_row(row: &Row) -> SeriesRow {
    let value = row.outcome.value().map(|value| value.get());
    SeriesRow { t: row.sampled_at.0, min: value, max: value, last: value, quality: quality_name(&row.outcome) }
}

fn extreme_row(extreme: &Extreme) -> SeriesRow {
    let quality = match (extreme.values, extreme.worst) {
        (0, _) => "bad",
        (_, Outcome::GOOD) => "good",
        _ => "uncertain",
    };
    SeriesRow { t: extreme.from.0, min: extreme.min, max: extreme.max, last: extreme.last, quality }
}

/// Where no line may be drawn: rows too far apart, and stretches without a value.
fn gaps(rows: &[SeriesRow], from: i64, to: i64, apart_ms: i64) -> Vec<SeriesGap> {
    let gap = |from, to, cause: &str| SeriesGap { from, to, cause: cause.to_owned() };
    let mut gaps = Vec::new();
    let mut before = from;
    let mut bad_since: Option<i64> = None;
    for row in rows {
        if row.t - before > apart_ms {
            if let Some(since) = bad_since.take() {
                gaps.push(gap(since, before, "bad"));
            }
            gaps.push(gap(before, row.t, "missing"));
        }
        match (row.last.is_none(), bad_since) {
            (true, None) => bad_since = Some(row.t),
            (false, Some(since)) => {
                gaps.push(gap(since, row.t, "bad"));
                bad_since = None;
            }
            _ => {}
        }
        before = row.t;
    }
    if let Some(since) = bad_since {
        gaps.push(gap(since, before, "bad"));
    }
    if to - before > apart_ms {
        gaps.push(gap(before, to, "missing"));
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(list: &[(i64, Option<f32>)]) -> Vec<SeriesRow> {
        list.iter()
            .map(|(t, value)| SeriesRow {
                t: *t,
                min: *value,
                max: *value,
                last: *value,
                quality: if value.is_some() { "good" } else { "bad" },
            })
            .collect()
    }

    #[track_caller]
    fn check(list: &[(i64, Option<f32>)], to: i64, expected: &[(i64, i64, &str)]) {
        let found = gaps(&rows(list), 0, to, 300);
        let found: Vec<_> = found.iter().map(|gap| (gap.from, gap.to, gap.cause.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn rows_in_time_have_no_gap() {
        check(&[(0, Some(1.0)), (100, Some(1.0)), (400, Some(1.0))], 500, &[]);
    }

    #[test]
    fn rows_too_far_apart_have_a_gap_between_them() {
        check(&[(0, Some(1.0)), (301, Some(1.0))], 400, &[(0, 301, "missing")]);
    }

    #[test]
    fn a_stretch_without_a_value_is_a_gap_until_the_next_value() {
        check(&[(0, Some(1.0)), (100, None), (200, None), (300, Some(1.0))], 300, &[(100, 300, "bad")]);
    }

    #[test]
    fn nothing_at_all_is_one_gap() {
        check(&[], 1000, &[(0, 1000, "missing")]);
    }

    #[test]
    fn a_bad_stretch_and_the_silence_after_it_are_both_told() {
        check(&[(0, None), (100, None)], 1000, &[(0, 100, "bad"), (100, 1000, "missing")]);
    }
}
