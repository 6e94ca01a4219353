//! Rule packs: dated limits, each row with its source and how sure we are of it.
//!
//! A pack is TOML: `id`, `version`, `effective_from`, optional `effective_to`, `title_zh`, `title_en`,
//! `source`, and rows. Unknown keys are refused; so is every row that could not work. `effective_*` are
//! ISO dates, kept as text: this crate has no clock and only compares them.

use alarm::Priority;
use measurement::{Direction, Limit, Unit, Value};
use serde::Deserialize;
use thiserror::Error;

const SHIPPED: &[(&str, &str)] = &[
    ("cn-confined-2024.toml", include_str!("../../rule-packs/cn-confined-2024.toml")),
    ("cn-fixed-gbt50493-2019.toml", include_str!("../../rule-packs/cn-fixed-gbt50493-2019.toml")),
    ("cn-coal-2025.toml", include_str!("../../rule-packs/cn-coal-2025.toml")),
    ("us-osha-1910-146.toml", include_str!("../../rule-packs/us-osha-1910-146.toml")),
];

/// How sure we are of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Read on a page that the source names.
    Found,
    /// Remembered: check it against the standard before claiming compliance.
    Mem,
    /// Our own design.
    Design,
}

impl Confidence {
    /// Its mark, as sources carry it.
    pub const fn mark(self) -> &'static str {
        match self {
            Confidence::Found => "[found]",
            Confidence::Mem => "[mem]",
            Confidence::Design => "[design]",
        }
    }
}

/// One limit of a pack.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Unique within the pack and stable: part of the alarm's identity.
    pub id: String,
    /// `CH4`, `O2`, `temperature` …
    pub quantity: String,
    /// Where it applies: `any`, or a kind of place that the pack names.
    pub location: String,
    /// The place in people's words.
    pub location_zh: Option<String>,
    /// True when it applies to a channel of which no place is known yet.
    pub default: bool,
    /// The unit of setpoint and release.
    pub unit: Unit,
    /// The limit.
    pub limit: Limit,
    /// Priority of its alarms.
    pub priority: Priority,
    /// Where the setpoint comes from.
    pub source: String,
    /// How sure we are of it.
    pub confidence: Confidence,
}

/// A rule pack.
#[derive(Debug, Clone, PartialEq)]
pub struct Pack {
    /// Its name: `cn-confined-2024`.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// ISO date.
    pub effective_from: String,
    /// ISO date, exclusive, when another took its place.
    pub effective_to: Option<String>,
    /// Chinese title.
    pub title_zh: String,
    /// English title.
    pub title_en: String,
    /// What it is drawn from.
    pub source: String,
    /// Its limits.
    pub rows: Vec<Row>,
}

/// Why a text is no rule pack. One sentence each, naming the row.
#[derive(Debug, Error, PartialEq)]
pub enum PackError {
    /// Not TOML, an unknown key, or a missing one.
    #[error("rule pack {file} is not valid")]
    Parse {
        /// The file.
        file: String,
        /// Line and reason.
        #[source]
        source: toml::de::Error,
    },
    /// A row that could not work.
    #[error("rule pack {file}, row {row:?}: {why}")]
    Row {
        /// The file.
        file: String,
        /// The row.
        row: String,
        /// What is wrong and what would be right.
        why: String,
    },
    /// A pack that could not work.
    #[error("rule pack {file}: {why}")]
    Pack {
        /// The file.
        file: String,
        /// What is wrong and what would be right.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    id: String,
    version: u32,
    effective_from: String,
    effective_to: Option<String>,
    title_zh: String,
    title_en: String,
    source: String,
    row: Vec<RawRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    id: String,
    quantity: String,
    #[serde(default = "any")]
    location: String,
    location_zh: Option<String>,
    #[serde(default)]
    default: bool,
    unit: String,
    direction: RawDirection,
    setpoint: f32,
    release: f32,
    #[serde(default)]
    on_delay_ms: u32,
    #[serde(default)]
    off_delay_ms: u32,
    priority: Priority,
    source: String,
    confidence: Confidence,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawDirection {
    High,
    Low,
}

fn any() -> String {
    "any".to_owned()
}

impl Pack {
    /// Reads and checks a pack. `file` is only for the error.
    pub fn parse(file: &str, text: &str) -> Result<Pack, PackError> {
        let raw: RawPack = toml::from_str(text).map_err(|source| PackError::Parse { file: file.to_owned(), source })?;
        let wrong = |why: String| PackError::Pack { file: file.to_owned(), why };
        for date in [Some(&raw.effective_from), raw.effective_to.as_ref()].into_iter().flatten() {
            if !is_date(date) {
                return Err(wrong(format!("{date:?} is not a date like 2024-05-01")));
            }
        }
        if raw.effective_to.as_ref().is_some_and(|to| *to <= raw.effective_from) {
            return Err(wrong("effective_to must lie after effective_from".to_owned()));
        }
        let mut rows: Vec<Row> = Vec::with_capacity(raw.row.len());
        for row in raw.row {
            let id = row.id.clone();
            let row = checked(row).and_then(|row| match rows.iter().any(|other| other.id == row.id) {
                true => Err("its id is used twice; ids are part of an alarm's identity".to_owned()),
                false => Ok(row),
            });
            rows.push(row.map_err(|why| PackError::Row { file: file.to_owned(), row: id, why })?);
        }
        Ok(Pack {
            id: raw.id,
            version: raw.version,
            effective_from: raw.effective_from,
            effective_to: raw.effective_to,
            title_zh: raw.title_zh,
            title_en: raw.title_en,
            source: raw.source,
            rows,
        })
    }

    /// True on this ISO date.
    pub fn is_effective_on(&self, date: &str) -> bool {
        self.effective_from.as_str() <= date && self.effective_to.as_deref().is_none_or(|to| date < to)
    }
}

/// The packs that come with Davy, checked.
pub fn shipped() -> Result<Vec<Pack>, PackError> {
    SHIPPED.iter().map(|(file, text)| Pack::parse(file, text)).collect()
}

/// Which shipped pack a gateway's channels look like, until a person says: methane in %vol or air velocity is
/// a mine, anything else a confined space.
pub fn suggest<'a>(channels: impl IntoIterator<Item = (&'a str, Unit)>) -> &'static str {
    let is_mine = |(quantity, unit): (&str, Unit)| {
        (quantity.eq_ignore_ascii_case("CH4") && unit == Unit::PercentVol) || quantity.eq_ignore_ascii_case("air-velocity")
    };
    if channels.into_iter().any(is_mine) { "cn-coal-2025" } else { "cn-confined-2024" }
}

fn checked(row: RawRow) -> Result<Row, String> {
    let unit = Unit::from_symbol(&row.unit).ok_or_else(|| format!("{:?} is not a unit; write for example %LEL, ppm or mg/m3", row.unit))?;
    let finite = |number: f32| Value::new(number).ok_or_else(|| format!("{number} is not a finite number"));
    let limit = Limit {
        direction: match row.direction {
            RawDirection::High => Direction::High,
            RawDirection::Low => Direction::Low,
        },
        setpoint: finite(row.setpoint)?,
        release: finite(row.release)?,
        on_delay_ms: row.on_delay_ms,
        off_delay_ms: row.off_delay_ms,
    };
    if !limit.is_consistent() {
        return Err(format!("release {} lies beyond the setpoint {}; it must lie on the safe side of it", limit.release, limit.setpoint));
    }
    if row.source.trim().is_empty() {
        return Err("a row needs a source".to_owned());
    }
    Ok(Row {
        id: row.id,
        quantity: row.quantity,
        location: row.location,
        location_zh: row.location_zh,
        default: row.default,
        unit,
        limit,
        priority: row.priority,
        source: row.source,
        confidence: row.confidence,
    })
}

fn is_date(text: &str) -> bool {
    let digits = |range: std::ops::Range<usize>| text.get(range).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() == 10 && digits(0..4) && digits(5..7) && digits(8..10) && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-'
}

#[cfg(test)]
mod tests;
