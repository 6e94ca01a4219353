//! What is believed of one channel. A frame's CRC passes one wrong frame in 65,536, so a reading that claims
//! something new is read a second time, and only what two readings in a row claim is believed. Pure.
//!
//! A claim is: a limit is crossed, in either direction; the range is left or returned to; the value has moved by
//! more than the channel's largest step; a fault that the device named is over. A value is believed when the
//! reading before it made every claim that it makes; what was seen only once moves nothing, ever.
//!
//! A value that makes a claim is told at once, as unconfirmed, when it speaks of more danger. The collector compares
//! unconfirmed values with its own limits too, and what lies below them ends an alarm there; so a value that speaks
//! of less danger is held back until a second reading has confirmed it.

use measurement::{Direction, Doubt, Fault, LimitMonitor, MonotonicMs, Outcome, Timestamp, Value};

use crate::site::Channel;

/// What has been made of an outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Judgement {
    /// It stands as it is; `crossed` when it moved a limit.
    Believed { crossed: bool },
    /// Seen once: to be told as unconfirmed, and read again.
    Unconfirmed,
    /// Seen once, and telling it could end an alarm: to be kept back, and read again.
    Held,
}

/// Which side of its range a value lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Side {
    Below,
    #[default]
    Inside,
    Above,
}

/// What one reading showed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sight {
    value: Value,
    side: Side,
}

/// A sight that makes claims and waits for a second reading.
#[derive(Debug, Clone, Copy, PartialEq)]
struct First {
    sight: Sight,
    at: MonotonicMs,
    is_held: bool,
}

/// Where a channel stands.
#[derive(Debug, Clone)]
pub struct Standing {
    monitors: Vec<LimitMonitor>,
    range: Option<(f32, f32)>,
    max_step: Option<f32>,
    /// Its frames carry a second check word of another polynomial: only a step is read again.
    is_checked_twice: bool,
    /// A first sight older than this proves nothing.
    patience_ms: u64,
    believed: Option<Value>,
    side: Side,
    /// The device itself said last that there is no value.
    has_failed: bool,
    first: Option<First>,
    is_near: bool,
}

/// Below its high limit's half by this much a channel is no longer near it.
const FAR: f32 = 0.9;

impl Standing {
    /// A channel that stands within its limits. A Davy node's blocks have a check word of their own, so that a wrong
    /// frame passes once in 2^31 instead of once in 2^16; its claims need no second reading, and a second one within
    /// its sampling interval would be the same sample anyway.
    pub fn new(channel: &Channel, period_ms: u64, is_checked_twice: bool) -> Standing {
        Standing {
            monitors: channel.limits.iter().map(|limit| LimitMonitor::new(*limit)).collect(),
            range: channel.range,
            max_step: channel.max_step,
            is_checked_twice,
            patience_ms: 2 * period_ms + 1_000,
            believed: None,
            side: Side::Inside,
            has_failed: false,
            first: None,
            is_near: false,
        }
    }

    /// Judges what a reading says.
    pub fn judge(&mut self, outcome: Outcome, sampled_at: Timestamp, now: MonotonicMs) -> Judgement {
        let Some(sight) = self.sight(outcome) else {
            // Silence says nothing of the device, so the reading after it may still confirm the one before.
            if outcome != Outcome::Bad(Fault::NoCommunication) {
                self.first = None;
                self.has_failed = true;
            }
            return Judgement::Believed { crossed: false };
        };
        self.is_near = self.is_near(sight.value);
        let first = self.first.take().filter(|first| now.since(first.at) <= self.patience_ms);
        if self.is_claimed_by(sight, first.map(|first| first.sight)) {
            return Judgement::Believed { crossed: self.believe(sight, sampled_at) };
        }
        let is_held = self.speaks_of_less_danger(sight);
        self.first = Some(First { sight, at: now, is_held });
        if is_held { Judgement::Held } else { Judgement::Unconfirmed }
    }

    /// The second reading did not come, or contradicted the first again. True when something was held back, which
    /// is then worth a fault: it may not go untold.
    pub fn was_held(&mut self) -> bool {
        let Some(first) = &mut self.first else { return false };
        std::mem::take(&mut first.is_held)
    }

    /// True when the value lies over half of a high limit, or any limit is crossed.
    pub fn is_near_a_limit(&self) -> bool {
        self.is_near
    }

    fn sight(&self, outcome: Outcome) -> Option<Sight> {
        let value = outcome.value()?;
        let is_said_to_be_over = matches!(outcome, Outcome::Uncertain(_, Doubt::OverRange | Doubt::OverRangeLatched));
        let side = match self.range {
            _ if is_said_to_be_over => Side::Above,
            Some((_, high)) if value.get() > high => Side::Above,
            // Around its zero a healthy sensor dips below the range by a little.
            Some((low, high)) if value.get() < low - (high - low) * ZERO_TOLERANCE => Side::Below,
            _ => Side::Inside,
        };
        Some(Sight { value, side })
    }

    /// True when every claim that `second` makes was made by `first` too; with no first: when it makes none.
    fn is_claimed_by(&self, second: Sight, first: Option<Sight>) -> bool {
        let also = |claims: &dyn Fn(Sight) -> bool| !claims(second) || first.is_some_and(claims);
        let step = self.step(second.value);
        if step.is_some() && first.is_none_or(|first| self.step(first.value) != step) {
            return false;
        }
        self.is_checked_twice
            || (also(&|sight| sight.side == second.side && sight.side != self.side)
                && self.monitors.iter().all(|monitor| also(&|sight| turns(monitor, sight.value)))
                && also(&|_| self.has_failed))
    }

    /// Which way the value has gone further than a step from what is believed.
    fn step(&self, value: Value) -> Option<Direction> {
        let moved = value.get() - self.believed?.get();
        (moved.abs() > self.max_step?).then_some(if moved > 0.0 { Direction::High } else { Direction::Low })
    }

    /// True when telling this value unconfirmed could end an alarm at the collector, whose limits may be others.
    fn speaks_of_less_danger(&self, sight: Sight) -> bool {
        let returns = |monitor: &LimitMonitor| monitor.is_exceeded() && monitor.limit().is_released(sight.value);
        let leaves_the_outside = self.side != Side::Inside && sight.side != self.side;
        if self.has_failed || leaves_the_outside || self.monitors.iter().any(returns) {
            return true;
        }
        if self.monitors.iter().any(|monitor| turns(monitor, sight.value)) {
            return false;
        }
        let goes = match (sight.side, self.believed) {
            (Side::Above, _) => Direction::High,
            (Side::Below, _) => Direction::Low,
            (Side::Inside, Some(believed)) if sight.value >= believed => Direction::High,
            (Side::Inside, _) => Direction::Low,
        };
        self.danger() != Some(goes)
    }

    /// The one side on which danger lies; nothing is known of it when there are limits on both.
    fn danger(&self) -> Option<Direction> {
        let has = |wanted: Direction| self.monitors.iter().any(|monitor| monitor.limit().direction == wanted);
        match (has(Direction::High), has(Direction::Low)) {
            (true, true) => None,
            (false, true) => Some(Direction::Low),
            (_, false) => Some(Direction::High),
        }
    }

    fn believe(&mut self, sight: Sight, at: Timestamp) -> bool {
        self.believed = Some(sight.value);
        self.side = sight.side;
        self.has_failed = false;
        let mut crossed = false;
        for monitor in &mut self.monitors {
            crossed |= monitor.observe(sight.value, at).is_some();
        }
        self.is_near |= self.monitors.iter().any(LimitMonitor::is_exceeded);
        crossed
    }

    fn is_near(&self, value: Value) -> bool {
        let share = if self.is_near { 0.5 * FAR } else { 0.5 };
        self.monitors.iter().any(|monitor| {
            let limit = monitor.limit();
            let over_half = limit.direction == Direction::High && limit.setpoint.get() > 0.0 && value.get() > limit.setpoint.get() * share;
            over_half || monitor.is_exceeded()
        })
    }
}

/// Zero's tolerance as a share of the range: NE 43's 3.8 mA lies 1.25 % below zero, makers allow 3 %.
const ZERO_TOLERANCE: f32 = 0.03;

/// True when a value argues for the other state of a limit.
fn turns(monitor: &LimitMonitor, value: Value) -> bool {
    if monitor.is_exceeded() { monitor.limit().is_released(value) } else { monitor.limit().is_beyond(value) }
}

#[cfg(test)]
mod tests;
