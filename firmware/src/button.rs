//! The one button at the node: a press silences, a long one resets what only a person resets.
//!
//! A contact bounces and a long wire catches sparks, so a level counts when it has stood for a while. Each press counts once: a
//! button that is stuck must neither silence nor reset what comes later, and one that is pressed while the node starts has not
//! been pressed by anybody who knows of it.

use measurement::MonotonicMs;

/// A level that stands for so long is one.
const SETTLED_MS: u64 = 50;
/// A press that lasts so long resets.
const LONG_MS: u64 = 3_000;

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Silence the sounder.
    Silence,
    /// Reset all latches.
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Released,
    /// Since then, and whether it has not been a long press yet.
    Pressed {
        since: MonotonicMs,
        may_reset: bool,
    },
}

/// Remembers how the button stands.
#[derive(Debug, Clone)]
pub struct Button {
    state: State,
    /// Since when the contact says otherwise.
    turning_since: Option<MonotonicMs>,
}

impl Button {
    /// A button that counts as pressed, and to no purpose, until it is found released.
    pub const fn new() -> Button {
        Button { state: State::Pressed { since: MonotonicMs(0), may_reset: false }, turning_since: None }
    }

    /// Takes what the contact says and gives what is wanted, once a press; a long press silences first and resets then.
    pub fn observe(&mut self, closed: bool, now: MonotonicMs) -> Option<Wish> {
        let is_pressed = matches!(self.state, State::Pressed { .. });
        if closed == is_pressed {
            self.turning_since = None;
        } else if now.since(*self.turning_since.get_or_insert(now)) >= SETTLED_MS {
            let since = self.turning_since.take().unwrap_or(now);
            self.state = if closed { State::Pressed { since, may_reset: true } } else { State::Released };
            return closed.then_some(Wish::Silence);
        }
        match &mut self.state {
            State::Pressed { since, may_reset } if closed && *may_reset && now.since(*since) >= LONG_MS => {
                *may_reset = false;
                Some(Wish::Reset)
            }
            _ => None,
        }
    }
}

impl Default for Button {
    fn default() -> Button {
        Button::new()
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Tells the button each ms what its contact says, and gives what was wanted and when. It starts released.
    fn check(closed: impl Fn(u64) -> bool, wishes: &[(u64, Wish)]) {
        let mut button = Button::new();
        let observe = |at| button.observe(at >= 100 && closed(at), MonotonicMs(at)).map(|wish| (at, wish));
        assert_eq!((0..10_000).filter_map(observe).collect::<Vec<_>>(), wishes);
    }

    #[test]
    fn a_press_silences_once_when_it_has_settled() {
        check(|at| (1000..1200).contains(&at), &[(1050, Wish::Silence)]);
        check(|at| (1000..1200).contains(&at) || (1300..1400).contains(&at), &[(1050, Wish::Silence), (1350, Wish::Silence)]);
    }

    #[test]
    fn a_spark_and_a_bouncing_contact_are_no_press() {
        check(|at| at == 1000, &[]);
        check(|at| (1000..2000).contains(&at) && at % 40 != 0, &[]);
        check(|at| (1000..2000).contains(&at) && (at > 1010 || at % 2 == 0), &[(1060, Wish::Silence)]);
    }

    #[test]
    fn a_press_of_three_seconds_resets_and_no_later_one_of_the_same_press() {
        check(|at| (1000..9000).contains(&at), &[(1050, Wish::Silence), (4000, Wish::Reset)]);
        check(|at| (1000..3990).contains(&at), &[(1050, Wish::Silence)]);
    }

    #[test]
    fn a_button_that_is_stuck_from_the_start_wants_nothing() {
        let mut button = Button::new();
        assert!((0..10_000).all(|at| button.observe(true, MonotonicMs(at)).is_none()));
        assert!((10_000..10_100).all(|at| button.observe(false, MonotonicMs(at)).is_none()));
        assert_eq!((10_100..10_200).find_map(|at| button.observe(true, MonotonicMs(at))), Some(Wish::Silence));
    }
}
