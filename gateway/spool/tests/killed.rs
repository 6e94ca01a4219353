//! A real process on a real file system, killed (SIGKILL) at any moment: what it has said to be committed is there.
//!
//! The child is this test executable again. What a power cut does beyond this, the simulated disk shows.
#![expect(clippy::unwrap_used, reason = "a test may stop here")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use spool::{Class, Config, DirDisk, Opened, Record, Spool};

const DIRECTORY: &str = "DAVY_SPOOL_TO_BE_KILLED";
const KILLS: usize = 20;

fn open(directory: &Path) -> Opened<DirDisk> {
    // Small segments, so that many moments are between two of them.
    let config = Config {
        capacity_bytes: 64 << 20,
        segment_bytes: 4096,
        reserve_segments: 2,
        most_segments: 100_000,
        new_epoch: u64::from(std::process::id()),
        holder: 1,
    };
    Spool::open(DirDisk::lock(directory).unwrap(), config, 0, &mut |_| {}).unwrap()
}

/// Tells by its bytes which sequence it was given as.
fn payload(sequence: u64) -> Vec<u8> {
    let mut payload = sequence.to_le_bytes().to_vec();
    payload.resize(8 + (sequence * 37 % 300) as usize, sequence as u8);
    payload
}

fn class(sequence: u64) -> Class {
    if sequence.is_multiple_of(5) { Class::Urgent } else { Class::Telemetry }
}

fn records(directory: &Path) -> (u64, Vec<Record>) {
    let Opened { mut spool, report } = open(directory);
    assert!(report.holes.is_empty() && report.set_aside.is_empty(), "{report:?}");
    let mut records: Vec<Record> = Vec::new();
    loop {
        let from = records.last().map_or(1, |record| record.sequence + 1);
        let batch = spool.read(from, u64::MAX, 10_000, 1 << 20).unwrap();
        assert_eq!(batch.damaged, []);
        if batch.records.is_empty() {
            return (spool.epoch(), records);
        }
        records.extend(batch.records);
    }
}

fn child(directory: &Path) -> Child {
    let this = std::env::current_exe().unwrap();
    let arguments = ["--exact", "a_child_appends_until_it_is_killed", "--nocapture"];
    Command::new(this).args(arguments).env(DIRECTORY, directory).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// The committed sequences that the child tells, until it is dead.
fn told(child: &mut Child) -> impl Iterator<Item = u64> + Send + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The last line may be torn: without its end mark it says nothing.
    lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("committed ")?.strip_suffix('.')?.parse().ok())
}

/// Not a test by itself: the part of the child, played when the directory is given.
#[test]
fn a_child_appends_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let Opened { mut spool, .. } = open(Path::new(&directory));
    let mut sequence = spool.highest();
    loop {
        for _ in 0..=sequence % 7 {
            sequence += 1;
            assert_eq!(spool.append(class(sequence), &payload(sequence)), Ok(sequence));
        }
        let committed = spool.commit(0).unwrap();
        writeln!(std::io::stdout(), "\ncommitted {committed}.").unwrap();
    }
}

#[test]
fn everything_told_as_committed_is_there_however_often_the_process_is_killed() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (mut epoch, mut highest, mut moment) = (None, 0, 12_345_u64);
    for kill in 1..=KILLS {
        let mut child = child(directory.path());
        let told = told(&mut child);
        let (first_told, is_running) = std::sync::mpsc::channel();
        let listener = std::thread::spawn(move || told.inspect(|_| first_told.send(()).unwrap_or(())).last());
        // Killed while it appends, most of the time, and while it starts, some of the time.
        if !kill.is_multiple_of(5) {
            is_running.recv().unwrap();
        }
        moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros(moment >> 48));
        child.kill().unwrap();
        child.wait().unwrap();
        highest = listener.join().unwrap().unwrap_or(highest);

        let (found_epoch, records) = records(directory.path());
        assert_eq!(*epoch.get_or_insert(found_epoch), found_epoch, "a new epoch after kill {kill}");
        assert!(records.len() as u64 >= highest, "after kill {kill}: {highest} told, {} there", records.len());
        for (index, record) in records.iter().enumerate() {
            let sequence = index as u64 + 1;
            assert_eq!((record.sequence, record.class, &record.payload), (sequence, class(sequence), &payload(sequence)), "kill {kill}");
        }
    }
    assert!(highest > 100, "{highest} records in {KILLS} lives show little");
}

#[test]
fn a_second_process_is_told_that_the_spool_is_in_use() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut child = child(directory.path());
    told(&mut child).next().unwrap();
    let refused = DirDisk::lock(directory.path()).unwrap_err();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(refused.to_string(), "another program has this spool open");
    // The lock dies with the process.
    DirDisk::lock(directory.path()).unwrap();
}
