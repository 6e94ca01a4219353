//! Taking up where the last run stopped: open alarms from the database, then every stored reading after
//! `judged_to` is judged again, as a late one. Until that is done the screen says NOT PROTECTING.

use std::collections::HashMap;
use std::sync::Arc;

use alarm::{Engine, Episode, Kind as AlarmKind, Observation, Place};
use measurement::ChannelId;
use rand::RngExt;
use tokio::sync::{mpsc, watch};

use super::{Clerk, Pipeline, ledger, tick};
use crate::clock::Clock;
use crate::ingest::desk::{Desk, Intake};
use crate::ingest::{Counters, Outgoing};
use crate::live::Live;
use crate::registry::{Registry, Snapshot};
use crate::store::{Store, StoreError, day_of};

/// Ledger days that are compared with the database after a start.
const LEDGER_DAYS: i64 = 8;

/// What a pipeline is made of.
pub struct Parts {
    pub clock: Clock,
    pub series: Arc<timeseries::Store>,
    pub store: Store,
    pub live: Live,
    pub clerk: Clerk,
    pub outgoing: mpsc::Sender<Outgoing>,
    pub counters: Arc<Counters>,
    /// Raw rows are kept this long; zero for ever.
    pub keep_raw_days: u32,
}

/// Why a pipeline cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot read what an earlier run left in the database")]
    Database(#[from] StoreError),
    #[error("cannot read what an earlier run left beside the samples")]
    Series(#[from] timeseries::Error),
}

impl Pipeline {
    /// Reads what an earlier run left. Judging again happens in [`Pipeline::resume`].
    pub async fn prepare(parts: Parts) -> Result<(Pipeline, Vec<Episode>), StartError> {
        let Parts { clock, series, store, live, clerk, outgoing, counters, keep_raw_days } = parts;
        let registry: watch::Receiver<Snapshot> = store.watch_registry();
        let episodes = store.open_episodes().await?;
        let judged_to = store.judged_to().await?;
        let now = clock.now();
        let mut rows = Vec::new();
        for back in 0..LEDGER_DAYS {
            rows.extend(store.ledger_day(&day_of(now.wall.plus_ms(-back * 86_400_000))).await?);
        }
        let mut desk = Desk::load(&series)?;
        desk.forget_accounts_before(&day_of(now.wall.plus_ms(-(LEDGER_DAYS - 1) * 86_400_000)));
        // Names this run in alarms about what was never heard since its start.
        let run: u64 = rand::rng().random();
        let pipeline = Pipeline {
            engine: Engine::new(alarm::Config::default(), run, now.mono),
            clock,
            series,
            live,
            registry,
            outgoing,
            clerk,
            counters,
            desk,
            known: Snapshot::default(),
            periods: Vec::new(),
            channels_on: HashMap::new(),
            levels: HashMap::new(),
            ledger: ledger::Told::from_rows(rows),
            intake: Intake::default(),
            transitions: Vec::new(),
            facts: Vec::new(),
            changes: Vec::new(),
            judged_to,
            handed_to: judged_to,
            overflowed: false,
            storage_failed: None,
            state: tick::State::new(now.mono.0, keep_raw_days),
        };
        Ok((pipeline, episodes))
    }

    /// Takes up the open alarms and judges stored readings again.
    pub fn resume(&mut self, episodes: Vec<Episode>) -> Result<(), timeseries::Error> {
        let now = self.clock.now();
        self.registry.mark_changed();
        self.notice_registry();
        for episode in episodes.iter().filter(|episode| episode.kind == AlarmKind::Identity) {
            self.desk.still_disputed(&episode.gateway, episode.opening.epoch);
        }
        self.engine.resume(episodes, now.mono, now.wall, &mut self.transitions);
        self.replay()?;
        self.put_ledger_right();
        self.live.set_episodes(self.engine.open_episodes().cloned().collect());
        self.grade_all(false);
        self.state.resumed = true;
        self.journal();
        Ok(())
    }

    /// Judges everything stored after `judged_to`. It is not known how old it is by now, so it is late.
    fn replay(&mut self) -> Result<(), timeseries::Error> {
        let now = self.clock.now();
        let epochs = self.desk.epochs_by_stream();
        let (engine, transitions) = (&mut self.engine, &mut self.transitions);
        let mut judged_to = self.judged_to;
        let mut again = 0_usize;
        self.series.replay(self.judged_to, |commit, rows| {
            for row in rows {
                let Some(epoch) = epochs.get(&row.stream) else { continue };
                let seen = Observation {
                    channel: ChannelId(row.series),
                    place: Place { epoch: *epoch, sequence: row.position },
                    sampled_at: row.sampled_at,
                    received_at: now.wall,
                    now: now.mono,
                    age_ms: 0,
                    outcome: row.outcome,
                    live: false,
                    t2: None,
                    t3: None,
                };
                engine.observe(&seen, transitions);
            }
            again += rows.len();
            judged_to = judged_to.max(commit);
        })?;
        if again > 0 {
            tracing::info!(readings = again, "{again} stored readings were judged again after the start");
        }
        self.judged_to = judged_to;
        Ok(())
    }

    /// After more waited for the database than there was room for: a judge that starts from what is on record,
    /// exactly as after a start of the process.
    pub(super) fn rejudge(&mut self, episodes: Vec<Episode>, judged_to: u64) -> Result<(), timeseries::Error> {
        self.transitions.clear();
        self.changes.clear();
        self.engine = Engine::new(alarm::Config::default(), rand::rng().random(), self.clock.mono());
        (self.judged_to, self.handed_to, self.overflowed) = (judged_to, judged_to, false);
        self.resume(episodes)
    }

    /// Takes a registry that changed.
    pub(super) fn notice_registry(&mut self) {
        if !self.registry.has_changed().unwrap_or(false) {
            return;
        }
        let registry: Snapshot = self.registry.borrow_and_update().clone();
        let now = self.clock.now();
        let unusable = self.engine.set_channels(&channels_of(&registry), now.mono, now.wall, &mut self.transitions);
        for rule in unusable {
            let (channel, name, why) = (rule.channel.0, rule.rule, rule.why);
            tracing::error!(channel, rule = name, why, "a rule can never run: {why}");
        }
        self.periods.clear();
        self.channels_on.clear();
        for channel in &registry.channels {
            let at = channel.id.0 as usize;
            if self.periods.len() <= at {
                self.periods.resize(at + 1, 0);
            }
            self.periods[at] = channel.period_ms;
            *self.channels_on.entry(channel.gateway.clone()).or_default() += 1;
        }
        self.levels.retain(|id, _| registry.point(*id).is_some());
        self.live.set_registry(registry.clone());
        self.known = registry;
    }
}

/// The registry as the judge needs it.
fn channels_of(registry: &Registry) -> Vec<alarm::Channel> {
    let channel = |channel: &crate::registry::Channel| alarm::Channel {
        id: channel.id,
        gateway: channel.gateway.clone(),
        label: channel.point.and_then(|point| registry.point(point)).map_or_else(|| channel.tag.clone(), |point| point.name.clone()),
        unit: channel.unit,
        period_ms: channel.period_ms,
        simulated: channel.simulated,
        rules: channel.rules.clone(),
    };
    registry.channels.iter().map(channel).collect()
}
