//! A node whose settings are lost: it alarms early and calls no value good.

use measurement::{Direction, Fault, Limit, MonotonicMs, Outcome, Value};
use register_map::EventKind;

use super::Node;
use crate::event_log::{Happening, LogMemory};

impl<const CHANNELS: usize, M: LogMemory> Node<CHANNELS, M> {
    pub(super) fn lose_settings(&mut self, now: MonotonicMs) {
        self.health.troubles.settings_lost = true;
        self.log.note(Happening::node(EventKind::SettingsLost, 0), now);
        // The level is how far a value lies outside what is normal, see `beyond_normal`.
        let outside =
            Some(Limit { direction: Direction::High, setpoint: Value::ZERO, release: Value::ZERO, on_delay_ms: 0, off_delay_ms: 0 });
        for channel in &mut self.channels {
            channel.annunciator.reconfigure(outside, outside, true);
        }
    }
}

/// How far a value lies outside what is normal, for a node that has lost its limits.
pub(super) fn beyond_normal(measured: Outcome, (from, to): (f32, f32)) -> Outcome {
    let distance = |value: Value| {
        let number = (from - value.get()).max(value.get() - to);
        Value::new(number.clamp(f32::MIN, f32::MAX)).unwrap_or(Value::ZERO)
    };
    match measured {
        Outcome::Good(value) => Outcome::Good(distance(value)),
        Outcome::Uncertain(value, doubt) => Outcome::Uncertain(distance(value), doubt),
        Outcome::Bad(fault) => Outcome::Bad(fault),
    }
}

/// What a node without settings shows: the sensor's own fault where it has one.
pub(super) fn without_settings(measured: Outcome) -> Outcome {
    match measured {
        Outcome::Good(_) | Outcome::Uncertain(..) => Outcome::Bad(Fault::Configuration),
        Outcome::Bad(fault) => Outcome::Bad(fault),
    }
}
