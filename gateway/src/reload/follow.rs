//! Notices that the site file changed, or that SIGHUP was sent, and hands the new site over. A change counts
//! once it has rested: an editor that is still writing is not interrupted.
//!
//! Files are looked at on a thread of their own: a slow disk holds up no bus. They are read only when what the file system
//! says of them has changed.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
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
    eye: Eye,
    ready: fn(Site) -> Site,
}

impl Followed {
    /// To be made before the site at work is loaded, so that a change meanwhile is noticed. `ready` makes of a loaded
    /// site what the program runs.
    pub fn new(path: &Path, ready: fn(Site) -> Site) -> Followed {
        let mut eye = Eye::on(path);
        eye.look();
        Followed { path: path.to_owned(), eye, ready }
    }

    /// Loads it.
    pub fn load(&self) -> Result<Site, SiteError> {
        Site::load(&self.path).map(self.ready)
    }

    /// Loads it on a thread of its own. The error is one sentence.
    async fn load_aside(&self) -> Result<Site, String> {
        let path = self.path.clone();
        let loaded = tokio::task::spawn_blocking(move || Site::load(&path)).await;
        loaded.map_err(|fell| format!("it cannot be read: {fell}"))?.map(self.ready).map_err(|error| error.to_string())
    }

    /// What the files say now; `None` while there is no site file.
    async fn look_aside(&mut self) -> Option<u64> {
        let mut eye = self.eye.clone();
        self.eye = tokio::task::spawn_blocking(move || {
            eye.look();
            eye
        })
        .await
        .ok()?;
        self.eye.said
    }
}

/// What was last seen of the site file and the profiles beside it.
#[derive(Debug, Clone)]
struct Eye {
    path: PathBuf,
    /// What the file system said of them.
    stamp: u64,
    /// What they said, and how often that was read under this stamp.
    said: Option<u64>,
    reads: u32,
}

impl Eye {
    fn on(path: &Path) -> Eye {
        Eye { path: path.to_owned(), stamp: 0, said: None, reads: 0 }
    }

    /// Reads what has changed, and once more at the look after: a file may be written twice within one tick of the clock that
    /// stamps it.
    fn look(&mut self) -> Option<u64> {
        let stamp = stamp(&self.path);
        if stamp != self.stamp {
            (self.stamp, self.reads) = (stamp, 0);
        }
        if self.reads < 2 || self.said.is_none() {
            self.reads += 1;
            self.said = fingerprint(&self.path);
        }
        self.said
    }
}

/// Follows the site file, and the profiles beside it, until the shutdown.
pub async fn follow(mut file: Followed, loader: Loader, board: Board, clock: Clock, mut hangup: Signal, shutdown: CancellationToken) {
    let promise = Promise::default();
    board.task("site file", promise.clone());
    let mut rested = Rested::new(file.eye.said);
    loop {
        promise.until(MonotonicMs(clock.mono().0 + 60_000));
        let wanted = tokio::select! {
            () = shutdown.cancelled() => return promise.release(),
            Some(()) = hangup.recv() => {
                rested = Rested::new(file.look_aside().await);
                true
            }
            () = tokio::time::sleep(LOOK_EVERY) => rested.look(file.look_aside().await),
        };
        if wanted {
            match file.load_aside().await {
                Ok(site) => drop(loader.load(site).await),
                Err(why) => loader.refuse(why).await,
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
    let mut said = std::fs::read(path).ok()?;
    for file in profiles_beside(path) {
        let is_short = std::fs::metadata(&file).is_ok_and(|about| about.is_file() && about.len() <= MOST_BYTES);
        if is_short && let Ok(text) = std::fs::read(&file) {
            said.extend(file.as_os_str().as_encoded_bytes());
            said.extend(text);
        }
    }
    Some(fnv1a_64(&said))
}

/// What the file system says of the same files, as one number.
fn stamp(path: &Path) -> u64 {
    let mut said = Vec::new();
    for file in profiles_beside(path).into_iter().chain([path.to_owned()]) {
        said.extend(file.as_os_str().as_encoded_bytes());
        if let Ok(about) = std::fs::metadata(&file) {
            said.extend(said_of(&about));
        }
    }
    fnv1a_64(&said)
}

fn said_of(about: &Metadata) -> impl Iterator<Item = u8> {
    let times = [about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec()].map(i64::cast_unsigned);
    [about.dev(), about.ino(), about.len()].into_iter().chain(times).flat_map(u64::to_le_bytes)
}

fn profiles_beside(path: &Path) -> Vec<PathBuf> {
    let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(beside).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    files.sort();
    files.truncate(MOST_FILES);
    files.retain(|file| file.file_name() != path.file_name());
    files
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

    #[test]
    fn files_are_read_twice_after_a_change_and_then_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site.toml");
        std::fs::write(&site, "a").unwrap();
        let mut eye = Eye::on(&site);
        let first = eye.look();
        assert!(first.is_some() && first == fingerprint(&site));
        for reads in [2, 2, 2] {
            assert_eq!((eye.look(), eye.reads), (first, reads));
        }
        std::fs::write(folder.path().join("acme.toml"), "p").unwrap();
        let second = eye.look();
        assert!(second != first && eye.reads == 1);
        // An editor puts another file in its place, as long and of the same age.
        let other = folder.path().join("site.new");
        std::fs::write(&other, "b").unwrap();
        let age = std::fs::metadata(&site).unwrap().modified().unwrap();
        std::fs::File::options().write(true).open(&other).unwrap().set_modified(age).unwrap();
        std::fs::rename(&other, &site).unwrap();
        assert!(eye.look() != second && eye.reads == 1);
        std::fs::remove_file(&site).unwrap();
        assert_eq!(eye.look(), None);
    }
}
