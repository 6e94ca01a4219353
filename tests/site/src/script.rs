//! What goes wrong in the simulated plant, and when: one incident every minute or two, the same for the same seed.
//!
//! The first incident is always a gas leak soon after the start, so that a newcomer sees a point turn red
//! within 90 s of opening the page. Pure: time comes in as seconds since the start.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::plant::Gas;

/// What goes wrong at one place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trouble {
    /// Gas comes in.
    Leak(Gas),
    /// Rust or fermentation eats the oxygen.
    OxygenEaten,
    /// The cable of one channel is cut.
    WireCut { channel: usize },
    /// One channel repeats itself.
    Stuck { channel: usize },
    /// The node loses power, and warms up when it is back.
    NodeDead,
}

/// One trouble at one place, from `starts_s` to `ends_s`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Incident {
    /// Place in the list of points.
    pub point: usize,
    /// What goes wrong.
    pub trouble: Trouble,
    /// Seconds since the start.
    pub starts_s: f64,
    /// Seconds since the start.
    pub ends_s: f64,
}

/// What a point can suffer.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Gases that can leak here.
    pub gases: Vec<Gas>,
    /// How many channels its node has.
    pub channels: usize,
}

/// Begins or ends an incident.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cue {
    Begin(Incident),
    End(Incident),
}

/// The unending list of incidents.
#[derive(Debug)]
pub struct Script {
    stages: Vec<Stage>,
    chance: StdRng,
    next: Incident,
    under_way: Vec<Incident>,
}

/// When the first leak begins. With a fast sensor it is red well within 90 s.
const FIRST_LEAK_S: f64 = 15.0;

impl Script {
    /// A script for these points.
    ///
    /// # Panics
    /// When no point has a gas that can leak: such a demo would show nothing.
    pub fn new(stages: Vec<Stage>, seed: u64) -> Script {
        let mut chance = StdRng::seed_from_u64(seed);
        let leaky: Vec<usize> = (0..stages.len()).filter(|p| !stages[*p].gases.is_empty()).collect();
        assert!(!leaky.is_empty(), "a script needs a point with a gas that can leak");
        let point = leaky[chance.random_range(0..leaky.len())];
        let gas = stages[point].gases[0];
        let next = Incident { point, trouble: Trouble::Leak(gas), starts_s: FIRST_LEAK_S, ends_s: FIRST_LEAK_S + 100.0 };
        Script { stages, chance, next, under_way: Vec::new() }
    }

    /// What begins or ends up to now, in order.
    pub fn cues(&mut self, now_s: f64) -> Vec<Cue> {
        let mut cues = Vec::new();
        while self.next.starts_s <= now_s {
            let begun = self.next;
            self.under_way.push(begun);
            cues.push(Cue::Begin(begun));
            self.next = self.invent(begun.starts_s);
        }
        let (ended, still): (Vec<_>, Vec<_>) = self.under_way.drain(..).partition(|i| i.ends_s <= now_s);
        self.under_way = still;
        cues.extend(ended.into_iter().map(Cue::End));
        cues
    }

    fn invent(&mut self, after_s: f64) -> Incident {
        let starts_s = after_s + self.chance.random_range(60.0..120.0);
        let ends_s = starts_s + self.chance.random_range(60.0..150.0);
        // Two troubles at one point would end each other.
        let free: Vec<usize> = (0..self.stages.len()).filter(|p| self.under_way.iter().all(|i| i.point != *p)).collect();
        let point = if free.is_empty() { 0 } else { free[self.chance.random_range(0..free.len())] };
        let stage = &self.stages[point];
        let channel = self.chance.random_range(0..stage.channels.max(1));
        let trouble = match self.chance.random_range(0..10) {
            0 => Trouble::WireCut { channel },
            1 => Trouble::Stuck { channel },
            2 => Trouble::NodeDead,
            3 => Trouble::OxygenEaten,
            _ if stage.gases.is_empty() => Trouble::WireCut { channel },
            _ => Trouble::Leak(stage.gases[self.chance.random_range(0..stage.gases.len())]),
        };
        Incident { point, trouble, starts_s, ends_s }
    }
}

#[cfg(test)]
mod tests;
