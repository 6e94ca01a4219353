//! The settings of a Davy node: read as they are in force, and changed by a file that names only what is to change.
//!
//! A change is staged, compared and committed whole (`firmware/README.md`, "How to change settings"): the node takes all
//! of it or nothing. What the file means and what would change is pure; only [`read`] and [`write`] speak to the line,
//! and the link writes to nothing but a node's settings.

use std::fmt::Write;

use measurement::{Direction, Limit, Value};
use register_map::{
    BlockError, CHANNEL_SETTINGS_WORDS, ChannelSettingsBlock, DESK, DESK_COMMIT, DESK_KEY, DESK_WORDS, DeskBlock, IDENTITY, IDENTITY_WORDS,
    Identity, NodeSettingsBlock, Refusal, SETTINGS, SETTINGS_WORDS, SettingsCrc, WRITE_ENABLE_KEY, channel_settings_address,
};
use serde::Deserialize;

use crate::device::Block;
use crate::poll::link::{Failure, Link};

/// What is in force on a node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSettings {
    /// Counts changes.
    pub version: u16,
    /// CRC-32 of the settings, as the node states it and as they have it.
    pub hash: u32,
    /// Of the whole node.
    pub node: NodeSettingsBlock,
    /// Of each channel.
    pub channels: Vec<ChannelSettingsBlock>,
}

/// Why settings are not read or not changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The line or the node said no.
    #[error("{0}")]
    Line(#[from] Failure),
    /// Registers that make no block.
    #[error("the node's registers make no settings: {0:?}")]
    Block(BlockError),
    /// What it states is not what it shows.
    #[error("the node states the settings hash {stated:08X} and shows settings of {shown:08X}; read them again")]
    Hash { stated: u32, shown: u32 },
    /// What it staged is not what was sent.
    #[error("the node staged {staged:08X} where {sent:08X} was sent; nothing was committed")]
    Staged { staged: u32, sent: u32 },
    /// The node examined the change and refused it.
    #[error("the node refuses the change: {}{}", reason(*.why), .channel.map_or_else(String::new, |channel| format!(" (channel {channel})")))]
    Refused { why: Refusal, channel: Option<u16> },
    /// Committed, and not what stands there now.
    #[error("the change was committed, but the node now states {now:08X} instead of {wanted:08X}; read its settings again")]
    NotInForce { now: u32, wanted: u32 },
    /// The commit was sent, and what became of it could not be learnt.
    #[error("it is not known whether the change is in force ({0}); read the settings again")]
    Unknown(String),
}

impl From<BlockError> for SettingsError {
    fn from(error: BlockError) -> SettingsError {
        SettingsError::Block(error)
    }
}

fn reason(why: Refusal) -> &'static str {
    match why {
        Refusal::None => "it gives no reason",
        Refusal::Shut => "its desk is shut; the minute was over",
        Refusal::Key => "the key is not its key",
        Refusal::Version => "somebody else has changed its settings meanwhile; read them again",
        Refusal::Content => "a write is missing on its side; try again",
        Refusal::Unit => "the unit id must lie between 1 and 247",
        Refusal::Device => "quantity, unit and range are the device's own",
        Refusal::Meaningless => "a number that means nothing",
        Refusal::Range => "a setpoint or release lies outside the measuring range",
        Refusal::Noise => "a setpoint lies within what clean air shows; it would alarm without cause",
        Refusal::Inconsistent => "a release lies beyond its setpoint, or the second level nearer than the first",
        Refusal::Delay => "a delay is longer than the node takes",
        Refusal::NoLevel => "a node is not silenced by taking its levels away",
        Refusal::Calibration => "zero, span or drift lies beyond what a cell fit for use needs",
        Refusal::Record => "a calibration needs its date, gas, lot and operator",
        Refusal::NotKept => "its memory failed; what was in force still is",
    }
}

/// A change as a person writes it: only what is to change is named.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Channels that change.
    #[serde(default, rename = "channel")]
    pub channels: Vec<WantedChannel>,
}

/// What changes of one channel.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedChannel {
    /// Its number on the node.
    pub number: u16,
    pub latching: Option<bool>,
    pub low: Option<WantedLevel>,
    pub high: Option<WantedLevel>,
    pub calibration: Option<WantedCalibration>,
}

/// What changes of a level. `low` is the first, `high` the second; which side is dangerous stays unless it is named.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedLevel {
    pub danger: Option<Danger>,
    pub setpoint: Option<f32>,
    pub release: Option<f32>,
    pub on_delay_ms: Option<u32>,
    pub off_delay_ms: Option<u32>,
}

/// Which side is dangerous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Danger {
    Above,
    Below,
}

/// A calibration: what was found, and its record. A record is never carried over to other numbers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedCalibration {
    pub zero: f32,
    pub span: f32,
    pub zero_per_kelvin: f32,
    /// Year, month and day as one number, 20261124.
    pub date: u32,
    pub gas: String,
    pub lot: String,
    pub operator: String,
}

impl Wanted {
    /// Reads a change. The error is one sentence.
    pub fn parse(file: &str, text: &str) -> Result<Wanted, String> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().and_then(|span| text.get(..span.start)).map_or(1, |before| before.matches('\n').count() + 1);
            format!("{file}:{line}: {}", crate::site::explained(error.message()))
        })
    }
}

impl NodeSettings {
    /// CRC-32 of these settings: what the node states as its hash once they are in force.
    pub fn crc(&self) -> u32 {
        let mut crc = SettingsCrc::new();
        crc.words(&self.node.content());
        self.channels.iter().for_each(|channel| crc.words(&channel.content()));
        crc.end()
    }

    /// These settings with the change. The error is one sentence.
    pub fn changed(&self, wanted: &Wanted) -> Result<NodeSettings, String> {
        let mut new = self.clone();
        for change in &wanted.channels {
            let number = change.number;
            let count = self.channels.len();
            let channel =
                new.channels.get_mut(usize::from(number)).ok_or_else(|| format!("there is no channel {number}; the node has {count}"))?;
            channel.latching = change.latching.unwrap_or(channel.latching);
            for (name, level, change) in [("low", &mut channel.low, &change.low), ("high", &mut channel.high, &change.high)] {
                if let Some(change) = change {
                    *level = Some(changed_level(*level, change).map_err(|why| format!("channel {number}, {name}: {why}"))?);
                }
            }
            if let Some(calibration) = &change.calibration {
                let text = |name: &str, text: &str| padded(text).map_err(|why| format!("channel {number}, {name}: {why}"));
                (channel.zero, channel.span, channel.zero_per_kelvin) = (calibration.zero, calibration.span, calibration.zero_per_kelvin);
                channel.date = calibration.date;
                channel.gas = text("gas", &calibration.gas)?;
                channel.lot = text("lot", &calibration.lot)?;
                channel.operator = text("operator", &calibration.operator)?;
            }
        }
        Ok(new)
    }

    /// As a person reads it, and as a change is written.
    pub fn text(&self) -> String {
        let mut text = format!("# version {}, hash {:08X}, unit {}\n", self.version, self.hash, self.node.unit);
        for (number, channel) in self.channels.iter().enumerate() {
            let unit = channel.unit.symbol();
            let _ = write!(
                text,
                "\n[[channel]]                         # quantity {}, {:?} to {:?} {unit}\nnumber = {number}\nlatching = {}\n",
                channel.quantity, channel.range_low, channel.range_high, channel.latching
            );
            for (name, level) in [("low", &channel.low), ("high", &channel.high)] {
                if let Some(level) = level {
                    let _ = writeln!(text, "{name} = {}", level_text(level));
                }
            }
            let _ = writeln!(
                text,
                "calibration = {{ zero = {:?}, span = {:?}, zero_per_kelvin = {:?}, date = {}, gas = {:?}, lot = {:?}, operator = {:?} }}",
                channel.zero,
                channel.span,
                channel.zero_per_kelvin,
                channel.date,
                unpadded(&channel.gas),
                unpadded(&channel.lot),
                unpadded(&channel.operator)
            );
        }
        text
    }

    /// What is other in the new settings, a line each.
    pub fn differences(&self, new: &NodeSettings) -> Vec<String> {
        let lines = |settings: &NodeSettings| settings.text().lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
        let (mut old_lines, mut new_lines, mut told) = (lines(self), lines(new), Vec::new());
        // Every channel has the same lines, but for levels that one of the two lacks.
        for number in 0..self.channels.len().max(new.channels.len()) {
            let of = |lines: &mut Vec<String>| -> Vec<String> {
                let begin = lines.iter().position(|line| line.starts_with("[[channel]]")).map_or(lines.len(), |at| at + 1);
                let end = lines[begin..].iter().position(|line| line.starts_with("[[channel]]")).map_or(lines.len(), |at| begin + at);
                lines.drain(..end).skip(begin).filter(|line| !line.is_empty()).collect()
            };
            let (old, new) = (of(&mut old_lines), of(&mut new_lines));
            let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("channel {number}: - {line}"));
            let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("channel {number}: + {line}"));
            told.extend(gone.chain(come));
        }
        told
    }
}

fn changed_level(old: Option<Limit>, change: &WantedLevel) -> Result<Limit, String> {
    let value = |given: Option<f32>, before: Option<Value>, name: &str| match given {
        Some(given) => Value::new(given).ok_or_else(|| format!("{name} must be a finite number")),
        None => before.ok_or_else(|| format!("there is no such level yet; name its danger, setpoint and release, here {name}")),
    };
    let direction = match (change.danger, old) {
        (Some(Danger::Above), _) => Direction::High,
        (Some(Danger::Below), _) => Direction::Low,
        (None, Some(old)) => old.direction,
        (None, None) => return Err("there is no such level yet; name its danger: above or below".to_owned()),
    };
    let limit = Limit {
        direction,
        setpoint: value(change.setpoint, old.map(|old| old.setpoint), "setpoint")?,
        release: value(change.release, old.map(|old| old.release), "release")?,
        on_delay_ms: change.on_delay_ms.or(old.map(|old| old.on_delay_ms)).unwrap_or(0),
        off_delay_ms: change.off_delay_ms.or(old.map(|old| old.off_delay_ms)).unwrap_or(0),
    };
    if limit.is_consistent() {
        Ok(limit)
    } else {
        Err(format!("release {} lies beyond the setpoint {}; it must lie on the safe side of it", limit.release, limit.setpoint))
    }
}

fn level_text(level: &Limit) -> String {
    let danger = if level.direction == Direction::High { "above" } else { "below" };
    format!(
        "{{ danger = \"{danger}\", setpoint = {:?}, release = {:?}, on_delay_ms = {}, off_delay_ms = {} }}",
        level.setpoint.get(),
        level.release.get(),
        level.on_delay_ms,
        level.off_delay_ms
    )
}

fn padded(text: &str) -> Result<[u8; 16], String> {
    if text.len() > 16 || !text.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
        return Err(format!("{text:?} must be at most 16 plain ASCII letters"));
    }
    let mut bytes = [0; 16];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    Ok(bytes)
}

fn unpadded(bytes: &[u8; 16]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

async fn registers(link: &mut Link, unit: u8, address: u16, count: usize) -> Result<Vec<u16>, Failure> {
    link.read(unit, Block { function: 3, address, count: count as u16 }).await
}

/// Reads what is in force, and makes sure that it is what the node states.
pub async fn read(link: &mut Link, unit: u8) -> Result<NodeSettings, SettingsError> {
    let identity = Identity::decode(&registers(link, unit, IDENTITY, IDENTITY_WORDS).await?)?;
    let node = NodeSettingsBlock::decode(&registers(link, unit, SETTINGS, SETTINGS_WORDS).await?)?;
    let mut channels = Vec::new();
    for number in 0..node.channels.min(register_map::MAX_CHANNELS) {
        let words = registers(link, unit, channel_settings_address(number), CHANNEL_SETTINGS_WORDS).await?;
        channels.push(ChannelSettingsBlock::decode(number, &words)?);
    }
    let settings = NodeSettings { version: identity.settings_version, hash: identity.settings_hash, node, channels };
    match settings.crc() {
        shown if shown == settings.hash => Ok(settings),
        shown => Err(SettingsError::Hash { stated: settings.hash, shown }),
    }
}

/// Replaces `old`, which is in force, by `new`, whole or not at all. Gives what is in force then.
pub async fn write(link: &mut Link, unit: u8, old: &NodeSettings, new: &NodeSettings) -> Result<NodeSettings, SettingsError> {
    let wanted = new.crc();
    let words = |number: u32| [(number >> 16) as u16, number as u16];
    link.write_settings(unit, DESK_KEY, &words(WRITE_ENABLE_KEY)).await?;
    for (number, (before, after)) in (0..).zip(old.channels.iter().zip(&new.channels)) {
        if before != after {
            let written = link.write_settings(unit, channel_settings_address(number), &after.content()).await;
            explained(link, unit, written).await?;
        }
    }
    let desk = DeskBlock::decode(&registers(link, unit, DESK, DESK_WORDS).await?)?;
    if desk.content_crc != wanted {
        return Err(SettingsError::Staged { staged: desk.content_crc, sent: wanted });
    }
    let [high, low] = words(wanted);
    let lost = match link.write_settings(unit, DESK_COMMIT, &[old.version, high, low]).await {
        Ok(()) => None,
        Err(failure) if is_final(&failure) => return explained(link, unit, Err(failure)).await.map(|()| old.clone()),
        Err(failure) => Some(failure),
    };
    // An answer that was lost says nothing of the commit; what stands there now does.
    match (read(link, unit).await, lost) {
        (Ok(now), _) if now.hash == wanted => Ok(now),
        (Ok(now), None) => Err(SettingsError::NotInForce { now: now.hash, wanted }),
        (Ok(_), Some(failure)) => Err(SettingsError::Unknown(failure.to_string())),
        (Err(error), _) => Err(SettingsError::Unknown(error.to_string())),
    }
}

/// True when the node itself refused, or nothing was sent. A gateway between us says by these exceptions only that it heard
/// no answer (application protocol 7).
fn is_final(failure: &Failure) -> bool {
    match failure {
        Failure::Refused(code) => ![0x0A, 0x0B].contains(code),
        Failure::Forbidden(_) => true,
        Failure::NoLine(_) | Failure::NoAnswer(_) | Failure::Wrong(_) | Failure::Blocked { .. } => false,
    }
}

/// A refused write with the reason that the desk shows.
async fn explained(link: &mut Link, unit: u8, written: Result<(), Failure>) -> Result<(), SettingsError> {
    let Err(failure) = written else { return Ok(()) };
    if !matches!(failure, Failure::Refused(_)) {
        return Err(failure.into());
    }
    match DeskBlock::decode(&registers(link, unit, DESK, DESK_WORDS).await?)? {
        DeskBlock { refusal: Refusal::None, .. } => Err(failure.into()),
        desk => Err(SettingsError::Refused { why: desk.refusal, channel: desk.refused_channel }),
    }
}

#[cfg(test)]
mod tests;
