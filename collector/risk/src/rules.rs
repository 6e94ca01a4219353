//! From a pack to a channel's alarm rules, and the check that a site is never looser than its pack.

use crate::gas;
use crate::pack::{Pack, Row};
use alarm::{Kind, Priority, Rule, RuleKind};
use measurement::{Direction, Limit, Unit, Value};
use thiserror::Error;

/// Poll periods without a live reading before a channel is called silent (promise P5).
const SILENCE_PERIODS: u32 = 3;

/// What a channel measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured<'a> {
    /// `CH4`, `O2`, `temperature` …
    pub quantity: &'a str,
    /// The unit of its values.
    pub unit: Unit,
    /// Its measuring range, in its unit.
    pub range: Option<(f32, f32)>,
    /// LEL base in %vol, when the channel brings one.
    pub lel_percent_vol: Option<f32>,
    /// Reference temperature of mg/m3, when the channel brings one.
    pub reference_celsius: Option<f32>,
    /// The kind of place, as the pack names it; `None` while nobody has said.
    pub location: Option<&'a str>,
    /// True for a gateway's own health: no gas limits, lower priorities.
    pub own_health: bool,
}

/// Why a change of limits is refused: one sentence.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LooserRule {
    /// A rule of the pack is missing.
    #[error("rule {rule} of pack {pack} may not be removed: a site may be stricter than its pack, never looser")]
    Removed {
        /// The rule.
        rule: String,
        /// The pack.
        pack: String,
    },
    /// A number of the rule is looser than the pack's.
    #[error("rule {rule}: {what} {given} is looser than {allowed} of pack {pack}; give {allowed} or a stricter value")]
    Looser {
        /// The rule.
        rule: String,
        /// Which number.
        what: &'static str,
        /// What was given.
        given: String,
        /// What the pack says.
        allowed: String,
        /// The pack.
        pack: String,
    },
    /// The limit cannot work.
    #[error("rule {rule}: {why}")]
    Unusable {
        /// The rule.
        rule: String,
        /// What is wrong and what would be right.
        why: String,
    },
}

/// The rules of a newly seen channel: the pack's limits in the channel's unit, and for every channel silence,
/// fault, not-protecting and over-range. A row whose unit cannot be converted, or whose setpoint lies outside
/// the range the sensor can show, is left out: it could never fire. [`uncovered`] names those.
pub fn default_rules(pack: &Pack, measured: &Measured<'_>) -> Vec<Rule> {
    let rows = applicable(pack, measured);
    let mut rules: Vec<Rule> = rows.filter_map(|row| rule_of(pack, row, measured)).collect();
    let is_gas = gas::is_gas(measured.quantity);
    let (unseen, unprotected) = match (is_gas, measured.own_health) {
        (_, true) => (Priority::Low, Priority::Low),
        (true, false) => (Priority::High, Priority::Medium),
        (false, false) => (Priority::Medium, Priority::Low),
    };
    let source = |what: &str| format!("Davy: {what} [design]");
    let rule = |id: &str, what: RuleKind, priority: Priority, source: String| Rule { id: id.to_owned(), what, priority, source };
    rules.push(rule(
        "silence",
        RuleKind::Silence { periods: SILENCE_PERIODS },
        unseen,
        source("loss of signal is an alarm within 3 polls and 1 s"),
    ));
    rules.push(rule("fault", RuleKind::Fault, unseen, source("a fault is never a zero")));
    rules.push(rule(
        "not-protecting",
        RuleKind::NotProtecting,
        unprotected,
        source("warming up, inhibited or not yet read protects nobody"),
    ));
    if !measured.own_health {
        let priority = if is_gas { Priority::Urgent } else { Priority::Medium };
        let ceiling = ceiling(measured).and_then(Value::new);
        rules.push(rule(
            "over-range",
            RuleKind::OverRange { ceiling },
            priority,
            source("over range counts as high and is believed low again only after a person's reset"),
        ));
    }
    rules
}

/// The pack's rows for this channel that cannot run on it, each with the reason. To be shown, not hidden.
pub fn uncovered(pack: &Pack, measured: &Measured<'_>) -> Vec<(String, String)> {
    let reason = |row: &Row| match converted(row, measured) {
        None => Some(format!("{} cannot be converted to {}", row.unit.symbol(), measured.unit.symbol())),
        Some(limit) if !is_reachable(&limit, measured) => {
            Some(format!("the sensor cannot show {} {}", limit.setpoint, measured.unit.symbol()))
        }
        Some(_) => None,
    };
    applicable(pack, measured).filter_map(|row| Some((rule_id(pack, row), reason(row)?))).collect()
}

/// Whether a channel may have these rules: every rule of the pack is there and none is looser. Rules that the
/// pack does not know are the site's own and only have to work, without pushing one of the pack's aside.
pub fn permit(pack: &Pack, measured: &Measured<'_>, rules: &[Rule]) -> Result<(), LooserRule> {
    for required in default_rules(pack, measured) {
        let Some(given) = rules.iter().find(|rule| rule.id == required.id) else {
            return Err(LooserRule::Removed { rule: required.id, pack: pack.id.clone() });
        };
        if let Some((what, given, allowed)) = looser(given, &required) {
            return Err(LooserRule::Looser { rule: required.id, what, given, allowed, pack: pack.id.clone() });
        }
    }
    for (at, rule) in rules.iter().enumerate() {
        let why = match &rule.what {
            RuleKind::Limit { limit, unit } => why_unusable(limit, *unit, measured),
            // The judge would leave such a rule out, and with it the silence alarm.
            RuleKind::Silence { periods: 0 } => Some(format!("silence of 0 periods would never end; give 1 to {SILENCE_PERIODS}")),
            RuleKind::Silence { .. } | RuleKind::Fault | RuleKind::NotProtecting | RuleKind::OverRange { .. } => None,
        };
        if let Some(why) = why.or_else(|| why_pushed_aside(rule, &rules[..at])) {
            return Err(LooserRule::Unusable { rule: rule.id.clone(), why });
        }
    }
    Ok(())
}

/// The judge runs the first of two rules with one id, and the first of two for silence, fault and the like.
fn why_pushed_aside(rule: &Rule, before: &[Rule]) -> Option<String> {
    if before.iter().any(|other| other.id == rule.id) {
        return Some("the id is used twice; ids are part of an alarm's identity".to_owned());
    }
    let kind = rule.what.kind();
    let other = before.iter().find(|other| kind != Kind::Limit && other.what.kind() == kind)?;
    Some(format!("rule {} is for {} already and a channel has one of these", other.id, kind.name()))
}

fn applicable<'a>(pack: &'a Pack, measured: &Measured<'a>) -> impl Iterator<Item = &'a Row> {
    let (quantity, location, own_health) = (measured.quantity, measured.location, measured.own_health);
    pack.rows.iter().filter(move |row| {
        let here = row.location == "any" || location.map_or(row.default, |location| location == row.location);
        !own_health && here && row.quantity.eq_ignore_ascii_case(quantity)
    })
}

fn rule_id(pack: &Pack, row: &Row) -> String {
    format!("{}/{}", pack.id, row.id)
}

fn rule_of(pack: &Pack, row: &Row, measured: &Measured<'_>) -> Option<Rule> {
    let limit = converted(row, measured).filter(|limit| is_reachable(limit, measured))?;
    Some(Rule {
        id: rule_id(pack, row),
        what: RuleKind::Limit { limit, unit: measured.unit },
        priority: row.priority,
        source: format!(
            "{} v{}: {} {} — {} {}",
            pack.id,
            pack.version,
            row.limit.setpoint,
            row.unit.symbol(),
            row.source,
            row.confidence.mark()
        ),
    })
}

fn converted(row: &Row, measured: &Measured<'_>) -> Option<Limit> {
    let channel_side = gas::conversion(measured.quantity, measured.lel_percent_vol, measured.reference_celsius);
    let (Some(pack_side), Some(channel_side)) = (gas::conversion(measured.quantity, None, None), channel_side) else {
        return (row.unit == measured.unit).then_some(row.limit);
    };
    // A pack's mg/m3 are at its own 20 °C; the channel's at the channel's. Going through ppm keeps them apart.
    let one_temperature = row.unit != Unit::MgPerM3 || pack_side.reference_celsius == channel_side.reference_celsius;
    if row.unit == measured.unit && one_temperature {
        return Some(row.limit);
    }
    let (from, to) = if row.unit == Unit::PercentLel { (channel_side, channel_side) } else { (pack_side, channel_side) };
    let convert = |value: Value| to.convert(from.convert(value, row.unit, Unit::Ppm)?, Unit::Ppm, measured.unit);
    Some(Limit { setpoint: convert(row.limit.setpoint)?, release: convert(row.limit.release)?, ..row.limit })
}

/// A setpoint that the sensor can show: strictly inside the range on the dangerous side, or at its end.
fn is_reachable(limit: &Limit, measured: &Measured<'_>) -> bool {
    let Some((low, high)) = measured.range else { return true };
    match limit.direction {
        Direction::High => limit.setpoint.get() <= high,
        Direction::Low => limit.setpoint.get() >= low,
    }
}

/// Where a combustible sensor's range ends: a catalytic bead reads low beyond it. Other sensors say so
/// themselves.
fn ceiling(measured: &Measured<'_>) -> Option<f32> {
    let burns = gas::find(measured.quantity).is_some_and(|gas| gas.lel_percent_vol.is_some());
    let (_, high) = measured.range.filter(|_| burns)?;
    Some(high)
}

/// The first number in which `given` is looser than `required`.
fn looser(given: &Rule, required: &Rule) -> Option<(&'static str, String, String)> {
    let tell = |what, given: String, allowed: String| Some((what, given, allowed));
    if given.priority < required.priority {
        return tell("priority", given.priority.name().to_owned(), required.priority.name().to_owned());
    }
    match (&given.what, &required.what) {
        (RuleKind::Limit { limit: a, unit: ua }, RuleKind::Limit { limit: b, unit: ub }) => {
            let limit_direction = b.direction;
            let symbol = |value: Value, unit: &Unit| format!("{value} {}", unit.symbol());
            let beyond = |a: Value, b: Value| match limit_direction {
                Direction::High => a > b,
                Direction::Low => a < b,
            };
            if ua != ub || a.direction != b.direction {
                tell("direction or unit", symbol(a.setpoint, ua), symbol(b.setpoint, ub))
            } else if beyond(a.setpoint, b.setpoint) {
                tell("setpoint", symbol(a.setpoint, ua), symbol(b.setpoint, ub))
            } else if beyond(a.release, b.release) {
                tell("release", symbol(a.release, ua), symbol(b.release, ub))
            } else if a.on_delay_ms > b.on_delay_ms {
                tell("on-delay", format!("{} ms", a.on_delay_ms), format!("{} ms", b.on_delay_ms))
            } else if a.off_delay_ms < b.off_delay_ms {
                tell("off-delay", format!("{} ms", a.off_delay_ms), format!("{} ms", b.off_delay_ms))
            } else {
                None
            }
        }
        (RuleKind::Silence { periods: a }, RuleKind::Silence { periods: b }) if a > b => {
            tell("silence", format!("{a} periods"), format!("{b} periods"))
        }
        (RuleKind::OverRange { ceiling: a }, RuleKind::OverRange { ceiling: Some(b) }) if a.is_none_or(|a| a > *b) => {
            tell("ceiling", a.map_or_else(|| "none".to_owned(), |a| a.to_string()), b.to_string())
        }
        (a, b) if a.kind() != b.kind() => tell("kind", a.kind().name().to_owned(), b.kind().name().to_owned()),
        _ => None,
    }
}

fn why_unusable(limit: &Limit, unit: Unit, measured: &Measured<'_>) -> Option<String> {
    if unit != measured.unit {
        return Some(format!("its setpoint is in {} but the channel measures in {}", unit.symbol(), measured.unit.symbol()));
    }
    if !limit.is_consistent() {
        return Some(format!("release {} lies beyond setpoint {}; it must lie on the safe side of it", limit.release, limit.setpoint));
    }
    if !is_reachable(limit, measured) {
        let (low, high) = measured.range.unwrap_or_default();
        return Some(format!(
            "setpoint {} lies outside the range {low} to {high} {}, so it could never fire",
            limit.setpoint,
            unit.symbol()
        ));
    }
    None
}

#[cfg(test)]
mod tests;
