//! What the pipeline judged becomes true: episodes, transitions, journal, outbox and `judged_to` in one
//! transaction, so that an alarm is never recorded without its notices, nor judged twice after a crash.

use alarm::{Episode, Event, Transition};
use measurement::Timestamp;
use risk::Level;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use std::collections::HashMap;

use super::entity::{episodes, outbox, transitions, webhooks};
use super::{Act, Result, Store, failed, remember, remembered, unreadable};
use crate::api::shapes;
use crate::journal::Fact;
use crate::registry::{PointId, Registry};

/// A risk point whose live level changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelChange {
    pub point: PointId,
    pub from: Level,
    pub to: Level,
}

/// What one turn of the pipeline judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    pub at: Timestamp,
    pub transitions: Vec<Transition>,
    pub levels: Vec<LevelChange>,
    pub facts: Vec<Fact>,
    /// The time series commit up to which everything is judged now.
    pub judged_to: Option<u64>,
}

impl Store {
    /// Records one turn of the pipeline, all of it or nothing.
    pub async fn record(&self, judged: &Judged) -> Result<()> {
        let registry = self.registry();
        let mut act = self.begin().await?;
        keep_episodes(&act, &judged.transitions, &registry).await?;
        enqueue(&act, judged, &registry).await?;
        keep_transitions(&act, &judged.transitions).await?;
        let mut facts: Vec<Fact> = judged.transitions.iter().map(|transition| fact_of(transition, &registry)).collect();
        facts.extend(judged.levels.iter().map(|change| level_fact(change, &registry)));
        facts.extend(judged.facts.iter().cloned());
        act.tell_all(judged.at, &facts).await?;
        if let Some(commit) = judged.judged_to {
            remember(&act.tx, "judged_to", commit.to_string()).await?;
        }
        act.commit().await
    }

    /// The time series commit up to which everything is judged; 0 at first.
    pub async fn judged_to(&self) -> Result<u64> {
        let value = remembered(&self.read, "judged_to").await?.unwrap_or_else(|| "0".to_owned());
        value.parse().map_err(|_| unreadable("commit number", value))
    }
}

/// The newest body of each episode. Stages that only the store knows (t5, t6) are kept.
async fn keep_episodes(act: &Act, all: &[Transition], registry: &Registry) -> Result<()> {
    let newest: HashMap<&str, &Episode> = all.iter().map(|transition| (transition.episode.id.as_str(), &transition.episode)).collect();
    let newest: Vec<&Episode> = newest.into_values().collect();
    for some in newest.chunks(500) {
        let ids = some.iter().map(|episode| episode.id.as_str());
        let old =
            episodes::Entity::find().filter(episodes::Column::Id.is_in(ids)).all(&act.tx).await.map_err(failed("read the episodes"))?;
        let old: HashMap<String, episodes::Model> = old.into_iter().map(|row| (row.id.clone(), row)).collect();
        let mut rows = Vec::with_capacity(some.len());
        for episode in some {
            rows.push(row_of(episode, old.get(&episode.id), registry)?);
        }
        let mut newest = OnConflict::column(episodes::Column::Id);
        newest.update_columns([episodes::Column::State, episodes::Column::IsOpen, episodes::Column::Priority, episodes::Column::Body]);
        episodes::Entity::insert_many(rows)
            .on_conflict(newest)
            .exec_without_returning(&act.tx)
            .await
            .map_err(failed("keep the episodes"))?;
    }
    Ok(())
}

fn row_of(episode: &Episode, old: Option<&episodes::Model>, registry: &Registry) -> Result<episodes::ActiveModel> {
    let mut episode = episode.clone();
    if let Some(old) = old {
        let before: Episode = episode_of(&old.body)?;
        let (now, then) = (&mut episode.stages, before.stages);
        for (now, then) in [
            (&mut now.t2, then.t2),
            (&mut now.t3, then.t3),
            (&mut now.t4, then.t4),
            (&mut now.t5, then.t5),
            (&mut now.t6, then.t6),
            (&mut now.t7, then.t7),
        ] {
            *now = then.or(*now);
        }
    }
    Ok(episodes::ActiveModel {
        id: Set(episode.id.clone()),
        channel_id: Set(episode.channel.map(|channel| i64::from(channel.0))),
        point_id: Set(episode.channel.and_then(|channel| registry.channel(channel)?.point).map(|point| point.0)),
        gateway: Set(episode.gateway.clone()),
        kind: Set(episode.kind.name().to_owned()),
        priority: Set(episode.priority as i64),
        state: Set(episode.state.name().to_owned()),
        is_open: Set(episode.is_open()),
        opened_at: Set(episode.opened_at.0),
        body: Set(body_of(&episode)?),
    })
}

pub(super) fn body_of(episode: &Episode) -> Result<String> {
    serde_json::to_string(episode).map_err(|error| unreadable("episode", error.to_string()))
}

pub(super) fn episode_of(body: &str) -> Result<Episode> {
    serde_json::from_str(body).map_err(|error| unreadable("episode", error.to_string()))
}

async fn keep_transitions(act: &Act, all: &[Transition]) -> Result<()> {
    let row = |transition: &Transition| transitions::ActiveModel {
        number: NotSet,
        episode: Set(transition.episode.id.clone()),
        at: Set(transition.at.0),
        event: Set(transition.event.name().to_owned()),
        cause: Set(format!("{:?}", transition.cause).to_lowercase()),
        who: Set(transition.who.clone()),
        note: Set(transition.note.clone()),
    };
    for some in all.chunks(1000) {
        transitions::Entity::insert_many(some.iter().map(row))
            .exec_without_returning(&act.tx)
            .await
            .map_err(failed("keep the transitions"))?;
    }
    Ok(())
}

/// What a transition is told outward as, the name in its key, and whether it can happen more than once in an
/// episode's life.
fn stage_of(event: Event) -> Option<(&'static str, &'static str, bool)> {
    match event {
        Event::Raised | Event::RecordedLate => Some(("raised", "raised", false)),
        Event::BecameLive => Some(("raised", "live", false)),
        Event::Reraised => Some(("raised", "again", true)),
        Event::Returned => Some(("returned", "returned", true)),
        Event::Acknowledged => Some(("acknowledged", "acknowledged", true)),
        _ => None,
    }
}

/// One row for each endpoint that wants it. The key names the episode and the stage, with an ordinal from the
/// second time on where there can be one. Raising is told once, however often it is recorded.
async fn enqueue(act: &Act, judged: &Judged, registry: &Registry) -> Result<()> {
    let told: Vec<(&Transition, &str, &str, bool)> = judged
        .transitions
        .iter()
        .filter_map(|transition| stage_of(transition.event).map(|(stage, key, repeats)| (transition, stage, key, repeats)))
        .collect();
    if told.is_empty() {
        return Ok(());
    }
    let endpoints = webhooks::Entity::find().filter(webhooks::Column::Enabled.eq(true)).filter(webhooks::Column::Removed.eq(false));
    let endpoints = endpoints.all(&act.tx).await.map_err(failed("read the endpoints"))?;
    if endpoints.is_empty() {
        return Ok(());
    }
    let mut seen = earlier(act, &told).await?;
    let mut rows = Vec::new();
    for (transition, stage, key, repeats) in told {
        let episode = &transition.episode;
        let times = seen.entry((episode.id.clone(), transition.event.name().to_owned())).or_insert(0);
        *times += 1;
        let key = if *times == 1 || !repeats { format!("{}:{key}", episode.id) } else { format!("{}:{key}:{times}", episode.id) };
        let body = serde_json::to_string(&shapes::Alarm::of(episode, registry)).map_err(|error| unreadable("alarm", error.to_string()))?;
        for endpoint in endpoints.iter().filter(|endpoint| episode.priority as i64 >= endpoint.min_priority) {
            rows.push(outbox::ActiveModel {
                number: NotSet,
                endpoint_id: Set(endpoint.id),
                key: Set(key.clone()),
                episode: Set(episode.id.clone()),
                stage: Set(stage.to_owned()),
                priority: Set(episode.priority as i64),
                body: Set(body.clone()),
                created_at: Set(judged.at.0),
                attempts: Set(0),
                accepted_at: Set(None),
                told_late: Set(false),
                last_error: Set(None),
            });
        }
    }
    for some in rows.chunks(1000) {
        let once = OnConflict::columns([outbox::Column::EndpointId, outbox::Column::Key]).do_nothing().to_owned();
        outbox::Entity::insert_many(some.to_vec())
            .on_conflict(once)
            .exec_without_returning(&act.tx)
            .await
            .map_err(failed("fill the outbox"))?;
    }
    Ok(())
}

/// How often each of these events has happened to its episode before.
async fn earlier(act: &Act, told: &[(&Transition, &str, &str, bool)]) -> Result<HashMap<(String, String), u32>> {
    let mut counts = HashMap::new();
    for some in told.chunks(500) {
        let ids = some.iter().map(|(transition, ..)| transition.episode.id.as_str());
        let rows = transitions::Entity::find()
            .filter(transitions::Column::Episode.is_in(ids))
            .all(&act.tx)
            .await
            .map_err(failed("read the transitions"))?;
        rows.into_iter().for_each(|row| *counts.entry((row.episode, row.event)).or_insert(0) += 1);
    }
    Ok(counts)
}

fn fact_of(transition: &Transition, registry: &Registry) -> Fact {
    let alarm = shapes::Alarm::of(&transition.episode, registry);
    let (zh, en) = shapes::event_words(transition.event);
    let note = transition.note.as_deref().filter(|note| !note.is_empty());
    let (note_zh, note_en) = note.map_or_else(Default::default, |note| (format!("。说明:{note}"), format!(". Note: {note}")));
    Fact {
        kind: kind_of(transition.event),
        about: format!("alarm/{}", transition.episode.id),
        who: transition.who.clone().unwrap_or_else(|| "davy".to_owned()),
        text_zh: format!("{zh}:{}{note_zh}", alarm.title_zh),
        text_en: format!("{en}: {}{note_en}", alarm.title_en),
    }
}

/// The journal's kind of a transition; a name for each, so that an inspector can filter.
fn kind_of(event: Event) -> &'static str {
    match event {
        Event::Raised => "alarm.raised",
        Event::RecordedLate => "alarm.recorded_late",
        Event::BecameLive => "alarm.became_live",
        Event::Reraised => "alarm.reraised",
        Event::Confirmed => "alarm.confirmed",
        Event::BeganAtMoved => "alarm.began_at_moved",
        Event::Returned => "alarm.returned",
        Event::Acknowledged => "alarm.acknowledged",
        Event::Latched => "alarm.latched",
        Event::Reset => "alarm.reset",
        Event::Cleared => "alarm.cleared",
        Event::Shelved => "alarm.shelved",
        Event::Unshelved => "alarm.unshelved",
        Event::Suppressed => "alarm.suppressed",
        Event::Unsuppressed => "alarm.unsuppressed",
        Event::TakenOutOfService => "alarm.taken_out_of_service",
        Event::BackInService => "alarm.back_in_service",
        Event::RuleChanged => "alarm.rule_changed",
        Event::Withdrawn => "alarm.withdrawn",
    }
}

fn level_fact(change: &LevelChange, registry: &Registry) -> Fact {
    let name =
        registry.point(change.point).map_or_else(|| format!("#{}", change.point.0), |point| format!("{} {}", point.code, point.name));
    Fact::seen(
        "point.level_changed",
        format!("point/{}", change.point.0),
        format!("风险点 {name} 由{}变为{}", change.from.zh(), change.to.zh()),
        format!("risk point {name} went from {} to {}", change.from, change.to),
    )
}
