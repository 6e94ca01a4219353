//! A limit and the one piece of code that compares a value with it.
//!
//! The same monitor drives the node's sounder and the collector's alarms. Alarm is "at or beyond the
//! setpoint", return is "strictly inside the release" (coal safety code 2025 art. 536: alarm and cut "≥",
//! re-power "<"); both numbers are data.

use crate::{Timestamp, Value};

/// Which side of the setpoint is dangerous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Danger above, as for most gases.
    High,
    /// Danger below, as for oxygen.
    Low,
}

/// Where a value becomes dangerous, and where and how long it must be safe again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Which side is dangerous.
    pub direction: Direction,
    /// At or beyond this the limit is exceeded.
    pub setpoint: Value,
    /// Strictly inside this the value is normal again. For `High` it is at most the setpoint.
    pub release: Value,
    /// How long the value must stay beyond the setpoint before the limit counts as exceeded.
    pub on_delay_ms: u32,
    /// How long the value must stay inside the release before the limit counts as returned.
    pub off_delay_ms: u32,
}

/// What changed about a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// The value has been beyond the setpoint for the on-delay.
    Exceeded,
    /// The value has been inside the release for the off-delay.
    ReturnedToNormal,
}

impl Limit {
    /// True when this value, by itself and without delays, is at or beyond the setpoint.
    pub fn is_beyond(&self, value: Value) -> bool {
        match self.direction {
            Direction::High => value >= self.setpoint,
            Direction::Low => value <= self.setpoint,
        }
    }

    /// True when this value is strictly inside the release.
    pub fn is_released(&self, value: Value) -> bool {
        match self.direction {
            Direction::High => value < self.release,
            Direction::Low => value > self.release,
        }
    }

    /// True when a value that stays inside the release can exist beside one beyond the setpoint.
    pub fn is_consistent(&self) -> bool {
        match self.direction {
            Direction::High => self.release <= self.setpoint,
            Direction::Low => self.release >= self.setpoint,
        }
    }
}

/// Remembers where a channel stands against one limit. Performs no IO and reads no clock.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitMonitor {
    limit: Limit,
    exceeded: bool,
    /// Since when the value has argued for the other state.
    turning_since: Option<Timestamp>,
}

impl LimitMonitor {
    /// A monitor that starts in the normal state.
    pub const fn new(limit: Limit) -> LimitMonitor {
        LimitMonitor { limit, exceeded: false, turning_since: None }
    }

    /// A monitor that takes up where an earlier one stopped.
    pub const fn resumed(limit: Limit, exceeded: bool) -> LimitMonitor {
        LimitMonitor { limit, exceeded, turning_since: None }
    }

    /// The limit being watched.
    pub const fn limit(&self) -> &Limit {
        &self.limit
    }

    /// True while the limit is exceeded.
    pub const fn is_exceeded(&self) -> bool {
        self.exceeded
    }

    /// Takes the next value and says what changed, if anything did. A value between release and
    /// setpoint keeps the state. `at` never going backwards is the caller's duty; if it does, a delay
    /// only grows.
    pub fn observe(&mut self, value: Value, at: Timestamp) -> Option<Crossing> {
        let turns = if self.exceeded { self.limit.is_released(value) } else { self.limit.is_beyond(value) };
        if !turns {
            self.turning_since = None;
            return None;
        }
        let since = *self.turning_since.get_or_insert(at);
        let delay_ms = if self.exceeded { self.limit.off_delay_ms } else { self.limit.on_delay_ms };
        if at.since(since) < i64::from(delay_ms) {
            return None;
        }
        self.turning_since = None;
        self.exceeded = !self.exceeded;
        Some(if self.exceeded { Crossing::Exceeded } else { Crossing::ReturnedToNormal })
    }
}

#[cfg(test)]
mod tests;
