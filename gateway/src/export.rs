//! Every record of a spool, read from outside and told in words: which channel by its tag, when, what. Reads only,
//! and steps over what is damaged. A reading's number means the catalogue that was in force when it was kept;
//! catalogues are kept beside the spool, and travel in it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use prost::Message;
use spool::inspect::Listing;
use spool::{Class, Record};
use telemetry::{Catalogue, CatalogueChannel, CataloguePart};

use crate::forward::record::{Kept, Note};

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its sequence in the spool's epoch.
    pub sequence: u64,
    /// How it was kept.
    pub class: Class,
    /// Of a reading: its channel; `None` when its catalogue is not to be found.
    pub channel: Option<CatalogueChannel>,
    /// What it says; `None` for bytes of a later version.
    pub kept: Option<Kept>,
}

/// The log's directory of a spool, whether the spool or the log itself is named.
pub fn log_of(directory: &Path) -> PathBuf {
    let log = directory.join("log");
    if log.is_dir() { log } else { directory.to_owned() }
}

/// Tells every record of the spool in `directory`, oldest first. What is damaged is named in the listing.
pub fn export(directory: &Path, tell: &mut dyn FnMut(Row)) -> io::Result<Listing> {
    let log = log_of(directory);
    let beside = log.parent().unwrap_or(Path::new(".")).join("catalogues");
    let mut catalogues = Catalogues { beside, known: HashMap::new(), parts: HashMap::new() };
    spool::inspect::inspect(&log, &mut |record| tell(catalogues.row(record)))
}

struct Catalogues {
    beside: PathBuf,
    known: HashMap<u64, Option<Catalogue>>,
    parts: HashMap<u64, Vec<CataloguePart>>,
}

impl Catalogues {
    fn row(&mut self, record: &Record) -> Row {
        let kept = Kept::decode(&record.payload);
        let channel = match &kept {
            Some(Kept::Reading { reading, .. }) => {
                let hash = record.note.as_deref().and_then(Note::decode).map_or(0, |note| note.catalogue.0);
                let catalogue = self.find(hash);
                usize::try_from(reading.channel.0).ok().and_then(|number| catalogue?.channels.get(number)).cloned()
            }
            Some(Kept::Part(part)) => {
                self.learn(part);
                None
            }
            _ => None,
        };
        Row { sequence: record.sequence, class: record.class, channel, kept }
    }

    fn find(&mut self, hash: u64) -> Option<&Catalogue> {
        let path = self.beside.join(format!("{hash:016x}"));
        let read = || {
            let bytes = std::fs::read(path).ok()?;
            Catalogue::decode(bytes.as_slice()).ok().filter(|catalogue| catalogue.hash().0 == hash)
        };
        self.known.entry(hash).or_insert_with(read).as_ref()
    }

    fn learn(&mut self, part: &CataloguePart) {
        let parts = self.parts.entry(part.hash).or_default();
        parts.push(part.clone());
        if let Ok(catalogue) = Catalogue::from_parts(parts) {
            self.known.insert(part.hash, Some(catalogue));
            self.parts.remove(&part.hash);
        }
    }
}
