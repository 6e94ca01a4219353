//! What was asked of anything that plays a device, over a whole run of tests: the proof that nobody writes.
//!
//! With `DAVY_ARTEFACTS` set, each function that this process hears for the first time is a line of
//! `bus-heard.log` there: `function address program`. `tests/run` reads the file when all tests have run.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

static HEARD: Mutex<BTreeSet<(u8, u16)>> = Mutex::new(BTreeSet::new());

/// A request (function code and data) was heard. Of what only reads, the function is noted; of anything else, every
/// address.
pub fn request(request: &[u8]) {
    let Some(&function) = request.first() else { return };
    let address = match request.get(1..3) {
        Some(&[high, low]) if !matches!(function, 1..=4) => u16::from_be_bytes([high, low]),
        _ => 0,
    };
    if HEARD.lock().unwrap_or_else(PoisonError::into_inner).insert((function, address)) {
        note(function, address);
    }
}

fn note(function: u8, address: u16) {
    let Some(folder) = std::env::var_os("DAVY_ARTEFACTS") else { return };
    let program = std::env::current_exe().ok().and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    let line = format!("{function} {address} {}\n", program.as_deref().unwrap_or("?"));
    let file = std::fs::OpenOptions::new().create(true).append(true).open(std::path::Path::new(&folder).join("bus-heard.log"));
    if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
        tracing::warn!(%error, "what was heard on the bus cannot be noted");
    }
}
