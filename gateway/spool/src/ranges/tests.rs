use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Change {
    Insert(u64, u64),
    Remove(u64, u64),
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (1_u64..80, 0_u64..12).prop_map(|(first, n)| Change::Insert(first, first + n)),
        (1_u64..80, 0_u64..12).prop_map(|(first, n)| Change::Remove(first, first + n)),
    ]
}

proptest! {
    #[test]
    fn it_agrees_with_a_plain_set_of_numbers(changes in proptest::collection::vec(any_change(), 0..40), probe in 1_u64..100, length in 0_u64..20) {
        let (mut ranges, mut plain) = (RangeSet::new(), BTreeSet::new());
        for change in changes {
            match change {
                Change::Insert(first, last) => {
                    let new = (first..=last).filter(|n| plain.insert(*n)).count() > 0;
                    prop_assert_eq!(ranges.insert(first, last), new);
                }
                Change::Remove(first, last) => {
                    ranges.remove(first, last);
                    plain.retain(|n| !(first..=last).contains(n));
                }
            }
            let ends: Vec<(u64, u64)> = ranges.iter().collect();
            prop_assert!(ends.windows(2).all(|w| w[0].1 + 1 < w[1].0), "ranges touch: {:?}", ends);
        }
        let all: BTreeSet<u64> = ranges.iter().flat_map(|(first, last)| first..=last).collect();
        prop_assert_eq!(&all, &plain);
        let end = probe + length;
        prop_assert_eq!(ranges.contains(probe), plain.contains(&probe));
        prop_assert_eq!(ranges.covers(probe, end), (probe..=end).all(|n| plain.contains(&n)));
        prop_assert_eq!(ranges.overlap(probe, end), (probe..=end).filter(|n| plain.contains(n)).count() as u64);
        prop_assert_eq!(ranges.first_missing(probe), (probe..).find(|n| !plain.contains(n)).expect("some number is missing"));
        prop_assert_eq!(ranges.first_present(probe), plain.range(probe..).next().copied());
        let inside: BTreeSet<u64> = ranges.within(probe, end).flat_map(|(first, last)| first..=last).collect();
        prop_assert_eq!(inside, plain.range(probe..=end).copied().collect::<BTreeSet<u64>>());
    }
}
