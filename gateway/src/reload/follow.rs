//! Notices that the site file changed, or that SIGHUP was sent, and hands the new site over. A change counts
//! once it has rested: an editor that is still writing is not interrupted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use measurement::MonotonicMs;
use telemetry::topic::fnv1a_64;
use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use super::crew::Loader;
use crate::clock::{Clock, Promise};
use crate::site::{Site, SiteError};
use crate::status::board::Board;

/// The file is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Profiles beside the site file: more are not looked at, nor longer ones read.
const MOST_FILES: usize = 256;
const MOST_BYTES: u64 = 1 << 20;

/// A site file that is to be followed.
pub struct Followed {
    path: PathBuf,
    known: Option<u64>,
    ready: fn(Site) -> Site,
}

impl Followed {
    /// To be made before the site at work is loaded, so that a change meanwhile is noticed. `ready` makes of a loaded
    /// site what the program runs.
    pub fn new(path: &Path, ready: fn(Site) -> Site) -> Followed {
        Followed { path: path.to_owned(), known: fingerprint(path), ready }
    }

    /// Loads it.
    pub fn load(&self) -> Result<Site, SiteError> {
        Site::load(&self.path).map(self.ready)
    }
}

/// Follows the site file, and the profiles beside it, until the shutdown.
pub async fn follow(file: Followed, loader: Loader, board: Board, clock: Clock, mut hangup: Signal, shutdown: CancellationToken) {
    let promise = Promise::default();
    board.task("site file", promise.clone());
    let mut rested = Rested::new(file.known);
    loop {
        promise.until(MonotonicMs(clock.mono().0 + 60_000));
        let wanted = tokio::select! {
            () = shutdown.cancelled() => return promise.release(),
            Some(()) = hangup.recv() => {
                rested = Rested::new(fingerprint(&file.path));
                true
            }
            () = tokio::time::sleep(LOOK_EVERY) => rested.look(fingerprint(&file.path)),
        };
        if wanted {
            match file.load() {
                Ok(site) => drop(loader.load(site).await),
                Err(error) => loader.refuse(error.to_string()).await,
            }
        }
    }
}

/// Says when something has changed and rested for one look. Pure.
#[derive(Debug)]
pub struct Rested {
    known: Option<u64>,
    moving: Option<u64>,
}

impl Rested {
    /// Begins with what is there.
    pub fn new(known: Option<u64>) -> Rested {
        Rested { known, moving: None }
    }

    /// True when what is seen differs from what was known and is as it was at the look before. A file that is gone
    /// is waited for: it may be on its way to being replaced.
    pub fn look(&mut self, seen: Option<u64>) -> bool {
        let Some(seen) = seen.filter(|seen| Some(*seen) != self.known) else {
            self.moving = None;
            return false;
        };
        let has_rested = self.moving == Some(seen);
        if has_rested {
            self.known = Some(seen);
            self.moving = None;
        } else {
            self.moving = Some(seen);
        }
        has_rested
    }
}

/// What the site file and the profiles beside it say, as one number; `None` while there is no site file.
pub fn fingerprint(path: &Path) -> Option<u64> {
    let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(beside).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    files.sort();
    files.truncate(MOST_FILES);
    let mut said = std::fs::read(path).ok()?;
    for file in files.iter().filter(|file| file.file_name() != path.file_name()) {
        let is_short = std::fs::metadata(file).is_ok_and(|about| about.is_file() && about.len() <= MOST_BYTES);
        if is_short && let Ok(text) = std::fs::read(file) {
            said.extend(file.as_os_str().as_encoded_bytes());
            said.extend(text);
        }
    }
    Some(fnv1a_64(&said))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop here")]
    use super::*;

    fn check(looks: &[Option<u64>], loads: &[bool]) {
        let mut rested = Rested::new(Some(1));
        assert_eq!(looks.iter().map(|seen| rested.look(*seen)).collect::<Vec<_>>(), loads);
    }

    #[test]
    fn a_change_is_taken_once_when_it_has_rested() {
        check(&[Some(1), Some(2), Some(2), Some(2)], &[false, false, true, false]);
    }

    #[test]
    fn a_file_that_is_being_written_is_waited_for() {
        check(&[Some(2), Some(3), Some(4), Some(4)], &[false, false, false, true]);
    }

    #[test]
    fn a_file_that_is_gone_for_a_moment_or_changed_back_loads_nothing() {
        check(&[None, Some(1), Some(2), Some(1), Some(1)], &[false; 5]);
    }

    #[test]
    fn the_fingerprint_knows_the_site_file_and_the_profiles_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site.toml");
        assert_eq!(fingerprint(&site), None);
        std::fs::write(&site, "a").unwrap();
        let first = fingerprint(&site);
        std::fs::write(folder.path().join("notes.txt"), "n").unwrap();
        assert_eq!(fingerprint(&site), first);
        std::fs::write(folder.path().join("acme.toml"), "p").unwrap();
        assert_ne!(fingerprint(&site), first);
    }
}
