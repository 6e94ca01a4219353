//! Copies that can be restored, and restoring them.
//!
//! A backup folder holds `davy.sqlite` (a consistent copy), `journal-anchor`, `series/` and `manifest.json` with
//! what was counted. Order matters: the anchor first (a journal may be longer than its anchor), then the
//! database, then the series (rows after `judged_to` are judged again; a `judged_to` beyond the rows would leave
//! rows unjudged). Nothing is ever overwritten.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use measurement::Timestamp;
use serde::{Deserialize, Serialize};

use crate::journal::verify::Finding;
use crate::store::{Store, StoreError, sqlite_path};

const DATABASE: &str = "davy.sqlite";
const ANCHOR: &str = "journal-anchor";
const SERIES: &str = "series";
const MANIFEST: &str = "manifest.json";

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub product: String,
    pub version: String,
    /// Unix ms.
    pub made_at: i64,
    pub journal_entries: u64,
    pub journal_head: String,
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
}

/// Why a backup was not made or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{0} exists and is not empty; give an empty or new folder")]
    NotEmpty(PathBuf),
    #[error("{0} exists; a restore never overwrites, so move it away first")]
    Exists(PathBuf),
    #[error("only a SQLite database is backed up here; use pg_dump and pg_restore for PostgreSQL")]
    NotSqlite,
    #[error("cannot {what} {path}")]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not the manifest of a backup")]
    Manifest {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("the copy of the time series failed")]
    Series(#[from] timeseries::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the journal of the copy is not whole: {}", .0.sentences().1)]
    Journal(Finding),
    #[error("the copy holds {found} rows of {table}, its manifest says {expected}")]
    Count { table: String, expected: u64, found: u64 },
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { what, path, source }
}

/// Writes a backup into an empty or new folder. The collector may go on working meanwhile.
pub async fn backup(store: &Store, url: &str, series: &timeseries::Store, to: &Path, at: Timestamp) -> Result<Manifest, BackupError> {
    let database = sqlite_path(url).ok_or(BackupError::NotSqlite)?;
    fs::create_dir_all(to).map_err(file("make the folder", to))?;
    if fs::read_dir(to).map_err(file("read the folder", to))?.next().is_some() {
        return Err(BackupError::NotEmpty(to.to_owned()));
    }
    let anchor = database.with_file_name(ANCHOR);
    if anchor.exists() {
        fs::copy(&anchor, to.join(ANCHOR)).map_err(file("copy", &anchor))?;
    }
    store.copy_into(&to.join(DATABASE)).await?;
    series.backup(&to.join(SERIES))?;
    let manifest = examine(&to.join(DATABASE), at).await?;
    let path = to.join(MANIFEST);
    let text = serde_json::to_vec_pretty(&manifest).map_err(|source| BackupError::Manifest { path: path.clone(), source })?;
    // Last: a folder without a manifest is no backup.
    fs::write(&path, text).map_err(file("write", &path))?;
    Ok(manifest)
}

/// Restores a backup to where nothing is yet, and proves it: journal whole, anchors kept, every count the same.
pub async fn restore(from: &Path, url: &str, series_dir: &Path) -> Result<Manifest, BackupError> {
    let database = sqlite_path(url).ok_or(BackupError::NotSqlite)?;
    let path = from.join(MANIFEST);
    let text = fs::read(&path).map_err(file("read", &path))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|source| BackupError::Manifest { path, source })?;
    let anchor = database.with_file_name(ANCHOR);
    for there in [database, &anchor, series_dir] {
        if there.exists() {
            return Err(BackupError::Exists(there.to_owned()));
        }
    }
    if let Some(folder) = database.parent() {
        fs::create_dir_all(folder).map_err(file("make the folder", folder))?;
    }
    copy_folder(&from.join(SERIES), series_dir)?;
    let kept = from.join(ANCHOR);
    if kept.exists() {
        fs::copy(&kept, &anchor).map_err(file("copy", &kept))?;
    }
    let kept = from.join(DATABASE);
    fs::copy(&kept, database).map_err(file("copy", &kept))?;
    let found = examine(database, Timestamp(manifest.made_at)).await?;
    for (table, expected) in &manifest.rows {
        let found = found.rows.get(table).copied().unwrap_or(0);
        if found != *expected {
            return Err(BackupError::Count { table: table.clone(), expected: *expected, found });
        }
    }
    Ok(manifest)
}

/// Opens a copy, verifies its journal and counts its rows.
async fn examine(database: &Path, at: Timestamp) -> Result<Manifest, BackupError> {
    let copy = Store::open(&format!("sqlite://{}", database.display())).await?;
    let verdict = copy.verify_journal().await?;
    if let Some(finding) = verdict.finding {
        return Err(BackupError::Journal(finding));
    }
    let rows = copy.count_rows().await?;
    copy.close().await?;
    Ok(Manifest {
        product: "Davy".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: at.0,
        journal_entries: verdict.head.count,
        journal_head: verdict.head.hash.hex(),
        rows,
    })
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), BackupError> {
    fs::create_dir_all(to).map_err(file("make the folder", to))?;
    for entry in fs::read_dir(from).map_err(file("read the folder", from))? {
        let entry = entry.map_err(file("read the folder", from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            fs::copy(&path, &target).map_err(file("copy", &path))?;
        }
    }
    Ok(())
}
