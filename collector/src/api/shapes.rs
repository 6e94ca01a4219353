//! The JSON of the API, as contracts with the pages: names in snake case, times in Unix ms.
//!
//! Adding a field? Also add it to `collector/web/src/api/types.ts` and bless `tests/contract/tests/openapi.json`.

use alarm::{Episode, Kind, RuleKind};
use measurement::{Direction, Outcome, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

pub use super::words::{code_name, event_words, quality_name};
use super::words::{kind_words, reason_words};
use crate::registry::{Channel, Registry};

/// The front page.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Overview {
    pub now: i64,
    /// False until every check of the start has passed, and whenever something essential is missing.
    pub protecting: bool,
    pub protecting_reason_zh: Option<String>,
    pub protecting_reason_en: Option<String>,
    pub simulated: bool,
    pub points: PointCounts,
    pub unguarded: usize,
    pub open_alarms: usize,
    pub unacknowledged: usize,
    pub coverage: Coverage,
    pub gateways: GatewayCounts,
    pub latency: Latency,
    pub values_per_s: f64,
    pub not_seen: Vec<NotSeen>,
    /// At most eight.
    pub worst: Vec<Alarm>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PointCounts {
    pub red: usize,
    pub orange: usize,
    pub yellow: usize,
    pub blue: usize,
    pub total: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Coverage {
    pub channels: usize,
    pub live: usize,
    pub fault: usize,
    pub silent: usize,
    pub unbound: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct GatewayCounts {
    pub total: usize,
    pub online: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub struct Latency {
    pub t2_t4_p50_ms: Option<f64>,
    pub t2_t4_p99_ms: Option<f64>,
    pub t2_t6_p50_ms: Option<f64>,
    pub t2_t6_p99_ms: Option<f64>,
    pub count: u64,
}

/// Something nobody sees now, and why.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct NotSeen {
    /// `gateway`, `channel`, `point` or `endpoint`.
    pub kind: &'static str,
    /// A number, or a gateway's name.
    #[schema(value_type = Object)]
    pub id: serde_json::Value,
    pub name: String,
    pub reason_zh: String,
    pub reason_en: String,
    pub since: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Enterprise {
    pub id: i64,
    pub name: String,
    pub uscc: String,
    pub kind: String,
    pub county: String,
    pub contact: String,
    pub phone: String,
    pub points: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Point {
    pub id: i64,
    pub enterprise_id: i64,
    pub enterprise: String,
    pub code: String,
    pub name: String,
    pub kind: String,
    pub assessed: &'static str,
    pub level: &'static str,
    pub guarded: bool,
    pub unguarded_zh: Option<String>,
    pub unguarded_en: Option<String>,
    pub longitude: Option<f64>,
    pub latitude: Option<f64>,
    pub location: String,
    pub hazards: String,
    pub responsible: String,
    pub phone: String,
    pub simulated: bool,
    pub open_alarms: usize,
    pub channels: Vec<ChannelNow>,
}

/// A channel as it stands now. A bad reading has no value.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ChannelNow {
    pub id: u32,
    pub tag: String,
    pub gateway: String,
    pub name: String,
    pub quantity: String,
    pub unit: &'static str,
    pub value: Option<f32>,
    pub quality: &'static str,
    pub doubt: Option<&'static str>,
    pub fault: Option<&'static str>,
    pub quality_zh: &'static str,
    pub quality_en: &'static str,
    pub sampled_at: Option<i64>,
    pub received_at: Option<i64>,
    pub live: bool,
    pub period_ms: u32,
    pub range: Option<[f32; 2]>,
    pub simulated: bool,
    pub limits: Vec<Limit>,
    pub point_id: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The rule's id; a new one is the site's own.
    pub rule: String,
    /// `high` or `low`.
    pub direction: Side,
    pub setpoint: f32,
    pub release: f32,
    pub on_delay_ms: u32,
    pub off_delay_ms: u32,
    #[schema(value_type = String)]
    pub priority: alarm::Priority,
    #[serde(default)]
    pub source: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    High,
    Low,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Series {
    pub channel: u32,
    pub unit: &'static str,
    /// `raw`, `1m` or `1h`.
    pub resolution: &'static str,
    pub from: i64,
    pub to: i64,
    pub rows: Vec<SeriesRow>,
    pub gaps: Vec<SeriesGap>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SeriesRow {
    pub t: i64,
    pub min: Option<f32>,
    pub max: Option<f32>,
    pub last: Option<f32>,
    pub quality: &'static str,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SeriesGap {
    pub from: i64,
    pub to: i64,
    pub cause: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Alarm {
    pub id: String,
    pub channel_id: Option<u32>,
    pub point_id: Option<i64>,
    pub point: Option<String>,
    pub enterprise: Option<String>,
    pub tag: Option<String>,
    pub gateway: String,
    pub kind: &'static str,
    pub rule: String,
    pub priority: &'static str,
    pub state: &'static str,
    pub title_zh: String,
    pub title_en: String,
    pub value: Option<f32>,
    pub unit: Option<&'static str>,
    pub setpoint: Option<f32>,
    pub late: bool,
    pub simulated: bool,
    pub began_at: i64,
    pub opened_at: i64,
    pub returned_at: Option<i64>,
    pub acknowledged_at: Option<i64>,
    pub acknowledged_by: Option<String>,
    pub note: Option<String>,
    pub closed_at: Option<i64>,
    pub stages: Stages,
    pub unseen_points: Vec<String>,
}

/// t2 frame parsed, t3 edge state (on the gateway's disk, judged by its own limits, sent off), t4 committed, t5 painted, t6 accepted by an endpoint, t7 acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Stages {
    pub t2: Option<i64>,
    pub t3: Option<i64>,
    pub t4: Option<i64>,
    pub t5: Option<i64>,
    pub t6: Option<i64>,
    pub t7: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AlarmDetail {
    #[serde(flatten)]
    pub alarm: Alarm,
    pub transitions: Vec<TransitionRow>,
    pub deliveries: Vec<DeliveryRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TransitionRow {
    pub at: i64,
    pub event: String,
    pub who: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DeliveryRow {
    pub endpoint: String,
    /// `raised`, `returned` or `acknowledged`: which notice.
    pub stage: String,
    /// `accepted`, `failing` or `waiting`.
    pub state: &'static str,
    pub attempts: i64,
    pub accepted_at: Option<i64>,
    pub last_error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JournalEntry {
    pub number: u64,
    pub at: i64,
    pub kind: String,
    pub about: String,
    pub who: String,
    pub text_zh: String,
    pub text_en: String,
    pub hash: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Journal {
    pub entries: Vec<JournalEntry>,
    /// The newest entry's hash.
    pub head: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JournalVerdict {
    pub ok: bool,
    pub entries: u64,
    pub first_bad: Option<u64>,
    pub message_zh: String,
    pub message_en: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Gateway {
    pub id: String,
    pub name: String,
    pub online: bool,
    pub last_heard: Option<i64>,
    /// 16 hexadecimal digits: the number does not fit a page's.
    pub epoch: Option<String>,
    /// `synchronised`, `holdover` or `untrusted`.
    pub clock: &'static str,
    pub unacknowledged: u64,
    pub spool_bytes: u64,
    pub spool_capacity: u64,
    pub degraded: bool,
    pub channels: usize,
    pub enrolled_at: Option<i64>,
    pub simulated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LedgerDay {
    pub gateway: String,
    pub day: String,
    pub expected: i64,
    pub stored: i64,
    pub gaps: BTreeMap<String, i64>,
    /// Neither stored nor declared lost.
    pub open: i64,
}

/// A `point` event of the live stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PointChange {
    pub id: i64,
    pub level: &'static str,
    pub guarded: bool,
    pub unguarded_zh: Option<String>,
    pub unguarded_en: Option<String>,
    pub open_alarms: usize,
}

/// One row of a `readings` event: channel, value, quality, doubt or fault, sampled, received, live.
pub type ReadingRow = (u32, Option<f32>, &'static str, Option<&'static str>, Option<i64>, Option<i64>, bool);

/// A `readings` event of the live stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Readings {
    pub now: i64,
    pub rows: Vec<ReadingRow>,
}

/// A row of a `readings` event.
pub fn reading_row(channel: u32, outcome: &Outcome, sampled_at: Timestamp, received_at: Timestamp, live: bool) -> ReadingRow {
    let value = outcome.value().map(|value| value.get());
    (channel, value, quality_name(outcome), code_name(outcome), Some(sampled_at.0), Some(received_at.0), live)
}

impl Limit {
    /// The limits among a channel's rules.
    pub fn of(channel: &Channel) -> Vec<Limit> {
        let limit = |rule: &alarm::Rule| match &rule.what {
            RuleKind::Limit { limit, .. } => Some(Limit {
                rule: rule.id.clone(),
                direction: if limit.direction == Direction::High { Side::High } else { Side::Low },
                setpoint: limit.setpoint.get(),
                release: limit.release.get(),
                on_delay_ms: limit.on_delay_ms,
                off_delay_ms: limit.off_delay_ms,
                priority: rule.priority,
                source: rule.source.clone(),
            }),
            _ => None,
        };
        channel.rules.iter().filter_map(limit).collect()
    }
}

impl Alarm {
    /// An episode as people see it, with the names that the registry gives it.
    pub fn of(episode: &Episode, registry: &Registry) -> Alarm {
        let channel = episode.channel.and_then(|id| registry.channel(id));
        let point = channel.and_then(|channel| registry.point(channel.point?));
        let enterprise = point.and_then(|point| registry.enterprise(point.enterprise));
        let (title_zh, title_en) = titles(episode, channel, point.map(|point| point.name.as_str()));
        let ms = |at: Option<Timestamp>| at.map(|at| at.0);
        let has_unit = episode.value.is_some() || episode.setpoint.is_some();
        Alarm {
            id: episode.id.clone(),
            channel_id: episode.channel.map(|channel| channel.0),
            point_id: point.map(|point| point.id.0),
            point: point.map(|point| point.name.clone()),
            enterprise: enterprise.map(|enterprise| enterprise.name.clone()),
            tag: channel.map(|channel| channel.tag.clone()),
            gateway: episode.gateway.clone(),
            kind: episode.kind.name(),
            rule: episode.rule.clone(),
            priority: episode.priority.name(),
            state: episode.state.name(),
            title_zh,
            title_en,
            value: episode.value.map(|value| value.get()),
            unit: has_unit.then(|| episode.unit.symbol()),
            setpoint: episode.setpoint.map(|value| value.get()),
            late: episode.late,
            simulated: episode.simulated,
            began_at: episode.began_at.0,
            opened_at: episode.opened_at.0,
            returned_at: ms(episode.returned_at),
            acknowledged_at: ms(episode.acknowledged_at),
            acknowledged_by: episode.acknowledged_by.clone(),
            note: episode.note.clone(),
            closed_at: ms(episode.closed_at),
            stages: Stages {
                t2: ms(episode.stages.t2),
                t3: ms(episode.stages.t3),
                t4: ms(episode.stages.t4),
                t5: ms(episode.stages.t5),
                t6: ms(episode.stages.t6),
                t7: ms(episode.stages.t7),
            },
            unseen_points: episode.unseen.clone(),
        }
    }
}

/// At most two decimals, none that say nothing: a title is read, not computed with.
fn shown(value: measurement::Value) -> String {
    let text = format!("{:.2}", value.get());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn titles(episode: &Episode, channel: Option<&Channel>, point: Option<&str>) -> (String, String) {
    let (zh, en) = kind_words(episode.kind);
    if matches!(episode.kind, Kind::GatewayLost | Kind::Identity) {
        let (gateway, count) = (&episode.gateway, episode.unseen.len());
        let (more_zh, more_en) =
            if count > 0 { (format!(",{count} 处不可见"), format!(", {count} places unseen")) } else { Default::default() };
        return (format!("{zh}:{gateway}{more_zh}"), format!("{en}: {gateway}{more_en}"));
    }
    let what = channel.map_or_else(|| episode.gateway.clone(), |channel| format!("{} {}", point.unwrap_or(&channel.tag), channel.quantity));
    let unit = episode.unit.symbol();
    let (detail_zh, detail_en) = match (episode.kind, episode.value, episode.setpoint) {
        (Kind::Limit, Some(value), Some(setpoint)) => {
            let (value, setpoint) = (shown(value), shown(setpoint));
            (format!("({value} {unit},限值 {setpoint} {unit})"), format!(" ({value} {unit}, limit {setpoint} {unit})"))
        }
        (Kind::OverRange, Some(value), _) => (format!("({} {unit})", shown(value)), format!(" ({} {unit})", shown(value))),
        _ => match episode.reason.as_deref().map(reason_words) {
            Some((zh, en)) => (format!("({zh})"), format!(" ({en})")),
            None => Default::default(),
        },
    };
    (format!("{what} {zh}{detail_zh}"), format!("{what}: {en}{detail_en}"))
}
