//! Who is asked how often.
use super::*;

/// How often each unit is asked in so many milliseconds.
async fn counted(bus: Bus, ms: u64, answering: impl Fn(u8, u64) -> Option<u16> + Send + 'static) -> Vec<u32> {
    let clock = runtime_clock();
    let counts = Arc::new(Mutex::new(vec![0; bus.devices.len()]));
    let (_publisher, mut published) = watch::channel(bus);
    let (log, time) = (counts.clone(), clock.clone());
    let answering = move |unit: u8| {
        log.lock().unwrap()[usize::from(unit) - 1] += 1;
        answering(unit, time.mono().0)
    };
    polled(&mut published, &clock, answering, |told| told.at >= ms).await;
    counts.lock().unwrap().clone()
}

const GAS: &str = "limit = [{ high = 20.0, release = 19.0 }]";

#[tokio::test(start_paused = true)]
async fn a_device_over_half_its_limit_is_asked_four_times_a_period_until_it_is_well_below() {
    let rising = |unit, now| Some(if unit == 2 && now < 60_000 { 120 } else { 50 });
    let asked = counted(bus(4, 2_000, GAS, ""), 60_000, rising).await;
    assert!((110..=122).contains(&asked[1]), "{asked:?}");
    assert!([0, 2, 3].iter().all(|place| (29..=32).contains(&asked[*place])), "{asked:?}");
    let asked = counted(bus(4, 2_000, GAS, ""), 120_000, rising).await;
    assert!((140..=155).contains(&asked[1]), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn flat_out_the_wire_does_not_rest_and_everyone_has_a_turn() {
    let asked = counted(bus(3, 1_000, "", "flat_out = true"), 60_000, |_, _| Some(50)).await;
    // 60 ms the answer takes, and 4 ms of silence before the next question.
    let most = 60_000 / 64;
    assert!(asked.iter().sum::<u32>() >= most * 95 / 100, "{asked:?} of {most}");
    assert!(asked[0] - asked[2] <= 1, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn flat_out_a_dead_device_is_only_probed() {
    let asked = counted(bus(3, 1_000, "", "flat_out = true"), 60_000, |unit, _| (unit != 2).then_some(50)).await;
    assert!((10..=20).contains(&asked[1]), "{asked:?}");
    assert!(asked[0] + asked[2] > 800, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cycle_takes_as_long_as_the_plan_says() {
    // One register at 1200 baud: 8 and 7 characters of 8.33 ms. The device waits for 3.5 characters of silence, so that it
    // knows the question has ended, and thinks for 5 ms.
    let mut bus = bus(3, 10_000, "", "flat_out = true");
    let (parity, stop_bits) = (tokio_serial::Parity::None, tokio_serial::StopBits::One);
    bus.road = link::Road::Serial { path: "/dev/null".to_owned(), baud: 1_200, parity, stop_bits };
    let planned_us = Plan::of(&bus).cycle_us();
    let (character_us, clock) = (10_000_000 / 1_200, runtime_clock());
    let exchange = Duration::from_micros(character_us * (8 + 7) + character_us * 7 / 2 + 5_000);
    let (_publisher, mut published) = watch::channel(bus);
    let mut at = Vec::new();
    // `polled` leaves 4 ms between frames where this line needs 29 ms.
    let exchange = exchange + Duration::from_micros(character_us * 7 / 2 - 4_000);
    polled_at(
        exchange,
        &mut published,
        &clock,
        |_| Some(50),
        |told| {
            at.push(told.at);
            at.len() == 31
        },
    )
    .await;
    let cycle_us = (at[30] - at[0]) * 1_000 / 10;
    assert!((cycle_us as f64 / planned_us as f64 - 1.0).abs() < 0.02, "{cycle_us} where {planned_us} were planned");
}
