//! The demo city: three enterprises and one mine face, about forty points, all invented.
//!
//! Data only: who exists, where, on which bus, with which channels. Nothing here is a real enterprise, a
//! real place or a real boundary.

use measurement::Unit;

use crate::plant::{Gas, Space};
use crate::sensor::Behaviour;

/// What a channel looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    Gas(Gas),
    Oxygen,
    Temperature,
    AirVelocity,
}

/// One channel of a node.
#[derive(Debug, Clone, Copy)]
pub struct Channel {
    pub key: &'static str,
    pub quantity: Quantity,
    pub unit: Unit,
    pub range: (f32, f32),
    /// Beyond these the node sounds and the gateway hurries; the collector judges by its own rule packs.
    pub limits: &'static [Level],
    pub behaviour: Behaviour,
}

/// A level of a node's own alarm, in the channel's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Level {
    High(f32),
    Low(f32),
}

/// How the nodes of a plant are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Road {
    ModbusTcp,
    RtuOverTcp,
    /// A pseudo-terminal where the host has them, else RTU over TCP.
    Pty,
}

/// An enterprise with its points; one gateway each.
#[derive(Debug, Clone)]
pub struct Plant {
    pub gateway: &'static str,
    pub name: &'static str,
    pub uscc: &'static str,
    /// `plant` or `mine`.
    pub kind: &'static str,
    pub county: &'static str,
    pub road: Road,
    pub period_ms: u32,
    pub points: Vec<Point>,
}

/// A risk point with its node.
#[derive(Debug, Clone)]
pub struct Point {
    pub code: String,
    pub name: String,
    pub kind: &'static str,
    pub assessed: &'static str,
    pub longitude: f64,
    pub latitude: f64,
    pub hazards: &'static str,
    pub space: Space,
    pub channels: &'static [Channel],
    /// Gases that can leak here, the likeliest first.
    pub gases: &'static [Gas],
    /// How fast each of them comes in when it leaks, m3/s, by [`leak_rate`].
    pub volume_m3: f64,
    /// False for a point that is left to the newcomer to register and bind.
    pub is_registered: bool,
}

const ELECTROCHEMICAL: Behaviour = Behaviour { t90_s: 12.0, noise: 0.15, drift_per_day: 0.05 };
const CATALYTIC: Behaviour = Behaviour { t90_s: 8.0, noise: 0.12, drift_per_day: 0.02 };
const OXYGEN: Behaviour = Behaviour { t90_s: 10.0, noise: 0.03, drift_per_day: 0.01 };
const LASER: Behaviour = Behaviour { t90_s: 10.0, noise: 0.006, drift_per_day: 0.0 };

const CONFINED: &[Channel] = &[
    Channel {
        key: "ch4",
        quantity: Quantity::Gas(Gas::Methane),
        unit: Unit::PercentLel,
        range: (0.0, 100.0),
        limits: &[Level::High(10.0), Level::High(25.0)],
        behaviour: CATALYTIC,
    },
    Channel {
        key: "o2",
        quantity: Quantity::Oxygen,
        unit: Unit::PercentVol,
        range: (0.0, 30.0),
        limits: &[Level::Low(19.5)],
        behaviour: OXYGEN,
    },
    Channel {
        key: "h2s",
        quantity: Quantity::Gas(Gas::HydrogenSulphide),
        unit: Unit::Ppm,
        range: (0.0, 100.0),
        limits: &[Level::High(7.06)],
        behaviour: ELECTROCHEMICAL,
    },
    Channel {
        key: "co",
        quantity: Quantity::Gas(Gas::CarbonMonoxide),
        unit: Unit::Ppm,
        range: (0.0, 1000.0),
        limits: &[Level::High(17.2)],
        behaviour: ELECTROCHEMICAL,
    },
];

const FACE: &[Channel] = &[
    Channel {
        key: "ch4",
        quantity: Quantity::Gas(Gas::Methane),
        unit: Unit::PercentVol,
        range: (0.0, 4.0),
        limits: &[Level::High(1.0), Level::High(1.5)],
        behaviour: LASER,
    },
    Channel {
        key: "co",
        quantity: Quantity::Gas(Gas::CarbonMonoxide),
        unit: Unit::Ppm,
        range: (0.0, 1000.0),
        limits: &[Level::High(24.0)],
        behaviour: ELECTROCHEMICAL,
    },
    Channel {
        key: "wind",
        quantity: Quantity::AirVelocity,
        unit: Unit::MetrePerSecond,
        range: (0.0, 15.0),
        limits: &[Level::Low(0.25)],
        behaviour: Behaviour { t90_s: 3.0, noise: 0.05, drift_per_day: 0.0 },
    },
    Channel {
        key: "temperature",
        quantity: Quantity::Temperature,
        unit: Unit::Celsius,
        range: (0.0, 60.0),
        limits: &[Level::High(30.0)],
        behaviour: Behaviour { t90_s: 60.0, noise: 0.05, drift_per_day: 0.0 },
    },
];

/// How much gas comes in so that a space of this volume is beyond its alarms in about half a minute and
/// settles below the end of its sensors' ranges.
pub fn leak_rate(gas: Gas, volume_m3: f64) -> f64 {
    let fraction_per_second = match gas {
        Gas::Methane => 0.000_48,
        Gas::HydrogenSulphide => 0.6e-6,
        Gas::CarbonMonoxide => 6e-6,
        Gas::CarbonDioxide => 0.0012,
    };
    fraction_per_second * volume_m3
}

/// Everyone in the demo city.
pub fn plants() -> Vec<Plant> {
    let wells = ["进水井", "格栅间", "污泥池", "集水池", "阀门井", "调节池", "厌氧池", "沼气柜坑", "出水井", "管廊"];
    let reactors =
        ["反应釜 R-101", "反应釜 R-102", "储罐 T-201", "储罐 T-202", "地下槽 V-301", "废水池", "烘房", "管沟北段", "管沟南段", "泵坑"];
    let face = [
        ("回风隅角 T0", "red", 0.35),
        ("采煤工作面 T1", "red", 0.28),
        ("回风巷 T2", "orange", 0.30),
        ("进风巷 T3", "orange", 0.05),
        ("回风巷中部", "orange", 0.30),
        ("机电硐室", "yellow", 0.06),
        ("带式输送机机头", "yellow", 0.05),
        ("采区回风巷", "orange", 0.25),
    ];
    vec![
        Plant {
            gateway: "pickle-works",
            name: "示例酱菜食品厂 Example Pickle Works",
            uscc: "91130500MA0DEMO01X",
            kind: "plant",
            county: "示范一区",
            road: Road::Pty,
            period_ms: 2000,
            points: (1..=13)
                .map(|n| Point {
                    // The last vat has its node but is in no registry yet: it is there to try it out.
                    is_registered: n < 13,
                    ..confined(
                        n,
                        &format!("腌制池 {n} 号 Pickling vat {n}"),
                        "地下有限空间",
                        if n <= 4 { "yellow" } else { "blue" },
                        (114.46, 37.12),
                        40.0,
                        "硫化氢 缺氧 H2S, oxygen",
                        &[Gas::HydrogenSulphide, Gas::CarbonDioxide],
                        "P",
                    )
                })
                .collect(),
        },
        Plant {
            gateway: "east-sewage",
            name: "示例城东污水处理厂 Example East Sewage Works",
            uscc: "91130500MA0DEMO02X",
            kind: "plant",
            county: "示范二区",
            road: Road::ModbusTcp,
            period_ms: 2000,
            points: (1..)
                .zip(wells)
                .map(|(n, name)| {
                    confined(
                        n,
                        name,
                        "地下有限空间",
                        if n % 3 == 0 { "orange" } else { "yellow" },
                        (114.60, 37.10),
                        60.0,
                        "硫化氢 甲烷 H2S, CH4",
                        &[Gas::HydrogenSulphide, Gas::Methane],
                        "S",
                    )
                })
                .collect(),
        },
        Plant {
            gateway: "fine-chemicals",
            name: "示例精细化工 Example Fine Chemicals",
            uscc: "91130500MA0DEMO03X",
            kind: "plant",
            county: "示范三县",
            road: Road::RtuOverTcp,
            period_ms: 2000,
            points: (1..)
                .zip(reactors)
                .map(|(n, name)| {
                    confined(
                        n,
                        name,
                        "密闭设备",
                        if n % 4 == 0 { "orange" } else { "yellow" },
                        (114.52, 37.00),
                        25.0,
                        "可燃气 一氧化碳 LEL, CO",
                        &[Gas::Methane, Gas::CarbonMonoxide],
                        "C",
                    )
                })
                .collect(),
        },
        Plant {
            gateway: "mine-face-1201",
            name: "示例煤矿 1201 综采工作面 Example Mine, face 1201",
            uscc: "91130500MA0DEMO04X",
            kind: "mine",
            county: "示范四县",
            road: Road::ModbusTcp,
            period_ms: 1000,
            points: (1..).zip(face).map(|(n, (name, assessed, methane))| roadway(n, name, assessed, methane)).collect(),
        },
    ]
}

#[expect(clippy::too_many_arguments, reason = "a row of a table, written once")]
fn confined(
    n: usize,
    name: &str,
    kind: &'static str,
    assessed: &'static str,
    near: (f64, f64),
    volume_m3: f64,
    hazards: &'static str,
    gases: &'static [Gas],
    prefix: &str,
) -> Point {
    let (column, row) = ((n - 1) % 4, (n - 1) / 4);
    Point {
        code: format!("{prefix}-{n:02}"),
        name: name.to_owned(),
        kind,
        assessed,
        longitude: near.0 + column as f64 * 0.012,
        latitude: near.1 - row as f64 * 0.010,
        hazards,
        space: Space::new(volume_m3, volume_m3 / 90.0, 18.0),
        channels: CONFINED,
        gases,
        volume_m3,
        is_registered: true,
    }
}

/// A roadway breathes steadily: its methane is a balance, and a leak is a change of it.
fn roadway(n: usize, name: &str, assessed: &'static str, methane_percent: f64) -> Point {
    let (volume_m3, ventilation) = (400.0, 12.0);
    let mut space = Space::new(volume_m3, ventilation, 22.0 + n as f64 * 0.4);
    space.leak(Gas::Methane, background_methane(methane_percent));
    space.advance(600.0);
    Point {
        code: format!("M-{n:02}"),
        name: format!("1201 {name}"),
        kind: "采煤工作面",
        assessed,
        longitude: 114.38 + (n - 1) as f64 * 0.006,
        latitude: 37.03 + ((n - 1) % 2) as f64 * 0.008,
        hazards: "瓦斯 一氧化碳 CH4, CO",
        space,
        channels: FACE,
        gases: &[Gas::Methane],
        volume_m3,
        is_registered: true,
    }
}

fn background_methane(percent: f64) -> f64 {
    12.0 * percent / 100.0
}

impl Point {
    /// What leaks in when nothing is wrong, m3/s.
    pub fn background(&self, gas: Gas) -> f64 {
        match (self.kind, gas) {
            ("采煤工作面", Gas::Methane) => self.space.fraction(Gas::Methane) * 12.0,
            _ => 0.0,
        }
    }
}

impl Channel {
    /// What this channel would show in that air, in its own unit.
    pub fn level(&self, space: &Space) -> f64 {
        let fraction = match self.quantity {
            Quantity::Oxygen => space.oxygen(),
            Quantity::Temperature => return space.celsius(),
            Quantity::AirVelocity => return space.velocity(6.0),
            Quantity::Gas(gas) => space.fraction(gas),
        };
        match self.unit {
            Unit::Ppm => fraction * 1e6,
            // Methane: 5.0 %vol is 100 %LEL in Chinese practice.
            Unit::PercentLel => fraction * 100.0 / 5.0 * 100.0,
            _ => fraction * 100.0,
        }
    }

    /// What people call it.
    pub fn label(&self) -> &'static str {
        match self.quantity {
            Quantity::Gas(Gas::Methane) => "甲烷 CH4",
            Quantity::Gas(Gas::HydrogenSulphide) => "硫化氢 H2S",
            Quantity::Gas(Gas::CarbonMonoxide) => "一氧化碳 CO",
            Quantity::Gas(Gas::CarbonDioxide) => "二氧化碳 CO2",
            Quantity::Oxygen => "氧气 O2",
            Quantity::Temperature => "温度 Temperature",
            Quantity::AirVelocity => "风速 Air velocity",
        }
    }

    /// Name of the quantity, as catalogues and rule packs write it.
    pub fn quantity_name(&self) -> &'static str {
        match self.quantity {
            Quantity::Gas(Gas::Methane) => "CH4",
            Quantity::Gas(Gas::HydrogenSulphide) => "H2S",
            Quantity::Gas(Gas::CarbonMonoxide) => "CO",
            Quantity::Gas(Gas::CarbonDioxide) => "CO2",
            Quantity::Oxygen => "O2",
            Quantity::Temperature => "temperature",
            Quantity::AirVelocity => "air-velocity",
        }
    }
}
