//! Readings flow one way: the arrows between our crates, and what they bring in, compared with `cargo metadata`.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Crate, and the crates of ours that it may use. The table of DESIGN: you may depend on what is upstream of you.
const MAY_USE: &[(&str, &[&str])] = &[
    ("measurement", &[]),
    ("register-map", &["measurement"]),
    ("sensors", &[]),
    ("firmware", &["measurement", "register-map", "sensors"]),
    ("bedrock", &["measurement", "register-map"]),
    ("simulated", &["firmware", "measurement", "register-map", "sensors"]),
    ("telemetry", &["measurement"]),
    ("spool", &[]),
    ("gateway", &["measurement", "register-map", "telemetry", "spool"]),
    ("timeseries", &["measurement"]),
    ("alarm", &["measurement"]),
    ("risk", &["measurement", "alarm"]),
    ("collector", &["measurement", "telemetry", "timeseries", "alarm", "risk", "spool"]),
];

/// The proving ground may use every house.
const PROVING_GROUND: &[&str] = &["site", "contract", "simulation", "end_to_end", "qemu", "benchmark", "tidy"];

/// Words that a crate's name must not appear beside: what each has never heard of.
const NEVER_HEARD_OF: &[(&str, &[&str])] = &[
    ("measurement", &["serde", "tokio", "std"]),
    ("telemetry", &["rumqttc", "rmqtt", "tokio-modbus", "tokio"]),
    ("spool", &["prost", "tokio", "rumqttc"]),
    ("gateway", &["alarm", "risk", "sea-orm", "axum-extra"]),
    ("alarm", &["tokio", "fjall", "sea-orm", "axum", "reqwest"]),
    ("risk", &["tokio", "fjall", "sea-orm", "axum", "reqwest"]),
    ("collector", &["tokio-modbus", "tokio-serial", "register-map", "rmodbus"]),
];

const ALLOWED_LICENCES: &[&str] = &[
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "BSL-1.0",
    "Unicode-3.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "OpenSSL",
    "Unlicense",
    "Unicode-DFS-2016",
];

/// File-level copyleft in one unmodified dependency of tokio-serial (see .deny.toml).
const EXCEPTIONS: &[(&str, &str)] = &[("serialport", "MPL-2.0")];

const BANNED: &[&str] = &["rumqttd", "tsink", "evalexpr", "rodbus", "bincode", "openssl-sys", "native-tls"];

fn metadata() -> Value {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("cargo metadata is JSON")
}

fn members(metadata: &Value) -> BTreeMap<String, &Value> {
    let ids: BTreeSet<&str> = metadata["workspace_members"].as_array().expect("members").iter().filter_map(Value::as_str).collect();
    packages(metadata).filter(|p| ids.contains(p["id"].as_str().unwrap_or(""))).map(|p| (text(p, "name"), p)).collect()
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().expect("packages").iter()
}

fn text(package: &Value, field: &str) -> String {
    package[field].as_str().unwrap_or("").to_owned()
}

/// Names of the dependencies a product build has; tests may reach further.
fn dependencies(package: &Value) -> BTreeSet<String> {
    let all = package["dependencies"].as_array().expect("dependencies").iter();
    all.filter(|d| d["kind"].as_str() != Some("dev")).map(|d| text(d, "name")).collect()
}

#[test]
fn every_crate_is_in_the_table() {
    let metadata = metadata();
    let known: BTreeSet<&str> = MAY_USE.iter().map(|(name, _)| *name).chain(PROVING_GROUND.iter().copied()).collect();
    let actual: BTreeSet<String> = members(&metadata).into_keys().collect();
    assert_eq!(actual.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);
}

#[test]
fn every_crate_uses_only_what_is_upstream_of_it() {
    let metadata = metadata();
    let members = members(&metadata);
    for (name, may_use) in MAY_USE {
        let ours: BTreeSet<String> = dependencies(members[*name]).into_iter().filter(|d| members.contains_key(d)).collect();
        for used in ours {
            assert!(may_use.contains(&used.as_str()), "{name} uses {used}, which is not upstream of it");
        }
    }
}

#[test]
fn no_crate_has_heard_of_what_it_must_not_know() {
    let metadata = metadata();
    let members = members(&metadata);
    for (name, strangers) in NEVER_HEARD_OF {
        let used = dependencies(members[*name]);
        for stranger in *strangers {
            assert!(!used.contains(*stranger), "{name} depends on {stranger}");
        }
    }
}

#[test]
fn a_folder_and_its_crate_have_one_name() {
    let metadata = metadata();
    for (name, package) in members(&metadata) {
        let manifest = text(package, "manifest_path");
        let folder = std::path::Path::new(&manifest).parent().and_then(|p| p.file_name()).and_then(|n| n.to_str()).unwrap_or("");
        assert_eq!(folder, name);
    }
}

#[test]
fn every_room_has_a_readme() {
    let metadata = metadata();
    for (name, package) in members(&metadata) {
        let readme = std::path::Path::new(&text(package, "manifest_path")).with_file_name("README.md");
        assert!(readme.exists(), "{name} has no README.md");
    }
}

#[test]
fn every_dependency_comes_from_the_registry_under_a_licence_we_accept() {
    let metadata = metadata();
    let mut complaints = Vec::new();
    for package in packages(&metadata) {
        let (name, source, licence) = (text(package, "name"), text(package, "source"), text(package, "license"));
        if source.is_empty() {
            continue;
        }
        if !source.starts_with("registry+") {
            complaints.push(format!("{name} comes from {source}"));
        }
        if BANNED.contains(&name.as_str()) {
            complaints.push(format!("{name} is banned, see .deny.toml"));
        }
        if !acceptable(&licence) && !EXCEPTIONS.contains(&(name.as_str(), licence.as_str())) {
            complaints.push(format!("{name} is under {licence:?}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// An SPDX expression is acceptable when one side of every OR, and both sides of every AND, are.
fn acceptable(licence: &str) -> bool {
    let expression = licence.replace('/', " OR ").replace(['(', ')'], " ").replace(" WITH LLVM-exception", "");
    expression.split(" AND ").all(|all| all.split(" OR ").any(|one| ALLOWED_LICENCES.contains(&one.trim())))
}

#[test]
fn the_licence_reader_takes_one_side_of_an_or_and_both_of_an_and() {
    assert!(acceptable("MIT OR GPL-3.0"));
    assert!(acceptable("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(!acceptable("MIT AND GPL-3.0"));
    assert!(!acceptable(""));
}
