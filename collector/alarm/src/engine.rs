//! The judge: observations, time and orders in, transitions out.
//!
//! Channels lie densely in one vector; a live good reading of a channel with nothing open touches its row
//! and its limit monitors and allocates nothing. Everything else takes the slow path.

mod live;
mod orders;
mod past;
mod registry;
mod row;
mod watch;

use crate::episode::{Cause, Episode, Place, Stage, Transition};
use crate::life::Moment;
use crate::rule::{Priority, Rule};
use measurement::{ChannelId, MonotonicMs, Outcome, Timestamp, Unit};
use row::Row;
use std::collections::HashMap;

pub use orders::{RefusedOrder, Shelving};
pub use registry::UnusableRule;

/// What the engine needs to know of a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Its number; dense numbers make the engine fast.
    pub id: ChannelId,
    /// The gateway it hangs on.
    pub gateway: String,
    /// What a list of unseen things calls it: its risk point's name, or its tag when bound to none.
    pub label: String,
    /// The unit of its values.
    pub unit: Unit,
    /// How often it is read.
    pub period_ms: u32,
    /// True when its source is simulated.
    pub simulated: bool,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// One reading as the collector received it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// The channel.
    pub channel: ChannelId,
    /// The reading's place in its gateway's stream.
    pub place: Place,
    /// When it was sampled, as it says itself. Shown to people; decides nothing for a live reading.
    pub sampled_at: Timestamp,
    /// When the collector received it, by the wall clock. Shown to people; decides nothing.
    pub received_at: Timestamp,
    /// When the collector received it, by its monotonic clock.
    pub now: MonotonicMs,
    /// Its age then: what the gateway's monotonic clock said, and the transit bound. Zero when unknown.
    pub age_ms: u32,
    /// What was seen.
    pub outcome: Outcome,
    /// True when its age is known and within two periods and one second.
    pub live: bool,
    /// When the gateway parsed the frame (t2).
    pub t2: Option<Timestamp>,
    /// When the gateway's edge state knew (t3).
    pub t3: Option<Timestamp>,
}

/// Times and priorities that belong to no channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// A gateway unheard for this long is lost.
    pub gateway_lost_after_ms: u64,
    /// After the start nothing is called silent for this long, unless its own time is longer.
    pub boot_grace_ms: u64,
    /// The longest time on the shelf: one shift.
    pub longest_shelf_ms: u64,
    /// The longest time out of service.
    pub longest_out_of_service_ms: u64,
    /// When backfill of a channel has paused this long, live readings may end what backfill raised.
    pub backfill_pause_ms: u64,
    /// Of a lost gateway.
    pub gateway_lost: Priority,
    /// Of two gateways with one identity.
    pub identity: Priority,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            gateway_lost_after_ms: 15_000,
            boot_grace_ms: 15_000,
            longest_shelf_ms: 8 * 3_600_000,
            longest_out_of_service_ms: 72 * 3_600_000,
            backfill_pause_ms: 30_000,
            gateway_lost: Priority::High,
            identity: Priority::High,
        }
    }
}

/// Judges every channel. Holds no more than one open episode for each (channel, rule).
#[derive(Debug)]
pub struct Engine {
    config: Config,
    /// Names this run in the identity of alarms about things never heard since its start.
    run: u64,
    started: MonotonicMs,
    rows: Vec<Row>,
    /// Row number + 1 by channel number, 0 for none.
    dense: Vec<u32>,
    /// The same for channel numbers too large to be dense.
    sparse: HashMap<u32, u32>,
    gateways: Vec<watch::Gateway>,
    gateway_rows: HashMap<String, usize>,
    /// Where each open episode is held.
    open: HashMap<String, About>,
    /// When what is put aside comes back.
    shelves: HashMap<String, MonotonicMs>,
    /// What the rules that left the registry have judged, in case they come back.
    gone: registry::Gone,
}

/// What an open episode is about.
#[derive(Debug, Clone, Copy)]
enum About {
    Channel(ChannelId),
    Gateway(usize),
}

impl Engine {
    /// An engine that knows no channel yet. `run` must differ from start to start (a lease term, a boot
    /// number). Next: [`Engine::set_channels`], then [`Engine::resume`].
    pub fn new(config: Config, run: u64, now: MonotonicMs) -> Engine {
        Engine {
            config,
            run,
            started: now,
            rows: Vec::new(),
            dense: Vec::new(),
            sparse: HashMap::new(),
            gateways: Vec::new(),
            gateway_rows: HashMap::new(),
            open: HashMap::new(),
            shelves: HashMap::new(),
            gone: registry::Gone::new(),
        }
    }

    /// Judges one reading. Appends what changed; usually nothing. A reading of an unknown channel is not
    /// judged: the caller adopts catalogues before it sends readings.
    pub fn observe(&mut self, seen: &Observation, out: &mut Vec<Transition>) {
        let Some(row) = self.row_number(seen.channel) else { return };
        let row = &mut self.rows[row];
        if seen.live && row.is_news(seen.place) {
            if row.observe_quietly(seen) {
                return;
            }
            let cause = if seen.outcome.value().is_some() { Cause::Live } else { Cause::LiveFault };
            let already = out.len();
            row.judge_live(seen, self.config.backfill_pause_ms, &mut Moment { at: seen.received_at, cause, out });
            self.remember(&out[already..]);
        } else {
            let already = out.len();
            row.judge_late(seen, &mut Moment { at: seen.received_at, cause: Cause::Late, out });
            self.remember(&out[already..]);
        }
    }

    /// Every open episode, in no particular order.
    pub fn open_episodes(&self) -> impl Iterator<Item = &Episode> {
        let of_channels = self.rows.iter().filter(|row| row.busy).flat_map(Row::open);
        of_channels.chain(self.gateways.iter().flat_map(watch::Gateway::open))
    }

    /// The open episodes of one channel.
    pub fn open_on(&self, channel: ChannelId) -> impl Iterator<Item = &Episode> {
        self.row_number(channel).into_iter().flat_map(|row| self.rows[row].open())
    }

    /// The open episode with this id.
    pub fn episode(&self, id: &str) -> Option<&Episode> {
        match *self.open.get(id)? {
            About::Channel(channel) => self.rows[self.row_number(channel)?].open().find(|episode| episode.id == id),
            About::Gateway(gateway) => self.gateways[gateway].open().find(|episode| episode.id == id),
        }
    }

    /// Notes when an open episode passed a stage that the engine does not see itself. The first time
    /// counts. False when there is no such open episode.
    pub fn stamp(&mut self, id: &str, stage: Stage, at: Timestamp) -> bool {
        let Some(episode) = self.episode_mut(id) else { return false };
        let slot = match stage {
            Stage::Committed => &mut episode.stages.t4,
            Stage::Painted => &mut episode.stages.t5,
            Stage::Accepted => &mut episode.stages.t6,
        };
        slot.get_or_insert(at);
        true
    }

    fn episode_mut(&mut self, id: &str) -> Option<&mut Episode> {
        match *self.open.get(id)? {
            About::Channel(channel) => {
                let row = self.row_number(channel)?;
                self.rows[row].open_mut().find(|episode| episode.id == id)
            }
            About::Gateway(gateway) => self.gateways[gateway].open_mut().find(|episode| episode.id == id),
        }
    }

    fn row_number(&self, channel: ChannelId) -> Option<usize> {
        let row = match self.dense.get(channel.0 as usize) {
            Some(row) => *row,
            None => *self.sparse.get(&channel.0)?,
        };
        (row as usize).checked_sub(1)
    }

    /// Keeps the way from an episode's id to its holder.
    fn remember(&mut self, transitions: &[Transition]) {
        for Transition { episode, .. } in transitions {
            if episode.aside.is_none() {
                self.shelves.remove(&episode.id);
            }
            if !episode.is_open() {
                self.open.remove(&episode.id);
                continue;
            }
            let about = match episode.channel {
                Some(channel) => About::Channel(channel),
                None => match self.gateway_rows.get(&episode.gateway) {
                    Some(gateway) => About::Gateway(*gateway),
                    None => continue,
                },
            };
            self.open.insert(episode.id.clone(), about);
        }
    }
}

#[cfg(test)]
mod tests;
