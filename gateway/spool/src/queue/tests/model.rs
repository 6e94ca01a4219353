//! The spool beside a plain map of what it was given, on a disk whose power goes at any operation.
//!
//! [`Bench::run`] does one thing to both; what must hold is checked in [`Bench::check`] (nothing kept is
//! missing, doubled or changed) and [`Bench::start`] (what a restart may and may not find).

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::simulated::{Dice, SimulatedDisk};
use crate::{AppendError, Caretaker, Class, Config, Failed, Loss, LossCause, Opened, RangeSet, Record, Spool};

/// What a caller does, and what happens to it. Numbers are taken modulo what makes sense at that moment.
#[derive(Debug, Clone)]
pub enum Step {
    Append(Class, u16),
    Commit,
    /// Everything up to so far below the highest.
    Acknowledge(u8),
    /// Some ranges: how far below the highest, and how long.
    AcknowledgeRanges(Vec<(u8, u8)>),
    Unacknowledge(u8, u8),
    CommitAcknowledgements,
    /// What was begun before so long ago.
    Forget(u8),
    Read(u8, u8, u16),
    Note(u8),
    Skip(u8),
    MakeRoom,
    Renew,
    Reopen,
    /// The n-th sync from here fails, and the disk then lies.
    FailSync(u8),
    /// The power goes before the n-th operation from here.
    PowerOff(u8),
}

pub fn any_step() -> impl Strategy<Value = Step> {
    let class = prop_oneof![6 => Just(Class::Telemetry), 2 => Just(Class::Urgent), 1 => Just(Class::Other)];
    prop_oneof![
        24 => (class, 0_u16..=256).prop_map(|(class, length)| Step::Append(class, length)),
        8 => Just(Step::Commit),
        3 => (0_u8..12).prop_map(Step::Acknowledge),
        2 => proptest::collection::vec((0_u8..24, 0_u8..4), 1..4).prop_map(Step::AcknowledgeRanges),
        1 => (0_u8..24, 0_u8..8).prop_map(|(below, length)| Step::Unacknowledge(below, length)),
        1 => Just(Step::CommitAcknowledgements),
        2 => (0_u8..20).prop_map(Step::Forget),
        3 => (any::<u8>(), 0_u8..9, 0_u16..600).prop_map(|(from, records, bytes)| Step::Read(from, records, bytes)),
        2 => any::<u8>().prop_map(Step::Note),
        1 => (1_u8..5).prop_map(Step::Skip),
        1 => Just(Step::MakeRoom),
        1 => Just(Step::Renew),
        2 => Just(Step::Reopen),
        1 => (1_u8..6).prop_map(Step::FailSync),
        4 => (0_u8..40).prop_map(Step::PowerOff),
    ]
}

/// The sizes that a run is made with.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub segment_bytes: u64,
    pub segments: u64,
    pub reserve: usize,
    /// Blocks that the disk has less than the capacity asks for.
    pub missing_blocks: u64,
}

pub fn any_size() -> impl Strategy<Value = Size> {
    // Roomy, just enough for the plan, and a disk that is full before the bound is reached.
    let tight = (512_u64..1500, 7_u64..9, 0_u64..1).prop_map(|(bytes, segments, less)| (bytes, segments, less));
    let short = (512_u64..1500, 8_u64..12, 1_u64..3).prop_map(|(bytes, segments, less)| (bytes, segments, less));
    let roomy = (512_u64..5000, 40_u64..60, 0_u64..1).prop_map(|(bytes, segments, less)| (bytes, segments, less));
    prop_oneof![tight, short, roomy].prop_map(|(segment_bytes, segments, missing_blocks)| Size {
        segment_bytes,
        segments,
        reserve: 2,
        missing_blocks,
    })
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    class: Class,
    payload: Vec<u8>,
    note: Option<Vec<u8>>,
    /// What it declares, when it is a declaration.
    declares: Option<(u64, u64)>,
}

/// The caller's part: keeps some telemetry, and writes a loss down as 17 bytes.
#[derive(Debug)]
struct Declarer {
    dice: Dice,
    declared: Vec<(Loss, Vec<u8>)>,
}

impl Caretaker for Declarer {
    fn thin(&mut self, records: &[Record]) -> Vec<bool> {
        records.iter().map(|_| self.dice.once_in(3)).collect()
    }

    fn declaration(&mut self, loss: &Loss) -> Vec<u8> {
        let payload = declaration(loss.first, loss.last);
        self.declared.push((*loss, payload.clone()));
        payload
    }
}

fn declaration(first: u64, last: u64) -> Vec<u8> {
    let mut payload = b"G".to_vec();
    payload.extend_from_slice(&first.to_le_bytes());
    payload.extend_from_slice(&last.to_le_bytes());
    payload
}

fn declares(payload: &[u8]) -> Option<(u64, u64)> {
    let numbers = payload.strip_prefix(b"G").filter(|numbers| numbers.len() == 16)?;
    let word = |half: &[u8]| u64::from_le_bytes(half.try_into().expect("eight bytes"));
    Some((word(&numbers[..8]), word(&numbers[8..])))
}

/// The spool, its disk and the model.
pub struct Bench {
    pub disk: SimulatedDisk,
    config: Config,
    dice: Dice,
    spool: Option<Spool<SimulatedDisk>>,
    now_ms: i64,
    serial: u64,
    note: Option<Vec<u8>>,
    /// Of the disk's, those that were met.
    failed_syncs: u64,
    /// Epoch of the first start that succeeded; another one comes only from [`Step::Renew`].
    epoch: Option<u64>,
    /// The epoch that a renewal under way would bring.
    renewing: Option<u64>,
    /// Every record that is there, or may be.
    kept: BTreeMap<u64, Kept>,
    next: u64,
    /// Highest sequence that a commit, or a start, has promised.
    promised: u64,
    acknowledged: BTreeSet<u64>,
    /// Acknowledged at some time: the spool may have let it go.
    once_acknowledged: BTreeSet<u64>,
    /// Sequences that will never come, and that were declared, at least to the caller.
    given_up: RangeSet,
    /// Given up under an epoch that is over: nobody need declare it again.
    exempt: RangeSet,
}

impl Bench {
    pub fn new(size: Size, seed: u64) -> Bench {
        let blocks = size.segment_bytes.div_ceil(4096) * 4096;
        let capacity_bytes = blocks * size.segments;
        Bench {
            disk: SimulatedDisk::new(capacity_bytes + 8192 - size.missing_blocks * 4096),
            config: Config {
                capacity_bytes,
                segment_bytes: size.segment_bytes,
                reserve_segments: size.reserve,
                most_segments: 64,
                new_epoch: 1000,
                holder: 7,
            },
            dice: Dice::new(seed),
            spool: None,
            now_ms: 0,
            serial: 0,
            note: None,
            failed_syncs: 0,
            epoch: None,
            renewing: None,
            kept: BTreeMap::new(),
            next: 1,
            promised: 0,
            acknowledged: BTreeSet::new(),
            once_acknowledged: BTreeSet::new(),
            given_up: RangeSet::new(),
            exempt: RangeSet::new(),
        }
    }

    /// Opens the spool; on the way the power may go again. What is found is held against the model.
    pub fn start(&mut self) {
        for attempt in 0.. {
            if attempt < 3 && self.disk.is_off() && self.dice.once_in(2) {
                self.disk = self.disk.after_power_cut(&mut self.dice);
                self.failed_syncs = 0;
                self.disk.power_off_in(self.dice.below(60));
            } else if self.disk.is_off() {
                self.disk = self.disk.after_power_cut(&mut self.dice);
                self.failed_syncs = 0;
            }
            // Were it ever taken without need, this would show.
            self.config.new_epoch += 1;
            let mut shown = Vec::new();
            let mut show = |record: &Record| shown.extend(declares(&record.payload).map(|range| (record.sequence, range)));
            match Spool::open(self.disk.clone(), self.config.clone(), self.now_ms, &mut show) {
                Ok(opened) => {
                    self.started(opened, &shown);
                    return;
                }
                Err(_) if self.disk.is_off() => {}
                Err(_) if self.disk.failed_syncs() > self.failed_syncs => self.failed_syncs = self.disk.failed_syncs(),
                Err(error) => panic!("a start fails: {error:?}"),
            }
        }
    }

    fn started(&mut self, opened: Opened<SimulatedDisk>, shown: &[(u64, (u64, u64))]) {
        let Opened { spool, report } = opened;
        if self.renewing == Some(spool.epoch()) {
            self.renumber(spool.epoch());
        }
        self.renewing = None;
        // One from before a renewal speaks of other numbers.
        let is_current = |n: &u64| self.kept.get(n).is_some_and(|kept| kept.declares.is_some());
        let mut declared = RangeSet::new();
        for (_, (first, last)) in shown.iter().filter(|(sequence, _)| is_current(sequence)) {
            declared.insert(*first, *last);
        }
        match self.epoch {
            Some(epoch) => {
                assert_eq!(spool.epoch(), epoch, "a new epoch without need");
                assert!(!report.fresh && !report.identity_lost, "{report:?}");
            }
            None => self.epoch = Some(spool.epoch()),
        }
        assert!(report.set_aside.is_empty(), "a whole file was set aside: {report:?}");
        assert!(spool.highest() >= self.promised, "sequences went back from {} to {}", self.promised, spool.highest());
        // Whoever got a sequence above what was promised knows that it may be gone.
        let promised = self.promised;
        self.promised = spool.highest();
        self.next = spool.highest() + 1;
        self.kept.retain(|sequence, _| *sequence < self.next);
        self.given_up.remove(self.next, u64::MAX);
        self.spool = Some(spool);
        let (found, unreadable) = self.read_all();
        self.check_unreadable(&unreadable, promised);
        // What was not committed is there whole, or not at all.
        self.kept.retain(|sequence, _| *sequence <= promised || found.contains(sequence));
        // Declared before it is lost: a power cut between the two leaves declared what is still there.
        found.iter().for_each(|sequence| self.given_up.remove(*sequence, *sequence));

        let spool = self.spool.as_ref().expect("open");
        let acknowledged = spool.acknowledged();
        let mut holes = unreadable;
        for hole in &report.holes {
            let open = (hole.last - hole.first + 1) - acknowledged.overlap(hole.first, hole.last);
            assert_eq!(hole.lost, open, "{hole:?} miscounts");
            for sequence in hole.first..=hole.last {
                assert!(!found.contains(&sequence), "{hole:?} is held");
                let declared = self.given_up.contains(sequence) || self.exempt.contains(sequence) || acknowledged.contains(sequence);
                // What the other end has lost again, and we let go, is a hole.
                let taken_back = self.once_acknowledged.contains(&sequence) && !self.acknowledged.contains(&sequence);
                assert!(sequence > promised || declared || taken_back, "{hole:?}: {sequence} was committed, and is called lost");
            }
            holes.insert(hole.first, hole.last);
        }
        for sequence in 1..self.next {
            let known = found.contains(&sequence)
                || self.once_acknowledged.contains(&sequence)
                || self.exempt.contains(sequence)
                || declared.contains(sequence)
                || holes.contains(sequence)
                // A declaration may be dropped in its turn; the floor then closes what it declared.
                || sequence < spool.floor() && self.given_up.contains(sequence);
            assert!(known, "{sequence} is a hole that nobody declares; the floor is {}, declared are {declared:?}", spool.floor());
        }
        for (first, last) in acknowledged.iter() {
            let invented = (first..=last).find(|sequence| !self.once_acknowledged.contains(sequence));
            assert_eq!(invented, None, "counts as acknowledged and never was");
        }
        self.acknowledged = acknowledged.iter().flat_map(|(first, last)| first..=last).collect();
        self.check();
        if let (Some(note), Some(spool)) = (&self.note, &mut self.spool) {
            spool.set_note(note);
        }
        let undeclared: Vec<(u64, u64)> = holes.iter().filter(|(first, last)| !declared.covers(*first, *last)).collect();
        for (first, last) in &undeclared {
            self.given_up.insert(*first, *last);
        }
        for (first, last) in undeclared {
            if let Err(failed) = self.append(Class::Other, declaration(first, last)) {
                return self.fall(&failed);
            }
        }
    }

    /// The power went or a sync failed: start again.
    fn fall(&mut self, failed: &Failed) {
        assert!(self.disk.is_off() || self.disk.failed_syncs() > self.failed_syncs, "{failed}, on a sound disk");
        self.failed_syncs = self.disk.failed_syncs();
        self.spool = None;
        self.start();
    }

    pub fn run(&mut self, step: &Step) {
        self.now_ms += 1;
        if self.spool.is_none() {
            self.start();
        }
        if let Err(failed) = self.attempt(step) {
            self.fall(&failed);
        }
        self.renewing = None;
    }

    fn attempt(&mut self, step: &Step) -> Result<(), Failed> {
        let highest = self.spool().highest();
        match step {
            Step::Append(class, length) => {
                let payload = self.payload(usize::from(*length).min(self.config.segment_bytes as usize / 2));
                self.append(*class, payload)?;
            }
            Step::Commit => self.commit()?,
            Step::Acknowledge(below) => self.acknowledge(highest.saturating_sub(u64::from(*below)), &[]),
            Step::AcknowledgeRanges(ranges) => {
                let range = |(below, length): &(u8, u8)| {
                    let first = highest.saturating_sub(u64::from(*below));
                    (first, first + u64::from(*length))
                };
                let ranges: Vec<(u64, u64)> = ranges.iter().map(range).collect();
                self.acknowledge(0, &ranges);
            }
            Step::Unacknowledge(below, length) => {
                let first = highest.saturating_sub(u64::from(*below));
                let last = first + u64::from(*length);
                self.spool().unacknowledge(first, last);
                let left = self.spool().acknowledged();
                self.acknowledged.retain(|sequence| !(first..=last).contains(sequence) || left.contains(*sequence));
            }
            Step::CommitAcknowledgements => {
                let now_ms = self.now_ms;
                self.spool().commit_acknowledgements(now_ms)?;
                self.promised = self.next - 1;
            }
            Step::Forget(ago) => {
                let before_ms = self.now_ms - i64::from(*ago);
                self.spool().forget(before_ms)?;
                self.check();
            }
            Step::Read(from, records, bytes) => self.read_some(u64::from(*from), usize::from(*records), usize::from(*bytes))?,
            Step::Note(byte) => {
                let note = vec![*byte; usize::from(byte % 20)];
                self.spool().set_note(&note);
                self.note = Some(note);
            }
            Step::Skip(count) => {
                let (first, last) = self.spool().skip(u64::from(*count));
                assert_eq!((first, last), (self.next, self.next + u64::from(*count) - 1));
                self.next = last + 1;
                self.given_up.insert(first, last);
                self.append(Class::Other, declaration(first, last))?;
            }
            Step::MakeRoom => drop(self.make_room()?),
            Step::Renew => self.renew()?,
            Step::Reopen => {
                self.spool = None;
                self.start();
            }
            Step::FailSync(syncs) => self.disk.fail_sync_in(u64::from(*syncs)),
            Step::PowerOff(operations) => self.disk.power_off_in(u64::from(*operations)),
        }
        Ok(())
    }

    /// The power goes now, and the spool is opened again.
    pub fn cut_power(&mut self) {
        self.disk.power_off_in(0);
        self.spool = None;
        self.start();
    }

    pub fn spool(&mut self) -> &mut Spool<SimulatedDisk> {
        self.spool.as_mut().expect("open")
    }

    fn payload(&mut self, length: usize) -> Vec<u8> {
        self.serial += 1;
        // Some payloads are zeros, like the untouched rest of a segment.
        let mut payload = if self.serial.is_multiple_of(5) { Vec::new() } else { self.serial.to_le_bytes().to_vec() };
        payload.resize(length, 0);
        payload
    }

    fn append(&mut self, class: Class, payload: Vec<u8>) -> Result<(), Failed> {
        for _ in 0..2 {
            match self.spool().append(class, &payload) {
                Ok(sequence) => {
                    assert_eq!(sequence, self.next, "sequences are given out in order");
                    let note = self.note.clone();
                    self.kept.insert(sequence, Kept { class, declares: declares(&payload), payload, note });
                    self.next += 1;
                    return Ok(());
                }
                Err(AppendError::Full) => {
                    if !self.make_room()? {
                        return Ok(());
                    }
                }
                Err(AppendError::TooLarge { have, most }) => panic!("{have} of {most} bytes is not too large"),
                Err(AppendError::Failed(failed)) => return Err(failed),
            }
        }
        panic!("there was room made, and there is none");
    }

    fn commit(&mut self) -> Result<(), Failed> {
        let now_ms = self.now_ms;
        let highest = self.spool().commit(now_ms)?;
        let last = self.kept.keys().next_back().copied().unwrap_or(0);
        assert!(highest >= last, "{last} was appended and only {highest} committed");
        self.promised = self.promised.max(highest);
        // As a caller does who has time after a commit.
        self.spool().prepare()
    }

    fn acknowledge(&mut self, contiguous: u64, ranges: &[(u64, u64)]) {
        let highest = self.spool().highest();
        let mut ranges = ranges.to_vec();
        let wanted = |ranges: &[(u64, u64)]| -> BTreeSet<u64> {
            let all = std::iter::once((1, contiguous)).chain(ranges.iter().copied());
            all.flat_map(|(first, last)| first.max(1)..=last.min(highest)).collect()
        };
        // Who has a declaration has what it declares.
        let declared = wanted(&ranges).iter().filter_map(|sequence| self.kept.get(sequence)?.declares).collect::<Vec<_>>();
        ranges.extend(declared);
        let wanted = wanted(&ranges);
        let new = wanted.iter().filter(|sequence| !self.acknowledged.contains(sequence)).count() as u64;
        let told = self.spool().acknowledge(contiguous, &ranges);
        assert_eq!(told, new, "newly acknowledged by {contiguous} and {ranges:?}");
        self.once_acknowledged.extend(&wanted);
        self.acknowledged.extend(wanted);
    }

    fn make_room(&mut self) -> Result<bool, Failed> {
        let mut caretaker = Declarer { dice: Dice::new(self.dice.throw()), declared: Vec::new() };
        let made = self.spool().make_room(&mut caretaker);
        // They are appended in order. After a failure some may be on the disk that cannot be seen now.
        let (first, note) = (self.next, self.note.clone());
        for (offset, (_, payload)) in caretaker.declared.iter().enumerate() {
            let kept = Kept { class: Class::Other, payload: payload.clone(), note: note.clone(), declares: declares(payload) };
            self.kept.insert(first + offset as u64, kept);
        }
        if let Ok(room) = &made {
            let asked: Vec<Loss> = caretaker.declared.iter().map(|(loss, _)| *loss).collect();
            assert_eq!(room.losses, asked, "every loss is declared, and nothing else");
            let spool = self.spool();
            let appended = asked.len() - spool.owed.len();
            self.next += appended as u64;
            assert_eq!(self.spool().next - self.spool().identity.base, self.next, "{appended} declarations are numbered in order");
            self.kept.retain(|sequence, _| *sequence < first + appended as u64);
            self.promised = self.promised.max(self.spool().highest());
        }
        for (loss, _) in &caretaker.declared {
            assert!(loss.cause != LossCause::Corrupt || self.disk.is_off(), "nothing was corrupt: {loss:?}");
            let open = (loss.first..=loss.last).filter(|n| !self.acknowledged.contains(n));
            // What was acknowledged once may have gone then, without a word; what was declared lost may still be there.
            let (open, given_up) = (open.collect::<Vec<u64>>(), &self.given_up);
            let surely = |n: &&u64| self.kept.contains_key(n) && !self.once_acknowledged.contains(n) && !given_up.contains(**n);
            let least = open.iter().filter(surely).count();
            let most = open.iter().filter(|n| self.kept.contains_key(n)).count();
            // Merged declarations count all that is missing.
            let merged = loss.cause == LossCause::Dropped && loss.lost == open.len() as u64;
            let exact = (least as u64..=most as u64).contains(&loss.lost);
            assert!(exact || merged || made.is_err(), "{loss:?} miscounts {least}..={most}");
            self.given_up.insert(loss.first, loss.last);
        }
        let room = made?;
        self.check();
        Ok(room.made)
    }

    fn renew(&mut self) -> Result<(), Failed> {
        let epoch = self.config.new_epoch + 500_000 + self.serial;
        self.renewing = Some(epoch);
        self.serial += 1;
        let holder = self.config.holder;
        let moved = self.spool().renew_epoch(epoch, holder)?;
        self.promised = self.next - 1;
        self.renumber(epoch);
        self.renewing = None;
        assert_eq!(self.spool().epoch(), epoch);
        assert_eq!(self.spool().highest(), self.promised, "numbered from 1");
        self.check();
        let (found, unreadable) = self.read_all();
        let mut closed = RangeSet::new();
        for loss in &moved {
            assert_eq!((loss.cause, loss.lost), (LossCause::Moved, 0));
            closed.insert(loss.first, loss.last);
        }
        for sequence in 1..self.next {
            let comes = unreadable.contains(sequence) || found.contains(&sequence) && !self.acknowledged.contains(&sequence);
            // Without power nobody can tell; nothing comes of it either.
            assert!(
                comes != closed.contains(sequence) || self.disk.is_off(),
                "{sequence} comes under the new epoch, or is declared: {moved:?}"
            );
        }
        for (first, last) in closed.iter().collect::<Vec<_>>() {
            self.append(Class::Other, declaration(first, last))?;
        }
        Ok(())
    }

    /// The model's numbers under a new epoch: they start at the first one not acknowledged.
    fn renumber(&mut self, epoch: u64) {
        let shift = (1..).find(|n| !self.acknowledged.contains(n)).unwrap_or(1).min(self.next) - 1;
        let moved = |set: &BTreeSet<u64>| set.iter().filter(|n| **n > shift).map(|n| n - shift).collect::<BTreeSet<u64>>();
        self.epoch = Some(epoch);
        self.kept = std::mem::take(&mut self.kept).into_iter().filter(|(n, _)| *n > shift).map(|(n, kept)| (n - shift, kept)).collect();
        // An old declaration speaks of the old numbers.
        self.kept.values_mut().for_each(|kept| kept.declares = None);
        self.acknowledged = moved(&self.acknowledged);
        self.once_acknowledged = moved(&self.once_acknowledged);
        let mut exempt = RangeSet::new();
        for (first, last) in self.given_up.iter().chain(self.exempt.iter()) {
            exempt.insert(first.saturating_sub(shift).max(1), last.saturating_sub(shift));
        }
        (self.given_up, self.exempt) = (exempt.clone(), exempt);
        self.next -= shift;
        self.promised = self.promised.saturating_sub(shift);
    }

    fn read_some(&mut self, from: u64, records: usize, bytes: usize) -> Result<(), Failed> {
        let from = from % (self.next + 2);
        let batch = self.spool().read(from, u64::MAX, records, bytes)?;
        assert!(batch.records.len() <= records);
        let mut expected = from;
        for record in &batch.records {
            assert!(record.sequence >= expected, "out of order");
            assert!(expected == from || record.sequence == expected, "a batch is contiguous");
            self.compare(record);
            expected = record.sequence + 1;
        }
        let must = |(n, _): &(&u64, &Kept)| !self.once_acknowledged.contains(n) && !self.given_up.contains(**n);
        let first_due = self.kept.range(from..).take_while(|(n, _)| **n <= self.promised).find(must).map(|(n, _)| *n);
        if let Some(due) = first_due
            && records > 0
            && bytes > 0
        {
            let first = batch.records.first().map(|record| record.sequence);
            assert!(first.is_some_and(|first| first <= due), "{due} is due and {first:?} came");
        }
        Ok(())
    }

    fn compare(&self, record: &Record) {
        let Some(kept) = self.kept.get(&record.sequence) else { panic!("{} was never given: {record:?}", record.sequence) };
        let note = record.note.as_ref().map(|note| note.to_vec());
        assert_eq!((record.class, &record.payload, &note), (kept.class, &kept.payload, &kept.note), "{} changed", record.sequence);
    }

    /// Every record that can be read, and the sequences that were found damaged.
    fn read_all(&mut self) -> (BTreeSet<u64>, RangeSet) {
        let (mut found, mut unreadable) = (BTreeSet::new(), RangeSet::new());
        let mut from = 0;
        self.disk.set_looking(true);
        loop {
            let (records, bytes) = (1 + self.dice.below(9) as usize, 1 + self.dice.below(900) as usize);
            let batch = self.spool().read(from, u64::MAX, records, bytes).expect("a whole disk can be read");
            for loss in batch.damaged {
                unreadable.insert(loss.first, loss.last);
                self.given_up.insert(loss.first, loss.last);
            }
            let Some(last) = batch.records.last() else { break };
            from = last.sequence + 1;
            for record in &batch.records {
                self.compare(record);
                assert!(found.last().is_none_or(|last| *last < record.sequence), "doubled, or out of order");
                found.insert(record.sequence);
            }
        }
        self.disk.set_looking(false);
        (found, unreadable)
    }

    /// Only what was torn before it was committed may be damaged.
    fn check_unreadable(&self, unreadable: &RangeSet, promised: u64) {
        for (first, last) in unreadable.iter() {
            let committed = self.kept.range(first..=last).find(|(n, _)| **n <= promised);
            assert!(committed.is_none(), "committed {committed:?} cannot be read");
        }
    }

    /// What always holds while the spool is open.
    pub fn check(&mut self) {
        let (found, unreadable) = self.read_all();
        self.check_unreadable(&unreadable, self.promised);
        let due = self.kept.keys().filter(|n| **n <= self.promised && !self.once_acknowledged.contains(n) && !self.given_up.contains(**n));
        let due: BTreeSet<u64> = due.copied().collect();
        let lost: Vec<u64> = due.difference(&found).copied().collect();
        assert!(lost.is_empty(), "committed, neither acknowledged nor declared lost, and gone: {lost:?}");
        let unacknowledged = found.iter().filter(|n| !self.acknowledged.contains(n)).count() as u64;
        let (capacity, used) = (self.config.capacity_bytes, self.disk.used());
        let spool = self.spool();
        assert!(spool.highest() >= found.last().copied().unwrap_or(0), "what was not committed came out");
        assert!(spool.floor() <= found.first().copied().unwrap_or(spool.highest() + 1), "the floor is above what is held");
        assert!(spool.unacknowledged() >= unacknowledged, "{} of {unacknowledged}", spool.unacknowledged());
        assert!(spool.bytes() <= capacity, "{} bytes of {capacity}", spool.bytes());
        // The identity, and its successor while it is written.
        assert!(used <= capacity + 8192, "{used} bytes on the disk of {capacity}");
    }
}
