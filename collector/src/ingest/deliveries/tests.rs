use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn ack(held: &Held) -> (u64, Vec<(u64, u64)>) {
    let ack = held.acknowledgement(7, 0, 0);
    (ack.contiguous, ack.ranges.iter().map(|range| (range.first, range.last)).collect())
}

#[test]
fn what_overtakes_is_acknowledged_above_the_hole() {
    let mut held = Held::default();
    assert_eq!(held.store(1, 10), 10);
    assert_eq!(held.store(21, 30), 10);
    assert_eq!(ack(&held), (10, vec![(21, 30)]));
    held.store(11, 20);
    assert_eq!(ack(&held), (30, vec![]));
}

#[test]
fn the_same_again_is_nothing_new() {
    let mut held = Held::default();
    held.store(1, 10);
    assert!(held.missing(1, 10).is_empty());
    assert_eq!(held.missing(5, 15), [(11, 15)]);
    assert_eq!(held.store(5, 15), 5);
}

#[test]
fn a_floor_closes_only_what_never_came() {
    let mut held = Held::default();
    held.store(1, 10);
    held.store(21, 30);
    assert_eq!(held.close_below(26), [(11, 20)]);
    assert_eq!(ack(&held), (30, vec![]));
    assert_eq!(held.declared_lost(1, 30), [(11, 20)]);
    assert!(held.close_below(26).is_empty());
}

#[test]
fn a_floor_beyond_everything_closes_nothing_that_does_not_exist() {
    let mut held = Held::default();
    held.store(1, 5);
    assert!(held.close_below(u64::MAX).is_empty());
    assert_eq!(held.contiguous(), 5);
}

#[test]
fn a_gap_declared_too_widely_keeps_what_was_stored() {
    let mut held = Held::default();
    held.store(1, 10);
    held.store(15, 15);
    held.expect(20);
    assert_eq!(held.close(5, 20), 9);
    assert_eq!(held.declared_lost(1, 20), [(11, 14), (16, 20)]);
}

#[test]
fn a_gap_cannot_close_what_does_not_exist_yet() {
    let mut held = Held::default();
    held.store(1, 10);
    assert_eq!(held.close(5, u64::MAX), 0);
    assert_eq!(held.contiguous(), 10);
}

#[test]
fn an_acknowledgement_names_at_most_64_ranges_and_the_lowest() {
    let mut held = Held::default();
    for n in 1..=100 {
        held.store(n * 10, n * 10);
    }
    let (contiguous, ranges) = ack(&held);
    assert_eq!((contiguous, ranges.len(), ranges[0]), (0, 64, (10, 10)));
}

proptest! {
    #[test]
    fn it_holds_what_a_plain_set_holds(steps in proptest::collection::vec((0_u8..3, 1_u64..60, 0_u64..12), 1..60)) {
        let (mut held, mut plain, mut highest) = (Held::default(), BTreeSet::new(), 0);
        for (what, first, length) in steps {
            let last = first + length;
            match what {
                0 => {
                    let new = (first..=last).filter(|n| plain.insert(*n)).count() as u64;
                    highest = highest.max(last);
                    prop_assert_eq!(held.store(first, last), new);
                }
                1 => {
                    let new = (first..=last.min(highest)).filter(|n| plain.insert(*n)).count() as u64;
                    prop_assert_eq!(held.close(first, last), new);
                }
                _ => {
                    let missing: u64 = held.close_below(first).iter().map(|(a, b)| b - a + 1).sum();
                    let new = (1..first.min(highest + 1)).filter(|n| plain.insert(*n)).count() as u64;
                    prop_assert_eq!(missing, new);
                }
            }
            prop_assert_eq!(held.contiguous(), (1..).take_while(|n| plain.contains(n)).count() as u64);
            let missing: Vec<u64> = held.missing(1, 80).into_iter().flat_map(|(a, b)| a..=b).collect();
            prop_assert_eq!(missing, (1..=80).filter(|n| !plain.contains(n)).collect::<Vec<u64>>());
            prop_assert_eq!(Held::decode(&held.encode()), Some(held.clone()));
        }
    }

    #[test]
    fn any_bytes_decode_or_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Held::decode(&bytes);
    }
}
