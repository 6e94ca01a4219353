//! How `measurement`'s types look in JSON: times as Unix milliseconds, channels and values as numbers,
//! units as their symbols. `measurement` itself stays free of serde, because the node has no use for it.

use measurement::{ChannelId, Direction, Limit, Timestamp, Unit, Value};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A [`Timestamp`] as Unix milliseconds.
pub mod time {
    use super::*;
    /// Writes it.
    pub fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.0)
    }
    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp)
    }
}

/// An optional [`Timestamp`] as Unix milliseconds or null.
pub mod maybe_time {
    use super::*;
    /// Writes it.
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        at.map(|at| at.0).serialize(to)
    }
    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(from)?.map(Timestamp))
    }
}

/// An optional [`ChannelId`] as its number or null.
pub mod maybe_channel {
    use super::*;
    /// Writes it.
    pub fn serialize<S: Serializer>(channel: &Option<ChannelId>, to: S) -> Result<S::Ok, S::Error> {
        channel.map(|channel| channel.0).serialize(to)
    }
    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ChannelId>, D::Error> {
        Ok(Option::<u32>::deserialize(from)?.map(ChannelId))
    }
}

/// An optional [`Value`] as a number or null.
pub mod maybe_value {
    use super::*;
    /// Writes it.
    pub fn serialize<S: Serializer>(value: &Option<Value>, to: S) -> Result<S::Ok, S::Error> {
        value.map(Value::get).serialize(to)
    }
    /// Reads it; a number that is not finite is refused.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
        Option::<f32>::deserialize(from)?.map(finite).transpose()
    }
}

/// A [`Unit`] as its symbol.
pub mod unit {
    use super::*;
    /// Writes it.
    pub fn serialize<S: Serializer>(unit: &Unit, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(unit.symbol())
    }
    /// Reads it; an unknown symbol is refused.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Unit, D::Error> {
        let symbol = String::deserialize(from)?;
        Unit::from_symbol(&symbol).ok_or_else(|| D::Error::custom(format!("{symbol:?} is not a unit")))
    }
}

/// A [`Limit`] as its five fields.
pub mod limit {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Side {
        High,
        Low,
    }

    #[derive(Serialize, Deserialize)]
    struct Fields {
        direction: Side,
        setpoint: f32,
        release: f32,
        on_delay_ms: u32,
        off_delay_ms: u32,
    }

    /// Writes it.
    pub fn serialize<S: Serializer>(limit: &Limit, to: S) -> Result<S::Ok, S::Error> {
        let direction = match limit.direction {
            Direction::High => Side::High,
            Direction::Low => Side::Low,
        };
        let (setpoint, release) = (limit.setpoint.get(), limit.release.get());
        Fields { direction, setpoint, release, on_delay_ms: limit.on_delay_ms, off_delay_ms: limit.off_delay_ms }.serialize(to)
    }

    /// Reads it; a release on the wrong side of the setpoint is refused.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Limit, D::Error> {
        let fields = Fields::deserialize(from)?;
        let direction = match fields.direction {
            Side::High => Direction::High,
            Side::Low => Direction::Low,
        };
        let (setpoint, release) = (finite(fields.setpoint)?, finite(fields.release)?);
        let limit = Limit { direction, setpoint, release, on_delay_ms: fields.on_delay_ms, off_delay_ms: fields.off_delay_ms };
        if !limit.is_consistent() {
            return Err(D::Error::custom(format!("release {release} lies beyond the setpoint {setpoint}")));
        }
        Ok(limit)
    }
}

fn finite<E: serde::de::Error>(number: f32) -> Result<Value, E> {
    Value::new(number).ok_or_else(|| E::custom(format!("{number} is not a finite number")))
}
