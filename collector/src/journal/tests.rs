//! Whatever is done to a journal is found.

use super::verify::verify;
use super::*;
use proptest::prelude::*;

fn journal(length: u64) -> Vec<Entry> {
    let mut head = Head::genesis();
    (0..length)
        .map(|number| {
            let fact = Fact::done(
                "test.happened",
                &format!("user{}", number % 3),
                format!("thing/{number}"),
                format!("第{number}件事"),
                format!("thing {number}"),
            );
            let entry = Entry::following(head, Timestamp(1_795_500_000_000 + number as i64), &fact);
            head = Head::after(&entry);
            entry
        })
        .collect()
}

fn anchor(entries: &[Entry]) -> Vec<Head> {
    entries.last().map(Head::after).into_iter().collect()
}

#[test]
fn an_untouched_journal_verifies() {
    let entries = journal(50);
    assert_eq!(verify(&entries, anchor(&entries)).map(|head| head.count), Ok(50));
    assert_eq!(verify(&[], vec![Head::genesis()]).map(|head| head.count), Ok(0));
}

#[test]
fn a_journal_longer_than_its_anchor_verifies() {
    let entries = journal(50);
    assert!(verify(&entries, anchor(&entries[..30])).is_ok());
}

#[test]
fn a_journal_rewritten_from_its_beginning_is_found_by_its_anchor() {
    let anchors = anchor(&journal(10));
    let mut head = Head::genesis();
    let forged: Vec<Entry> = (0..10)
        .map(|number| {
            let entry = Entry::following(head, Timestamp(number), &Fact::seen("test.happened", "x", "假", "forged"));
            head = Head::after(&entry);
            entry
        })
        .collect();
    assert!(verify(&forged, Vec::new()).is_ok(), "the chain itself is whole");
    assert!(verify(&forged, anchors).is_err());
}

#[test]
fn fields_cannot_trade_bytes_without_being_found() {
    let entry = |about: &str, who: &str| Entry::following(Head::genesis(), Timestamp(0), &Fact::done("k", who, about, "", ""));
    assert_ne!(entry("ab", "c").hash, entry("a", "bc").hash);
}

#[test]
fn the_canonical_form_is_pinned() {
    let entry = Entry::following(Head::genesis(), Timestamp(1), &Fact::done("k", "who", "about", "中", "en"));
    assert_eq!(
        entry.canonical(),
        [
            &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1][..],
            b"k",
            &[0, 0, 0, 5],
            b"about",
            &[0, 0, 0, 3],
            b"who",
            &[0, 0, 0, 3],
            "中".as_bytes(),
            &[0, 0, 0, 2],
            b"en"
        ]
        .concat()
    );
}

/// One thing that somebody may do to a journal.
#[derive(Debug, Clone)]
enum Meddling {
    Edit { at: usize, field: u8 },
    Delete { at: usize },
    Swap { at: usize, with: usize },
    Insert { at: usize },
    Repeat { at: usize },
    Cut { keep: usize },
}

fn meddling() -> impl Strategy<Value = Meddling> {
    let place = 0..1000_usize;
    prop_oneof![
        (place.clone(), 0..8_u8).prop_map(|(at, field)| Meddling::Edit { at, field }),
        place.clone().prop_map(|at| Meddling::Delete { at }),
        (place.clone(), place.clone()).prop_map(|(at, with)| Meddling::Swap { at, with }),
        place.clone().prop_map(|at| Meddling::Insert { at }),
        place.clone().prop_map(|at| Meddling::Repeat { at }),
        place.prop_map(|keep| Meddling::Cut { keep }),
    ]
}

fn meddle(entries: &mut Vec<Entry>, what: &Meddling) {
    let length = entries.len();
    match *what {
        Meddling::Edit { at, field } => {
            let entry = &mut entries[at % length];
            match field {
                0 => entry.number += 1,
                1 => entry.at = entry.at.plus_ms(1),
                2 => entry.kind.push('x'),
                3 => entry.about.insert(0, 'x'),
                4 => entry.who.clear(),
                5 => entry.text_zh.push('。'),
                6 => entry.text_en = entry.text_en.to_uppercase(),
                _ => entry.hash.0[at % 32] ^= 1,
            }
        }
        Meddling::Delete { at } => drop(entries.remove(at % length)),
        Meddling::Swap { at, with } => entries.swap(at % length, with % length),
        Meddling::Insert { at } => {
            let at = at % length;
            let before = if at == 0 { Head::genesis() } else { Head::after(&entries[at - 1]) };
            entries.insert(at, Entry::following(before, Timestamp(5), &Fact::seen("test.forged", "x", "假", "forged")));
        }
        Meddling::Repeat { at } => {
            let entry = entries[at % length].clone();
            entries.insert(at % length, entry);
        }
        Meddling::Cut { keep } => entries.truncate(keep % length),
    }
}

proptest! {
    #[test]
    fn any_edit_deletion_swap_insertion_or_cut_is_found(length in 1..40_u64, what in meddling()) {
        let entries = journal(length);
        let mut changed = entries.clone();
        meddle(&mut changed, &what);
        let found = verify(&changed, anchor(&entries));
        prop_assert_eq!(found.is_ok(), changed == entries, "{:?} gave {:?}", what, found);
    }
}
