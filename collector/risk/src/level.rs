//! The four levels of risk.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A level of risk. Ordered: `Red` is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// 低风险, low.
    Blue,
    /// 一般风险, general.
    Yellow,
    /// 较大风险, considerable.
    Orange,
    /// 重大风险, major.
    Red,
}

impl Level {
    /// From the lowest to the highest.
    pub const ALL: [Level; 4] = [Level::Blue, Level::Yellow, Level::Orange, Level::Red];

    /// Its name in the API and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Blue => "blue",
            Level::Yellow => "yellow",
            Level::Orange => "orange",
            Level::Red => "red",
        }
    }

    /// The level with this name.
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }

    /// The code of exchange data: 1 major to 4 low.
    pub const fn exchange_code(self) -> u8 {
        match self {
            Level::Red => 1,
            Level::Orange => 2,
            Level::Yellow => 3,
            Level::Blue => 4,
        }
    }

    /// What Chinese readers call it.
    pub const fn zh(self) -> &'static str {
        match self {
            Level::Blue => "低风险",
            Level::Yellow => "一般风险",
            Level::Orange => "较大风险",
            Level::Red => "重大风险",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
