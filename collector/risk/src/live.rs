//! The live level of a risk point: its assessed level, or what its open alarms make of it when that is more.

use crate::{BoundChannel, Guarded, Level, guarded};
use alarm::{Episode, Kind, Priority};

/// How a point stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointGrade {
    /// The greater of assessed level and open alarms.
    pub level: Level,
    /// Whether anybody would notice if it got worse.
    pub guarded: Guarded,
    /// Open alarms.
    pub open_alarms: usize,
    /// Of these, the ones nobody has acknowledged.
    pub unacknowledged: usize,
}

/// Grades one point from its assessed level, the open alarms of its channels (and of their gateways), and
/// its bound channels.
pub fn grade<'a, 'b>(
    assessed: Level,
    alarms: impl IntoIterator<Item = &'a Episode>,
    channels: impl IntoIterator<Item = BoundChannel<'b>>,
) -> PointGrade {
    let mut point = PointGrade { level: assessed, guarded: guarded(channels), open_alarms: 0, unacknowledged: 0 };
    for episode in alarms.into_iter().filter(|episode| episode.is_open()) {
        point.open_alarms += 1;
        point.unacknowledged += usize::from(episode.acknowledged_at.is_none());
        point.level = point.level.max(level_of(episode).unwrap_or(assessed));
    }
    point
}

/// The greater of the assessed level and what the open alarms give.
pub fn live_level<'a>(assessed: Level, alarms: impl IntoIterator<Item = &'a Episode>) -> Level {
    alarms.into_iter().filter(|episode| episode.is_open()).filter_map(level_of).fold(assessed, Level::max)
}

/// The level an open alarm gives its point; `None` when it says nothing about now. Acknowledging or shelving
/// quietens an alarm, it does not make the place safer, so it does not lower the level.
pub fn level_of(episode: &Episode) -> Option<Level> {
    if episode.late {
        // Known from backfill only: it is recorded and told, but it is not today's bell.
        return None;
    }
    let by_priority = match episode.priority {
        Priority::Urgent => Level::Red,
        Priority::High => Level::Orange,
        Priority::Medium => Level::Yellow,
        Priority::Low => Level::Blue,
    };
    Some(match episode.kind {
        Kind::Limit | Kind::OverRange => by_priority,
        // Not seeing is not yet knowing that there is gas: never red by itself, and never less than yellow.
        Kind::Silence | Kind::Fault | Kind::NotProtecting | Kind::GatewayLost | Kind::Identity => {
            by_priority.clamp(Level::Yellow, Level::Orange)
        }
    })
}

#[cfg(test)]
mod tests;
