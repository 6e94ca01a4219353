use super::*;
use crate::episode::{Event, State};
use crate::rule::{Kind, RuleKind};
use crate::{Aside, Shelving};
use Event::*;
use measurement::{Direction, Doubt, Fault, Limit, Value};

mod faults;
mod late;
mod life;
mod limits;
mod random;
mod registry;
mod silence;

const SECOND: u64 = 1000;
/// What the wall clock says when the monotonic one says zero.
const WALL: i64 = 1_700_000_000_000;
const CH: ChannelId = ChannelId(1);
const METHANE: Limit = Limit { direction: Direction::High, setpoint: v(10.0), release: v(9.0), on_delay_ms: 0, off_delay_ms: 0 };

const fn v(number: f32) -> Value {
    match Value::new(number) {
        Some(value) => value,
        None => Value::ZERO,
    }
}

const fn good(number: f32) -> Outcome {
    Outcome::Good(v(number))
}

const fn doubtful(number: f32, doubt: Doubt) -> Outcome {
    Outcome::Uncertain(v(number), doubt)
}

fn rule(id: &str, what: RuleKind) -> Rule {
    Rule { id: id.to_owned(), what, priority: Priority::High, source: "a test".to_owned() }
}

fn limit(limit: Limit) -> Rule {
    rule("limit", RuleKind::Limit { limit, unit: Unit::PercentLel })
}

fn over_range() -> Rule {
    rule("over-range", RuleKind::OverRange { ceiling: Some(v(100.0)) })
}

fn silence() -> Rule {
    rule("silence", RuleKind::Silence { periods: 3 })
}

/// A channel of gateway `gw`, read once a second.
fn channel(id: u32, rules: Vec<Rule>) -> Channel {
    let (gateway, label) = ("gw".to_owned(), format!("point {id}"));
    Channel { id: ChannelId(id), gateway, label, unit: Unit::PercentLel, period_ms: 1000, simulated: false, rules }
}

/// An engine on the bench, with its clocks and what it has told since it was last asked.
struct Bench {
    engine: Engine,
    now: u64,
    /// How far the wall clock is off.
    wall_off: i64,
    sequence: u64,
    out: Vec<Transition>,
    asked: usize,
}

impl Bench {
    fn new(channels: &[Channel]) -> Bench {
        Bench::with(Config { boot_grace_ms: 0, ..Config::default() }, channels)
    }

    fn with(config: Config, channels: &[Channel]) -> Bench {
        let mut engine = Engine::new(config, 77, MonotonicMs(0));
        let unusable = engine.set_channels(channels, MonotonicMs(0), Timestamp(WALL), &mut Vec::new());
        assert_eq!(unusable, []);
        Bench { engine, now: 0, wall_off: 0, sequence: 0, out: Vec::new(), asked: 0 }
    }

    fn wall(&self) -> Timestamp {
        Timestamp(WALL + self.now as i64 + self.wall_off)
    }

    /// The next reading of a channel, taken now.
    fn seen(&mut self, channel: ChannelId, outcome: Outcome) -> Observation {
        self.sequence += 1;
        Observation {
            channel,
            place: Place { epoch: 1, sequence: self.sequence },
            sampled_at: self.wall(),
            received_at: self.wall(),
            now: MonotonicMs(self.now),
            age_ms: 0,
            outcome,
            live: true,
            t2: None,
            t3: None,
        }
    }

    fn observe(&mut self, seen: &Observation) {
        self.engine.observe(seen, &mut self.out);
    }

    /// A second later a live reading of the first channel.
    fn live(&mut self, outcome: Outcome) {
        self.now += SECOND;
        let seen = self.seen(CH, outcome);
        self.observe(&seen);
    }

    /// Now a late reading of the first channel, sampled at this second and with this sequence.
    fn late(&mut self, sequence: u64, second: i64, outcome: Outcome) {
        let mut seen = self.seen(CH, outcome);
        self.sequence -= 1;
        seen.place.sequence = sequence;
        (seen.sampled_at, seen.live) = (Timestamp(WALL + second * 1000), false);
        self.observe(&seen);
    }

    /// Time passes, and the engine is told so every second.
    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += SECOND;
            self.tick();
        }
    }

    fn tick(&mut self) {
        let (now, at) = (MonotonicMs(self.now), self.wall());
        self.engine.tick(now, at, &mut self.out);
    }

    fn gateway_heard(&mut self) {
        let (now, at) = (MonotonicMs(self.now), self.wall());
        self.engine.gateway_heard("gw", now, at, &mut self.out);
    }

    /// Time passes while the gateway is heard and its channels are not.
    fn wait_heard(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += SECOND;
            self.gateway_heard();
            self.tick();
        }
    }

    /// What was told since it was asked last.
    fn told(&mut self) -> Vec<Event> {
        let told = self.out[self.asked..].iter().map(|transition| transition.event).collect();
        self.asked = self.out.len();
        told
    }

    /// The only open alarm.
    fn only(&self) -> Episode {
        let open: Vec<&Episode> = self.engine.open_episodes().collect();
        assert_eq!(open.len(), 1, "{open:#?}");
        open[0].clone()
    }

    /// The open alarm of this rule.
    fn open(&self, rule: &str) -> Option<Episode> {
        self.engine.open_episodes().find(|episode| episode.rule == rule).cloned()
    }

    fn states(&self) -> Vec<State> {
        self.engine.open_episodes().map(|episode| episode.state).collect()
    }

    fn acknowledge(&mut self, id: &str) -> Result<Episode, RefusedOrder> {
        let at = self.wall();
        self.engine.acknowledge(id, "li", "seen", at, &mut self.out)
    }

    fn acknowledge_only(&mut self) {
        let id = self.only().id;
        self.acknowledge(&id).unwrap();
    }

    fn reset(&mut self, id: &str, note: &str) -> Result<Episode, RefusedOrder> {
        let at = self.wall();
        self.engine.reset(id, "li", note, at, &mut self.out)
    }

    fn set_channels(&mut self, channels: &[Channel]) -> Vec<UnusableRule> {
        let (now, at) = (MonotonicMs(self.now), self.wall());
        self.engine.set_channels(channels, now, at, &mut self.out)
    }

    /// Every alarm as it was told last, open or closed.
    fn newest(&self) -> Vec<Episode> {
        let mut newest: Vec<Episode> = Vec::new();
        for Transition { episode, .. } in &self.out {
            newest.retain(|before| before.id != episode.id);
            newest.push(episode.clone());
        }
        newest
    }

    /// Another run that takes up what this one left, closed alarms as well, ten seconds later.
    fn restart(self, channels: &[Channel]) -> Bench {
        let newest = self.newest();
        let now = self.now + 10 * SECOND;
        let config = Config { boot_grace_ms: 0, ..Config::default() };
        let mut engine = Engine::new(config, self.engine.run + 1, MonotonicMs(now));
        let mut out = Vec::new();
        let at = Timestamp(WALL + now as i64 + self.wall_off);
        engine.set_channels(channels, MonotonicMs(now), at, &mut out);
        engine.resume(newest, MonotonicMs(now), at, &mut out);
        Bench { engine, now, wall_off: self.wall_off, sequence: self.sequence, out, asked: 0 }
    }
}

/// One live reading a second against one limit, and what is told, with the index of its reading.
fn check(limit_of: Limit, values: &[f32], expected: &[(usize, Event)]) {
    let outcomes: Vec<Outcome> = values.iter().map(|number| good(*number)).collect();
    check_rules(vec![limit(limit_of)], &outcomes, expected);
}

fn check_rules(rules: Vec<Rule>, outcomes: &[Outcome], expected: &[(usize, Event)]) {
    let mut bench = Bench::new(&[channel(1, rules)]);
    let mut told = Vec::new();
    for (i, outcome) in outcomes.iter().enumerate() {
        bench.live(*outcome);
        told.extend(bench.told().into_iter().map(|event| (i, event)));
    }
    assert_eq!(told, expected);
    crate::invariants::all(&bench.out).unwrap();
}
