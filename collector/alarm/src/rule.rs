//! What makes an alarm: data that belongs to one channel.

use measurement::{Limit, Unit, Value};
use serde::{Deserialize, Serialize};

/// How urgently a person must act. Ordered: `Urgent` is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// To be looked at in working hours.
    Low,
    /// To be looked at soon.
    Medium,
    /// To be acted on at once.
    High,
    /// Lives are in danger now.
    Urgent,
}

/// What an alarm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A value at or beyond a setpoint.
    Limit,
    /// No live reading for too long.
    Silence,
    /// A live reading says there is no value.
    Fault,
    /// The instrument says by itself that it is not measuring yet or not now: warm-up, inhibited, not yet
    /// read, out of service.
    NotProtecting,
    /// The sensor was beyond its range; its later low values are not believed until a person resets it.
    OverRange,
    /// Nothing is heard from a gateway: one alarm for all it watches.
    GatewayLost,
    /// Two gateways, or two copies of one, claim the same readings.
    Identity,
}

/// What a rule compares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum RuleKind {
    /// A level, in the channel's unit.
    Limit {
        /// Setpoint, release and delays.
        #[serde(with = "crate::serial::limit")]
        limit: Limit,
        /// The unit of setpoint and release. A rule in another unit than its channel's never runs: see
        /// [`crate::Engine::set_channels`].
        #[serde(with = "crate::serial::unit")]
        unit: Unit,
    },
    /// No live reading for `periods` poll periods and one second.
    Silence {
        /// Poll periods that may pass.
        periods: u32,
    },
    /// Any fault except those of `NotProtecting`.
    Fault,
    /// Warm-up, inhibited, not yet read, out of service.
    NotProtecting,
    /// Beyond the range; latches.
    OverRange {
        /// At or beyond this a value counts as over range even when the device did not say so.
        #[serde(with = "crate::serial::maybe_value")]
        ceiling: Option<Value>,
    },
}

impl RuleKind {
    /// The kind of the alarms it makes.
    pub const fn kind(&self) -> Kind {
        match self {
            RuleKind::Limit { .. } => Kind::Limit,
            RuleKind::Silence { .. } => Kind::Silence,
            RuleKind::Fault => Kind::Fault,
            RuleKind::NotProtecting => Kind::NotProtecting,
            RuleKind::OverRange { .. } => Kind::OverRange,
        }
    }
}

/// One rule of one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Unique within its channel and stable: it is part of every episode's identity.
    pub id: String,
    /// What it compares.
    #[serde(flatten)]
    pub what: RuleKind,
    /// How urgent its alarms are.
    pub priority: Priority,
    /// Where the number comes from, for people: the rule pack, its row and how sure we are of it.
    pub source: String,
}

impl Priority {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Medium => "medium",
            Priority::High => "high",
            Priority::Urgent => "urgent",
        }
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 7] =
        [Kind::Limit, Kind::Silence, Kind::Fault, Kind::NotProtecting, Kind::OverRange, Kind::GatewayLost, Kind::Identity];

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Limit => "limit",
            Kind::Silence => "silence",
            Kind::Fault => "fault",
            Kind::NotProtecting => "not_protecting",
            Kind::OverRange => "over_range",
            Kind::GatewayLost => "gateway_lost",
            Kind::Identity => "identity",
        }
    }
}
