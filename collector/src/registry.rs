//! The registry: which enterprises there are, their risk points, and which channel watches which point.
//!
//! One immutable snapshot. Every change goes through the store, which publishes the next snapshot; nobody
//! ever sees half a change. Ids are numbers in SQL; a channel's number is also its series in the time series.

use std::collections::HashMap;
use std::sync::Arc;

use alarm::Rule;
use measurement::{ChannelId, Unit};

/// A risk point's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PointId(pub i64);

/// An enterprise's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnterpriseId(pub i64);

/// Who answers for risk points: a plant, a mine, a district's drainage company.
#[derive(Debug, Clone, PartialEq)]
pub struct Enterprise {
    pub id: EnterpriseId,
    pub name: String,
    /// Unified social credit code (统一社会信用代码); may be empty.
    pub uscc: String,
    /// `plant` or `mine`.
    pub kind: String,
    pub county: String,
    pub contact: String,
    pub phone: String,
}

/// A managed place or activity that carries risk.
#[derive(Debug, Clone, PartialEq)]
pub struct RiskPoint {
    pub id: PointId,
    pub enterprise: EnterpriseId,
    /// Unique within its enterprise.
    pub code: String,
    pub name: String,
    /// What kind of place: `confined-space`, `tank-farm`, `working-face` …
    pub kind: String,
    /// The level people assessed; the live level is never below it.
    pub assessed: risk::Level,
    /// WGS-84.
    pub longitude: Option<f64>,
    /// WGS-84.
    pub latitude: Option<f64>,
    pub location: String,
    pub hazards: String,
    pub responsible: String,
    pub phone: String,
    pub simulated: bool,
}

/// One measured quantity at one place, as the gateway's catalogue told it, bound to a point by a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Also its series.
    pub id: ChannelId,
    pub gateway: String,
    /// Unique within its gateway.
    pub tag: String,
    pub name: String,
    pub unit: Unit,
    pub quantity: String,
    pub period_ms: u32,
    pub range: Option<(f32, f32)>,
    pub simulated: bool,
    /// True for the gateway's own health.
    pub own_health: bool,
    /// The point it watches; none until a person binds it.
    pub point: Option<PointId>,
    pub rules: Vec<Rule>,
    /// The rule pack its rules may be stricter than, never looser.
    pub pack: String,
    /// LEL base in %vol, when the channel brings one.
    pub lel_percent_vol: Option<f32>,
    /// Reference temperature of mg/m3, when the channel brings one.
    pub reference_celsius: Option<f32>,
}

/// A gateway that was admitted or heard.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownGateway {
    pub id: String,
    pub name: String,
    pub enrolled_at: Option<measurement::Timestamp>,
    pub simulated: bool,
}

/// Everything above, at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registry {
    pub enterprises: Vec<Enterprise>,
    pub points: Vec<RiskPoint>,
    pub channels: Vec<Channel>,
    pub gateways: Vec<KnownGateway>,
    places: Places,
}

/// Where each id stands in its list.
#[derive(Debug, Clone, Default, PartialEq)]
struct Places {
    enterprises: HashMap<EnterpriseId, usize>,
    points: HashMap<PointId, usize>,
    channels: HashMap<ChannelId, usize>,
    of_point: HashMap<PointId, Vec<usize>>,
}

impl Registry {
    /// A snapshot of these lists.
    pub fn new(enterprises: Vec<Enterprise>, points: Vec<RiskPoint>, channels: Vec<Channel>, gateways: Vec<KnownGateway>) -> Registry {
        let mut places = Places {
            enterprises: enterprises.iter().enumerate().map(|(at, one)| (one.id, at)).collect(),
            points: points.iter().enumerate().map(|(at, one)| (one.id, at)).collect(),
            channels: channels.iter().enumerate().map(|(at, one)| (one.id, at)).collect(),
            of_point: HashMap::new(),
        };
        for (at, channel) in channels.iter().enumerate() {
            if let Some(point) = channel.point {
                places.of_point.entry(point).or_default().push(at);
            }
        }
        Registry { enterprises, points, channels, gateways, places }
    }

    pub fn enterprise(&self, id: EnterpriseId) -> Option<&Enterprise> {
        self.places.enterprises.get(&id).map(|at| &self.enterprises[*at])
    }

    pub fn point(&self, id: PointId) -> Option<&RiskPoint> {
        self.places.points.get(&id).map(|at| &self.points[*at])
    }

    pub fn channel(&self, id: ChannelId) -> Option<&Channel> {
        self.places.channels.get(&id).map(|at| &self.channels[*at])
    }

    /// The channels bound to a point.
    pub fn channels_of(&self, point: PointId) -> impl Iterator<Item = &Channel> {
        self.places.of_point.get(&point).into_iter().flatten().map(|at| &self.channels[*at])
    }

    /// The point a channel is bound to.
    pub fn point_of(&self, channel: ChannelId) -> Option<&RiskPoint> {
        self.point(self.channel(channel)?.point?)
    }

    /// The channels of a gateway.
    pub fn channels_on<'a>(&'a self, gateway: &'a str) -> impl Iterator<Item = &'a Channel> {
        self.channels.iter().filter(move |channel| channel.gateway == gateway)
    }
}

/// A snapshot shared by everybody.
pub type Snapshot = Arc<Registry>;
