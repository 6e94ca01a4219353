//! The catalogues that readings in the spool were taken under, kept beside it, so that an old reading can still be
//! explained when the collector asks. A file each, named by the catalogue's hash: `{hash:016x}`, its bytes in Protocol
//! Buffers; the newest 64 stay. Everything here may wait for a disk: never to be called on the runtime.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

use measurement::MonotonicMs;
use prost::Message;
use telemetry::{Catalogue, CatalogueHash};
use tracing::warn;

/// So many stay: more site files than a spool's readings are taken under.
const MOST: usize = 64;

/// See the head of this file. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalogues {
    directory: PathBuf,
    /// Answered for without a disk: without it the collector can take nothing that is read now.
    newest: Arc<Mutex<Option<Catalogue>>>,
}

impl Catalogues {
    /// Those in this folder; it is made when missing.
    pub fn new(directory: PathBuf) -> Catalogues {
        Catalogues { directory, newest: Arc::default() }
    }

    /// Keeps a catalogue. True when it was here before, whole. One that cannot be kept is told of in the log only:
    /// it still travels through the spool.
    pub fn keep(&self, catalogue: &Catalogue) -> bool {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(catalogue.clone());
        let path = self.path(catalogue.hash());
        let known = read(&path, catalogue.hash()).is_some();
        // Written anew even so: those used last are the newest.
        if let Err(error) = self.write(&path, catalogue).and_then(|()| self.clear(&path)) {
            warn!(%error, path = %self.directory.display(), "the folder of catalogues cannot be written");
        }
        known
    }

    /// The catalogue of this hash; `None` when it is not here or its bytes are not those that were written.
    pub fn find(&self, hash: CatalogueHash) -> Option<Catalogue> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        newest.filter(|newest| newest.hash() == hash).or_else(|| read(&self.path(hash), hash))
    }

    fn path(&self, hash: CatalogueHash) -> PathBuf {
        self.directory.join(format!("{:016x}", hash.0))
    }

    fn write(&self, path: &Path, catalogue: &Catalogue) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let new = path.with_extension("new");
        fs::write(&new, catalogue.encode_to_vec())?;
        fs::File::open(&new)?.sync_all()?;
        fs::rename(&new, path)?;
        fs::File::open(&self.directory)?.sync_all()
    }

    /// Lets all but the newest go, and what was never finished. The one just written stays, whatever the clock says of it.
    fn clear(&self, just_written: &Path) -> io::Result<()> {
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.path().extension().is_some() {
                fs::remove_file(entry.path())?;
            } else if entry.path() != just_written {
                others.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        others.sort();
        for (_, path) in others.iter().rev().skip(MOST - 1) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// The same catalogue is not sent more often than this.
const SEND_EVERY_MS: u64 = 5_000;
/// So many different ones are sent within that time; a collector that asks for more asks again.
const MOST_SENT: usize = 16;

/// When which catalogue was sent, for a collector that asks too often. Pure.
#[derive(Debug, Default)]
pub struct SentLately(HashMap<u64, MonotonicMs>);

impl SentLately {
    /// True when the catalogue of this hash may be sent now, which is then taken for sent.
    pub fn may_send(&mut self, hash: u64, now: MonotonicMs) -> bool {
        self.0.retain(|_, sent_at| now.since(*sent_at) < SEND_EVERY_MS);
        let may = self.0.len() < MOST_SENT && !self.0.contains_key(&hash);
        if may {
            self.0.insert(hash, now);
        }
        may
    }
}

fn read(path: &Path, hash: CatalogueHash) -> Option<Catalogue> {
    let bytes = fs::read(path).ok()?;
    Catalogue::decode(bytes.as_slice()).ok().filter(|catalogue| catalogue.hash() == hash)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop here")]
    use super::*;

    fn catalogue(name: &str) -> Catalogue {
        let channel = telemetry::CatalogueChannel { tag: name.to_owned(), ..Default::default() };
        Catalogue { channels: vec![channel], ..Catalogue::default() }
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("catalogues");
        (folder, directory)
    }

    #[test]
    fn a_catalogue_is_known_once_it_was_kept_and_is_found_after_a_restart() {
        let (_folder, directory) = folder();
        let (first, second) = (catalogue("a"), catalogue("b"));
        let kept = Catalogues::new(directory.clone());
        assert!(!kept.keep(&first) && kept.keep(&first) && !kept.keep(&second));
        let again = Catalogues::new(directory);
        assert_eq!(again.find(first.hash()), Some(first));
        assert_eq!(again.find(CatalogueHash(1)), None);
    }

    #[test]
    fn a_damaged_file_is_not_known_and_is_written_anew() {
        let (_folder, directory) = folder();
        let catalogue = catalogue("a");
        Catalogues::new(directory.clone()).keep(&catalogue);
        let path = directory.join(format!("{:016x}", catalogue.hash().0));
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let kept = Catalogues::new(directory);
        assert_eq!(kept.find(catalogue.hash()), None);
        assert!(!kept.keep(&catalogue), "it goes through the spool again");
        assert_eq!(fs::read(&path).unwrap(), whole);
        fs::write(&path, b"").unwrap();
        assert_eq!(kept.find(catalogue.hash()), Some(catalogue), "the newest is answered for without a disk");
    }

    #[test]
    fn a_catalogue_is_sent_once_in_five_seconds_however_they_are_asked_for_in_turn() {
        let mut sent = SentLately::default();
        let mut asked = |hashes: &[u64], at| hashes.iter().filter(|hash| sent.may_send(**hash, MonotonicMs(at))).count();
        assert_eq!(asked(&[1, 2, 1, 2, 1, 2], 0), 2);
        assert_eq!(asked(&[1, 2], SEND_EVERY_MS - 1), 0);
        assert_eq!(asked(&[1, 2], SEND_EVERY_MS), 2);
        let many: Vec<u64> = (100..200).collect();
        assert_eq!(asked(&many, SEND_EVERY_MS), MOST_SENT - 2, "and only so many different ones");
    }

    #[test]
    fn the_newest_stay_and_what_was_never_finished_goes() {
        let (_folder, directory) = folder();
        let kept = Catalogues::new(directory.clone());
        for number in 0..MOST + 9 {
            kept.keep(&catalogue(&number.to_string()));
        }
        fs::write(directory.join("0123456789abcdef.new"), b"half").unwrap();
        let last = catalogue("last");
        kept.keep(&last);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), MOST);
        assert_eq!(Catalogues::new(directory).find(last.hash()), Some(last));
    }
}
