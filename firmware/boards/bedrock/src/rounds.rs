//! What a board says of itself in the health block: its watchdog, its rounds, its stack, its clock.

use register_map::BoardFacts;

/// Told once in so long.
const TOLD_EVERY_US: u64 = 1_000_000;

/// Remembers the longest time between two feedings of the watchdog.
#[derive(Debug, Clone)]
pub struct Rounds {
    watchdog_ms: u16,
    clock_source: u16,
    fed_us: Option<u64>,
    longest_us: u64,
    told_us: Option<u64>,
}

impl Rounds {
    /// Not fed yet. `clock_source` is the health block's code.
    pub const fn new(watchdog_ms: u16, clock_source: u16) -> Rounds {
        Rounds { watchdog_ms, clock_source, fed_us: None, longest_us: 0, told_us: None }
    }

    /// The watchdog was fed. Gives, once a second, what is to be told.
    pub fn fed(&mut self, now_us: u64) -> Option<BoardFacts> {
        if let Some(before) = self.fed_us.replace(now_us) {
            self.longest_us = self.longest_us.max(now_us.saturating_sub(before));
        }
        if self.told_us.is_some_and(|at| now_us.saturating_sub(at) < TOLD_EVERY_US) {
            return None;
        }
        self.told_us = Some(now_us);
        let (stack_free, stack_size) = stack();
        Some(BoardFacts {
            watchdog_ms: Some(self.watchdog_ms),
            longest_round_ms: Some(u16::try_from(self.longest_us.div_ceil(1000)).unwrap_or(u16::MAX - 1)),
            stack_free,
            stack_size,
            clock_source: Some(self.clock_source),
        })
    }
}

#[cfg(target_os = "none")]
fn stack() -> (Option<u16>, Option<u16>) {
    (Some(crate::stack::free()), Some(crate::stack::size()))
}

/// A host's stack is the operating system's.
#[cfg(not(target_os = "none"))]
fn stack() -> (Option<u16>, Option<u16>) {
    (None, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_round_is_told_once_a_second() {
        let mut rounds = Rounds::new(500, 2);
        let told = |facts: Option<BoardFacts>| facts.map(|facts| facts.longest_round_ms);
        assert_eq!(told(rounds.fed(0)), Some(Some(0)));
        assert_eq!(told(rounds.fed(5_000)), None);
        assert_eq!(told(rounds.fed(125_001)), None);
        assert_eq!(told(rounds.fed(130_000)), None);
        assert_eq!(told(rounds.fed(1_000_000)), Some(Some(870)));
        assert_eq!(rounds.fed(2_000_000).map(|facts| (facts.watchdog_ms, facts.clock_source)), Some((Some(500), Some(2))));
    }
}
