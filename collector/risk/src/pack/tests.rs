use super::*;

/// A pack of one row that is right, as a text to be spoilt.
const RIGHT: &str = r#"
id = "test"
version = 3
effective_from = "2024-01-01"
title_zh = "试"
title_en = "Test"
source = "a standard"

[[row]]
id = "o2-low"
quantity = "O2"
unit = "%vol"
direction = "low"
setpoint = 19.5
release = 19.6
priority = "urgent"
source = "art 1"
confidence = "found"
"#;

fn right() -> Pack {
    Pack::parse("test.toml", RIGHT).unwrap()
}

/// Spoils one place of the right pack and compares the sentence of its refusal.
fn refused(right: &str, wrong: &str, sentence: &str) {
    assert!(RIGHT.contains(right), "{right} is not in the pack");
    let text = RIGHT.replacen(right, wrong, 1);
    assert_eq!(Pack::parse("test.toml", &text).unwrap_err().to_string(), sentence);
}

/// The same for what TOML or serde refuses: its reason is the source of the error.
fn not_valid(right: &str, wrong: &str, reason: &str) {
    assert!(RIGHT.contains(right), "{right} is not in the pack");
    let error = Pack::parse("test.toml", &RIGHT.replacen(right, wrong, 1)).unwrap_err();
    assert_eq!(error.to_string(), "rule pack test.toml is not valid");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains(reason), "{source}");
}

fn coal() -> Pack {
    shipped().unwrap().into_iter().find(|pack| pack.id == "cn-coal-2025").unwrap()
}

#[test]
fn a_right_pack_is_read_with_all_it_says() {
    let pack = right();
    assert_eq!((pack.id.as_str(), pack.version, pack.effective_to), ("test", 3, None));
    let number = |number| Value::new(number).unwrap();
    let (setpoint, release) = (number(19.5), number(19.6));
    let limit = Limit { direction: Direction::Low, setpoint, release, on_delay_ms: 0, off_delay_ms: 0 };
    let row = &pack.rows[0];
    assert_eq!((row.limit, row.unit, row.priority, row.confidence), (limit, Unit::PercentVol, Priority::Urgent, Confidence::Found));
}

#[test]
fn a_row_applies_anywhere_unless_it_names_a_place() {
    assert_eq!((right().rows[0].location.as_str(), right().rows[0].default), ("any", false));
}

#[test]
fn a_text_that_is_not_toml_is_refused() {
    not_valid("id = \"test\"", "id = ", "TOML parse error");
}

#[test]
fn an_unknown_key_of_a_pack_is_refused() {
    not_valid("version = 3", "version = 3\nauthor = \"me\"", "unknown field `author`");
}

#[test]
fn an_unknown_key_of_a_row_is_refused() {
    not_valid("release = 19.6", "release = 19.6\nrelase = 19.6", "unknown field `relase`");
}

#[test]
fn a_row_without_a_release_is_refused() {
    not_valid("release = 19.6\n", "", "missing field `release`");
}

#[test]
fn a_row_without_a_confidence_is_refused() {
    not_valid("confidence = \"found\"\n", "", "missing field `confidence`");
}

#[test]
fn an_unknown_direction_is_refused() {
    not_valid("\"low\"", "\"sideways\"", "unknown variant `sideways`");
}

#[test]
fn an_unknown_priority_is_refused() {
    not_valid("\"urgent\"", "\"extreme\"", "unknown variant `extreme`");
}

#[test]
fn an_unknown_unit_is_refused() {
    refused(
        "\"%vol\"",
        "\"percent\"",
        "rule pack test.toml, row \"o2-low\": \"percent\" is not a unit; write for example %LEL, ppm or mg/m3",
    );
}

#[test]
fn a_setpoint_that_is_no_number_is_refused() {
    refused("setpoint = 19.5", "setpoint = nan", "rule pack test.toml, row \"o2-low\": NaN is not a finite number");
}

#[test]
fn an_infinite_release_is_refused() {
    refused("release = 19.6", "release = inf", "rule pack test.toml, row \"o2-low\": inf is not a finite number");
}

#[test]
fn a_release_beyond_the_setpoint_is_refused() {
    refused(
        "release = 19.6",
        "release = 19.4",
        "rule pack test.toml, row \"o2-low\": release 19.4 lies beyond the setpoint 19.5; it must lie on the safe side of it",
    );
}

#[test]
fn a_row_without_a_source_is_refused() {
    refused("source = \"art 1\"", "source = \" \"", "rule pack test.toml, row \"o2-low\": a row needs a source");
}

#[test]
fn an_id_used_twice_is_refused() {
    let row = RIGHT.split_once("[[row]]").unwrap().1;
    let error = Pack::parse("test.toml", &format!("{RIGHT}[[row]]{row}")).unwrap_err();
    let sentence = "rule pack test.toml, row \"o2-low\": its id is used twice; ids are part of an alarm's identity";
    assert_eq!(error.to_string(), sentence);
}

#[test]
fn a_date_that_is_none_is_refused() {
    refused("\"2024-01-01\"", "\"1 May 2024\"", "rule pack test.toml: \"1 May 2024\" is not a date like 2024-05-01");
}

#[test]
fn an_end_that_is_no_date_is_refused() {
    refused("title_zh", "effective_to = \"2025\"\ntitle_zh", "rule pack test.toml: \"2025\" is not a date like 2024-05-01");
}

#[test]
fn an_end_before_the_beginning_is_refused() {
    refused("title_zh", "effective_to = \"2024-01-01\"\ntitle_zh", "rule pack test.toml: effective_to must lie after effective_from");
}

#[test]
fn a_pack_is_effective_from_its_first_day() {
    assert!(!right().is_effective_on("2023-12-31"));
    assert!(right().is_effective_on("2024-01-01"));
}

#[test]
fn a_pack_is_effective_until_the_day_before_its_end() {
    let pack = Pack { effective_to: Some("2026-02-01".to_owned()), ..right() };
    assert!(pack.is_effective_on("2026-01-31"));
    assert!(!pack.is_effective_on("2026-02-01"));
}

#[test]
fn every_shipped_pack_parses_under_the_name_of_its_file() {
    let ids: Vec<String> = shipped().unwrap().into_iter().map(|pack| format!("{}.toml", pack.id)).collect();
    let files: Vec<&str> = SHIPPED.iter().map(|(file, _)| *file).collect();
    assert_eq!(ids, files);
}

#[test]
fn every_pack_in_the_folder_is_shipped() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../rule-packs");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut packs: Vec<String> = names.filter(|name| !["gases.toml", "grading.toml"].contains(&name.as_str())).collect();
    let mut known: Vec<String> = SHIPPED.iter().map(|(file, _)| (*file).to_owned()).collect();
    packs.sort();
    known.sort();
    assert_eq!(packs, known);
}

#[test]
fn the_gas_table_parses_and_knows_every_gas_once() {
    let table: Vec<&str> = crate::gas::all().iter().map(|gas| gas.quantity.as_str()).collect();
    assert!(table.len() > 20, "{table:?}");
    let mut once = table.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), table.len());
}

#[test]
fn every_lower_explosive_limit_names_its_source() {
    assert!(crate::gas::all().iter().all(|gas| gas.lel_percent_vol.is_some() == gas.lel_source.is_some()));
}

#[test]
fn every_place_of_a_shipped_pack_has_a_chinese_name() {
    for pack in shipped().unwrap() {
        for row in pack.rows.iter().filter(|row| row.location != "any") {
            assert!(row.location_zh.is_some(), "{} {}", pack.id, row.id);
        }
    }
}

#[test]
fn low_oxygen_is_a_low_limit_in_every_pack_that_has_it() {
    for pack in shipped().unwrap() {
        for row in pack.rows.iter().filter(|row| row.id == "o2-low") {
            assert_eq!(row.limit.direction, Direction::Low, "{}", pack.id);
            assert!(row.limit.is_beyond(Value::new(17.0).unwrap()) && !row.limit.is_beyond(Value::new(20.9).unwrap()), "{}", pack.id);
        }
    }
}

#[test]
fn ordinary_air_crosses_no_oxygen_limit_of_any_pack() {
    let air = Value::new(20.9).unwrap();
    let all = shipped().unwrap();
    let oxygen: Vec<&Row> = all.iter().flat_map(|pack| &pack.rows).filter(|row| row.quantity == "O2").collect();
    assert!(oxygen.len() >= 6);
    assert!(oxygen.iter().all(|row| row.limit.is_released(air)));
}

#[test]
fn methane_at_the_coal_mine_s_m01_alarms_at_1_0_and_cuts_at_1_5_percent() {
    let coal = coal();
    let m01 = coal.rows.iter().filter(|row| row.location == "m01");
    let numbers: Vec<_> = m01.map(|row| (row.id.as_str(), row.limit.setpoint.get(), row.limit.release.get(), row.unit)).collect();
    assert_eq!(numbers, [("ch4-m01-alarm", 1.0, 1.0, Unit::PercentVol), ("ch4-m01-cut", 1.5, 1.0, Unit::PercentVol)]);
}

#[test]
fn methane_in_a_coal_mine_is_at_m02_until_a_person_says_where() {
    let coal = coal();
    let default: Vec<&str> = coal.rows.iter().filter(|row| row.default).map(|row| row.location.as_str()).collect();
    assert_eq!(default, ["m02", "m02"]);
}

#[test]
fn methane_in_percent_volume_looks_like_a_coal_mine() {
    assert_eq!(suggest([("O2", Unit::PercentVol), ("ch4", Unit::PercentVol)]), "cn-coal-2025");
}

#[test]
fn air_velocity_looks_like_a_coal_mine() {
    assert_eq!(suggest([("air-velocity", Unit::MetrePerSecond)]), "cn-coal-2025");
}

#[test]
fn methane_in_percent_of_its_explosive_limit_looks_like_a_confined_space() {
    assert_eq!(suggest([("CH4", Unit::PercentLel), ("O2", Unit::PercentVol)]), "cn-confined-2024");
}

#[test]
fn every_pack_that_is_suggested_is_shipped() {
    let ids: Vec<String> = shipped().unwrap().into_iter().map(|pack| pack.id).collect();
    for suggested in [suggest([]), suggest([("air-velocity", Unit::MetrePerSecond)])] {
        assert!(ids.iter().any(|id| id == suggested));
    }
}
