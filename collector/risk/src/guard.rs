//! Whether a risk point is guarded: unknown is worse than high, so a point that nobody really sees is said
//! to be unguarded, and why.

use crate::gas;
use measurement::{Doubt, Fault, Outcome};
use serde::Serialize;

/// A channel bound to a risk point, as it stands now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundChannel<'a> {
    /// For people.
    pub tag: &'a str,
    /// `CH4`, `O2`, `temperature` …
    pub quantity: &'a str,
    /// The newest live reading, if any.
    pub outcome: Option<Outcome>,
    /// True while that reading is fresh: live, and no silence since.
    pub fresh: bool,
}

/// A reason in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// Whether every bound gas channel of a point has a fresh trusted reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guarded {
    /// It has.
    Guarded,
    /// It has not, and what is missing first.
    Unguarded(Reason),
}

impl Guarded {
    /// True when guarded.
    pub fn is_guarded(&self) -> bool {
        matches!(self, Guarded::Guarded)
    }
}

/// Judges a point by its bound channels.
pub fn guarded<'a>(channels: impl IntoIterator<Item = BoundChannel<'a>>) -> Guarded {
    let mut gases = channels.into_iter().filter(|channel| gas::is_gas(channel.quantity)).peekable();
    if gases.peek().is_none() {
        return unguarded("没有绑定气体通道".to_owned(), "no gas channel is bound".to_owned());
    }
    gases.find_map(why_not).map_or(Guarded::Guarded, Guarded::Unguarded)
}

fn why_not(channel: BoundChannel<'_>) -> Option<Reason> {
    let BoundChannel { tag, quantity, .. } = channel;
    let (zh, en) = match (channel.outcome, channel.fresh) {
        (None, _) => ("启动后尚无实时读数".to_owned(), "no live reading since start-up".to_owned()),
        (Some(_), false) => ("没有新鲜读数".to_owned(), "no fresh reading".to_owned()),
        (Some(Outcome::Good(_)), true) => return None,
        (Some(Outcome::Uncertain(_, doubt)), true) if is_trusted(doubt) => return None,
        (Some(Outcome::Uncertain(_, doubt)), true) => {
            (format!("读数存疑:{}", doubt_zh(doubt)), format!("doubtful reading: {}", doubt.name()))
        }
        (Some(Outcome::Bad(fault)), true) => (format!("无有效读数:{}", fault_zh(fault)), format!("no valid reading: {}", fault.name())),
    };
    Some(Reason { zh: format!("{quantity}({tag}){zh}"), en: format!("{quantity} ({tag}): {en}") })
}

/// Doubts that leave the number good enough to guard by.
fn is_trusted(doubt: Doubt) -> bool {
    matches!(doubt, Doubt::Unconfirmed | Doubt::UnderRange | Doubt::DeviceWarning)
}

fn unguarded(zh: String, en: String) -> Guarded {
    Guarded::Unguarded(Reason { zh, en })
}

/// A doubt in Chinese.
pub(crate) fn doubt_zh(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::OverRange => "超量程",
        Doubt::UnderRange => "略低于量程",
        Doubt::Unconfirmed => "待复核",
        Doubt::Stuck => "数值卡滞",
        Doubt::OxygenStarved => "缺氧,催化元件不可信",
        Doubt::CalibrationOverdue => "标校过期",
        Doubt::Maintenance => "标校或维护中",
        Doubt::Implausible => "数值不合理",
        Doubt::DeviceWarning => "设备提示",
        Doubt::OverRangeLatched => "曾超量程,待人工复位",
    }
}

/// A fault in Chinese.
pub(crate) fn fault_zh(fault: Fault) -> &'static str {
    match fault {
        Fault::NoCommunication => "通信中断",
        Fault::DeviceRefused => "设备拒绝应答",
        Fault::DeviceFailure => "设备故障",
        Fault::SensorFailure => "传感器故障",
        Fault::WireBreak => "断线",
        Fault::ShortCircuit => "短路",
        Fault::BelowRange => "低于量程",
        Fault::WarmUp => "预热中",
        Fault::Inhibited => "被抑制",
        Fault::NotANumber => "无有效数值",
        Fault::HeartbeatStalled => "心跳停止",
        Fault::WrongDevice => "设备不符",
        Fault::NotConnected => "未接入",
        Fault::Corrupt => "数据损坏",
        Fault::Configuration => "配置丢失或损坏",
        Fault::OutOfService => "停用",
        Fault::NotYetRead => "尚未读取",
    }
}

#[cfg(test)]
mod tests;
