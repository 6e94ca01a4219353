#![allow(clippy::unwrap_used, reason = "a test may stop here")]
//! A slave that answers late must never be believed for the wrong question.

use std::sync::Mutex;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

mod hostile;
mod line;
mod ports;
mod settings;

const TIMEOUT: Duration = Duration::from_millis(100);
const BLOCK: Block = Block { function: 3, address: 7, count: 2 };

/// A slave whose answer to its n-th question is n, so that an answer to another question shows.
async fn slave(mut stream: impl Stream, is_rtu: bool, asked: Arc<Mutex<u32>>, seed: u64, late_share: f64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut question = [0_u8; 12];
    let length = if is_rtu { 8 } else { 12 };
    while stream.read_exact(&mut question[..length]).await.is_ok() {
        let number = {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            *asked
        };
        if random.random_bool(late_share) {
            let timeouts = random.random_range(0.5..3.0);
            tokio::time::sleep(TIMEOUT.mul_f64(timeouts)).await;
        }
        let [a, b, c, d] = number.to_be_bytes();
        let answer = if is_rtu {
            let mut frame = vec![question[0], 3, question[5] * 2, a, b, c, d];
            frame.resize(3 + usize::from(question[5]) * 2, 0);
            let crc = crc16(&frame);
            frame.extend_from_slice(&crc.to_le_bytes());
            frame
        } else {
            vec![question[0], question[1], 0, 0, 0, 7, question[6], 3, 4, a, b, c, d]
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// CRC-16/MODBUS, bit by bit: written apart from the library under test.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc: u16, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}

/// Polls, and counts answers, silences and wrong values.
async fn poll(link: &mut Link, polls: u32, asked: &Mutex<u32>) -> (u32, u32, u32) {
    let (mut right, mut silent, mut wrong) = (0, 0, 0);
    for _ in 0..polls {
        match link.read(1, BLOCK).await {
            Ok(words) => {
                let number = u32::from(words[0]) << 16 | u32::from(words[1]);
                if number == *asked.lock().unwrap() { right += 1 } else { wrong += 1 }
            }
            Err(Failure::NoAnswer(_)) => silent += 1,
            Err(other) => panic!("{other}"),
        }
    }
    (right, silent, wrong)
}

async fn in_memory(is_rtu: bool, polls: u32) {
    let asked = Arc::new(Mutex::new(0));
    let counter = asked.clone();
    let mut seed = 1;
    let opener: Opener = Box::new(move || {
        let (near, far) = tokio::io::duplex(1024);
        seed += 1;
        tokio::spawn(slave(far, is_rtu, counter.clone(), seed, 0.3));
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    });
    let mut link = Link::over(opener, is_rtu, TIMEOUT, Duration::ZERO);
    let (right, silent, wrong) = poll(&mut link, polls, &asked).await;
    assert_eq!(wrong, 0, "{wrong} of {polls} values were answers to another question");
    assert!(right > polls / 2 && silent > polls / 20, "{right} answered, {silent} late");
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_over_rtu_is_never_taken_for_another() {
    in_memory(true, 50_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_over_tcp_is_never_taken_for_another() {
    in_memory(false, 50_000).await;
}

#[tokio::test]
async fn a_late_answer_over_a_real_socket_is_never_taken_for_another() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(0));
    let counter = asked.clone();
    tokio::spawn(async move {
        let mut seed = 100;
        while let Ok((stream, _)) = listener.accept().await {
            seed += 1;
            tokio::spawn(slave(stream, false, counter.clone(), seed, 0.03));
        }
    });
    let mut link = Link::along(&Road::Tcp(address), TIMEOUT, &Workarounds::default(), &Dtus::default());
    let (right, _, wrong) = poll(&mut link, 1_000, &asked).await;
    assert_eq!(wrong, 0);
    assert!(right > 900, "{right}");
}

#[tokio::test]
async fn a_late_answer_over_a_pty_is_never_taken_for_another() {
    let Ok((far, near)) = tokio_serial::SerialStream::pair() else {
        println!("SKIPPED: this machine has no pseudo-terminals");
        return;
    };
    let asked = Arc::new(Mutex::new(0));
    tokio::spawn(slave(far, true, asked.clone(), 7, 0.03));
    let mut near = Some(near);
    let opener: Opener = Box::new(move || {
        let stream = near.take();
        Box::pin(async move {
            let stream = stream.ok_or_else(|| io::Error::other("the pty is closed"))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    });
    let mut link = Link::over(opener, true, TIMEOUT, Duration::from_millis(2));
    let (right, _, wrong) = poll(&mut link, 1_000, &asked).await;
    assert_eq!(wrong, 0);
    assert!(right > 900, "{right}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_the_wrong_length_is_no_answer() {
    let opener: Opener = Box::new(|| {
        let (near, mut far) = tokio::io::duplex(1024);
        tokio::spawn(async move {
            let mut question = [0_u8; 8];
            while far.read_exact(&mut question).await.is_ok() {
                let mut frame = vec![1, 3, 2, 0, 42];
                let crc = crc16(&frame);
                frame.extend_from_slice(&crc.to_le_bytes());
                let _ = far.write_all(&frame).await;
            }
        });
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    });
    let mut link = Link::over(opener, true, TIMEOUT, Duration::ZERO);
    assert_eq!(link.read(1, BLOCK).await, Err(Failure::Wrong("1 registers where 2 were asked for".to_owned())));
}

#[tokio::test]
async fn a_missing_port_and_a_refused_connection_say_so_and_are_tried_again() {
    let serial = Road::Serial {
        path: "/dev/there-is-no-such-port".to_owned(),
        baud: 9600,
        parity: tokio_serial::Parity::None,
        stop_bits: tokio_serial::StopBits::One,
    };
    for road in [serial, Road::Tcp("127.0.0.1:1".to_owned())] {
        let mut link = Link::along(&road, TIMEOUT, &Workarounds::default(), &Dtus::default());
        for _ in 0..2 {
            assert!(matches!(link.read(1, BLOCK).await, Err(Failure::NoLine(_))), "{road}");
        }
    }
}
