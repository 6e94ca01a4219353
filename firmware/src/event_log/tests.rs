use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const CAPACITY: usize = 20;
const WORDS: usize = HEAD_WORDS + RECORD_WORDS * CAPACITY;

fn at(seconds: u64) -> MonotonicMs {
    MonotonicMs(seconds * 1000)
}

fn resumed<M: LogMemory>(words: M, boot_count: u32) -> EventLog<M> {
    let mut log = EventLog::asleep(words);
    log.begin(boot_count);
    log
}

fn low_raised(channel: u8) -> Happening {
    Happening::channel(EventKind::LowRaised, channel, 0)
}

fn all<M: LogMemory>(log: &EventLog<M>) -> Vec<EventRecord> {
    let head = log.head();
    (head.oldest..=head.newest).filter_map(|sequence| log.record(sequence)).collect()
}

#[test]
fn an_event_is_found_with_its_boot_and_time() {
    let mut log = resumed([0; LOG_WORDS], 70_001);
    log.note(Happening::channel(EventKind::TroubleBegan, 3, 0x85), at(100));
    log.note_settings(9, 0xDEAD_BEEF, at(101));
    let common =
        EventRecord { sequence: 1, kind: EventKind::TroubleBegan, channel: Some(3), boot: 4465, uptime_s: 100, detail: 0x85, more: 0x0100 };
    assert_eq!(log.record(1), Some(common));
    let changed =
        EventRecord { sequence: 2, kind: EventKind::SettingsChanged, channel: None, uptime_s: 101, detail: 0xDEAD_BEEF, more: 9, ..common };
    assert_eq!(log.record(2), Some(changed));
    assert_eq!((log.record(0), log.record(3)), (None, None));
}

#[test]
fn flapping_is_counted_for_four_hours_and_then_takes_the_next_record() {
    let mut log = resumed([0; LOG_WORDS], 1);
    for second in 0..4 * 3600 {
        log.note(low_raised(0), at(second));
    }
    let first = log.record(1).unwrap();
    assert_eq!((all(&log).len(), first.count(), first.span_min()), (1, 255, 239));
    log.note(low_raised(0), at(4 * 3600));
    log.note(low_raised(1), at(4 * 3600));
    assert_eq!(all(&log).len(), 3);
}

#[test]
fn seven_days_of_two_limits_that_flap_and_two_other_events_a_day_are_held() {
    let mut log = resumed([0; LOG_WORDS], 1);
    log.note(Happening::node(EventKind::Started, 1), at(0));
    let week = 7 * 86_400;
    for second in (0..week).step_by(30) {
        for channel in 0..2 {
            let kind = if second % 60 == 0 { EventKind::LowRaised } else { EventKind::LowReturned };
            log.note(Happening::channel(kind, channel, 0), at(second));
        }
        if second % 43_200 == 0 {
            log.note_settings((second / 43_200) as u16, 0, at(second));
        }
    }
    let held = all(&log);
    assert_eq!(held[0].kind, EventKind::Started, "the first second of the week is still there");
    assert!(held.len() <= LOG_RECORDS, "{}", held.len());
    assert_eq!(held.len(), 1 + 7 * 26);
}

#[test]
fn a_node_that_restarts_for_ever_leaves_the_older_events_in_place() {
    let mut words = [0; LOG_WORDS];
    let mut boot = 1;
    let mut log = resumed(&mut words[..], boot);
    log.note_settings(1, 7, at(5));
    for _ in 0..2000 {
        boot += 1;
        log = resumed(log.words, boot);
        log.note(Happening::node(EventKind::Started, 3), at(0));
        for channel in 0..4 {
            log.note(Happening::channel(EventKind::TroubleBegan, channel, 0x8D), at(3));
            log.note(low_raised(channel), at(4));
        }
    }
    let held = all(&log);
    assert_eq!(held[0].kind, EventKind::SettingsChanged);
    assert_eq!(held.len(), 1 + 9 * ALONE);
    assert!(held[19..].iter().all(|record| record.count() == 255), "{held:?}");
}

#[test]
fn a_log_outlives_a_reset_and_garbage_does_not_become_one() {
    let mut log = resumed([0; WORDS], 1);
    (0..50).for_each(|i| log.note_settings(i, 0, at(u64::from(i))));
    let before = all(&log);
    let again = resumed(log.words, 2);
    assert!(!again.was_lost());
    assert_eq!(all(&again), before);
    for garbage in [[0xFFFF_FFFF; WORDS], core::array::from_fn(|i| (i as u32).wrapping_mul(0x9E37_79B9))] {
        let log = resumed(garbage, 1);
        assert!(log.was_lost() && all(&log).is_empty());
    }
    assert!(!resumed([0; WORDS], 1).was_lost(), "memory that never held a log has lost none");
}

#[test]
fn latches_outlive_a_reset_and_a_torn_or_strange_word_latches_nothing() {
    let mut log = resumed([0; WORDS], 1);
    assert_eq!(log.latches(), Latches::default());
    let latches = Latches { over_range: 0x8001, low: 0xFFFF, high: 0 };
    log.set_latches(latches);
    log.note(low_raised(0), at(1));
    let again = resumed(log.words, 2);
    assert_eq!((again.latches(), all(&again).len()), (latches, 1));
    let mut words = log.words;
    words[LATCHES.start] ^= 1 << 20;
    assert_eq!(resumed(words, 2).latches(), Latches { over_range: 0, ..latches });
    assert_eq!(resumed([0xFFFF_FFFF; WORDS], 2).latches(), Latches::default());
}

#[test]
fn a_reset_within_a_note_costs_that_one_event_at_most() {
    let mut log = resumed([0; WORDS], 1);
    (0..30).for_each(|i| log.note_settings(i, 0, at(u64::from(i))));
    let before = (log.words, all(&log));
    log.note_settings(30, 0, at(30));
    let after = (log.words, all(&log));
    let changed: Vec<usize> = (0..WORDS).filter(|word| before.0[*word] != after.0[*word]).collect();
    // In the order in which they are written: the record's words, then the head's two.
    let order = changed.iter().filter(|word| **word >= HEAD_WORDS).chain(changed.iter().filter(|word| **word < HEAD_WORDS));
    let mut torn = before.0;
    for word in order {
        torn[*word] = after.0[*word];
        let resumed = resumed(torn, 2);
        assert!(!resumed.was_lost(), "torn at word {word}");
        let held = all(&resumed);
        // The oldest shares its place with the newest.
        assert!(held == after.1 || held == before.1 || held[..] == before.1[1..], "torn at word {word}");
    }
}

#[test]
fn any_flipped_bit_of_a_record_hides_it() {
    let mut log = resumed([0; WORDS], 1);
    log.note(low_raised(2), at(77));
    let slot = log.slot(1).unwrap();
    for bit in 0..RECORD_WORDS * 32 {
        let mut words = log.words;
        words[slot + bit / 32] ^= 1 << (bit % 32);
        let log = EventLog { words, ..log.clone() };
        assert_eq!(log.record(1), None, "bit {bit}");
    }
}

#[test]
fn words_too_few_for_a_log_are_an_empty_one() {
    for words in 0..8 {
        let mut log = resumed(std::vec![0; words], 1);
        log.note(low_raised(0), at(1));
        assert!(all(&log).len() <= 1);
    }
}

/// The log as one would write it without bounds: a list of all records, of which the last ones count.
#[derive(Default)]
struct Model(Vec<EventRecord>);

impl Model {
    fn note(&mut self, happening: Happening, boot: u16, uptime_s: u32) {
        let held = self.0.len().saturating_sub(CAPACITY);
        let like: Vec<usize> = (held..self.0.len()).filter(|i| happening.is_like(&self.0[*i])).collect();
        let same_boot = |i: &&usize| self.0[**i].boot == boot;
        let counted = match like.last() {
            Some(last) if self.0[*last].boot == boot => Some(*last).filter(|last| uptime_s - self.0[*last].uptime_s < 4 * 3600),
            Some(last) if like.iter().filter(|i| !same_boot(i)).count() >= 3 => Some(*last),
            _ => None,
        };
        if let Some(i) = counted {
            let record = &mut self.0[i];
            let span = if record.boot == boot { ((uptime_s - record.uptime_s) / 60) as u8 } else { record.more as u8 };
            record.more = u16::from((record.more >> 8) as u8).saturating_add(1).min(255) << 8 | u16::from(span);
        } else {
            let Happening { kind, channel, detail } = happening;
            let sequence = self.0.len() as u32 + 1;
            self.0.push(EventRecord { sequence, kind, channel, boot, uptime_s, detail, more: 0x0100 });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_ring_is_the_end_of_a_list_without_bounds(
        steps in proptest::collection::vec((0..6_u8, 0..3_u8, 0..2_u32, 0..9000_u64, 0..12_u8), 0..200)
    ) {
        let (mut log, mut model) = (resumed([0; WORDS], 1), Model::default());
        let (mut boot, mut now) = (1, 0);
        for (kind, channel, detail, later, reset) in steps {
            now += later;
            if reset == 0 {
                (boot, now) = (boot + 1, 0);
                log = resumed(log.words, boot);
                prop_assert!(!log.was_lost());
            }
            let kind = [
                EventKind::Started,
                EventKind::LowRaised,
                EventKind::LowReturned,
                EventKind::TroubleBegan,
                EventKind::Calibrated,
                EventKind::KeyRefused,
            ][usize::from(kind)];
            let happening = Happening::channel(kind, channel, detail);
            log.note(happening, at(now));
            model.note(happening, boot as u16, now as u32);
            let from = model.0.len().saturating_sub(CAPACITY);
            prop_assert_eq!(all(&log), &model.0[from..]);
            // Every place of the ring is under the sequence that the window names for it.
            for slot in 0..CAPACITY as u16 {
                let sequence = log.sequence_in(slot);
                prop_assert!(sequence == 0 || sequence % CAPACITY as u32 == u32::from(slot));
            }
        }
    }

    #[test]
    fn no_words_panic(words in proptest::collection::vec(any::<u32>(), 0..100), magic in any::<bool>(), kind in 0..19_u8) {
        let mut words = words;
        if let (true, Some(first)) = (magic, words.first_mut()) {
            *first = MAGIC;
        }
        let mut log = resumed(words, 5);
        if let Some(kind) = EventKind::from_code(kind) {
            log.note(Happening::node(kind, 1), MonotonicMs(u64::MAX));
        }
        let _ = (all(&log), log.sequence_in(3));
    }
}
