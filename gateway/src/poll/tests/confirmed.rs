//! Frames whose check is right and whose number is wrong.
use super::*;
use measurement::Doubt;

const GAS: &str = "range = [0, 100]\nmax_step = 2.0\nlimit = [{ high = 20.0, release = 19.0 }]";

/// Swings between 5 and 35 in five minutes, in tenths.
fn truth(ms: u64) -> f64 {
    20.0 + 15.0 * (ms as f64 / 300_000.0 * std::f64::consts::TAU).sin()
}

#[tokio::test(start_paused = true)]
async fn of_a_hundred_lies_in_100_000_polls_none_is_good_none_crosses_and_none_ends_an_alarm() {
    const POLLS: usize = 100_000;
    let clock = runtime_clock();
    let (_publisher, mut published) = watch::channel(bus(1, 1_000, GAS, ""));
    let limit = published.borrow().devices[0].channels[0].limits[0];
    let lies = Arc::new(Mutex::new(0_u32));
    let (counted, time) = (lies.clone(), clock.clone());
    let mut random = StdRng::seed_from_u64(20_261_128);
    let mut has_lied = false;
    let answering = move |_| {
        let right = truth(time.mono().0);
        // Two wrong frames in a row, both with the right check, come once in four milliards of damaged frames.
        has_lied = !has_lied && random.random_ratio(1, 1_000);
        if !has_lied {
            return Some((right * 10.0).round() as u16);
        }
        *counted.lock().unwrap() += 1;
        loop {
            let lie: u16 = if random.random() { random.random() } else { random.random_range(0..1_000) };
            if (f64::from(lie) / 10.0 - right).abs() > 5.0 {
                return Some(lie);
            }
        }
    };
    // The gateway's own monitor is fed by what is good; the collector's, in the worst case, by every value it is told.
    let (mut good, mut wrong, mut wrong_crossings, mut wrong_ends, mut crossings, mut unconfirmed) = (0, 0, 0, 0, 0, 0);
    let mut last = 0;
    let (mut believed, mut collector) = (LimitMonitor::new(limit), LimitMonitor::new(limit));
    let enough = |told: Told| {
        let right = truth(told.at);
        let Some(value) = told.outcome.value() else { panic!("{told:?} although the device answers") };
        let at = Timestamp(told.at as i64);
        match told.outcome {
            Outcome::Good(_) => {
                good += 1;
                wrong += u32::from((f64::from(value.get()) - right).abs() > 0.5);
                if believed.observe(value, at).is_some() {
                    crossings += 1;
                    wrong_crossings += u32::from((f64::from(value.get()) - right).abs() > 0.5);
                    assert!(told.urgent);
                }
            }
            Outcome::Uncertain(_, Doubt::Unconfirmed) => {
                unconfirmed += 1;
                assert!(told.urgent);
            }
            other => panic!("{other:?}"),
        }
        let ended = collector.observe(value, at) == Some(measurement::Crossing::ReturnedToNormal);
        wrong_ends += u32::from(ended && right > 20.0);
        last = told.at;
        good == POLLS
    };
    polled(&mut published, &clock, answering, enough).await;
    let lies = *lies.lock().unwrap();
    assert!(lies > 60, "{lies} lies");
    assert_eq!((wrong, wrong_crossings, wrong_ends), (0, 0, 0), "of {lies} lies");
    let swings = (last / 300_000) as usize;
    assert!((2 * swings - 4..=2 * swings + 4).contains(&crossings), "{crossings} crossings in {swings} swings");
    assert!(unconfirmed > swings, "{unconfirmed} were told as unconfirmed");
}

#[tokio::test(start_paused = true)]
async fn a_true_rise_is_told_at_once_and_good_within_300_ms_before_any_other_device_is_asked() {
    let clock = runtime_clock();
    let (_publisher, mut published) = watch::channel(bus(6, 500, GAS, ""));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, time) = (asked.clone(), clock.clone());
    let answering = move |unit| {
        log.lock().unwrap().push((unit, time.mono().0));
        Some(if unit == 4 && time.mono().0 > 5_000 { 420 } else { 50 })
    };
    let mut first = None;
    let mut took = 0;
    let enough = |told: Told| {
        match (told.channel, told.outcome) {
            (3, Outcome::Uncertain(value, Doubt::Unconfirmed)) if first.is_none() => {
                assert_eq!((value, told.urgent), (Value::new(42.0).unwrap(), true));
                first = Some(told.at);
            }
            (3, Outcome::Good(value)) if value.get() > 41.0 => {
                assert!(told.urgent, "it crosses a limit");
                took = told.at - first.unwrap();
                return true;
            }
            _ => {}
        }
        false
    };
    polled(&mut published, &clock, answering, enough).await;
    assert!(took <= 300, "{took} ms");
    let asked = asked.lock().unwrap();
    let risen: Vec<u8> = asked.iter().skip_while(|(unit, at)| *unit != 4 || *at <= 5_000).map(|(unit, _)| *unit).take(2).collect();
    assert_eq!(risen, [4, 4]);
}

/// Longer than the link asks again within one poll.
const SILENCE_MS: u64 = 300;

/// What is told of one device whose n-th answer is the n-th of these tenths, and silence for a while.
async fn story(more: &str, answers: &'static [Option<u16>], told: usize) -> Vec<Outcome> {
    let clock = runtime_clock();
    // Too short a period for a hurry.
    let (_publisher, mut published) = watch::channel(bus(1, 400, more, ""));
    let mut answers = answers.iter().copied();
    let mut outcomes = Vec::new();
    let (time, mut silent_until) = (clock.clone(), 0);
    let answering = move |_| {
        let now = time.mono().0;
        if now < silent_until {
            return None;
        }
        let answer = answers.next().unwrap_or(Some(50));
        if answer.is_none() {
            silent_until = now + SILENCE_MS;
        }
        answer
    };
    polled(&mut published, &clock, answering, |one| {
        outcomes.push(one.outcome);
        outcomes.len() == told
    })
    .await;
    outcomes
}

fn good(value: f32) -> Outcome {
    Outcome::Good(Value::new(value).unwrap())
}

fn seen_once(value: f32) -> Outcome {
    Outcome::Uncertain(Value::new(value).unwrap(), Doubt::Unconfirmed)
}

#[tokio::test(start_paused = true)]
async fn a_value_below_a_crossed_limit_is_told_only_when_it_is_seen_twice() {
    let limit = "limit = [{ high = 20.0, release = 19.0 }]";
    let raised = [seen_once(30.0), good(30.0)];
    let lie = story(limit, &[Some(300), Some(300), Some(30), Some(301)], 3).await;
    assert_eq!(lie, [&raised[..], &[good(30.1)]].concat());
    let fall = story(limit, &[Some(300), Some(300), Some(30), Some(31)], 3).await;
    assert_eq!(fall, [&raised[..], &[good(3.1)]].concat());
}

#[tokio::test(start_paused = true)]
async fn what_was_held_back_and_cannot_be_read_again_is_a_fault_and_the_next_reading_decides() {
    let limit = "limit = [{ high = 20.0, release = 19.0 }]";
    let told = story(limit, &[Some(300), Some(300), Some(30), None, Some(31)], 4).await;
    assert_eq!(told, [seen_once(30.0), good(30.0), Outcome::Bad(Fault::NoCommunication), good(3.1)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_told_and_cannot_be_read_again_stays_unconfirmed() {
    let told = story("limit = [{ high = 20.0, release = 19.0 }]", &[Some(50), Some(300), None, Some(50)], 3).await;
    assert_eq!(told, [good(5.0), seen_once(30.0), good(5.0)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_back_and_contradicted_twice_is_a_fault_rather_than_untold() {
    let limits = "range = [3, 100]\nlimit = [{ high = 40.0, release = 39.0 }, { low = 10.0, release = 11.0 }]";
    // Each of the last three says more than the one before: an alarm is over, it is too low, it is below the range.
    let told = story(limits, &[Some(450), Some(450), Some(300), Some(50), Some(0), Some(0)], 4).await;
    assert_eq!(told, [seen_once(45.0), good(45.0), Outcome::Bad(Fault::Corrupt), good(0.0)]);
}
