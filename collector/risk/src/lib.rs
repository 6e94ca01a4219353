//! Pure: how risky a risk point is now, and which limits the rules ask for.
//!
//! Levels and grading, the live level that open alarms give a point, whether a point is guarded at all, and
//! dated rule packs that turn a new channel into alarm rules. No disk, network, clock, HTTP or colour beyond
//! the names of the four levels. No legal number is code: they are rows of `collector/rule-packs/*.toml`.
#![forbid(unsafe_code)]

pub mod gas;
mod grading;
mod guard;
mod level;
mod live;
pub mod pack;
mod rules;

pub use grading::{Grading, GradingError, Lec};
pub use guard::{BoundChannel, Guarded, Reason, guarded};
pub use level::Level;
pub use live::{PointGrade, grade, level_of, live_level};
pub use pack::{Confidence, Pack, PackError, Row, shipped, suggest};
pub use rules::{LooserRule, Measured, default_rules, permit, uncovered};
