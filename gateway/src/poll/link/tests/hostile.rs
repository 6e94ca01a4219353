//! A slave that does everything a bad line and a bad device can do, at random but by a seed: of what it says,
//! nothing wrong is believed.

use super::*;

/// What comes instead of a plain answer.
#[derive(Debug, Clone, Copy)]
enum Malice {
    None,
    Late,
    Doubled,
    Truncated,
    Trailed,
    Halved,
    ForeignUnit,
    Broadcast,
    WrongFunction,
    WrongLength,
    WrongTransaction,
    Garbage,
    Flipped,
    Silent,
    Exception,
    /// A frame of another unit, a broadcast write or another master's question in one piece with the answer.
    Merged,
    /// The answer with something of others behind it.
    MergedBehind,
    /// A broadcast that writes registers, and no answer.
    BroadcastWrite,
    /// Another master's question to the same unit, with a check that is right, and no answer.
    OtherMaster,
    /// The question itself, then the answer.
    Echoed,
    /// Noise, a pause, the answer.
    NoiseBefore,
    /// Of the unit and function asked, check and frame right, and the count of bytes a lie.
    LyingCount,
}

const ALL: [Malice; 21] = [
    Malice::Late,
    Malice::Doubled,
    Malice::Truncated,
    Malice::Trailed,
    Malice::Halved,
    Malice::ForeignUnit,
    Malice::Broadcast,
    Malice::WrongFunction,
    Malice::WrongLength,
    Malice::WrongTransaction,
    Malice::Garbage,
    Malice::Flipped,
    Malice::Silent,
    Malice::Exception,
    Malice::Merged,
    Malice::MergedBehind,
    Malice::BroadcastWrite,
    Malice::OtherMaster,
    Malice::Echoed,
    Malice::NoiseBefore,
    Malice::LyingCount,
];

/// A frame with its check or its header.
fn framed(is_rtu: bool, question: &[u8], unit: u8, transaction: u16, body: &[u8]) -> Vec<u8> {
    if is_rtu {
        let mut frame = vec![unit];
        frame.extend(body);
        frame.extend(crc16(&frame).to_le_bytes());
        frame
    } else {
        let number = u16::from_be_bytes([question[0], question[1]]).wrapping_add(transaction);
        let mut frame = number.to_be_bytes().to_vec();
        frame.extend([0, 0]);
        frame.extend((body.len() as u16 + 1).to_be_bytes());
        frame.push(unit);
        frame.extend(body);
        frame
    }
}

/// What others say on the line.
fn strangers(is_rtu: bool, question: &[u8], unit: u8, wrong: [u8; 4]) -> Vec<u8> {
    let [p, q, r, s] = wrong;
    match p % 3 {
        0 => framed(is_rtu, question, unit + 1, 7, &[3, 4, p, q, r, s]),
        1 => framed(is_rtu, question, 0, 7, &[16, 0, 7, 0, 2, 4, p, q, r, s]),
        _ => framed(is_rtu, question, unit + 2, 7, &[4, 0, q, 0, 2]),
    }
}

pub(super) async fn slave(mut stream: impl Stream, is_rtu: bool, asked: Arc<Mutex<u32>>, seed: u64, share: f64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut question = [0_u8; 12];
    let length = if is_rtu { 8 } else { 12 };
    while stream.read_exact(&mut question[..length]).await.is_ok() {
        let number = {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            *asked
        };
        let malice = if random.random_bool(share) { ALL[random.random_range(0..ALL.len())] } else { Malice::None };
        let unit = question[if is_rtu { 0 } else { 6 }];
        let [a, b, c, d] = number.to_be_bytes();
        // As many registers as were asked for, the first two the number of the question.
        let bytes = question[length - if is_rtu { 3 } else { 1 }] * 2;
        let mut body = vec![3, bytes, a, b, c, d];
        body.resize(2 + usize::from(bytes), 0);
        let right = framed(is_rtu, &question, unit, 0, &body);
        let wrong = random.random::<u32>().to_be_bytes();
        let [p, q, r, s] = wrong;
        let bytes = match malice {
            Malice::None | Malice::Late | Malice::Halved | Malice::NoiseBefore => right.clone(),
            Malice::Merged => [strangers(is_rtu, &question, unit, wrong), right.clone()].concat(),
            Malice::MergedBehind => [right.clone(), strangers(is_rtu, &question, unit, wrong)].concat(),
            Malice::BroadcastWrite => framed(is_rtu, &question, 0, 0, &[16, 0, 7, 0, 2, 4, p, q, r, s]),
            Malice::OtherMaster => framed(is_rtu, &question, unit, 0, &[3, 0, 9, 0, 2]),
            Malice::Echoed => [&question[..length], &right].concat(),
            Malice::LyingCount => framed(is_rtu, &question, unit, 0, &[3, 4, p, q, r, s, p, q]),
            Malice::Silent => continue,
            Malice::Doubled => [right.clone(), right.clone()].concat(),
            Malice::Truncated => right[..random.random_range(1..right.len())].to_vec(),
            Malice::Trailed => [right.clone(), wrong.to_vec()].concat(),
            Malice::ForeignUnit => framed(is_rtu, &question, unit + 1, 0, &[3, 4, p, q, r, s]),
            Malice::Broadcast => framed(is_rtu, &question, 0, 0, &[3, 4, p, q, r, s]),
            Malice::WrongFunction => framed(is_rtu, &question, unit, 0, &[4, 4, p, q, r, s]),
            Malice::WrongLength => framed(is_rtu, &question, unit, 0, &[3, 2, p, q]),
            Malice::WrongTransaction if !is_rtu => framed(is_rtu, &question, unit, 1, &[3, 4, p, q, r, s]),
            Malice::Exception => framed(is_rtu, &question, unit, 0, &[0x83, 6]),
            Malice::Garbage | Malice::WrongTransaction => (0..random.random_range(1..40)).map(|_| random.random()).collect(),
            Malice::Flipped if is_rtu => {
                let mut bytes = right.clone();
                bytes[random.random_range(0..right.len())] ^= 1 << random.random_range(0..8);
                bytes
            }
            // A stream over TCP has its own checks: what arrives is what was sent.
            Malice::Flipped => right.clone(),
        };
        match malice {
            Malice::Late => {
                let timeouts = random.random_range(0.5..3.0);
                tokio::time::sleep(TIMEOUT.mul_f64(timeouts)).await;
            }
            Malice::NoiseBefore => {
                let noise: Vec<u8> = (0..random.random_range(1..20)).map(|_| random.random()).collect();
                if stream.write_all(&noise).await.is_err() {
                    return;
                }
                tokio::time::sleep(TIMEOUT.mul_f64(random.random_range(0.0..0.4))).await;
            }
            Malice::Halved => {
                if stream.write_all(&bytes[..4]).await.is_err() {
                    return;
                }
                tokio::time::sleep(TIMEOUT / 20).await;
                if stream.write_all(&bytes[4..]).await.is_err() {
                    return;
                }
                continue;
            }
            _ => {}
        }
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Polls; a value is right only when it is the number of the newest question.
async fn hold_out(link: &mut Link, polls: u32, asked: &Mutex<u32>) -> u32 {
    let mut right = 0;
    for poll in 0..polls {
        if let Ok(words) = link.read(1, BLOCK).await {
            let number = u32::from(words[0]) << 16 | u32::from(words[1]);
            assert_eq!(number, *asked.lock().unwrap(), "a wrong value was believed at poll {poll}");
            right += 1;
        }
    }
    right
}

async fn in_memory(is_rtu: bool, polls: u32) {
    let asked = Arc::new(Mutex::new(0));
    let counter = asked.clone();
    let mut seed = 40;
    let opener: Opener = Box::new(move || {
        let (near, far) = tokio::io::duplex(1024);
        seed += 1;
        tokio::spawn(slave(far, is_rtu, counter.clone(), seed, 0.3));
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    });
    let mut link = Link::over(opener, is_rtu, TIMEOUT, Duration::ZERO);
    let right = hold_out(&mut link, polls, &asked).await;
    assert!(right > polls / 2, "only {right} of {polls} were answered");
    println!("{polls} polls of a hostile slave over {}: {right} right, none wrong", if is_rtu { "RTU" } else { "TCP" });
}

#[tokio::test(start_paused = true)]
async fn half_a_million_polls_over_rtu_believe_nothing_wrong() {
    in_memory(true, 500_000).await;
}

#[tokio::test(start_paused = true)]
async fn half_a_million_polls_over_tcp_believe_nothing_wrong() {
    in_memory(false, 500_000).await;
}

#[tokio::test]
async fn a_hostile_slave_on_a_real_socket_is_not_believed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(0));
    let counter = asked.clone();
    tokio::spawn(async move {
        let mut seed = 200;
        while let Ok((stream, _)) = listener.accept().await {
            seed += 1;
            tokio::spawn(slave(stream, false, counter.clone(), seed, 0.05));
        }
    });
    let mut link = Link::along(&Road::Tcp(address), TIMEOUT, &Workarounds::default(), &Dtus::default());
    let right = hold_out(&mut link, 2_500, &asked).await;
    assert!(right > 2_000, "{right}");
}

#[tokio::test]
async fn a_hostile_slave_on_a_pty_is_not_believed() {
    let Ok((far, near)) = tokio_serial::SerialStream::pair() else {
        println!("SKIPPED: this machine has no pseudo-terminals");
        return;
    };
    let asked = Arc::new(Mutex::new(0));
    tokio::spawn(slave(far, true, asked.clone(), 9, 0.05));
    let mut near = Some(near);
    let opener: Opener = Box::new(move || {
        let stream = near.take();
        Box::pin(async move {
            let stream = stream.ok_or_else(|| io::Error::other("the pty is closed"))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    });
    let mut link = Link::over(opener, true, TIMEOUT, Duration::from_millis(2));
    let right = hold_out(&mut link, 2_500, &asked).await;
    assert!(right > 2_000, "{right}");
}
