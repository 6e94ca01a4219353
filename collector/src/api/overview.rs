//! The front page.

use axum::Json;
use axum::extract::State;

use super::ApiState;
use super::caller::Caller;
use super::error::Answer;
use super::present::Present;
use super::shapes::{NotSeen, Overview, PointCounts};
use crate::registry::{PointId, Registry};
use measurement::ChannelId;

/// A notice that waits longer is told on the front page (promise P7).
pub const LATE_NOTICE_MS: i64 = 120_000;

/// How everything stands.
#[utoipa::path(get, path = "/api/v1/overview", tag = "now", responses((status = 200, body = Overview)))]
pub async fn overview(State(state): State<ApiState>, caller: Caller) -> Answer<Json<Overview>> {
    // Asked now, so that a collector whose notifier is stuck says so too.
    state.store.look_for_late_notices(state.now().plus_ms(-LATE_NOTICE_MS)).await?;
    let mut overview = state.live.overview();
    overview.not_seen.extend(late_notices(&state));
    let registry = state.store.registry();
    Ok(Json(scoped(overview, &caller, &registry, &*state.live)))
}

/// What is to be said about notices that nobody accepts: the outside world does not see us.
pub fn late_notices(state: &ApiState) -> Option<NotSeen> {
    let late = state.store.late_notices();
    (late.count > 0).then(|| NotSeen {
        kind: "endpoint",
        id: serde_json::Value::Null,
        name: "通知 notices".to_owned(),
        reason_zh: format!("{} 条通知超过 120 秒未送达", late.count),
        reason_en: format!("{} notices not accepted for more than 120 s", late.count),
        since: late.since.map(|since| since.0),
    })
}

/// The same overview with nothing of other enterprises in it.
pub fn scoped(mut overview: Overview, caller: &Caller, registry: &Registry, live: &dyn Present) -> Overview {
    if caller.only().is_none() {
        return overview;
    }
    let mut counts = PointCounts::default();
    let mut unguarded = 0;
    for point in registry.points.iter().filter(|point| caller.sees_enterprise(point.enterprise)) {
        let now = live.point(point.id);
        match now.as_ref().map_or(point.assessed, |now| now.level) {
            risk::Level::Red => counts.red += 1,
            risk::Level::Orange => counts.orange += 1,
            risk::Level::Yellow => counts.yellow += 1,
            risk::Level::Blue => counts.blue += 1,
        }
        counts.total += 1;
        unguarded += usize::from(!now.as_ref().is_some_and(|now| now.guarded.is_guarded()));
    }
    let mine: Vec<_> = registry.channels.iter().filter(|channel| caller.sees_channel(registry, channel)).collect();
    let readings: Vec<_> = mine.iter().map(|channel| live.channel(channel.id)).collect();
    overview.coverage = super::shapes::Coverage {
        channels: mine.len(),
        live: readings.iter().flatten().filter(|now| now.live && now.outcome.value().is_some()).count(),
        fault: readings.iter().flatten().filter(|now| now.live && now.outcome.value().is_none()).count(),
        silent: readings.iter().filter(|now| !now.is_some_and(|now| now.live)).count(),
        unbound: 0,
    };
    let gateways: Vec<_> = live.gateways().into_iter().filter(|gateway| caller.sees_gateway(registry, &gateway.id)).collect();
    overview.gateways =
        super::shapes::GatewayCounts { total: gateways.len(), online: gateways.iter().filter(|gateway| gateway.online).count() };
    overview.worst.retain(|alarm| alarm.point_id.is_some_and(|point| caller.sees_point(registry, PointId(point))));
    let open: Vec<_> = live.open_episodes().into_iter().filter(|episode| caller.sees_episode(registry, episode, None)).collect();
    overview.open_alarms = open.len();
    overview.unacknowledged = open.iter().filter(|episode| episode.acknowledged_at.is_none()).count();
    overview.not_seen.retain(|unseen| match (unseen.kind, unseen.id.as_i64(), unseen.id.as_str()) {
        ("point", Some(id), _) => caller.sees_point(registry, PointId(id)),
        ("channel", Some(id), _) => {
            let channel = u32::try_from(id).ok().and_then(|id| registry.channel(ChannelId(id)));
            channel.is_some_and(|channel| caller.sees_channel(registry, channel))
        }
        ("gateway", _, Some(id)) => caller.sees_gateway(registry, id),
        _ => false,
    });
    (overview.points, overview.unguarded) = (counts, unguarded);
    overview
}
