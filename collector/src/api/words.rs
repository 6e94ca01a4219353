//! What doubts, faults, alarms and events are called in front of people: Chinese first, English beside it.

use alarm::{Event, Kind};
use measurement::{Doubt, Fault, Outcome};

/// A reading's quality: `good`, `uncertain` or `bad`.
pub const fn quality_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Good(_) => "good",
        Outcome::Uncertain(..) => "uncertain",
        Outcome::Bad(_) => "bad",
    }
}

/// The name of the doubt or fault, if any.
pub const fn code_name(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Good(_) => None,
        Outcome::Uncertain(_, doubt) => Some(doubt.name()),
        Outcome::Bad(fault) => Some(fault.name()),
    }
}

/// A reading's quality in words.
pub const fn quality_words(outcome: &Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Good(_) => ("可信", "good"),
        Outcome::Uncertain(_, doubt) => doubt_words(*doubt),
        Outcome::Bad(fault) => fault_words(*fault),
    }
}

pub const fn doubt_words(doubt: Doubt) -> (&'static str, &'static str) {
    match doubt {
        Doubt::OverRange => ("超量程", "over range"),
        Doubt::UnderRange => ("略低于量程", "slightly under range"),
        Doubt::Unconfirmed => ("待复核", "not yet confirmed"),
        Doubt::Stuck => ("数值卡滞", "stuck"),
        Doubt::OxygenStarved => ("缺氧,催化元件不可信", "too little oxygen for the catalytic bead"),
        Doubt::CalibrationOverdue => ("标校过期", "calibration overdue"),
        Doubt::Maintenance => ("标校或维护中", "calibration or maintenance"),
        Doubt::Implausible => ("数值不合理", "implausible"),
        Doubt::DeviceWarning => ("设备提示", "device warning"),
        Doubt::OverRangeLatched => ("曾超量程,待人工复位", "was over range, waits for a reset"),
    }
}

pub const fn fault_words(fault: Fault) -> (&'static str, &'static str) {
    match fault {
        Fault::NoCommunication => ("通信中断", "no communication"),
        Fault::DeviceRefused => ("设备拒绝应答", "device refused"),
        Fault::DeviceFailure => ("设备故障", "device failure"),
        Fault::SensorFailure => ("传感器故障", "sensor failure"),
        Fault::WireBreak => ("断线", "wire break"),
        Fault::ShortCircuit => ("短路", "short circuit"),
        Fault::BelowRange => ("低于量程", "below range"),
        Fault::WarmUp => ("预热中", "warming up"),
        Fault::Inhibited => ("被抑制", "inhibited"),
        Fault::NotANumber => ("无有效数值", "no number"),
        Fault::HeartbeatStalled => ("心跳停止", "heartbeat stalled"),
        Fault::WrongDevice => ("设备不符", "wrong device"),
        Fault::NotConnected => ("未接入", "not connected"),
        Fault::Corrupt => ("数据损坏", "corrupt reply"),
        Fault::Configuration => ("配置丢失或损坏", "settings lost or damaged"),
        Fault::OutOfService => ("停用", "out of service"),
        Fault::NotYetRead => ("尚未读取", "not read yet"),
    }
}

/// The words of a doubt's or fault's name, as an episode carries it.
pub fn reason_words(name: &str) -> (&str, &str) {
    let fault = Fault::ALL.iter().find(|fault| fault.name() == name).map(|fault| fault_words(*fault));
    let doubt = Doubt::ALL.iter().find(|doubt| doubt.name() == name).map(|doubt| doubt_words(*doubt));
    fault.or(doubt).unwrap_or((name, name))
}

pub const fn kind_words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Limit => ("超限", "limit exceeded"),
        Kind::Silence => ("失去信号", "signal lost"),
        Kind::Fault => ("故障", "fault"),
        Kind::NotProtecting => ("未起保护作用", "not protecting"),
        Kind::OverRange => ("超量程", "over range"),
        Kind::GatewayLost => ("网关失联", "gateway lost"),
        Kind::Identity => ("网关身份冲突", "gateway identity conflict"),
    }
}

pub const fn event_words(event: Event) -> (&'static str, &'static str) {
    match event {
        Event::Raised => ("报警", "alarm raised"),
        Event::RecordedLate => ("补传数据中发现的历史报警", "past alarm found in backfill"),
        Event::BecameLive => ("历史报警现在仍成立", "late alarm confirmed live"),
        Event::Reraised => ("报警再次成立", "alarm raised again"),
        Event::Confirmed => ("报警已由第二次读数确认", "alarm confirmed by a second reading"),
        Event::BeganAtMoved => ("补传数据修正了开始时间", "backfill moved the beginning"),
        Event::Returned => ("恢复正常", "returned to normal"),
        Event::Acknowledged => ("已确认", "acknowledged"),
        Event::Latched => ("锁存,等待复位", "latched, waits for a reset"),
        Event::Reset => ("已复位", "reset"),
        Event::Cleared => ("关闭", "closed"),
        Event::Shelved => ("搁置", "shelved"),
        Event::Unshelved => ("取消搁置", "unshelved"),
        Event::Suppressed => ("被上级报警覆盖", "covered by a greater alarm"),
        Event::Unsuppressed => ("不再被覆盖", "no longer covered"),
        Event::TakenOutOfService => ("停用", "taken out of service"),
        Event::BackInService => ("恢复使用", "back in service"),
        Event::RuleChanged => ("规则已更改", "rule changed"),
        Event::Withdrawn => ("撤销", "withdrawn"),
    }
}
