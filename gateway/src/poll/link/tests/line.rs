//! What a bad line costs: damaged answers, noise, strangers, babblers, and what the counters say of them.

use super::*;

fn framed(content: &[u8]) -> Vec<u8> {
    let mut frame = content.to_vec();
    frame.extend(crc16(&frame).to_le_bytes());
    frame
}

/// A slave whose n-th answer is made by `answer`, from the question and n; nothing is silence.
fn link_to(answer: impl FnMut(&[u8; 8], u32) -> Vec<u8> + Send + 'static) -> Link {
    let mut answer = Some(answer);
    let opener: Opener = Box::new(move || {
        let (near, mut far) = tokio::io::duplex(1024);
        let answer = answer.take();
        tokio::spawn(async move {
            let Some(mut answer) = answer else { return };
            let (mut question, mut number) = ([0; 8], 0);
            while far.read_exact(&mut question).await.is_ok() {
                number += 1;
                let bytes = answer(&question, number);
                if far.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        });
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    });
    Link::over(opener, true, TIMEOUT, Duration::ZERO)
}

fn right(question: &[u8; 8]) -> Vec<u8> {
    answer_of(question, 2)
}

/// As many registers as were asked for: 1, this number, and nothing.
fn answer_of(question: &[u8; 8], number: u8) -> Vec<u8> {
    let mut content = vec![question[0], 3, question[5] * 2, 0, 1, 0, number];
    content.resize(3 + usize::from(question[5]) * 2, 0);
    framed(&content)
}

#[tokio::test(start_paused = true)]
async fn a_tenth_of_all_answers_damaged_loses_no_poll() {
    let mut random = StdRng::seed_from_u64(10);
    let mut link = link_to(move |question, _| {
        let mut bytes = right(question);
        if random.random_bool(0.1) {
            let place = random.random_range(0..bytes.len());
            bytes[place] ^= 1 << random.random_range(0..8);
        }
        bytes
    });
    for poll in 0..5_000 {
        assert_eq!(link.read(1, BLOCK).await, Ok(vec![1, 2]), "poll {poll}");
    }
    let counted = link.counters().snapshot();
    assert!((400..700).contains(&counted.garbled) && counted.answers == 5_000 && counted.timeouts == 0, "{counted:?}");
    assert_eq!(counted.questions, counted.answers + counted.garbled);
    assert!(!counted.is_noisy);
}

#[tokio::test(start_paused = true)]
async fn a_tenth_of_all_questions_and_a_tenth_of_all_answers_damaged_loses_no_poll() {
    let mut random = StdRng::seed_from_u64(12);
    let mut link = link_to(move |question, _| {
        // A damaged question is none: no slave answers it.
        if random.random_bool(0.1) {
            return Vec::new();
        }
        let mut bytes = right(question);
        if random.random_bool(0.1) {
            let place = random.random_range(0..bytes.len());
            bytes[place] ^= 1 << random.random_range(0..8);
        }
        bytes
    });
    link.timeout = Duration::from_secs(1);
    link.patience = Patience::new(link.timeout);
    let mut longest = Duration::ZERO;
    for poll in 0..5_000 {
        let began = now();
        assert_eq!(link.read(1, BLOCK).await, Ok(vec![1, 2]), "poll {poll}");
        longest = longest.max(now() - began);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(longest <= link.timeout, "{longest:?}");
    let counted = link.counters().snapshot();
    assert!(counted.asked_again > 900 && counted.timeouts == 0, "{counted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_dies_never_holds_the_line_for_longer_than_the_timeout() {
    let mut link = link_to(|question, number| if question[0] == 1 || number <= 20 { right(question) } else { Vec::new() });
    for _ in 0..10 {
        link.read(1, BLOCK).await.unwrap();
        link.read(2, BLOCK).await.unwrap();
    }
    let mut silent = 0;
    for _ in 0..50 {
        let began = now();
        silent += u32::from(matches!(link.read(2, BLOCK).await, Err(Failure::NoAnswer(_))));
        assert!(now() - began <= TIMEOUT, "{:?}", now() - began);
        let began = now();
        assert_eq!(link.read(1, BLOCK).await, Ok(vec![1, 2]));
        assert!(now() - began < TIMEOUT / 10);
    }
    assert_eq!(silent, 50);
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_refuses_registers_beyond_its_own_is_still_read_after_a_lost_answer() {
    let mut link = link_to(|question, number| match (question[5], number % 7) {
        (3.., _) => framed(&[question[0], 0x83, 2]),
        (_, 0) => Vec::new(),
        _ => right(question),
    });
    let right = {
        let mut right = 0;
        for _ in 0..200 {
            right += u32::from(link.read(1, BLOCK).await == Ok(vec![1, 2]));
        }
        right
    };
    assert!(right > 150, "{right}");
}

#[tokio::test(start_paused = true)]
async fn half_of_all_answers_damaged_is_a_noisy_line_and_nothing_wrong_is_believed() {
    let mut random = StdRng::seed_from_u64(11);
    let mut link = link_to(move |question, _| {
        let mut bytes = right(question);
        if random.random_bool(0.5) {
            let place = random.random_range(0..bytes.len());
            bytes[place] ^= 0x11;
        }
        bytes
    });
    for _ in 0..500 {
        if let Ok(words) = link.read(1, BLOCK).await {
            assert_eq!(words, [1, 2]);
        }
    }
    let counted = link.counters().snapshot();
    assert!(counted.is_noisy && counted.garbled_share > 0.4, "{counted:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_always_damaged_is_asked_for_eight_times_within_the_timeout_and_given_up() {
    let mut link = link_to(|question, _| {
        let mut bytes = right(question);
        bytes[5] ^= 1;
        bytes
    });
    link.timeout = Duration::from_secs(1);
    let began = now();
    assert!(matches!(link.read(1, BLOCK).await, Err(Failure::Wrong(_))));
    let counted = link.counters().snapshot();
    assert!(now() - began <= link.timeout && counted.questions == 8, "{counted:?}");
}

#[tokio::test(start_paused = true)]
async fn frames_of_other_units_broadcasts_and_echoes_are_passed_over() {
    let mut link = link_to(|question, number| {
        let strangers = match number % 4 {
            0 => framed(&[0, 6, 0, 1, 0, 9]),
            1 => framed(&[9, 3, 0, 0, 0, 2]),
            2 => [framed(&[9, 3, 4, 7, 7, 7, 7]), framed(&[0, 16, 0, 1, 0, 1, 2, 0, 9])].concat(),
            _ => question.to_vec(),
        };
        [strangers, right(question)].concat()
    });
    for poll in 0..400 {
        assert_eq!(link.read(1, BLOCK).await, Ok(vec![1, 2]), "poll {poll}");
    }
    let counted = link.counters().snapshot();
    assert_eq!((counted.questions, counted.answers, counted.foreign, counted.garbled), (400, 400, 400, 0));
    assert_eq!(counted.last_talker, Some(0));
}

#[tokio::test(start_paused = true)]
async fn only_a_foreign_frame_is_no_answer_and_the_question_is_put_again() {
    let mut link = link_to(|question, number| if number % 5 == 0 { framed(&[9, 3, 4, 7, 7, 7, 7]) } else { right(question) });
    for poll in 0..100 {
        assert_eq!(link.read(1, BLOCK).await, Ok(vec![1, 2]), "poll {poll}");
    }
    assert_eq!(link.counters().snapshot().foreign, 24);
}

#[tokio::test(start_paused = true)]
async fn a_babbling_line_is_told_of_with_its_last_talker_and_well_again_when_it_stops() {
    let mut babble = true;
    let opener: Opener = Box::new(move || {
        let (near, far) = tokio::io::duplex(64 << 10);
        let babbles = std::mem::take(&mut babble);
        tokio::spawn(async move {
            let (mut hears, mut says) = tokio::io::split(far);
            let until = now() + Duration::from_secs(5);
            while babbles && now() < until && says.write_all(&framed(&[9, 3, 4, 7, 7, 7, 7])).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let mut question = [0; 8];
            while hears.read_exact(&mut question).await.is_ok() {
                let _ = says.write_all(&right(&question)).await;
            }
        });
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    });
    let mut link = Link::over(opener, true, TIMEOUT, Duration::ZERO);
    let mut blocked = 0;
    let began = now();
    loop {
        match link.read(1, BLOCK).await {
            Ok(words) => {
                assert_eq!(words, [1, 2]);
                break;
            }
            Err(Failure::Blocked { talker }) => {
                assert_eq!(talker, Some(9));
                assert!(link.counters().snapshot().is_blocked);
                blocked += 1;
            }
            Err(_) => {}
        }
        assert!(now() - began < Duration::from_secs(30));
    }
    let counted = link.counters().snapshot();
    assert!(blocked > 5 && counted.blocked == blocked && counted.last_talker == Some(9) && !counted.is_blocked, "{counted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_dropped_half_way_leaves_no_answer_for_the_next_question() {
    let opener: Opener = Box::new(|| {
        let (near, mut far) = tokio::io::duplex(1024);
        tokio::spawn(async move {
            let (mut question, mut number) = ([0; 8], 0_u8);
            while far.read_exact(&mut question).await.is_ok() {
                number += 1;
                // Slow enough that the reader has gone, for every second question.
                tokio::time::sleep(Duration::from_millis(if number % 2 == 1 { 60 } else { 1 })).await;
                let _ = far.write_all(&answer_of(&question, number)).await;
            }
        });
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    });
    let mut link = Link::over(opener, true, TIMEOUT, Duration::ZERO);
    for round in 0..20_u16 {
        assert!(timeout(Duration::from_millis(30), link.read(1, BLOCK)).await.is_err());
        assert_eq!(link.read(1, BLOCK).await, Ok(vec![1, round * 2 + 2]));
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_are_kept_after_connecting_and_between_requests_and_the_line_is_closed_after_a_gather() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (accepted, mut connections) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = accepted.send(());
            tokio::spawn(slave(stream, true, Arc::new(Mutex::new(0)), 1, 0.0));
        }
    });
    let workarounds = Workarounds {
        pause_after_connect: Duration::from_secs(3),
        pause_between_requests: Duration::from_secs(2),
        close_connection_after_gather: true,
        ..Workarounds::default()
    };
    let mut link = Link::along(&Road::RtuOverTcp(address), Duration::from_secs(60), &workarounds, &Dtus::default());
    for _ in 0..2 {
        let began = now();
        link.read(1, BLOCK).await.unwrap();
        assert!(now() - began >= Duration::from_secs(3));
        let began = now();
        link.read(1, BLOCK).await.unwrap();
        assert!(now() - began >= Duration::from_secs(2));
        link.gathered();
        connections.recv().await.unwrap();
    }
    assert_eq!(link.counters().snapshot().reconnects, 1);
}

#[tokio::test]
async fn a_tcp_peer_that_hangs_up_between_two_polls_costs_no_poll() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        // One question a connection.
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut question = [0; 12];
            if stream.read_exact(&mut question).await.is_ok() {
                let _ = stream.write_all(&[question[0], question[1], 0, 0, 0, 7, question[6], 3, 4, 0, 1, 0, 2]).await;
            }
        }
    });
    let mut link = Link::along(&Road::Tcp(address), Duration::from_secs(5), &Workarounds::default(), &Dtus::default());
    for _ in 0..50 {
        assert_eq!(link.read(1, BLOCK).await, Ok(vec![1, 2]));
    }
    assert_eq!(link.counters().snapshot().reconnects, 49);
}
