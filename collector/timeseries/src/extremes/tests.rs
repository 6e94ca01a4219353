use measurement::{Fault, Outcome};
use proptest::prelude::*;

use super::*;

fn row(at_ms: i64, outcome: Outcome) -> Row {
    Row { series: 1, stream: 1, position: 0, sampled_at: Timestamp(at_ms), outcome }
}

fn minute(rows: &[Row]) -> Vec<Extreme> {
    extremes(rows, Resolution::Minute)
}

#[test]
fn a_quiet_hour_takes_six_bytes_a_minute_at_most() {
    let value = |i: i64| 0.5 + ((i * 7919) % 13) as f32 / 100.0;
    let rows: Vec<Row> =
        (0..720).map(|i| row(1_800_000_000_000 + i * 5_000, Outcome::measured((value(i) * 100.0).round() / 100.0))).collect();
    let bytes = encode(&minute(&rows), Resolution::Minute);
    assert!(bytes.len() <= 60 * 6 + 24, "{} bytes", bytes.len());
}

#[test]
fn the_bytes_of_two_minutes_are_these() {
    let rows = [row(60_000, Outcome::measured(1.5)), row(119_000, Outcome::measured(1.2)), row(125_000, Outcome::Bad(Fault::WireBreak))];
    let bytes = encode(&minute(&rows), Resolution::Minute);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "02010102020000f099071803000002000185dfcb06e5537eaa");
}

#[test]
fn a_bucket_of_faults_has_no_numbers() {
    let list = minute(&[row(0, Outcome::Bad(Fault::WireBreak))]);
    assert_eq!((list[0].min, list[0].faults, list[0].values), (None, 1, 0));
    assert_eq!(decode(&encode(&list, Resolution::Minute), Resolution::Minute), Ok(list));
}

fn any_row() -> impl Strategy<Value = Row> {
    let outcome = prop_oneof![
        6 => (-20_000_i32..20_000).prop_map(|number| Outcome::measured(number as f32 / 100.0)),
        1 => any::<f32>().prop_map(Outcome::measured),
        1 => Just(Outcome::Bad(Fault::WireBreak)),
    ];
    (-10_000_000_i64..10_000_000, outcome).prop_map(|(at, outcome)| row(at, outcome))
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(rows in proptest::collection::vec(any_row(), 0..200), hour in any::<bool>()) {
        let resolution = if hour { Resolution::Hour } else { Resolution::Minute };
        let list = extremes(&rows, resolution);
        prop_assert_eq!(decode(&encode(&list, resolution), resolution), Ok(list));
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_but_never_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = decode(&bytes, Resolution::Minute);
        let sum = crc32c::crc32c(&bytes);
        bytes.extend(sum.to_le_bytes());
        let _ = decode(&bytes, Resolution::Minute);
    }
}
