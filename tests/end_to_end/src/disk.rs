//! A small disk that a test may fill, take the power from, or turn read-only: a file system of its own on a loop
//! device. `xfs_io shutdown` drops, for real, what was not synced.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

/// What is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// Can lose its power.
    Xfs,
    /// Can turn read-only while files are open, as after a write error.
    Ext4,
}

/// See the head of this file.
pub struct Disk {
    image: PathBuf,
    folder: PathBuf,
}

impl Disk {
    /// `None`, said loudly, where it cannot be had.
    pub fn make(kind: FileSystem, image: &Path, folder: &Path) -> Option<Disk> {
        let disk = Disk { image: image.to_owned(), folder: folder.to_owned() };
        let (maker, megabytes) = match kind {
            FileSystem::Xfs => ("mkfs.xfs", 320),
            FileSystem::Ext4 => ("mkfs.ext4", 64),
        };
        let made = std::fs::create_dir_all(folder).is_ok()
            && File::create(image).and_then(|file| file.set_len(megabytes << 20)).is_ok()
            && run(maker, &["-q", &image.display().to_string()]).is_ok()
            && disk.mount().is_ok();
        if !made {
            println!("SKIPPED: no {kind:?} on a loop device here (root, xfsprogs and e2fsprogs are needed), so no disk was harmed");
        }
        made.then_some(disk)
    }

    /// Takes the power away: what was not synced is gone.
    pub fn cut_power(&self) -> Result<()> {
        run("xfs_io", &["-x", "-c", "shutdown", &self.folder.display().to_string()])
    }

    /// And gives it back.
    pub fn power_again(&self) -> Result<()> {
        let _ = run("umount", &[&self.folder.display().to_string()]);
        self.mount()
    }

    /// Turns it read-only under whoever writes to it.
    pub fn turn_read_only(&self) -> Result<()> {
        run("mount", &["-o", "remount,abort", &self.folder.display().to_string()])
    }

    /// And back, once nobody holds a file of it.
    pub async fn turn_writable(&self) -> Result<()> {
        for _ in 0..200 {
            if run("umount", &[&self.folder.display().to_string()]).is_ok() {
                return self.mount();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("somebody keeps {} busy", self.folder.display())
    }

    /// Takes every byte that is left. Gives back how many there were.
    pub fn fill(&self) -> Result<u64> {
        let mut file = OpenOptions::new().append(true).create(true).open(self.filler())?;
        let mut written = 0;
        for size in [1 << 20, 64 << 10, 4 << 10, 1] {
            let bytes = vec![0x55; size];
            loop {
                match file.write_all(&bytes).and_then(|()| file.sync_data()) {
                    Ok(()) => written += size as u64,
                    Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("the disk can be filled"),
                }
            }
        }
        Ok(written)
    }

    /// Gives them back.
    pub fn free(&self) -> Result<()> {
        std::fs::remove_file(self.filler()).context("the filler goes")
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("somebody-elses-file")
    }

    fn mount(&self) -> Result<()> {
        run("mount", &["-o", "loop", &self.image.display().to_string(), &self.folder.display().to_string()])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", &self.folder.display().to_string()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let done = Command::new(program).args(arguments).output().with_context(|| format!("{program} runs"))?;
    anyhow::ensure!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}
