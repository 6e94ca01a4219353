//! The front page's numbers: what is guarded, what is not, and what nobody sees.

use std::cmp::Reverse;
use std::sync::PoisonError;

use measurement::MonotonicMs;
use risk::{Guarded, Level};
use serde_json::json;

use super::{Board, Live};
use crate::api::shapes::{Alarm, Coverage, GatewayCounts, Latency, NotSeen, Overview, PointCounts};

/// It is worked out anew no more often than this.
const FRESH_MS: u64 = 500;
/// Rows of "not seen" of each kind; the counts tell how many there are in all.
const MOST_NOT_SEEN: usize = 50;
/// Rows of the worst alarms.
const MOST_WORST: usize = 8;

impl Live {
    /// How everything stands.
    pub fn overview(&self) -> Overview {
        let now = self.inner.clock.mono();
        let mut kept = self.inner.overview.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, overview)) = &*kept
            && now.since(*at) < FRESH_MS
        {
            return Overview { now: self.inner.clock.wall().0, ..overview.clone() };
        }
        let overview = self.work_out(now);
        *kept = Some((now, overview.clone()));
        overview
    }

    fn work_out(&self, now: MonotonicMs) -> Overview {
        let board = self.board();
        let reason = board.health.not_protecting.clone();
        Overview {
            now: self.inner.clock.wall().0,
            protecting: reason.is_none(),
            protecting_reason_zh: reason.as_ref().map(|(zh, _)| zh.clone()),
            protecting_reason_en: reason.map(|(_, en)| en),
            simulated: self.inner.simulated || board.registry.channels.iter().any(|channel| channel.simulated),
            points: board.point_counts(),
            unguarded: board.registry.points.iter().filter(|point| !board.is_guarded(point.id)).count(),
            open_alarms: board.episodes.len(),
            unacknowledged: board.episodes.values().filter(|episode| episode.acknowledged_at.is_none()).count(),
            coverage: board.coverage(now),
            gateways: GatewayCounts { total: board.gateways.len(), online: board.gateways.iter().filter(|gateway| gateway.online).count() },
            latency: board.latency(),
            values_per_s: board.rate.round(),
            not_seen: board.not_seen(now),
            worst: board.worst(),
        }
    }
}

impl Board {
    fn is_guarded(&self, point: crate::registry::PointId) -> bool {
        self.points.get(&point).is_some_and(|state| state.guarded.is_guarded())
    }

    fn point_counts(&self) -> PointCounts {
        let mut counts = PointCounts { total: self.registry.points.len(), ..PointCounts::default() };
        for point in &self.registry.points {
            match self.points.get(&point.id).map_or(point.assessed, |state| state.level) {
                Level::Red => counts.red += 1,
                Level::Orange => counts.orange += 1,
                Level::Yellow => counts.yellow += 1,
                Level::Blue => counts.blue += 1,
            }
        }
        counts
    }

    fn coverage(&self, now: MonotonicMs) -> Coverage {
        let mut coverage = Coverage { channels: self.registry.channels.len(), ..Coverage::default() };
        for channel in &self.registry.channels {
            coverage.unbound += usize::from(channel.point.is_none() && !channel.own_health);
            let cell = self.cells.get(channel.id.0 as usize).filter(|cell| cell.is_live(now));
            match cell.and_then(|cell| cell.reading) {
                Some((outcome, ..)) if outcome.value().is_some() => coverage.live += 1,
                Some(_) => coverage.fault += 1,
                None => coverage.silent += 1,
            }
        }
        coverage
    }

    fn latency(&self) -> Latency {
        let ms = |value: Option<u64>| value.map(|ms| ms as f64);
        let (t4, t6) = (&self.figures.t2_t4, &self.figures.t2_t6);
        Latency {
            t2_t4_p50_ms: ms(t4.quantile(0.5)),
            t2_t4_p99_ms: ms(t4.quantile(0.99)),
            t2_t6_p50_ms: ms(t6.quantile(0.5)),
            t2_t6_p99_ms: ms(t6.quantile(0.99)),
            count: t4.count(),
        }
    }

    fn not_seen(&self, now: MonotonicMs) -> Vec<NotSeen> {
        let gateways = self.gateways.iter().filter(|gateway| !gateway.online).map(|gateway| NotSeen {
            kind: "gateway",
            id: json!(gateway.id),
            name: gateway.name.clone(),
            reason_zh: "网关离线".to_owned(),
            reason_en: "the gateway is offline".to_owned(),
            since: gateway.last_heard,
        });
        let points = self.registry.points.iter().filter_map(|point| {
            let (zh, en) = match self.points.get(&point.id).map(|state| &state.guarded) {
                Some(Guarded::Guarded) => return None,
                Some(Guarded::Unguarded(reason)) => (reason.zh.clone(), reason.en.clone()),
                None => ("尚未评估".to_owned(), "not graded yet".to_owned()),
            };
            Some(NotSeen { kind: "point", id: json!(point.id.0), name: point.name.clone(), reason_zh: zh, reason_en: en, since: None })
        });
        let channels =
            self.registry.channels.iter().filter(|channel| channel.point.is_none() && !channel.own_health).filter_map(|channel| {
                let cell = self.cells.get(channel.id.0 as usize);
                if cell.is_some_and(|cell| cell.is_live(now)) {
                    return None;
                }
                let since = cell.and_then(|cell| cell.reading).map(|(_, sampled_at, _)| sampled_at.0);
                Some(NotSeen {
                    kind: "channel",
                    id: json!(channel.id.0),
                    name: format!("{}/{}", channel.gateway, channel.tag),
                    reason_zh: "没有新鲜读数,且未绑定风险点".to_owned(),
                    reason_en: "no fresh reading, and bound to no point".to_owned(),
                    since,
                })
            });
        gateways.take(MOST_NOT_SEEN).chain(points.take(MOST_NOT_SEEN)).chain(channels.take(MOST_NOT_SEEN)).collect()
    }

    fn worst(&self) -> Vec<Alarm> {
        let mut episodes: Vec<_> = self.episodes.values().filter(|episode| !episode.suppressed).collect();
        // Active before returned, unacknowledged before acknowledged, then by urgency, then the newest.
        episodes.sort_by_key(|one| {
            (Reverse(one.active), Reverse(one.acknowledged_at.is_none()), Reverse(one.priority), Reverse(one.opened_at))
        });
        episodes.into_iter().take(MOST_WORST).map(|episode| Alarm::of(episode, &self.registry)).collect()
    }
}
