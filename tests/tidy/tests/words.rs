//! Files tell one story, ask no clock and leave no fossil.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the house stands")
}

fn sources(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "node_modules", "dist", "artefacts"].contains(&name.as_str()) {
                sources(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn rust_files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for room in ["firmware", "gateway", "collector", "tests"] {
        sources(&root().join(room), ".rs", &mut found);
    }
    let named = |p: PathBuf| (p.strip_prefix(root()).unwrap_or(&p).display().to_string(), fs::read_to_string(&p).unwrap_or_default());
    found.into_iter().map(named).collect()
}

#[test]
fn every_source_file_opens_with_what_it_is() {
    let headless: Vec<String> = rust_files()
        .into_iter()
        .filter(|(name, text)| {
            !name.ends_with("tests.rs") && !text.trim_start().starts_with("//!") && !text.trim_start().starts_with("#![")
        })
        .map(|(name, _)| name)
        .collect();
    assert!(headless.is_empty(), "no head sentence (//!) in:\n{}", headless.join("\n"));
}

#[test]
fn no_unfinished_work_is_left_behind() {
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat()];
    let issue_named = |line: &str| line.contains("issue ");
    let fossils: Vec<String> = rust_files()
        .into_iter()
        .flat_map(|(name, text)| {
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.into_iter().enumerate().map(move |(n, line)| (name.clone(), n + 1, line)).collect::<Vec<_>>()
        })
        .filter(|(_, _, line)| marks.iter().any(|m| line.contains(m.as_str())) && !issue_named(line))
        .map(|(name, n, line)| format!("{name}:{n}: {}", line.trim()))
        .collect();
    assert!(fossils.is_empty(), "unfinished, and no issue named:\n{}", fossils.join("\n"));
}

#[test]
fn the_product_does_not_reach_for_the_shared_folder() {
    let reaches: Vec<String> = rust_files()
        .into_iter()
        .filter(|(name, text)| {
            !name.starts_with("tests/") && !name.contains("/tests/") && !name.ends_with("/tests.rs") && text.contains("../shared")
        })
        .map(|(name, _)| name)
        .collect();
    assert!(reaches.is_empty(), "the shared folder is not part of the product: {}", reaches.join(", "));
}

#[test]
fn the_collector_s_sources_never_say_modbus() {
    let said: Vec<String> = rust_files()
        .into_iter()
        .filter(|(name, _)| name.starts_with("collector/"))
        .filter(|(_, text)| text.to_lowercase().contains("modbus"))
        .map(|(name, _)| name)
        .collect();
    assert!(said.is_empty(), "the collector has never heard of Modbus: {}", said.join(", "));
}
