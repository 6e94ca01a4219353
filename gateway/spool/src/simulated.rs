//! A disk in memory that forgets what was not synced, for tests. Its faults are the ones disks have: the
//! power goes at any operation, unsynced bytes are kept, lost or torn at random, a sync fails once and then
//! lies, space runs out, everything turns read-only.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};
use crate::segment::blocks;

/// A small generator, so that a failure is a number anyone can replay.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that always fall the same way for the same seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed ^ 0x9E37_79B9_7F4A_7C15)
    }

    /// The next throw (splitmix64).
    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`, which must not be zero.
    pub fn below(&mut self, n: u64) -> u64 {
        self.throw() % n
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[derive(Debug, Clone)]
enum Unsynced {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug, Clone, Default)]
struct Inode {
    /// What a power cut leaves.
    durable: Vec<u8>,
    /// What a reader sees now.
    seen: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

#[derive(Debug, Clone)]
enum NameChange {
    Add(String, u64),
    Remove(String),
    Rename(String, String),
}

#[derive(Debug, Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    changes: Vec<NameChange>,
    operations: u64,
    power_off_at: Option<u64>,
    sync_fails_at: Option<u64>,
    syncs: u64,
    failed_syncs: u64,
    looking: bool,
    space: u64,
    read_only: bool,
    unopenable: BTreeMap<String, i32>,
}

/// See the head of this file. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

/// An open file of it.
#[derive(Debug)]
pub struct SimulatedFile {
    state: Arc<Mutex<State>>,
    inode: u64,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn operate(&mut self, writes: bool) -> io::Result<()> {
        if self.looking {
            return Ok(());
        }
        if self.power_off_at.is_some_and(|at| self.operations >= at) {
            return Err(io::Error::other("the power is off"));
        }
        if writes && self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        self.operations += 1;
        Ok(())
    }

    /// True when this sync is the one that fails.
    fn sync_fails(&mut self) -> bool {
        self.syncs += 1;
        let fails = self.sync_fails_at == Some(self.syncs);
        self.failed_syncs += u64::from(fails);
        fails
    }

    fn used(&self) -> u64 {
        let linked: std::collections::BTreeSet<u64> = self.names.values().copied().collect();
        linked.iter().filter_map(|inode| self.inodes.get(inode)).map(|inode| blocks(inode.seen.len() as u64)).sum()
    }

    fn inode(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl SimulatedDisk {
    /// An empty disk with `space` bytes.
    pub fn new(space: u64) -> SimulatedDisk {
        SimulatedDisk { state: Arc::new(Mutex::new(State { space, next_inode: 1, ..State::default() })) }
    }

    /// The power goes before the operation with this number, counted from now.
    pub fn power_off_in(&self, operations: u64) {
        let mut state = lock(&self.state);
        state.power_off_at = Some(state.operations + operations);
    }

    /// True when an operation has found the power gone.
    pub fn is_off(&self) -> bool {
        let state = lock(&self.state);
        state.power_off_at.is_some_and(|at| state.operations >= at)
    }

    /// While a test looks on, operations neither count nor fail for want of power.
    pub fn set_looking(&self, looking: bool) {
        lock(&self.state).looking = looking;
    }

    /// How many syncs have failed.
    pub fn failed_syncs(&self) -> u64 {
        lock(&self.state).failed_syncs
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        lock(&self.state).operations
    }

    /// The sync with this number, counted from now and from 1, fails, and the next ones claim success without
    /// effect on what failed: what a kernel does after EIO.
    pub fn fail_sync_in(&self, syncs: u64) {
        let mut state = lock(&self.state);
        state.sync_fails_at = Some(state.syncs + syncs);
    }

    /// Opening this file fails with this error number: a bad block (5), or too many open files (24).
    pub fn fail_opening(&self, name: &str, error: i32) {
        lock(&self.state).unopenable.insert(name.to_owned(), error);
    }

    /// Turns everything read-only, or back.
    pub fn set_read_only(&self, read_only: bool) {
        lock(&self.state).read_only = read_only;
    }

    /// Changes how much fits. Less than is used means full.
    pub fn set_space(&self, space: u64) {
        lock(&self.state).space = space;
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        lock(&self.state).used()
    }

    /// Changes a byte of a file behind everybody's back.
    pub fn rot(&self, name: &str, offset: usize, flip: u8) {
        let mut state = lock(&self.state);
        let Some(inode) = state.names.get(name).copied() else { return };
        if let Ok(inode) = state.inode(inode) {
            for bytes in [&mut inode.durable, &mut inode.seen] {
                if let Some(byte) = bytes.get_mut(offset) {
                    *byte ^= flip;
                }
            }
        }
    }

    /// The names that are there.
    pub fn names(&self) -> Vec<String> {
        lock(&self.state).names.keys().cloned().collect()
    }

    /// A file's bytes as a reader sees them.
    pub fn bytes_of(&self, name: &str) -> Vec<u8> {
        let mut state = lock(&self.state);
        let inode = state.names.get(name).copied().unwrap_or(0);
        state.inode(inode).map(|inode| inode.seen.clone()).unwrap_or_default()
    }

    /// The same disk after a power cut: what was synced, and of the rest whatever the dice say.
    pub fn after_power_cut(&self, dice: &mut Dice) -> SimulatedDisk {
        let state = lock(&self.state);
        let mut names = state.durable_names.clone();
        // A journalling file system keeps a prefix of the changes to names, in order.
        let kept = dice.below(state.changes.len() as u64 + 1) as usize;
        for change in &state.changes[..kept] {
            apply(&mut names, change);
        }
        let mut inodes = BTreeMap::new();
        for (number, inode) in &state.inodes {
            let mut bytes = inode.durable.clone();
            for change in &inode.unsynced {
                survive(&mut bytes, change, dice);
            }
            inodes.insert(*number, Inode { durable: bytes.clone(), seen: bytes, unsynced: Vec::new() });
        }
        let after = State {
            inodes,
            next_inode: state.next_inode,
            names: names.clone(),
            durable_names: names,
            space: state.space,
            ..State::default()
        };
        SimulatedDisk { state: Arc::new(Mutex::new(after)) }
    }
}

fn apply(names: &mut BTreeMap<String, u64>, change: &NameChange) {
    match change {
        NameChange::Add(name, inode) => drop(names.insert(name.clone(), *inode)),
        NameChange::Remove(name) => drop(names.remove(name)),
        NameChange::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
    }
}

/// Kept, lost, or torn: whole sectors in any order, and one of them anywhere.
fn survive(bytes: &mut Vec<u8>, change: &Unsynced, dice: &mut Dice) {
    match change {
        Unsynced::Length(length) => {
            if dice.once_in(2) {
                bytes.resize(*length as usize, 0);
            }
        }
        Unsynced::Write(offset, written) => {
            let mut at = 0;
            while at < written.len() {
                let sector_end = (((*offset as usize + at) / 512 + 1) * 512 - *offset as usize).min(written.len());
                let kept = match dice.below(4) {
                    0 => 0,
                    1 => dice.below((sector_end - at) as u64 + 1) as usize,
                    _ => sector_end - at,
                };
                let start = *offset as usize + at;
                if bytes.len() < start + kept {
                    bytes.resize(start + kept, 0);
                }
                bytes[start..start + kept].copy_from_slice(&written[at..at + kept]);
                at = sector_end;
            }
        }
    }
}

impl Disk for SimulatedDisk {
    type File = SimulatedFile;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = lock(&self.state);
        state.operate(false)?;
        Ok(state.names.keys().cloned().collect())
    }

    fn create(&self, name: &str, length: u64) -> io::Result<SimulatedFile> {
        let mut state = lock(&self.state);
        state.operate(true)?;
        if state.used() + blocks(length) > state.space {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = state.next_inode;
        state.next_inode += 1;
        let zeros = vec![0; length as usize];
        state.inodes.insert(inode, Inode { durable: zeros.clone(), seen: zeros, unsynced: Vec::new() });
        state.names.insert(name.to_owned(), inode);
        state.changes.push(NameChange::Add(name.to_owned(), inode));
        Ok(SimulatedFile { state: self.state.clone(), inode })
    }

    fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        let mut state = lock(&self.state);
        // For writing too, as the real one.
        state.operate(true)?;
        if let Some(error) = state.unopenable.get(name) {
            return Err(io::Error::from_raw_os_error(*error));
        }
        let inode = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(SimulatedFile { state: self.state.clone(), inode })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.operate(true)?;
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.unopenable.remove(to);
        let change = NameChange::Rename(from.to_owned(), to.to_owned());
        apply(&mut state.names, &change);
        state.changes.push(change);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.operate(true)?;
        if state.names.remove(name).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.changes.push(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.operate(true)?;
        if state.sync_fails() {
            return Err(io::Error::from_raw_os_error(5));
        }
        state.durable_names = state.names.clone();
        state.changes.clear();
        Ok(())
    }
}

impl DiskFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        let mut state = lock(&self.state);
        state.operate(false)?;
        Ok(state.inode(self.inode)?.seen.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = lock(&self.state);
        state.operate(false)?;
        let seen = &state.inode(self.inode)?.seen;
        let from = (offset as usize).min(seen.len());
        let n = buffer.len().min(seen.len() - from);
        buffer[..n].copy_from_slice(&seen[from..from + n]);
        Ok(n)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.operate(true)?;
        let end = offset as usize + bytes.len();
        let growth = blocks(end as u64).saturating_sub(blocks(state.inode(self.inode)?.seen.len() as u64));
        if growth > 0 && state.used() + growth > state.space {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = state.inode(self.inode)?;
        if inode.seen.len() < end {
            inode.seen.resize(end, 0);
        }
        inode.seen[offset as usize..end].copy_from_slice(bytes);
        inode.unsynced.push(Unsynced::Write(offset, bytes.to_vec()));
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.operate(true)?;
        let inode = state.inode(self.inode)?;
        inode.seen.resize(length as usize, 0);
        inode.unsynced.push(Unsynced::Length(length));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.operate(true)?;
        let fails = state.sync_fails();
        let inode = state.inode(self.inode)?;
        if fails {
            // The pages are clean now although nothing reached the disk.
            inode.unsynced.clear();
            return Err(io::Error::from_raw_os_error(5));
        }
        // What a failed sync dropped is not in `unsynced` any more, so a later sync does not bring it back.
        let pending = std::mem::take(&mut inode.unsynced);
        for change in pending {
            match change {
                Unsynced::Length(length) => inode.durable.resize(length as usize, 0),
                Unsynced::Write(offset, bytes) => {
                    let end = offset as usize + bytes.len();
                    if inode.durable.len() < end {
                        inode.durable.resize(end, 0);
                    }
                    inode.durable[offset as usize..end].copy_from_slice(&bytes);
                }
            }
        }
        Ok(())
    }
}
