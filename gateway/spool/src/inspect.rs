//! Looking at a spool from outside, for a person: list, verify, export. Changes nothing and needs no lock.

use std::io;
use std::path::Path;

use crate::disk::{DirDisk, Disk};
use crate::identity::Identity;
use crate::queue::Record;
use crate::record::{Class, Kind, Step};
use crate::segment::{self, Level};

/// A spool, listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The epoch; `None` when the identity is missing or damaged.
    pub epoch: Option<u64>,
    /// Oldest first.
    pub segments: Vec<SegmentListing>,
    /// Preallocated files.
    pub spares: usize,
    /// Files set aside because they could not be read.
    pub set_aside: Vec<String>,
}

/// One segment, listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentListing {
    /// Its file's name.
    pub name: String,
    /// What was taken out of it.
    pub level: Level,
    /// First and last sequence; `last` is zero when it is empty.
    pub first: u64,
    pub last: u64,
    /// Records in it, by class.
    pub telemetry: u64,
    pub urgent: u64,
    pub other: u64,
    /// Bytes of records.
    pub bytes: u64,
    /// What is wrong with it, in one sentence; `None` when nothing is.
    pub trouble: Option<String>,
}

/// Lists and verifies every record of the spool in `directory`; `show` sees each one.
pub fn inspect(directory: &Path, show: &mut dyn FnMut(&Record)) -> io::Result<Listing> {
    inspect_disk(&DirDisk::look(directory), show)
}

/// The same on any disk.
pub fn inspect_disk<D: Disk>(disk: &D, show: &mut dyn FnMut(&Record)) -> io::Result<Listing> {
    let names = disk.list()?;
    let identity = Identity::load(disk)?;
    let base = identity.map_or(0, |identity| identity.base);
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
    numbers.sort_unstable();
    let mut listing = Listing {
        epoch: identity.map(|identity| identity.epoch),
        segments: Vec::new(),
        spares: names.iter().filter(|name| name.starts_with("spare-")).count(),
        set_aside: names.iter().filter(|name| name.ends_with(".damaged")).cloned().collect(),
    };
    let mut above = 0;
    for number in numbers {
        let bytes = segment::load(disk, number)?;
        let listed = list(&bytes, number, &mut above, base, show);
        listing.segments.push(listed);
    }
    Ok(listing)
}

fn list(bytes: &[u8], number: u64, above: &mut u64, base: u64, show: &mut dyn FnMut(&Record)) -> SegmentListing {
    let scan = segment::scan(bytes, number, *above, &mut |_| {});
    let mut listing = SegmentListing {
        name: segment::name(number),
        level: scan.info.level,
        first: scan.info.first.saturating_sub(base),
        last: scan.info.last.saturating_sub(base),
        telemetry: 0,
        urgent: 0,
        other: 0,
        bytes: scan.info.end,
        trouble: None,
    };
    let mut notes: Vec<(u8, std::sync::Arc<[u8]>)> = Vec::new();
    let mut walk = segment::walk(bytes, &scan.info);
    let trouble = loop {
        match walk.step() {
            Step::Record(_, parsed) => match parsed.kind {
                Kind::Record(class) => {
                    let counted = match class {
                        Class::Telemetry => &mut listing.telemetry,
                        Class::Urgent => &mut listing.urgent,
                        Class::Other => &mut listing.other,
                    };
                    *counted += 1;
                    *above = parsed.sequence;
                    if parsed.sequence > base {
                        let note = notes.iter().find(|(number, _)| *number == parsed.note).map(|(_, bytes)| bytes.clone());
                        show(&Record { sequence: parsed.sequence - base, class, payload: parsed.payload.to_vec(), note });
                    }
                }
                Kind::Note => {
                    notes.retain(|(number, _)| *number != parsed.note);
                    notes.push((parsed.note, parsed.payload.into()));
                }
                Kind::Acknowledgements => {}
            },
            Step::Damage { from, to } => listing.trouble = Some(format!("bytes {from} to {to} are no record")),
            Step::End(_) => break None,
            Step::Garbage(at) => break Some(format!("bytes from {at} on are no record")),
        }
    };
    listing.trouble = trouble.or(listing.trouble.take());
    if scan.header.is_none() {
        listing.trouble = Some("the header is damaged".to_owned());
    }
    listing
}

#[cfg(test)]
mod tests;
