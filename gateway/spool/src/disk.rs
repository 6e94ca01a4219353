//! The few things the spool asks of a file system, so that a test can take the power away between any two.
//!
//! One flat directory. A file's bytes are durable after [`DiskFile::sync`]; names are durable after
//! [`Disk::sync_names`]. [`DirDisk`] is the real one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A directory.
pub trait Disk: std::fmt::Debug {
    /// An open file of it.
    type File: DiskFile + std::fmt::Debug;
    /// The names in it.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes a file of `length` zero bytes whose space is really there; an error leaves no file.
    fn create(&self, name: &str, length: u64) -> io::Result<Self::File>;
    /// Opens a file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Renames, replacing `to` if it is there.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Unlinks.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations, renames and removals durable.
    fn sync_names(&self) -> io::Result<()>;
}

/// An open file.
pub trait DiskFile {
    /// Its length.
    fn length(&self) -> io::Result<u64>;
    /// Reads as many bytes as there are, at most the buffer's length.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `bytes`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts it, giving the space back.
    fn set_length(&self, length: u64) -> io::Result<()>;
    /// Makes its bytes and length durable.
    fn sync(&self) -> io::Result<()>;
}

/// A directory of the real file system, locked against a second user while this lives.
#[derive(Debug)]
pub struct DirDisk {
    directory: PathBuf,
    _lock: Option<File>,
}

impl DirDisk {
    /// Makes the directory when it is missing and locks it.
    pub fn lock(directory: &Path) -> io::Result<DirDisk> {
        std::fs::create_dir_all(directory)?;
        // The directory itself is locked: a lock file would need a free block on a full disk.
        let lock = File::open(directory)?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => io::Error::new(io::ErrorKind::ResourceBusy, "another program has this spool open"),
            other => other.into(),
        })?;
        Ok(DirDisk { directory: directory.to_owned(), _lock: Some(lock) })
    }

    /// Without a lock, for looking only.
    pub fn look(directory: &Path) -> DirDisk {
        DirDisk { directory: directory.to_owned(), _lock: None }
    }
}

impl Disk for DirDisk {
    type File = File;

    fn list(&self) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(&self.directory)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    fn create(&self, name: &str, length: u64) -> io::Result<File> {
        let path = self.directory.join(name);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        match allocate(&file, length).and_then(|()| file.sync_all()) {
            Ok(()) => Ok(file),
            Err(error) => {
                let _ = std::fs::remove_file(&path);
                Err(error)
            }
        }
    }

    fn open(&self, name: &str) -> io::Result<File> {
        let path = self.directory.join(name);
        if self._lock.is_none() { File::open(path) } else { OpenOptions::new().read(true).write(true).open(path) }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.directory.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

/// True when the error speaks of the file itself. An error of the moment (no rights, no file handles, no
/// memory, a disk turned read-only) is no reason to give a file up.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, OutOfMemory, PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
    let code = error.raw_os_error();
    let no_handles = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].iter().any(|errno| code == Some(errno.raw_os_error()));
    !no_handles && !matches!(error.kind(), Interrupted | OutOfMemory | PermissionDenied | ReadOnlyFilesystem | ResourceBusy)
}

/// True when the error says that there is no free space.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Reserves the space, by writing zeros where the file system cannot do it otherwise.
fn allocate(file: &File, length: u64) -> io::Result<()> {
    match rustix::io::retry_on_intr(|| rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, length)) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            let zeros = vec![0_u8; 64 * 1024];
            let mut at = 0;
            while at < length {
                let n = (length - at).min(zeros.len() as u64);
                file.write_all_at(&zeros[..n as usize], at)?;
                at += n;
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

impl DiskFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match FileExt::read_at(self, &mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

#[cfg(test)]
mod tests;
