//! Random histories against the invariants: whatever gas, lines, clocks and people do, in any order.

use super::*;
use crate::invariants;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;

/// One thing that happens. Indices choose among what there is at that moment.
#[derive(Debug, Clone)]
enum Step {
    Live(u32, Outcome),
    /// A reading that the gateway holds back, to be delivered late.
    Hold(u32, Outcome),
    Backfill(usize),
    Again(usize),
    /// Seconds, and whether the gateway is heard meanwhile.
    Pass(u64, bool),
    Acknowledge(usize),
    Reset(usize),
    Shelve(usize, Aside, u64),
    Unshelve(usize),
    Registry(usize),
    Conflict,
    Restart,
    ClockOff(i64),
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => (0..4usize).prop_map(|i| good([1.0, 9.5, 12.0, 22.0][i])),
        1 => Just(good(100.0)),
        1 => Just(doubtful(12.0, Doubt::Unconfirmed)),
        1 => Just(doubtful(3.0, Doubt::OverRange)),
        1 => Just(Outcome::Bad(Fault::SensorFailure)),
        1 => Just(Outcome::Bad(Fault::WarmUp)),
    ]
}

fn reading() -> impl Strategy<Value = Step> {
    (1..=2u32, outcome()).prop_map(|(channel, outcome)| Step::Live(channel, outcome))
}

fn order() -> impl Strategy<Value = Step> {
    let how = prop_oneof![Just(Aside::Timed), Just(Aside::OneShot), Just(Aside::OutOfService)];
    prop_oneof![
        3 => (0..9usize).prop_map(Step::Acknowledge),
        1 => (0..9usize).prop_map(Step::Reset),
        1 => (0..9usize, how, 1..60_000u64).prop_map(|(which, how, for_ms)| Step::Shelve(which, how, for_ms)),
        1 => (0..9usize).prop_map(Step::Unshelve),
    ]
}

fn anything() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => reading(),
        4 => (1..=2u32, outcome()).prop_map(|(channel, outcome)| Step::Hold(channel, outcome)),
        3 => (1..6usize).prop_map(Step::Backfill),
        1 => (0..99usize).prop_map(Step::Again),
        2 => (1..40u64, any::<bool>()).prop_map(|(seconds, heard)| Step::Pass(seconds, heard)),
        4 => order(),
        1 => (0..4usize).prop_map(Step::Registry),
        1 => Just(Step::Conflict),
        1 => Just(Step::Restart),
        1 => prop_oneof![Just(-86_400_000), Just(3_600_000)].prop_map(Step::ClockOff),
    ]
}

fn ruled(delay_ms: u32, more: &[Rule]) -> Vec<Channel> {
    let slow = Limit { setpoint: v(20.0), release: v(15.0), on_delay_ms: delay_ms, off_delay_ms: delay_ms, ..METHANE };
    let mut rules = vec![limit(METHANE), Rule { id: "slow".to_owned(), ..limit(slow) }, over_range()];
    rules.extend([rule("fault", RuleKind::Fault), rule("warm-up", RuleKind::NotProtecting)]);
    rules.extend(more.iter().cloned());
    vec![channel(1, rules.clone()), channel(2, rules)]
}

/// What the registry may hold: everything, another setpoint, one channel less, or nothing.
fn registry(which: usize) -> Vec<Channel> {
    let mut channels = ruled(3000, &[silence()]);
    match which {
        1 => channels[0].rules[0] = limit(Limit { setpoint: v(30.0), ..METHANE }),
        2 => channels.truncate(1),
        3 => channels.clear(),
        _ => {}
    }
    channels
}

/// A bench, the readings on their way to it, and its registry.
struct World {
    bench: Bench,
    channels: Vec<Channel>,
    held: VecDeque<Observation>,
    past: Vec<Observation>,
}

impl World {
    fn new(channels: Vec<Channel>) -> World {
        World { bench: Bench::new(&channels), channels, held: VecDeque::new(), past: Vec::new() }
    }

    fn run(mut self, steps: &[Step]) -> World {
        steps.iter().for_each(|step| self.step(step));
        self
    }

    fn read(&mut self, channel: u32, outcome: Outcome) -> Observation {
        self.bench.now += SECOND;
        self.bench.seen(ChannelId(channel), outcome)
    }

    fn deliver(&mut self, seen: Observation) {
        let seen = Observation { now: MonotonicMs(self.bench.now), received_at: self.bench.wall(), ..seen };
        self.past.push(seen);
        self.bench.gateway_heard();
        self.bench.observe(&seen);
    }

    fn id(&self, which: usize) -> String {
        let mut ids: Vec<&str> = self.bench.engine.open_episodes().map(|episode| episode.id.as_str()).collect();
        ids.sort_unstable();
        if ids.is_empty() { "none".to_owned() } else { ids[which % ids.len()].to_owned() }
    }

    fn step(&mut self, step: &Step) {
        let (now, at) = (MonotonicMs(self.bench.now), self.bench.wall());
        match step {
            Step::Live(channel, outcome) => {
                let seen = self.read(*channel, *outcome);
                self.deliver(seen);
            }
            Step::Hold(channel, outcome) => {
                let seen = self.read(*channel, *outcome);
                self.held.push_back(Observation { live: false, ..seen });
            }
            Step::Backfill(count) => {
                let count = (*count).min(self.held.len());
                let oldest: Vec<Observation> = self.held.drain(..count).collect();
                oldest.into_iter().for_each(|seen| self.deliver(seen));
            }
            Step::Again(which) if !self.past.is_empty() => self.deliver(self.past[which % self.past.len()]),
            Step::Pass(seconds, true) => self.bench.wait_heard(*seconds),
            Step::Pass(seconds, false) => self.bench.wait(*seconds),
            Step::Registry(which) => {
                self.channels = registry(*which);
                self.bench.set_channels(&self.channels);
            }
            Step::Conflict => {
                self.bench.now += SECOND;
                let (opening, at) = (Place { epoch: 1, sequence: self.bench.sequence }, self.bench.wall());
                self.bench.engine.identity_conflict("gw", "two epochs", opening, at, &mut self.bench.out);
            }
            Step::Restart => self.restart(),
            Step::ClockOff(ms) => self.bench.wall_off += ms,
            // An order may be refused; then it must change nothing, which `held_is_told` sees.
            Step::Acknowledge(which) => drop(self.bench.acknowledge(&self.id(*which))),
            Step::Reset(which) => drop(self.bench.reset(&self.id(*which), "looked at")),
            Step::Shelve(which, how, for_ms) => {
                let (who, second, reason) = ("li".to_owned(), Some("wang".to_owned()), "hot work".to_owned());
                let order = Shelving { how: *how, for_ms: *for_ms, who, second, reason };
                drop(self.bench.engine.shelve(&self.id(*which), &order, now, at, &mut self.bench.out));
            }
            Step::Unshelve(which) => drop(self.bench.engine.unshelve(&self.id(*which), "wang", "", at, &mut self.bench.out)),
            Step::Again(_) => {}
        }
    }

    fn restart(&mut self) {
        let before = std::mem::replace(&mut self.bench, Bench::new(&[]));
        let told = before.out.clone();
        let mut after = before.restart(&self.channels);
        after.out.splice(..0, told);
        self.bench = after;
    }

    /// What the engine holds open is exactly what it told and did not close.
    fn held_is_told(&self) -> (Vec<Episode>, Vec<Episode>) {
        let by_id = |mut all: Vec<Episode>| {
            all.sort_by(|a, b| a.id.cmp(&b.id));
            all
        };
        let told = self.bench.newest().into_iter().filter(Episode::is_open).collect();
        (by_id(self.bench.engine.open_episodes().cloned().collect()), by_id(told))
    }
}

/// How often the list tells of an opening.
fn openings(told: &[Transition]) -> usize {
    told.iter().filter(|told| matches!(told.event, Raised | RecordedLate)).count()
}

proptest! {
    #[test]
    fn every_history_keeps_every_invariant(steps in vec(anything(), 1..80)) {
        let world = World::new(registry(0)).run(&steps);
        prop_assert_eq!(invariants::all(&world.bench.out).map_err(|broken| broken.to_string()), Ok(()));
        let (held, told) = world.held_is_told();
        prop_assert_eq!(&held, &told);
        let engine = &world.bench.engine;
        let aside = held.iter().filter(|episode| episode.aside.is_some()).count();
        prop_assert_eq!((engine.open.len(), engine.shelves.len()), (held.len(), aside), "nothing is kept of what closed");
    }

    /// Whatever arrives late, what a live reading holds active stays as it is.
    #[test]
    fn late_readings_leave_what_is_live_and_active_alone(
        live in vec(reading(), 1..30),
        late in vec((1..=2u32, 1..400u64, outcome()), 1..30),
    ) {
        let mut world = World::new(registry(0));
        world.bench.sequence = 200;
        let mut world = world.run(&live);
        let holds = |world: &World| -> Vec<(String, State, Option<Timestamp>)> {
            let active = world.bench.engine.open_episodes().filter(|episode| episode.active && !episode.from_backfill);
            let mut active: Vec<_> = active.map(|episode| (episode.id.clone(), episode.state, episode.returned_at)).collect();
            active.sort_by(|a, b| a.0.cmp(&b.0));
            active
        };
        let before = holds(&world);
        for (channel, sequence, outcome) in late {
            let seen = world.bench.seen(ChannelId(channel), outcome);
            world.deliver(Observation { place: Place { epoch: 1, sequence }, live: false, ..seen });
        }
        prop_assert_eq!(holds(&world), before);
    }

    /// A collector that judges readings again, whatever people did to their alarms, makes none twice.
    #[test]
    fn live_readings_judged_again_open_nothing(steps in vec(prop_oneof![4 => reading(), 1 => order()], 1..60)) {
        let mut world = World::new(ruled(0, &[])).run(&steps);
        let before = openings(&world.bench.out);
        for seen in world.past.clone() {
            world.deliver(seen);
        }
        prop_assert_eq!(openings(&world.bench.out), before);
    }

    #[test]
    fn late_readings_judged_again_open_nothing(outcomes in vec((1..=2u32, outcome()), 1..40)) {
        let held = outcomes.into_iter().map(|(channel, outcome)| Step::Hold(channel, outcome));
        let mut world = World::new(ruled(0, &[])).run(&held.chain([Step::Backfill(99)]).collect::<Vec<_>>());
        let before = openings(&world.bench.out);
        for seen in world.past.clone() {
            world.deliver(seen);
        }
        prop_assert_eq!(openings(&world.bench.out), before);
    }

    /// A restart changes nothing that is told afterwards. Delays and waiting for silence begin anew with a
    /// run, so there are none here.
    #[test]
    fn a_restart_in_the_middle_changes_nothing_that_is_told_later(
        before in vec(prop_oneof![4 => reading(), 2 => order()], 1..40),
        after in vec(prop_oneof![4 => reading(), 2 => order(), 1 => (1..40u64).prop_map(|s| Step::Pass(s, true))], 1..40),
    ) {
        let mut through = World::new(ruled(0, &[])).run(&before);
        let mut again = World::new(ruled(0, &[])).run(&before);
        let from = through.bench.out.len();
        again.restart();
        prop_assert_eq!(again.bench.out.len(), from, "taking up tells nothing");
        through.bench.now += 10 * SECOND;
        let (through, again) = (through.run(&after), again.run(&after));
        prop_assert_eq!(&through.bench.out[from..], &again.bench.out[from..]);
    }
}
