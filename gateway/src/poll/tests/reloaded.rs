//! A bus that is published anew while it is polled.
use super::*;

#[tokio::test(start_paused = true)]
async fn new_numbers_are_taken_up_and_nothing_is_forgotten() {
    let clock = runtime_clock();
    // Too short a period for a hurry.
    let before = bus(2, 400, "limit = [{ high = 20.0, release = 19.0 }]", "");
    let mut after = before.clone();
    after.devices.iter_mut().flat_map(|device| &mut device.channels).for_each(|channel| channel.number += 100);
    let (publisher, mut published) = watch::channel(before);
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let answering = move |_| {
        *count.lock().unwrap() += 1;
        Some(300)
    };
    let mut told = Vec::new();
    polled(&mut published, &clock, answering, |one| {
        told.push(one);
        if told.len() == 8 {
            publisher.send(after.clone()).unwrap();
        }
        told.len() == 16
    })
    .await;
    let numbers: Vec<u32> = told.iter().map(|one| one.channel).collect();
    let turned = numbers.iter().position(|number| *number >= 100).unwrap();
    assert!(turned <= 9 && numbers[turned..].iter().all(|number| *number >= 100), "{numbers:?}");
    // Had the memory been lost, the crossed limit would be seen for the first time again.
    assert!(told[4..].iter().all(|one| one.outcome == Outcome::Good(Value::new(30.0).unwrap()) && !one.urgent), "{told:?}");
    let periods: Vec<u64> = told[4..].windows(3).map(|some| some[2].at - some[0].at).collect();
    assert!(periods.iter().all(|period| (390..=410).contains(period)), "{periods:?}");
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_differs_in_more_than_numbers_begins_anew() {
    let clock = runtime_clock();
    let before = bus(1, 1_000, "limit = [{ high = 20.0, release = 19.0 }]", "");
    let after = bus(2, 500, "limit = [{ high = 40.0, release = 39.0 }]", "");
    let (publisher, mut published) = watch::channel(before);
    let mut told = 0;
    // `polled` ends by itself when the round ends.
    let polling = polled(
        &mut published,
        &clock,
        |_| Some(50),
        |_| {
            told += 1;
            if told == 3 {
                publisher.send(after.clone()).unwrap();
            }
            false
        },
    );
    assert!(tokio::time::timeout(Duration::from_secs(10), polling).await.is_ok());
    assert_eq!(told, 3);
    let mut seen = Vec::new();
    polled(
        &mut published,
        &clock,
        |_| Some(50),
        |one| {
            seen.push(one.channel);
            seen.len() == 8
        },
    )
    .await;
    assert!(seen.contains(&0) && seen.contains(&1), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_while_numbers_change() {
    let gate = Gate::default();
    let keeping = gate.keeping().await;
    assert!(tokio::time::timeout(Duration::from_secs(1), gate.changing()).await.is_err(), "somebody still keeps");
    drop(keeping);
    let changing = gate.changing().await;
    assert!(tokio::time::timeout(Duration::from_secs(1), gate.keeping()).await.is_err());
    drop(changing);
    gate.keeping().await;
}
