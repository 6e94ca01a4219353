//! The anchor: where the journal ended at the last commit, kept outside the database.
//!
//! A text file, one line an anchor: `count hash`. The last line is renewed after every commit; lines that the
//! journal contradicted when it was opened stay above it as evidence. A journal may be longer than its newest
//! anchor (a power cut between commit and anchor), never shorter and never different at that place.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Hash, Head};

/// Why an anchor file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    #[error("cannot read the journal's anchor {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the journal's anchor {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("line {line} of the journal's anchor {path} is not \"count hash\"")]
    Malformed { path: PathBuf, line: usize },
}

/// Every anchor of the file, oldest first; none when there is no file.
pub fn read(path: &Path) -> Result<Vec<Head>, AnchorError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(AnchorError::Read { path: path.to_owned(), source }),
    };
    let parsed = |(at, line): (usize, &str)| {
        let head = line.split_once(' ').and_then(|(count, hash)| Some(Head { count: count.parse().ok()?, hash: Hash::from_hex(hash)? }));
        head.ok_or_else(|| AnchorError::Malformed { path: path.to_owned(), line: at + 1 })
    };
    text.lines().enumerate().map(parsed).collect()
}

/// Replaces the file at once: a reader sees the old or the new one.
pub fn write(path: &Path, anchors: &[Head]) -> Result<(), AnchorError> {
    let wrong = |source| AnchorError::Write { path: path.to_owned(), source };
    let text: String = anchors.iter().map(|head| format!("{} {}\n", head.count, head.hash.hex())).collect();
    let beside = path.with_extension("new");
    // Not forced to the disk: the commit before it was, and a journal longer than its anchor is legal.
    fs::File::create(&beside).and_then(|mut file| file.write_all(text.as_bytes())).map_err(wrong)?;
    fs::rename(&beside, path).map_err(wrong)
}
