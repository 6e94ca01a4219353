#![allow(clippy::unwrap_used, reason = "a test may stop here")]
use measurement::Outcome;
use serde_json::Value as Json;

use super::*;
use crate::site::Workarounds;

mod language;
mod serial;

const SCHEMA: &str = include_str!("../../profiles/profile.schema.json");

/// A profile with these tables, read.
fn profile(tables: &str) -> Profile {
    parse(tables).unwrap()
}

fn parse(tables: &str) -> Result<Profile, String> {
    Profile::parse("x.toml", &format!("id = \"x\"\nmaker = \"m\"\nmodel = \"m\"\nsource = \"s\"\nconfidence = \"c\"\n{tables}"))
}

/// Holding registers from an address on.
fn holding(address: u16, words: &[u16]) -> Words {
    let mut image = Words::default();
    image.add(Block { function: 3, address, count: words.len() as u16 }, words);
    image
}

fn good(number: f32) -> Outcome {
    Outcome::measured(number)
}

#[test]
fn every_shipped_profile_passes_its_own_vectors() {
    for (id, text) in SHIPPED {
        let profile = Profile::parse(id, text).unwrap();
        assert_eq!(profile.id, *id);
        assert!(!profile.vectors.is_empty(), "{id} has no vectors");
        assert_eq!(profile.test(), Vec::<String>::new(), "{id}");
    }
}

#[test]
fn every_value_of_a_shipped_profile_is_read_with_all_it_needs() {
    for (id, text) in SHIPPED {
        let profile = Profile::parse(id, text).unwrap();
        for key in profile.keys() {
            let mut words = Words::default();
            for block in profile.blocks(&[&key], &Workarounds::default()) {
                assert!((1..=profile.most_registers).contains(&block.count), "{id} {key}: {block:?}");
                words.add(block, &vec![0; usize::from(block.count)]);
            }
            if profile.identities.is_empty() {
                assert_ne!(profile.read(&key, &words), Outcome::Bad(Fault::Corrupt), "{id} {key}");
            } else {
                assert_eq!(profile.read(&key, &words), Outcome::Bad(Fault::WrongDevice), "{id} {key}");
            }
        }
    }
}

#[test]
fn every_shipped_profile_names_its_source_and_confidence() {
    for (id, text) in SHIPPED {
        let profile = Profile::parse(id, text).unwrap();
        assert!(!profile.source.is_empty() && profile.confidence.contains("map from"), "{id}: {}", profile.confidence);
    }
}

#[test]
fn the_worked_example_of_the_readme_is_right() {
    let readme = include_str!("../../profiles/README.md");
    let example = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let profile = Profile::parse("acme.toml", example).unwrap();
    assert_eq!((profile.vectors.len(), profile.test()), (3, Vec::new()));
}

/// Runs where the collected facts lie beside the repository; it can only add cases.
#[test]
fn every_collected_modbus_device_has_a_profile_with_at_least_as_many_vectors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/devices");
    let Ok(files) = std::fs::read_dir(folder) else { return };
    for file in files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "yaml")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let id = file.file_stem().unwrap().to_str().unwrap();
        if text.contains("not Modbus") {
            continue;
        }
        let vectors = text.split("\nvectors:\n").nth(1).unwrap_or_default().lines();
        let counted = vectors.take_while(|line| line.starts_with(' ')).filter(|line| line.starts_with("  - ")).count();
        let profile = Profile::find(id, Path::new(".")).unwrap();
        assert!(counted > 0 && profile.vectors.len() >= counted, "{id}: {} of {counted} vectors", profile.vectors.len());
    }
}

#[test]
fn every_key_of_every_shipped_profile_is_named_in_the_schema() {
    let schema: Json = serde_json::from_str(SCHEMA).unwrap();
    for (id, text) in SHIPPED {
        let profile: Json = toml::from_str(text).unwrap();
        assert_eq!(strangers(&profile, &schema, &schema, id), Vec::<String>::new());
    }
}

/// The keys of a profile that the schema does not name.
fn strangers(found: &Json, schema: &Json, root: &Json, place: &str) -> Vec<String> {
    let schema = match schema["$ref"].as_str() {
        Some(named) => root.pointer(named.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    match found {
        Json::Object(keys) => keys
            .iter()
            .flat_map(|(key, inner)| {
                let place = format!("{place}.{key}");
                let known = schema["properties"].get(key).or_else(|| schema.get("additionalProperties").filter(|any| any.is_object()));
                known.map_or_else(|| vec![place.clone()], |known| strangers(inner, known, root, &place))
            })
            .collect(),
        Json::Array(items) => items.iter().flat_map(|item| strangers(item, &schema["items"], root, place)).collect(),
        _ => match schema["enum"].as_array() {
            Some(allowed) if !allowed.contains(found) => vec![format!("{place} = {found}")],
            _ => Vec::new(),
        },
    }
}

#[test]
fn the_schema_names_exactly_the_keys_that_the_gateway_accepts() {
    let schema: Json = serde_json::from_str(SCHEMA).unwrap();
    let check = |pointer: &str, before: &str, after: &str| {
        let said = Profile::parse("x", &format!("{before}zzz = 1{after}\n")).unwrap_err();
        let listed = said.split("expected one of ").nth(1).or_else(|| said.split("expected ").nth(1)).unwrap_or_else(|| panic!("{said}"));
        let mut accepted: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
        accepted.sort_unstable();
        let named: Vec<&String> = schema.pointer(pointer).unwrap()["properties"].as_object().unwrap().keys().collect();
        let mut named: Vec<&str> = named.into_iter().map(String::as_str).collect();
        named.sort_unstable();
        assert_eq!(named, accepted, "{pointer}");
    };
    check("", "", "");
    check("/properties/heartbeat", "[heartbeat]\n", "");
    check("/properties/serial", "[serial]\n", "");
    for table in ["register", "identity", "value", "status", "vector"] {
        check(&format!("/$defs/{table}"), &format!("[[{table}]]\n"), "");
    }
    check("/$defs/condition", "[[value]]\nwhen = { ", " }");
    check("/$defs/value/properties/combine", "[[value]]\ncombine = { ", " }");
    check("/$defs/value/properties/unit_from", "[[value]]\nunit_from = { ", " }");
}

#[test]
fn the_schema_names_every_fault_doubt_and_unit() {
    let schema: Json = serde_json::from_str(SCHEMA).unwrap();
    let check = |pointer: &str, names: Vec<&str>| {
        assert_eq!(schema.pointer(pointer).unwrap(), &serde_json::json!(names), "{pointer}");
    };
    check("/$defs/status/properties/fault/enum", Fault::ALL.iter().map(|fault| fault.name()).collect());
    check("/$defs/status/properties/doubt/enum", Doubt::ALL.iter().map(|doubt| doubt.name()).collect());
    check("/$defs/value/properties/unit/enum", Unit::ALL.iter().map(|unit| unit.symbol()).collect());
}

#[test]
fn a_wrong_vector_is_explained() {
    let text = SHIPPED[0].1.replacen("gas = 50.0", "gas = 51.0", 1);
    let failures = Profile::parse("x", &text).unwrap().test();
    assert_eq!(failures, ["methane 50 %LEL, alarm 2: gas is 50 where 51.0 is expected"]);
}

#[test]
fn a_vector_of_a_value_that_is_not_there_is_explained() {
    let text = SHIPPED[0].1.replacen("expect = { gas = 50.0", "expect = { gaz = 50.0", 1);
    let failures = Profile::parse("x", &text).unwrap().test();
    assert!(failures[0].starts_with("methane 50 %LEL, alarm 2: the profile has no value \"gaz\"; it has gas, "), "{failures:?}");
}

#[test]
fn a_vector_in_the_wrong_unit_is_explained() {
    let text = SHIPPED[0].1.replacen("units = { gas = \"%LEL\"", "units = { gas = \"ppm\"", 1);
    let failures = Profile::parse("x", &text).unwrap().test();
    assert_eq!(failures, ["methane 50 %LEL, alarm 2: the unit of gas is %LEL where ppm is expected"]);
}

#[test]
fn an_unknown_key_in_a_profile_is_refused_with_its_line() {
    let text = SHIPPED[0].1.replacen("maker =", "makers =", 1);
    let said = Profile::parse("x.toml", &text).unwrap_err();
    assert!(said.starts_with("profile x.toml:") && said.contains("makers"), "{said}");
}

#[test]
fn words_that_were_not_read_make_no_value() {
    for (id, text) in SHIPPED {
        let profile = Profile::parse(id, text).unwrap();
        for key in profile.keys() {
            assert!(profile.read(&key, &Words::default()).value().is_none(), "{id} {key}");
        }
    }
}

#[test]
fn neighbouring_registers_are_read_in_one_request_and_never_more_than_125() {
    let profile = Profile::parse("x", SHIPPED[0].1).unwrap();
    assert_eq!(profile.blocks(&["gas"], &Workarounds::default()), [Block { function: 3, address: 0, count: 11 }]);
    let node = Profile::davy_node();
    let keys: Vec<String> = (0..16).map(|key| key.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert!(node.blocks(&keys, &Workarounds::default()).iter().all(|block| block.count <= MOST_REGISTERS));
    assert_eq!(node.blocks(&keys, &Workarounds::default()).iter().skip(1).map(|block| block.count).sum::<u16>(), 16 * 16);
}
