//! What time brings: silence, freshness, the gateways' lamps, the ledger, and whether anybody may rely on us.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;

use alarm::Stage;
use measurement::{MonotonicMs, Timestamp};
use telemetry::ClockQuality;

use super::{Job, Pipeline, Report, StorageLost};
use crate::api::shapes::Gateway;
use crate::ingest::Parcel;
use crate::ingest::desk::Counter;
use crate::live::Health;

/// Silence and lost gateways are looked for this often.
const LOOK_EVERY_MS: u64 = 250;
/// The rest is done this often.
const REST_EVERY_MS: u64 = 1000;
/// A gateway unheard for this long is offline.
const OFFLINE_AFTER_MS: u64 = 15_000;
/// Letters that were let go make the collector overloaded for this long.
const OVERLOAD_SHOWN_MS: u64 = 30_000;
/// Facts that wait while the database is away; more are only in the log.
const MOST_FACTS: usize = 10_000;

/// What the ticks remember.
#[derive(Debug, Default)]
pub struct State {
    pub(super) started: u64,
    looked: u64,
    rested: u64,
    let_go: u64,
    overloaded_at: Option<u64>,
    database_trouble: Option<String>,
    /// Raw rows are kept this long; zero for ever.
    pub(super) keep_raw_days: u32,
    pub(super) resumed: bool,
    heard_all: bool,
}

impl State {
    pub(super) fn new(started: u64, keep_raw_days: u32) -> State {
        State { started, keep_raw_days, ..State::default() }
    }

    /// True when retention may have forgotten a row of this time.
    pub(super) fn is_forgotten(&self, sampled_at: Timestamp, now: Timestamp) -> bool {
        self.keep_raw_days > 0 && now.since(sampled_at) > i64::from(self.keep_raw_days) * 86_400_000 - 3_600_000
    }
}

impl Pipeline {
    pub(super) fn tick_when_due(&mut self) -> Result<(), StorageLost> {
        let now = self.clock.mono();
        if now.0.saturating_sub(self.state.looked) >= LOOK_EVERY_MS {
            self.state.looked = now.0;
            self.look(now);
        }
        if now.0.saturating_sub(self.state.rested) >= REST_EVERY_MS {
            self.state.rested = now.0;
            self.rest(now);
        }
        Ok(())
    }

    /// Everything that time brings, at once; for tests and measurements that move the clock themselves.
    pub fn tick(&mut self) {
        let now = self.clock.mono();
        self.look(now);
        self.rest(now);
    }

    fn look(&mut self, now: MonotonicMs) {
        self.notice_registry();
        self.engine.tick(now, self.at(), &mut self.transitions);
        self.grade_changed();
        self.journal();
    }

    fn rest(&mut self, now: MonotonicMs) {
        self.live.set_gateways(self.gateways(now));
        self.grade_all(true);
        self.tell_ledger();
        let health = self.health(now);
        self.live.set_health(health);
        self.facts.truncate(MOST_FACTS);
        self.catch_up();
        if !self.changes.is_empty() || !self.facts.is_empty() || self.handed_to < self.judged_to {
            self.hand_over(Vec::new());
        }
    }

    /// After an overflow, once the clerk is through: everything since the last record is judged again.
    fn catch_up(&mut self) {
        if self.overflowed && self.clerk.is_idle() {
            self.clerk.hand(Job::Reload);
        }
    }

    /// What the clerk says.
    pub(super) fn report(&mut self, report: Report, parcels: &mut Vec<Parcel>) {
        match report {
            Report::Recorded { at, raised, judged_to } => self.recorded(at, raised, judged_to),
            Report::Adopted { gateway, hash, channels } => {
                self.notice_registry();
                parcels.extend(self.desk.adopted(&gateway, hash, channels, &mut self.intake));
            }
            Report::Trouble(trouble) => self.state.database_trouble = trouble,
            Report::Reloaded { episodes, judged_to } => {
                if let Err(error) = self.rejudge(episodes, judged_to) {
                    // Tried again with the next tick: until then the screen says NOT PROTECTING.
                    self.overflowed = true;
                    tracing::error!(error = super::chain(&error), "stored readings could not be judged again");
                }
            }
        }
    }

    fn recorded(&mut self, at: Timestamp, raised: Vec<String>, judged_to: Option<u64>) {
        if let Some(commit) = judged_to {
            // Nobody will judge these again.
            self.series.release(commit);
        }
        for id in &raised {
            if self.engine.stamp(id, Stage::Committed, at)
                && let Some(episode) = self.engine.episode(id)
            {
                if let (Some(t2), false) = (episode.stages.t2, episode.late) {
                    self.live.count(|figures| figures.t2_t4.record(at.since(t2)));
                }
                self.live.tell_alarm(episode);
            }
        }
        if !raised.is_empty() {
            self.clerk.hand(Job::Stamp(raised.into_iter().map(|id| (id, Stage::Committed, at)).collect()));
        }
    }

    /// On a clean stop: the ledger, and how far everything is judged.
    pub(super) fn last_words(&mut self) {
        self.tell_ledger();
        if !self.overflowed {
            self.hand_over(Vec::new());
        }
    }

    fn gateways(&self, now: MonotonicMs) -> Vec<Gateway> {
        let at_desk: BTreeMap<&str, &Counter> = self.desk.gateways().map(|(id, counter)| (id.as_str(), counter)).collect();
        let known = self.known.gateways.iter().map(|known| known.id.as_str());
        let mut ids: Vec<&str> = known.chain(at_desk.keys().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().map(|id| self.gateway(id, at_desk.get(id).copied(), now)).collect()
    }

    fn gateway(&self, id: &str, counter: Option<&Counter>, now: MonotonicMs) -> Gateway {
        let known = self.known.gateways.iter().find(|known| known.id == id);
        let heard = counter.and_then(|counter| counter.heard);
        let status = counter.and_then(|counter| counter.status.as_ref());
        let online =
            heard.is_some_and(|heard| now.since(heard.mono) < OFFLINE_AFTER_MS) && counter.is_some_and(|counter| !counter.said_goodbye);
        let clock = match status.map(|status| ClockQuality::try_from(status.clock)) {
            Some(Ok(ClockQuality::Synchronised)) => "synchronised",
            Some(Ok(ClockQuality::Holdover)) => "holdover",
            _ => "untrusted",
        };
        Gateway {
            id: id.to_owned(),
            name: known.map_or_else(|| id.to_owned(), |known| known.name.clone()),
            online,
            last_heard: heard.map(|heard| heard.wall.0),
            epoch: counter.and_then(Counter::current).map(|epoch| format!("{:016x}", epoch.epoch)),
            clock,
            unacknowledged: status.map_or(0, |status| status.unacknowledged),
            spool_bytes: status.map_or(0, |status| status.spool_bytes),
            spool_capacity: status.map_or(0, |status| status.spool_capacity),
            degraded: status.is_some_and(|status| status.degraded),
            channels: self.channels_on.get(id).copied().unwrap_or(0),
            enrolled_at: known.and_then(|known| known.enrolled_at).map(|at| at.0),
            simulated: known.is_some_and(|known| known.simulated),
        }
    }

    fn health(&mut self, now: MonotonicMs) -> Health {
        let let_go = self.counters.let_go.load(Ordering::Relaxed);
        if let_go > self.state.let_go {
            (self.state.let_go, self.state.overloaded_at) = (let_go, Some(now.0));
        }
        let overloaded = self.state.overloaded_at.is_some_and(|at| now.0.saturating_sub(at) < OVERLOAD_SHOWN_MS);
        let reason = if !self.state.resumed {
            Some(("正在重新研判已存数据".to_owned(), "judging stored readings again".to_owned()))
        } else if let Some((_, because)) = &self.storage_failed {
            Some((format!("时序库拒绝写入:{because}"), format!("the time series refuses to store: {because}")))
        } else if self.overflowed {
            Some(("数据库落后太多,报警仅在屏幕显示".to_owned(), "the database is too far behind; alarms are on the screen only".to_owned()))
        } else if let Some(because) = &self.state.database_trouble {
            let en = format!("the database does not answer; alarms are shown but neither recorded nor told: {because}");
            Some((format!("数据库无响应,报警可见但未记录、未上报:{because}"), en))
        } else if self.counters.carrier_away.load(Ordering::Relaxed) {
            Some(("外部消息代理未连接".to_owned(), "the external broker is not connected".to_owned()))
        } else if overloaded {
            Some(("来信过多,部分待网关重发".to_owned(), "overloaded; gateways must send some letters again".to_owned()))
        } else if !self.boot_grace_is_over(now) {
            Some(("启动中,等待网关报到(最多 15 秒)".to_owned(), "starting, waiting for gateways (at most 15 s)".to_owned()))
        } else {
            None
        };
        Health { not_protecting: reason }
    }

    /// Over when every gateway with channels was heard, and after fifteen seconds in any case.
    fn boot_grace_is_over(&mut self, now: MonotonicMs) -> bool {
        if !self.state.heard_all {
            let heard: HashSet<&str> =
                self.desk.gateways().filter(|(_, counter)| counter.heard.is_some()).map(|(id, _)| id.as_str()).collect();
            let all = self.channels_on.keys().all(|gateway| heard.contains(gateway.as_str()));
            self.state.heard_all = all || now.0.saturating_sub(self.state.started) >= OFFLINE_AFTER_MS;
        }
        self.state.heard_all
    }
}
