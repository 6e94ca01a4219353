//! The simulated world: the air of every point, the sensors in it, and the nodes that read them.
//!
//! Each sensor is a 4-20 mA transmitter, so that a cut wire is a current of nothing and not a number. Pure
//! but for the nodes it feeds: time comes in as seconds that pass.

use firmware::self_test::SelfTestSettings;
use firmware::{Calibration, ChannelSettings, LoopBands, NodeSettings, Signal};
use measurement::{ChannelId, Limit, Value};
use rand::{SeedableRng, rngs::StdRng};
use register_map::ResetCause;
use simulated::SimulatedNode;

use crate::city::{Channel, Level, Plant, Point, Quantity, leak_rate};
use crate::plant::{Gas, Space};
use crate::script::{Cue, Script, Stage, Trouble};
use crate::sensor::{Condition, Sensor};

/// How long a node warms up after power came back.
const WARM_UP_S: f64 = 20.0;
/// What a loop carries while nothing is broken: a transmitter shows no negative gas, and saturates before the
/// current means a fault.
const LOOP_MA: (f32, f32) = (4.0, 20.8);
/// A sensor that moves less than a quarter of its own noise for this long is stuck.
const STUCK_AFTER_MS: u64 = 60_000;

/// Everything that is simulated.
pub struct World {
    places: Vec<Place>,
    script: Option<Script>,
    chance: StdRng,
    elapsed_s: f64,
}

/// One point: its air, its sensors, its node.
struct Place {
    point: Point,
    sensors: Vec<Sensor>,
    node: SimulatedNode,
    /// What leaks in when nothing is wrong, m3/s, in the order of [`Gas::ALL`].
    background: [f64; 4],
    warms_up_until_s: f64,
}

impl World {
    /// The world of these plants. Without a script nothing goes wrong but what [`World::begin`] is told.
    pub fn new(plants: &[Plant], seed: u64, has_script: bool) -> World {
        let places: Vec<Place> =
            plants.iter().flat_map(|plant| (1..).zip(&plant.points)).map(|(unit, point)| Place::new(unit, point)).collect();
        let stage = |place: &Place| Stage { gases: place.leaks(), channels: place.sensors.len() };
        let script = has_script.then(|| Script::new(places.iter().map(stage).collect(), seed));
        World { places, script, chance: StdRng::seed_from_u64(seed), elapsed_s: 0.0 }
    }

    /// The nodes in the order of the plants' points.
    pub fn nodes(&self) -> impl Iterator<Item = &SimulatedNode> {
        self.places.iter().map(|place| &place.node)
    }

    /// Place of the point with this code in the whole list.
    pub fn find(&self, code: &str) -> Option<usize> {
        self.places.iter().position(|place| place.point.code == code)
    }

    /// Lets time pass: air, sensors, nodes. Gives what the script began or ended.
    pub fn advance(&mut self, seconds: f64) -> Vec<Cue> {
        self.elapsed_s += seconds;
        let cues = self.script.as_mut().map(|script| script.cues(self.elapsed_s)).unwrap_or_default();
        for cue in &cues {
            match cue {
                Cue::Begin(incident) => self.begin(incident.point, incident.trouble),
                Cue::End(incident) => self.end(incident.point, incident.trouble),
            }
        }
        for place in &mut self.places {
            place.advance(seconds, self.elapsed_s, &mut self.chance);
        }
        cues
    }

    /// Something goes wrong at a point.
    pub fn begin(&mut self, point: usize, trouble: Trouble) {
        let Some(place) = self.places.get_mut(point) else { return };
        match trouble {
            Trouble::Leak(gas) => {
                place.point.space.leak(gas, place.background[gas as usize] + leak_rate(gas, place.point.volume_m3));
            }
            Trouble::OxygenEaten => place.point.space.consume_oxygen(place.point.volume_m3 * 0.001),
            Trouble::WireCut { channel } => place.set_condition(channel, Condition::WireBreak),
            Trouble::Stuck { channel } => place.set_condition(channel, Condition::Stuck),
            Trouble::NodeDead => place.node.power_off(),
        }
    }

    /// And is mended.
    pub fn end(&mut self, point: usize, trouble: Trouble) {
        let elapsed_s = self.elapsed_s;
        let Some(place) = self.places.get_mut(point) else { return };
        match trouble {
            Trouble::Leak(gas) => place.point.space.leak(gas, place.background[gas as usize]),
            Trouble::OxygenEaten => place.point.space.consume_oxygen(0.0),
            Trouble::WireCut { channel } | Trouble::Stuck { channel } => place.set_condition(channel, Condition::Working),
            Trouble::NodeDead => {
                place.node.power_on();
                place.warms_up_until_s = elapsed_s + WARM_UP_S;
            }
        }
    }

    /// Code and name of a point, for people.
    pub fn name(&self, point: usize) -> String {
        self.places.get(point).map(|place| format!("{} {}", place.point.code, place.point.name)).unwrap_or_default()
    }
}

impl Place {
    fn new(unit: u8, point: &Point) -> Place {
        let settings =
            NodeSettings { serial: serial(&point.code), firmware: 0x0001, boot_count: 1, reset_cause: ResetCause::PowerOn, unit };
        let channels = (1..).zip(point.channels).map(|(number, channel)| channel_settings(number, channel)).collect();
        let sensors = point.channels.iter().map(|channel| Sensor::new(channel.behaviour, channel.level(&point.space))).collect();
        Place {
            point: point.clone(),
            sensors,
            node: SimulatedNode::new(unit, settings, channels),
            background: Gas::ALL.map(|gas| point.background(gas)),
            warms_up_until_s: 0.0,
        }
    }

    /// Gases that may leak by themselves: none where nobody would see it.
    fn leaks(&self) -> Vec<Gas> {
        if self.point.is_registered { self.point.gases.to_vec() } else { Vec::new() }
    }

    fn set_condition(&mut self, channel: usize, condition: Condition) {
        if let Some(sensor) = self.sensors.get_mut(channel) {
            sensor.set_condition(condition);
        }
    }

    fn advance(&mut self, seconds: f64, elapsed_s: f64, chance: &mut StdRng) {
        self.point.space.advance(seconds);
        let celsius = self.point.space.celsius() as f32;
        for (number, (channel, sensor)) in (0..).zip(self.point.channels.iter().zip(&mut self.sensors)) {
            let shown = sensor.advance(channel.level(&self.point.space), seconds, chance);
            let signal = match sensor.condition() {
                _ if elapsed_s < self.warms_up_until_s => Signal::WarmingUp,
                Condition::WireBreak => Signal::Milliampere(0.0),
                Condition::WarmingUp => Signal::WarmingUp,
                Condition::Working | Condition::Stuck | Condition::Covered => loop_current(shown as f32, channel.range),
            };
            self.node.feed(ChannelId(number), signal, celsius);
        }
    }
}

fn loop_current(shown: f32, (low, high): (f32, f32)) -> Signal {
    Signal::Milliampere((4.0 + 16.0 * (shown - low) / (high - low)).clamp(LOOP_MA.0, LOOP_MA.1))
}

fn channel_settings(quantity: u16, channel: &Channel) -> ChannelSettings {
    let mut limits = channel.limits.iter().filter_map(|level| limit(*level));
    ChannelSettings {
        quantity,
        unit: channel.unit,
        self_test: SelfTestSettings {
            range: channel.range,
            below_tolerance: (channel.range.1 - channel.range.0) * 0.02,
            stuck_after_ms: STUCK_AFTER_MS,
            stuck_step: channel.behaviour.noise as f32 / 4.0,
            catalytic: matches!(channel.quantity, Quantity::Gas(Gas::Methane)) && channel.unit == measurement::Unit::PercentLel,
        },
        calibration: Calibration::NONE,
        bands: LoopBands::NE43,
        low: limits.next(),
        high: limits.next(),
        latching: false,
        oxygen: channel.quantity == Quantity::Oxygen,
        normal: normal(channel),
    }
}

/// Half way from the air of a good day to the nearest limit.
fn normal(channel: &Channel) -> (f32, f32) {
    let air = if channel.quantity == Quantity::Oxygen { 20.9 } else { channel.range.0 };
    channel.limits.iter().fold((f32::MIN, f32::MAX), |(from, to), level| match level {
        Level::Low(setpoint) => (from.max((air + setpoint) / 2.0), to),
        Level::High(setpoint) => (from, to.min((air + setpoint) / 2.0)),
    })
}

fn limit(level: Level) -> Option<Limit> {
    let (direction, setpoint, release) = match level {
        Level::High(setpoint) => (measurement::Direction::High, setpoint, setpoint * 0.9),
        Level::Low(setpoint) => (measurement::Direction::Low, setpoint, setpoint * 1.02),
    };
    Some(Limit { direction, setpoint: Value::new(setpoint)?, release: Value::new(release)?, on_delay_ms: 0, off_delay_ms: 0 })
}

/// The same point has the same serial number in every run.
fn serial(code: &str) -> u64 {
    code.bytes().fold(0xD0_u64, |serial, byte| serial * 251 + u64::from(byte))
}

/// The air of a place as a test may want to see it.
impl World {
    /// The space of a point.
    pub fn space(&self, point: usize) -> Option<&Space> {
        self.places.get(point).map(|place| &place.point.space)
    }
}

#[cfg(test)]
mod tests;
