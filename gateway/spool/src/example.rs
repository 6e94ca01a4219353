//! A small spool on a simulated disk, for this crate's tests.

use crate::simulated::{Dice, SimulatedDisk};
use crate::{AppendError, Caretaker, Class, Config, Loss, OpenError, Opened, Record, Report, Spool};

/// What file systems hand out.
pub const BLOCK: u64 = 4096;
/// Four blocks.
pub const SEGMENT: u64 = 4 * BLOCK;

/// Twelve segments, two of them in reserve.
pub fn config() -> Config {
    Config { capacity_bytes: 12 * SEGMENT, segment_bytes: SEGMENT, reserve_segments: 2, most_segments: 64, new_epoch: 0xE0, holder: 7 }
}

/// A disk with room for that, and for the identity.
pub fn disk() -> SimulatedDisk {
    SimulatedDisk::new(12 * SEGMENT + 4 * BLOCK)
}

/// Opens it, or says why not.
pub fn try_open(disk: &SimulatedDisk) -> Result<(Spool<SimulatedDisk>, Report), OpenError> {
    let Opened { spool, report } = Spool::open(disk.clone(), config(), 1_000, &mut |_| {})?;
    Ok((spool, report))
}

pub fn open(disk: &SimulatedDisk) -> (Spool<SimulatedDisk>, Report) {
    try_open(disk).expect("it opens")
}

/// Cuts the power, and opens what that left.
pub fn cut_power(disk: &SimulatedDisk) -> (SimulatedDisk, Spool<SimulatedDisk>, Report) {
    let disk = disk.after_power_cut(&mut Dice::new(1));
    let (spool, report) = open(&disk);
    (disk, spool, report)
}

/// Length of [`payload`].
pub const PAYLOAD: usize = 5000;

/// As many bytes that say which number they were given as: three fill a segment.
pub fn payload(sequence: u64) -> Vec<u8> {
    let mut payload = vec![sequence as u8; PAYLOAD];
    payload[..8].copy_from_slice(&sequence.to_le_bytes());
    payload
}

/// Appends as many as asked and commits; the sequences.
pub fn append(spool: &mut Spool<SimulatedDisk>, class: Class, count: usize) -> Vec<u64> {
    let sequences = (0..count).map(|_| {
        let next = spool.next - spool.identity.base;
        spool.append(class, &payload(next)).expect("there is room")
    });
    let sequences = sequences.collect();
    spool.commit(1_000).expect("it commits");
    sequences
}

/// Appends until there is no room; the sequences.
pub fn fill(spool: &mut Spool<SimulatedDisk>, class: Class) -> Vec<u64> {
    let mut sequences = Vec::new();
    loop {
        let next = spool.next - spool.identity.base;
        match spool.append(class, &payload(next)) {
            Ok(sequence) => sequences.push(sequence),
            Err(AppendError::Full) => break,
            Err(error) => panic!("{error}"),
        }
    }
    spool.commit(1_000).expect("it commits");
    sequences
}

/// Everything that can be read, and what was found damaged on the way.
pub fn read(spool: &mut Spool<SimulatedDisk>) -> (Vec<Record>, Vec<Loss>) {
    let (mut records, mut damaged, mut from) = (Vec::new(), Vec::new(), 1);
    loop {
        let batch = spool.read(from, u64::MAX, 1000, 1 << 20).expect("it can be read");
        damaged.extend(batch.damaged);
        let Some(last) = batch.records.last() else { return (records, damaged) };
        from = last.sequence + 1;
        records.extend(batch.records);
    }
}

/// The sequences that can be read.
pub fn held(spool: &mut Spool<SimulatedDisk>) -> Vec<u64> {
    read(spool).0.iter().map(|record| record.sequence).collect()
}

/// A caretaker that keeps the telemetry it is told to, and writes losses down as text.
#[derive(Debug, Default)]
pub struct Keeping(pub Vec<u64>);

impl Caretaker for Keeping {
    fn thin(&mut self, records: &[Record]) -> Vec<bool> {
        records.iter().map(|record| self.0.contains(&record.sequence)).collect()
    }

    fn declaration(&mut self, loss: &Loss) -> Vec<u8> {
        declaration(loss)
    }
}

/// How [`Keeping`] writes a loss.
pub fn declaration(loss: &Loss) -> Vec<u8> {
    format!("{}..={} lost {} {:?}", loss.first, loss.last, loss.lost, loss.cause).into_bytes()
}

/// The name of the segment with this number.
pub fn segment(number: u64) -> String {
    crate::segment::name(number)
}

/// Bytes as they are pinned.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
