use std::io::ErrorKind;

use super::*;
use crate::example::{Keeping, config, payload};
use crate::inspect::inspect;
use crate::{AppendError, Class, Spool};

#[test]
fn a_created_file_is_zeros_and_its_space_is_really_there() {
    let directory = tempfile::tempdir().unwrap();
    let disk = DirDisk::lock(directory.path()).unwrap();
    let file = disk.create("spare-0", 100_000).unwrap();
    let mut bytes = vec![1; 200_000];
    assert_eq!((file.length().unwrap(), DiskFile::read_at(&file, 0, &mut bytes).unwrap()), (100_000, 100_000));
    assert!(bytes[..100_000].iter().all(|byte| *byte == 0));
    assert!(std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap()) * 512 >= 100_000);
}

#[test]
fn a_file_for_which_there_is_no_space_is_not_left_behind() {
    let directory = tempfile::tempdir().unwrap();
    let disk = DirDisk::lock(directory.path()).unwrap();
    disk.create("spare-0", 1 << 60).unwrap_err();
    assert_eq!(disk.list().unwrap(), [""; 0]);
}

#[test]
fn a_directory_has_one_user() {
    let directory = tempfile::tempdir().unwrap();
    let first = DirDisk::lock(directory.path()).unwrap();
    assert_eq!(DirDisk::lock(directory.path()).unwrap_err().kind(), ErrorKind::ResourceBusy);
    drop(first);
    DirDisk::lock(directory.path()).unwrap();
}

#[test]
fn who_only_looks_needs_no_lock_and_cannot_write() {
    let directory = tempfile::tempdir().unwrap();
    let user = DirDisk::lock(directory.path()).unwrap();
    user.create("spare-0", 10).unwrap();
    let file = DirDisk::look(directory.path()).open("spare-0").unwrap();
    DiskFile::write_at(&file, 0, b"gas").unwrap_err();
}

#[test]
fn only_an_error_of_the_file_itself_is_damage() {
    let damage = [5, 74, 117, 21];
    let of_the_moment = [1, 4, 12, 13, 16, 23, 24, 30];
    for (errors, expected) in [(&damage[..], true), (&of_the_moment[..], false)] {
        for error in errors {
            assert_eq!(is_damage(&io::Error::from_raw_os_error(*error)), expected, "error {error}");
        }
    }
}

#[test]
fn no_space_and_no_quota_are_both_full() {
    assert!([28, 122].iter().all(|error| is_full(&io::Error::from_raw_os_error(*error))));
    assert!(!is_full(&io::Error::from_raw_os_error(5)));
}

#[test]
fn a_spool_fills_thins_and_starts_again_on_a_real_disk() {
    let directory = tempfile::tempdir().unwrap();
    let start = || Spool::open(DirDisk::lock(directory.path()).unwrap(), config(), 0, &mut |_| {}).unwrap();
    let mut spool = start().spool;
    for sequence in 1.. {
        match spool.append(Class::Telemetry, &payload(sequence)) {
            Ok(_) => {}
            Err(AppendError::Full) => break,
            Err(error) => panic!("{error}"),
        }
    }
    let room = spool.make_room(&mut Keeping(vec![2])).unwrap();
    assert!(room.made && !room.losses.is_empty());
    let (highest, held) = (spool.highest(), spool.read(1, u64::MAX, 1000, 1 << 20).unwrap().records);
    drop(spool);
    let listing = inspect(directory.path(), &mut |_| {}).unwrap();
    assert!(listing.segments.iter().all(|segment| segment.trouble.is_none()));
    let opened = start();
    let mut spool = opened.spool;
    assert_eq!((opened.report.damaged, opened.report.fresh, spool.highest()), (0, false, highest));
    assert_eq!(spool.read(1, u64::MAX, 1000, 1 << 20).unwrap().records, held);
}
