//! Masters that none of us wrote: mbpoll and pymodbus, asked to ask the node.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A master that is not there is a failure, unless whoever runs the tests counts what they skip (`DAVY_MAY_SKIP`, as tests/run sets).
fn absent(what: &str) {
    assert!(std::env::var_os("DAVY_MAY_SKIP").is_some(), "{what}");
    println!("SKIPPED: {what}, so it asked nothing");
}

/// What mbpoll said of one question, or `None`, said loudly, where it is not installed and that may be. `kind` as in its option `-t`; with
/// values it writes.
pub fn mbpoll(pty: &str, unit: u8, kind: &str, address: u16, count: usize, values: &[&str]) -> Option<String> {
    let (unit, address, count) = (unit.to_string(), address.to_string(), count.to_string());
    let mut command = Command::new("mbpoll");
    command.args(["-m", "rtu", "-b", "9600", "-P", "none", "-s", "1", "-0", "-1", "-o", "5", "-a", &unit, "-t", kind, "-r", &address]);
    if values.is_empty() {
        command.args(["-c", &count]);
    }
    let Ok(output) = command.arg(pty).args(values).output() else {
        absent("mbpoll is not installed (Debian package mbpoll)");
        return None;
    };
    Some(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

/// A Python that has pymodbus, or `None`, said loudly, where there is none and that may be.
pub fn python_with_pymodbus() -> Option<PathBuf> {
    let python = std::env::var_os("DAVY_PYMODBUS").map(PathBuf::from).filter(|path| path.exists());
    if python.is_none() {
        absent("no Python with pymodbus ($DAVY_PYMODBUS; tests/run makes one)");
    }
    python
}

/// What pymodbus said of each question; their form is that of `pymodbus_asks.py`.
pub fn pymodbus(python: &Path, pty: &str, unit: u8, questions: &[String]) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/pymodbus_asks.py");
    let output = Command::new(python).arg(script).args([pty, &unit.to_string()]).args(questions).output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}
