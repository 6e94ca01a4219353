use super::*;
use measurement::Value;

const GOOD: Outcome = Outcome::Good(Value::ZERO);

fn channel<'a>(quantity: &'a str, outcome: Option<Outcome>, fresh: bool) -> BoundChannel<'a> {
    BoundChannel { tag: "T1", quantity, outcome, fresh }
}

fn doubtful(doubt: Doubt) -> BoundChannel<'static> {
    channel("CH4", Some(Outcome::Uncertain(Value::ZERO, doubt)), true)
}

fn reason(channels: &[BoundChannel<'_>]) -> Reason {
    match guarded(channels.iter().copied()) {
        Guarded::Guarded => panic!("guarded"),
        Guarded::Unguarded(reason) => reason,
    }
}

#[test]
fn a_point_with_a_fresh_good_gas_reading_is_guarded() {
    assert!(guarded([channel("CH4", Some(GOOD), true)]).is_guarded());
}

#[test]
fn a_point_without_a_channel_is_unguarded() {
    assert_eq!(reason(&[]), Reason { zh: "没有绑定气体通道".to_owned(), en: "no gas channel is bound".to_owned() });
}

#[test]
fn a_thermometer_guards_nobody() {
    assert_eq!(reason(&[channel("temperature", Some(GOOD), true)]).en, "no gas channel is bound");
}

#[test]
fn a_silent_thermometer_beside_a_good_gas_channel_leaves_the_point_guarded() {
    assert!(guarded([channel("temperature", None, false), channel("O2", Some(GOOD), true)]).is_guarded());
}

#[test]
fn a_channel_never_heard_since_the_start_unguards() {
    let reason = reason(&[channel("CH4", None, false)]);
    assert_eq!((reason.en.as_str(), reason.zh.as_str()), ("CH4 (T1): no live reading since start-up", "CH4(T1)启动后尚无实时读数"));
}

#[test]
fn a_stale_reading_unguards_however_good_it_was() {
    assert_eq!(reason(&[channel("CH4", Some(GOOD), false)]).en, "CH4 (T1): no fresh reading");
}

#[test]
fn a_fresh_fault_unguards_and_is_named() {
    let reason = reason(&[channel("H2S", Some(Outcome::Bad(Fault::WireBreak)), true)]);
    assert_eq!((reason.en.as_str(), reason.zh.as_str()), ("H2S (T1): no valid reading: WireBreak", "H2S(T1)无有效读数:断线"));
}

#[test]
fn every_fault_unguards_and_has_its_own_chinese_words() {
    let words: Vec<String> = Fault::ALL.iter().map(|fault| reason(&[channel("CH4", Some(Outcome::Bad(*fault)), true)]).zh).collect();
    let mut distinct = words.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((words.len(), distinct.len()), (Fault::ALL.len(), Fault::ALL.len()));
}

#[test]
fn only_three_doubts_leave_a_reading_good_enough_to_guard_by() {
    let trusted: Vec<Doubt> = Doubt::ALL.iter().copied().filter(|doubt| guarded([doubtful(*doubt)]).is_guarded()).collect();
    assert_eq!(trusted, [Doubt::UnderRange, Doubt::Unconfirmed, Doubt::DeviceWarning]);
}

#[test]
fn a_doubt_that_unguards_is_named() {
    let reason = reason(&[doubtful(Doubt::OverRangeLatched)]);
    assert_eq!(
        (reason.en.as_str(), reason.zh.as_str()),
        ("CH4 (T1): doubtful reading: OverRangeLatched", "CH4(T1)读数存疑:曾超量程,待人工复位")
    );
}

#[test]
fn a_reading_taken_during_calibration_guards_nobody() {
    assert_eq!(reason(&[doubtful(Doubt::Maintenance)]).en, "CH4 (T1): doubtful reading: Maintenance");
}

#[test]
fn a_trusted_doubt_guards_only_while_it_is_fresh() {
    let stale = BoundChannel { fresh: false, ..doubtful(Doubt::DeviceWarning) };
    assert_eq!(reason(&[stale]).en, "CH4 (T1): no fresh reading");
}

#[test]
fn one_unseen_gas_of_several_unguards_the_point() {
    let unseen = BoundChannel { tag: "T2", ..channel("H2S", None, false) };
    assert_eq!(reason(&[channel("CH4", Some(GOOD), true), unseen]).en, "H2S (T2): no live reading since start-up");
}

#[test]
fn the_first_missing_channel_is_the_one_that_is_named() {
    let second = BoundChannel { tag: "T2", ..channel("H2S", None, false) };
    assert_eq!(reason(&[channel("CH4", Some(GOOD), false), second]).en, "CH4 (T1): no fresh reading");
}

#[test]
fn a_gas_is_known_whatever_the_case_of_its_name() {
    assert!(guarded([channel("ch4", Some(GOOD), true)]).is_guarded());
}
