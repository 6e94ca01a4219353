use super::*;
use crate::{Pack, shipped};
use proptest::prelude::*;
use std::sync::LazyLock;

static SHIPPED: LazyLock<Vec<Pack>> = LazyLock::new(|| shipped().unwrap());

fn pack(id: &str) -> Pack {
    SHIPPED.iter().find(|pack| pack.id == id).unwrap().clone()
}

fn confined() -> Pack {
    pack("cn-confined-2024")
}

fn measured(quantity: &str, unit: Unit, high: f32) -> Measured<'_> {
    let range = Some((0.0, high));
    Measured { quantity, unit, range, lel_percent_vol: None, reference_celsius: None, location: None, own_health: false }
}

const CH4: Measured<'static> = Measured {
    quantity: "CH4",
    unit: Unit::PercentLel,
    range: Some((0.0, 100.0)),
    lel_percent_vol: None,
    reference_celsius: None,
    location: None,
    own_health: false,
};

fn ids(rules: &[Rule]) -> Vec<&str> {
    rules.iter().map(|rule| rule.id.as_str()).collect()
}

fn rule(rules: Vec<Rule>, id: &str) -> Rule {
    let all = format!("{:?}", ids(&rules));
    rules.into_iter().find(|rule| rule.id == id).unwrap_or_else(|| panic!("no {id} in {all}"))
}

fn limit_of(rule: &Rule) -> Limit {
    match rule.what {
        RuleKind::Limit { limit, .. } => limit,
        _ => panic!("{} is no limit", rule.id),
    }
}

/// The setpoint that a pack's row has on a channel.
fn setpoint(pack: &str, row: &str, measured: &Measured<'_>) -> f32 {
    limit_of(&rule(default_rules(&self::pack(pack), measured), &format!("{pack}/{row}"))).setpoint.get()
}

fn near(given: f32, expected: f32) {
    assert!((given - expected).abs() < expected.abs() * 1e-4, "{given} is not {expected}");
}

/// Changes one rule of the default ones and asks whether that is permitted.
fn changed(id: &str, change: impl FnOnce(&mut Rule)) -> Result<(), String> {
    let mut rules = default_rules(&confined(), &CH4);
    let at = rules.iter().position(|rule| rule.id == id).unwrap();
    change(&mut rules[at]);
    permit(&confined(), &CH4, &rules).map_err(|error| error.to_string())
}

fn change_limit(change: impl FnOnce(&mut Limit)) -> Result<(), String> {
    changed("cn-confined-2024/lel-alarm", |rule| match &mut rule.what {
        RuleKind::Limit { limit, .. } => change(limit),
        _ => panic!("no limit"),
    })
}

fn number(number: f32) -> Value {
    Value::new(number).unwrap()
}

#[test]
fn hydrogen_sulphide_of_10_mg_per_m3_at_20_degrees_is_7_06_ppm() {
    near(setpoint("cn-confined-2024", "h2s-alarm", &measured("H2S", Unit::Ppm, 100.0)), 7.058);
}

#[test]
fn the_other_toxic_alarms_are_converted_as_the_tables_of_gbz_2_1_say() {
    near(setpoint("cn-confined-2024", "co-alarm", &measured("CO", Unit::Ppm, 1000.0)), 25.764);
    near(setpoint("cn-confined-2024", "nh3-alarm", &measured("NH3", Unit::Ppm, 100.0)), 42.37);
    near(setpoint("cn-confined-2024", "so2-alarm", &measured("SO2", Unit::Ppm, 20.0)), 3.755);
    near(setpoint("cn-confined-2024", "co2-alarm", &measured("CO2", Unit::Ppm, 20_000.0)), 9838.7);
}

#[test]
fn methane_of_10_percent_of_an_explosive_limit_of_5_is_half_a_percent_by_volume() {
    near(setpoint("cn-confined-2024", "lel-alarm", &measured("CH4", Unit::PercentVol, 4.0)), 0.5);
}

#[test]
fn a_channel_s_own_base_of_4_4_is_used_instead() {
    let iec = Measured { lel_percent_vol: Some(4.4), ..measured("CH4", Unit::PercentVol, 4.0) };
    near(setpoint("cn-confined-2024", "lel-alarm", &iec), 0.44);
}

#[test]
fn a_limit_in_percent_of_the_explosive_limit_is_the_same_number_on_any_base() {
    assert_eq!(setpoint("cn-confined-2024", "lel-alarm", &Measured { lel_percent_vol: Some(4.4), ..CH4 }), 10.0);
}

#[test]
fn a_channel_in_mg_per_m3_at_20_degrees_takes_the_pack_s_number_as_it_is() {
    assert_eq!(setpoint("cn-confined-2024", "h2s-alarm", &measured("H2S", Unit::MgPerM3, 100.0)), 10.0);
}

#[test]
fn a_channel_in_mg_per_m3_at_25_degrees_gets_the_number_for_the_same_ppm() {
    let warm = Measured { reference_celsius: Some(25.0), ..measured("H2S", Unit::MgPerM3, 100.0) };
    near(setpoint("cn-confined-2024", "h2s-alarm", &warm), 10.0 * 293.15 / 298.15);
}

#[test]
fn low_oxygen_is_a_low_limit() {
    let low = limit_of(&rule(default_rules(&confined(), &measured("O2", Unit::PercentVol, 25.0)), "cn-confined-2024/o2-low"));
    assert_eq!((low.direction, low.setpoint, low.release), (Direction::Low, number(19.5), number(19.6)));
}

#[test]
fn methane_at_m01_has_the_limits_of_m01_only() {
    let at = Measured { location: Some("m01"), ..measured("CH4", Unit::PercentVol, 4.0) };
    let rules = default_rules(&pack("cn-coal-2025"), &at);
    assert_eq!(ids(&rules)[..2], ["cn-coal-2025/ch4-m01-alarm", "cn-coal-2025/ch4-m01-cut"]);
    assert_eq!((limit_of(&rules[0]).setpoint, limit_of(&rules[1]).setpoint), (number(1.0), number(1.5)));
    assert_eq!(rules.iter().filter(|rule| matches!(rule.what, RuleKind::Limit { .. })).count(), 2);
}

#[test]
fn methane_nobody_has_placed_has_the_limits_of_m02() {
    let rules = default_rules(&pack("cn-coal-2025"), &measured("CH4", Unit::PercentVol, 4.0));
    assert_eq!(ids(&rules)[..2], ["cn-coal-2025/ch4-m02-alarm", "cn-coal-2025/ch4-m02-cut"]);
}

#[test]
fn a_row_for_any_place_applies_beside_those_of_a_named_place() {
    let at = Measured { location: Some("belt-drum"), ..measured("CO", Unit::Ppm, 1000.0) };
    assert_eq!(ids(&default_rules(&pack("cn-coal-2025"), &at))[..2], ["cn-coal-2025/co-return", "cn-coal-2025/co-belt"]);
}

#[test]
fn every_channel_is_watched_for_silence_fault_warm_up_and_over_range() {
    let rules = default_rules(&confined(), &measured("temperature", Unit::Celsius, 100.0));
    assert_eq!(ids(&rules), ["silence", "fault", "not-protecting", "over-range"]);
}

#[test]
fn a_gas_channel_is_silent_after_three_polls() {
    let silence = rule(default_rules(&confined(), &CH4), "silence");
    assert_eq!((silence.what, silence.priority), (RuleKind::Silence { periods: 3 }, Priority::High));
}

#[test]
fn a_gateway_s_own_health_has_no_gas_limit_and_low_priorities() {
    let rules = default_rules(&confined(), &Measured { own_health: true, ..CH4 });
    assert_eq!(ids(&rules), ["silence", "fault", "not-protecting"]);
    assert!(rules.iter().all(|rule| rule.priority == Priority::Low));
}

#[test]
fn over_range_of_a_gas_that_burns_is_urgent_and_begins_at_the_end_of_the_range() {
    let over = rule(default_rules(&confined(), &CH4), "over-range");
    assert_eq!((over.what, over.priority), (RuleKind::OverRange { ceiling: Some(number(100.0)) }, Priority::Urgent));
}

#[test]
fn over_range_of_oxygen_is_what_the_device_says() {
    let over = rule(default_rules(&confined(), &measured("O2", Unit::PercentVol, 25.0)), "over-range");
    assert_eq!(over.what, RuleKind::OverRange { ceiling: None });
}

#[test]
fn every_rule_of_a_pack_names_pack_version_number_source_and_confidence() {
    let alarm = rule(default_rules(&confined(), &measured("H2S", Unit::Ppm, 100.0)), "cn-confined-2024/h2s-alarm");
    assert!(alarm.source.starts_with("cn-confined-2024 v1: 10 mg/m3 — "), "{}", alarm.source);
    assert!(alarm.source.ends_with("[found]"), "{}", alarm.source);
}

#[test]
fn a_row_the_sensor_cannot_show_is_left_out_and_named() {
    let small = measured("CO2", Unit::Ppm, 5000.0);
    let kinds: Vec<RuleKind> = default_rules(&confined(), &small).into_iter().map(|rule| rule.what).collect();
    assert!(!kinds.iter().any(|what| matches!(what, RuleKind::Limit { limit, .. } if limit.setpoint.get() > 5000.0)));
    let left_out = uncovered(&confined(), &small);
    assert_eq!(left_out.len(), 1);
    assert_eq!(left_out[0].0, "cn-confined-2024/co2-alarm");
    assert!(left_out[0].1.starts_with("the sensor cannot show 9838.7"), "{}", left_out[0].1);
}

#[test]
fn a_low_limit_below_the_range_is_left_out_and_named() {
    let narrow = Measured { range: Some((19.0, 25.0)), ..measured("O2", Unit::PercentVol, 25.0) };
    let why = "the sensor cannot show 18 %vol".to_owned();
    assert_eq!(uncovered(&pack("cn-coal-2025"), &narrow), [("cn-coal-2025/o2-low".to_owned(), why)]);
}

#[test]
fn a_row_in_a_unit_of_another_kind_is_left_out_and_named() {
    let odd = measured("O2", Unit::Celsius, 100.0);
    let why = "%vol cannot be converted to °C".to_owned();
    let expected = ["cn-confined-2024/o2-low", "cn-confined-2024/o2-high"].map(|id| (id.to_owned(), why.clone()));
    assert_eq!(uncovered(&confined(), &odd), expected);
    assert_eq!(ids(&default_rules(&confined(), &odd)), ["silence", "fault", "not-protecting", "over-range"]);
}

#[test]
fn the_default_rules_are_permitted_for_every_gas_of_every_pack() {
    for pack in SHIPPED.iter() {
        for row in &pack.rows {
            let at = Measured { location: Some(&row.location), ..measured(&row.quantity, row.unit, 1e6) };
            assert_eq!(permit(pack, &at, &default_rules(pack, &at)), Ok(()), "{} {}", pack.id, row.id);
        }
    }
}

#[test]
fn a_lower_setpoint_and_release_are_permitted() {
    assert_eq!(change_limit(|limit| (limit.setpoint, limit.release) = (number(8.0), number(7.0))), Ok(()));
}

#[test]
fn a_higher_setpoint_is_refused() {
    let sentence = "rule cn-confined-2024/lel-alarm: setpoint 12 %LEL is looser than 10 %LEL of pack cn-confined-2024; give 10 %LEL or a stricter value";
    assert_eq!(change_limit(|limit| limit.setpoint = number(12.0)), Err(sentence.to_owned()));
}

#[test]
fn a_higher_release_is_refused() {
    let error = change_limit(|limit| limit.release = number(9.9)).unwrap_err();
    assert!(error.contains("release 9.9 %LEL is looser than 9.5 %LEL"), "{error}");
}

#[test]
fn a_lower_oxygen_setpoint_is_looser() {
    let oxygen = measured("O2", Unit::PercentVol, 25.0);
    let mut rules = default_rules(&confined(), &oxygen);
    rules[0].what = match rules[0].what {
        RuleKind::Limit { limit, unit } => RuleKind::Limit { limit: Limit { setpoint: number(18.0), ..limit }, unit },
        _ => panic!("no limit"),
    };
    let error = permit(&confined(), &oxygen, &rules).unwrap_err().to_string();
    assert!(error.contains("setpoint 18 %vol is looser than 19.5 %vol"), "{error}");
}

#[test]
fn a_longer_on_delay_is_refused() {
    let error = change_limit(|limit| limit.on_delay_ms = 5000).unwrap_err();
    assert!(error.contains("on-delay 5000 ms is looser than 0 ms"), "{error}");
}

#[test]
fn a_longer_off_delay_is_permitted_and_a_shorter_one_refused() {
    assert_eq!(change_limit(|limit| limit.off_delay_ms = 5000), Ok(()));
    let mut pack = confined();
    pack.rows.iter_mut().for_each(|row| row.limit.off_delay_ms = 5000);
    let error = permit(&pack, &CH4, &default_rules(&confined(), &CH4)).unwrap_err().to_string();
    assert!(error.contains("off-delay 0 ms is looser than 5000 ms"), "{error}");
}

#[test]
fn the_other_direction_is_refused() {
    let error = change_limit(|limit| (limit.direction, limit.release) = (Direction::Low, number(20.0))).unwrap_err();
    assert!(error.contains("direction or unit"), "{error}");
}

#[test]
fn a_lower_priority_is_refused_and_a_higher_one_permitted() {
    let error = changed("cn-confined-2024/lel-warning", |rule| rule.priority = Priority::Low).unwrap_err();
    assert!(error.contains("priority low is looser than medium"), "{error}");
    assert_eq!(changed("cn-confined-2024/lel-warning", |rule| rule.priority = Priority::Urgent), Ok(()));
}

#[test]
fn removing_any_rule_of_the_pack_is_refused() {
    let all = default_rules(&confined(), &CH4);
    for missing in &all {
        let rest: Vec<Rule> = all.iter().filter(|rule| rule.id != missing.id).cloned().collect();
        let sentence =
            format!("rule {} of pack cn-confined-2024 may not be removed: a site may be stricter than its pack, never looser", missing.id);
        assert_eq!(permit(&confined(), &CH4, &rest).unwrap_err().to_string(), sentence);
    }
}

#[test]
fn waiting_longer_for_silence_is_refused() {
    let error = changed("silence", |rule| rule.what = RuleKind::Silence { periods: 4 }).unwrap_err();
    assert!(error.contains("silence 4 periods is looser than 3 periods"), "{error}");
}

#[test]
fn silence_of_no_periods_is_refused_because_the_judge_would_drop_it() {
    let error = changed("silence", |rule| rule.what = RuleKind::Silence { periods: 0 }).unwrap_err();
    assert_eq!(error, "rule silence: silence of 0 periods would never end; give 1 to 3");
}

#[test]
fn a_higher_ceiling_is_refused_and_none_too() {
    let error = changed("over-range", |rule| rule.what = RuleKind::OverRange { ceiling: Some(number(120.0)) }).unwrap_err();
    assert!(error.contains("ceiling 120 is looser than 100"), "{error}");
    let error = changed("over-range", |rule| rule.what = RuleKind::OverRange { ceiling: None }).unwrap_err();
    assert!(error.contains("ceiling none is looser than 100"), "{error}");
}

#[test]
fn another_kind_under_the_pack_s_name_is_refused() {
    let error = changed("fault", |rule| rule.what = RuleKind::NotProtecting).unwrap_err();
    assert!(error.contains("kind not_protecting is looser than fault"), "{error}");
}

#[test]
fn a_silence_rule_that_pushes_the_pack_s_aside_is_refused() {
    let mut rules = default_rules(&confined(), &CH4);
    rules.insert(0, Rule { id: "mine".to_owned(), what: RuleKind::Silence { periods: 1000 }, ..rules[0].clone() });
    let error = permit(&confined(), &CH4, &rules).unwrap_err().to_string();
    assert_eq!(error, "rule silence: rule mine is for silence already and a channel has one of these");
}

#[test]
fn an_id_used_twice_is_refused() {
    let mut rules = default_rules(&confined(), &CH4);
    rules.push(rules[0].clone());
    let error = permit(&confined(), &CH4, &rules).unwrap_err().to_string();
    assert_eq!(error, "rule cn-confined-2024/lel-warning: the id is used twice; ids are part of an alarm's identity");
}

/// Adds a limit of the site's own.
fn own(unit: Unit, setpoint: f32, release: f32) -> Result<(), String> {
    let (setpoint, release) = (number(setpoint), number(release));
    let limit = Limit { direction: Direction::High, setpoint, release, on_delay_ms: 0, off_delay_ms: 0 };
    let mut rules = default_rules(&confined(), &CH4);
    let (id, source) = ("own".to_owned(), "site".to_owned());
    rules.push(Rule { id, what: RuleKind::Limit { limit, unit }, priority: Priority::Low, source });
    permit(&confined(), &CH4, &rules).map_err(|error| error.to_string())
}

#[test]
fn a_site_may_add_limits_of_its_own() {
    assert_eq!(own(Unit::PercentLel, 2.0, 1.0), Ok(()));
}

#[test]
fn a_limit_of_its_own_in_another_unit_is_refused() {
    assert_eq!(own(Unit::Ppm, 2.0, 1.0), Err("rule own: its setpoint is in ppm but the channel measures in %LEL".to_owned()));
}

#[test]
fn a_limit_of_its_own_that_could_never_return_is_refused() {
    let sentence = "rule own: release 3 lies beyond setpoint 2; it must lie on the safe side of it";
    assert_eq!(own(Unit::PercentLel, 2.0, 3.0), Err(sentence.to_owned()));
}

#[test]
fn a_limit_of_its_own_that_could_never_fire_is_refused() {
    let sentence = "rule own: setpoint 101 lies outside the range 0 to 100 %LEL, so it could never fire";
    assert_eq!(own(Unit::PercentLel, 101.0, 99.0), Err(sentence.to_owned()));
}

#[test]
fn rules_that_were_written_down_are_read_as_they_were() {
    for rule in default_rules(&confined(), &CH4) {
        let text = toml::to_string(&rule).unwrap();
        assert_eq!(toml::from_str::<Rule>(&text), Ok(rule), "{text}");
    }
}

/// Writes the first default rule down, spoils one place and gives the reason of the refusal.
fn unreadable(right: &str, wrong: &str) -> String {
    let text = toml::to_string(&default_rules(&confined(), &CH4)[0]).unwrap();
    assert!(text.contains(right), "{text}");
    toml::from_str::<Rule>(&text.replacen(right, wrong, 1)).unwrap_err().to_string()
}

#[test]
fn a_written_rule_with_a_number_that_is_none_is_not_read() {
    let error = unreadable("setpoint = 5.0", "setpoint = nan");
    assert!(error.contains("NaN is not a finite number"), "{error}");
}

#[test]
fn a_written_rule_that_could_never_return_is_not_read() {
    let error = unreadable("release = 4.5", "release = 5.5");
    assert!(error.contains("release 5.5 lies beyond the setpoint 5"), "{error}");
}

#[test]
fn a_written_rule_in_an_unknown_unit_is_not_read() {
    let error = unreadable("%LEL", "LEL");
    assert!(error.contains("\"LEL\" is not a unit"), "{error}");
}

proptest! {
    /// What is permitted rings no later and no less urgently than the pack, whatever the reading.
    #[test]
    fn what_is_permitted_is_beyond_whenever_the_pack_is(setpoint in 0.0f32..20.0, gap in 0.0f32..5.0, value in 0.0f32..100.0) {
        let change = |limit: &mut Limit| (limit.setpoint, limit.release) = (number(setpoint), number(setpoint - gap));
        let pack = limit_of(&rule(default_rules(&confined(), &CH4), "cn-confined-2024/lel-alarm"));
        let mut given = pack;
        change(&mut given);
        if change_limit(change).is_ok() {
            prop_assert!(given.is_beyond(number(value)) || !pack.is_beyond(number(value)));
            prop_assert!(pack.is_released(number(value)) || !given.is_released(number(value)));
        }
    }
}
