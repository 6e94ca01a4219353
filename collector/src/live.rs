//! What is known now, in memory: the newest live reading of each channel, how each point stands, which alarms are
//! open, and the stream of events that pages follow.
//!
//! Only a live reading refreshes anything here; an old value never wears a new timestamp. A channel stops being
//! live by itself as soon as it is overdue. The ring keeps the last 4096 events and at most 16 MB of them; frames
//! of readings are state and are not kept in it: a page that resumes gets one frame with every channel instead.

mod frames;
mod overview;
mod ring;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use alarm::{Episode, Observation};
use measurement::{ChannelId, MonotonicMs, Outcome, Timestamp};
use serde::Serialize;

pub use crate::api::present::{LiveChannel, LiveEvent, PointState, Subscription};
use crate::api::shapes::{self, Gateway, Overview, PointChange};
use crate::clock::Clock;
use crate::figures::Figures;
use crate::registry::{PointId, Snapshot};
use ring::Ring;

/// What is known now. Cheap to clone.
#[derive(Clone)]
pub struct Live {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    simulated: bool,
    board: RwLock<Board>,
    ring: Mutex<Ring>,
    overview: Mutex<Option<(MonotonicMs, Overview)>>,
}

/// Everything the pages show.
#[derive(Default)]
struct Board {
    registry: Snapshot,
    /// By channel number.
    cells: Vec<Cell>,
    changed: Vec<u32>,
    points: HashMap<PointId, PointState>,
    episodes: HashMap<String, Episode>,
    gateways: Vec<Gateway>,
    health: Health,
    figures: Figures,
    /// Values stored since the start.
    stored: u64,
    /// Values a second over the last seconds.
    rate: f64,
}

/// The newest live reading of one channel.
#[derive(Debug, Clone, Copy)]
struct Cell {
    reading: Option<(Outcome, Timestamp, Timestamp)>,
    /// When it was sampled, on our monotonic clock.
    sampled: MonotonicMs,
    /// From the registry; zero when unknown.
    period_ms: u32,
    changed: bool,
    /// What the pages were told last.
    told_live: bool,
}

const EMPTY: Cell = Cell { reading: None, sampled: MonotonicMs(0), period_ms: 0, changed: false, told_live: false };

impl Cell {
    fn is_live(&self, now: MonotonicMs) -> bool {
        self.reading.is_some() && now.since(self.sampled) <= 2 * u64::from(self.period_ms) + 1000
    }
}

/// Whether anybody may rely on this collector, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Chinese and English; `None` when all is well.
    pub not_protecting: Option<(String, String)>,
}

impl Live {
    /// Nothing known yet, and not protecting.
    pub fn new(clock: Clock, simulated: bool) -> Live {
        let first = u64::try_from(clock.wall().0).unwrap_or(0);
        let starting = ("正在启动,尚未起保护作用".to_owned(), "starting, not protecting yet".to_owned());
        let board = Board { health: Health { not_protecting: Some(starting) }, ..Board::default() };
        // Event numbers of a later run are greater, so that no page resumes into another run's numbers.
        let ring = Mutex::new(Ring::new(first.saturating_mul(1000)));
        Live { inner: Arc::new(Inner { clock, simulated, board: RwLock::new(board), ring, overview: Mutex::new(None) }) }
    }

    fn board(&self) -> RwLockReadGuard<'_, Board> {
        self.inner.board.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Board> {
        self.inner.board.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a new registry.
    pub fn set_registry(&self, registry: Snapshot) {
        let mut board = self.change();
        board.cells.iter_mut().for_each(|cell| cell.period_ms = 0);
        for channel in &registry.channels {
            let at = channel.id.0 as usize;
            if board.cells.len() <= at {
                board.cells.resize(at + 1, EMPTY);
            }
            board.cells[at].period_ms = channel.period_ms;
        }
        board.points.retain(|id, _| registry.point(*id).is_some());
        board.registry = registry;
    }

    /// Notes readings; those that are not live change nothing.
    pub fn note(&self, seen: &[Observation], stored: u64) {
        let mut board = self.change();
        let board = &mut *board;
        board.stored += stored;
        for one in seen.iter().filter(|one| one.live) {
            let Some(cell) = board.cells.get_mut(one.channel.0 as usize) else { continue };
            let sampled = MonotonicMs(one.now.0.saturating_sub(u64::from(one.age_ms)));
            if cell.reading.is_some() && sampled < cell.sampled {
                continue;
            }
            cell.reading = Some((one.outcome, one.sampled_at, one.received_at));
            cell.sampled = sampled;
            if !cell.changed {
                cell.changed = true;
                board.changed.push(one.channel.0);
            }
        }
    }

    /// Tells the pages about an alarm, and keeps it while it is open.
    pub fn tell_alarm(&self, episode: &Episode) {
        let alarm = {
            let mut board = self.change();
            if episode.is_open() {
                board.episodes.insert(episode.id.clone(), episode.clone());
            } else {
                board.episodes.remove(&episode.id);
            }
            shapes::Alarm::of(episode, &board.registry)
        };
        self.tell("alarm", &alarm);
    }

    /// Replaces the open alarms, after a start.
    pub fn set_episodes(&self, episodes: Vec<Episode>) {
        self.change().episodes = episodes.into_iter().map(|episode| (episode.id.clone(), episode)).collect();
    }

    /// Notes how a point stands and tells the pages when that is new. Gives what it was before.
    pub fn set_point(&self, id: PointId, state: PointState) -> Option<PointState> {
        let before = {
            let mut board = self.change();
            let before = board.points.get(&id);
            if before == Some(&state) {
                return before.cloned();
            }
            board.points.insert(id, state.clone())
        };
        let (unguarded_zh, unguarded_en) = match &state.guarded {
            risk::Guarded::Guarded => (None, None),
            risk::Guarded::Unguarded(reason) => (Some(reason.zh.clone()), Some(reason.en.clone())),
        };
        let guarded = state.guarded.is_guarded();
        self.tell(
            "point",
            &PointChange { id: id.0, level: state.level.name(), guarded, unguarded_zh, unguarded_en, open_alarms: state.open_alarms },
        );
        before
    }

    /// Replaces the gateways' states and tells the pages which changed.
    pub fn set_gateways(&self, gateways: Vec<Gateway>) {
        let changed: Vec<Gateway> = {
            let mut board = self.change();
            let before = std::mem::take(&mut board.gateways);
            let is_news = |now: &&Gateway| !before.iter().any(|then| same_to_people(then, now));
            let changed = gateways.iter().filter(is_news).cloned().collect();
            board.gateways = gateways;
            changed
        };
        changed.iter().for_each(|gateway| self.tell("gateway", gateway));
    }

    /// Says whether anybody may rely on this collector.
    pub fn set_health(&self, health: Health) {
        self.change().health = health;
    }

    /// Counts a stage; see [`Figures`].
    pub fn count(&self, count: impl FnOnce(&mut Figures)) {
        count(&mut self.change().figures);
    }

    /// The stages' durations so far.
    pub fn figures(&self) -> Figures {
        self.board().figures.clone()
    }

    /// Values stored since the start.
    pub fn stored(&self) -> u64 {
        self.board().stored
    }

    /// Every open alarm.
    pub fn open_episodes(&self) -> Vec<Episode> {
        self.board().episodes.values().cloned().collect()
    }

    /// The newest live reading of a channel.
    pub fn channel(&self, id: ChannelId) -> Option<LiveChannel> {
        let now = self.inner.clock.mono();
        let board = self.board();
        let cell = board.cells.get(id.0 as usize)?;
        let (outcome, sampled_at, received_at) = cell.reading?;
        Some(LiveChannel { outcome, sampled_at, received_at, live: cell.is_live(now) })
    }

    /// Gives the newest outcome and freshness of many channels under one lock.
    pub fn with_channels<T>(&self, ask: impl FnOnce(&dyn Fn(ChannelId) -> (Option<Outcome>, bool)) -> T) -> T {
        let now = self.inner.clock.mono();
        let board = self.board();
        ask(&|id| match board.cells.get(id.0 as usize) {
            Some(cell) => (cell.reading.map(|(outcome, ..)| outcome), cell.is_live(now)),
            None => (None, false),
        })
    }

    fn tell(&self, name: &'static str, what: &impl Serialize) {
        // Shapes of ours always serialise; were one not to, the event would be missing and the next list right.
        let Ok(data) = serde_json::to_string(what) else { return };
        self.inner.ring.lock().unwrap_or_else(PoisonError::into_inner).push(name, data);
    }
}

/// Counters that move with every heartbeat are not news by themselves.
fn same_to_people(one: &Gateway, other: &Gateway) -> bool {
    let far = |a: u64, b: u64| a.abs_diff(b) > 1000.max(a / 10);
    one.id == other.id
        && (one.online, one.clock, one.degraded, one.channels, &one.epoch)
            == (other.online, other.clock, other.degraded, other.channels, &other.epoch)
        && !far(one.unacknowledged, other.unacknowledged)
}

impl crate::api::present::Present for Live {
    fn channel(&self, id: ChannelId) -> Option<LiveChannel> {
        Live::channel(self, id)
    }

    fn point(&self, id: PointId) -> Option<PointState> {
        self.board().points.get(&id).cloned()
    }

    fn overview(&self) -> Overview {
        Live::overview(self)
    }

    fn open_episodes(&self) -> Vec<Episode> {
        Live::open_episodes(self)
    }

    fn gateways(&self) -> Vec<Gateway> {
        self.board().gateways.clone()
    }

    fn subscribe(&self, after: Option<u64>) -> Subscription {
        let mut subscription = self.inner.ring.lock().unwrap_or_else(PoisonError::into_inner).subscribe(after);
        if subscription.resumed
            && let Some(all) = self.every_reading()
        {
            let id = subscription.missed.last().map_or(after.unwrap_or(0), |event| event.id);
            subscription.missed.push(Arc::new(LiveEvent { id, name: "readings", data: all }));
        }
        subscription
    }
}

#[cfg(test)]
mod tests;
