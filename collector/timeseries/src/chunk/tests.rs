use measurement::Doubt;
use proptest::prelude::*;

use super::*;

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => (0..4000_i32).prop_map(|n| Outcome::measured((f64::from(n) / 10.0) as f32)),
        2 => any::<f32>().prop_map(Outcome::measured),
        1 => (0..100_i32).prop_map(|n| match Outcome::measured(n as f32) { Outcome::Good(v) => Outcome::Uncertain(v, Doubt::OverRange), other => other }),
        1 => proptest::sample::select(Fault::ALL).prop_map(Outcome::Bad),
    ]
}

proptest! {
    #[test]
    fn rows_come_back_to_the_bit(outcomes in proptest::collection::vec((any_outcome(), 0..20_000_i64, 1..9_u64), 1..200), first: u64) {
        let (mut at, mut position) = (1_790_000_000_000_i64, first);
        let rows: Vec<Row> = outcomes.into_iter().map(|(outcome, dt, dp)| {
            at += dt;
            position = position.wrapping_add(dp);
            Row { series: 3, stream: 2, position, sampled_at: Timestamp(at), outcome }
        }).collect();
        let frame = Frame::of(&rows);
        prop_assert_eq!(&Frame::decode(&frame.encode()).unwrap(), &frame);
        prop_assert_eq!(decode(3, &encode(&rows, 9), &frame).unwrap(), rows);
    }

    #[test]
    fn damage_is_found_and_never_panics(at: prop::sample::Index, bit in 0..8_u8) {
        let rows: Vec<Row> = (0..50).map(|i| Row { series: 1, stream: 1, position: i, sampled_at: Timestamp(i as i64 * 5000), outcome: Outcome::measured(i as f32 / 10.0) }).collect();
        let (mut bytes, frame) = (encode(&rows, 1), Frame::of(&rows));
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(decode(1, &bytes, &frame), Err(Damaged));
    }
}

#[test]
fn the_channels_of_one_device_share_a_frame() {
    let rows = |channel: u64| {
        (0..20)
            .map(|i| Row {
                series: channel as u32,
                stream: 1,
                position: 100 + i * 4 + channel,
                sampled_at: Timestamp(i as i64 * 5000),
                outcome: Outcome::measured(1.0),
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(Frame::of(&rows(0)), Frame::of(&rows(3)));
}
