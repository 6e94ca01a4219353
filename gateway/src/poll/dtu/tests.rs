#![allow(clippy::unwrap_used, reason = "a test may stop here")]
//! DTUs over real sockets: a modem is a TCP client, the slaves behind it answer RTU frames.

use tokio::io::AsyncWriteExt;

use super::*;
use crate::device::Block;
use crate::poll::link::{Failure, Link, Road};
use crate::site::Workarounds;

const BLOCK: Block = Block { function: 3, address: 0, count: 1 };
const TIMEOUT: Duration = Duration::from_millis(400);

async fn hall(known: &[&[u8]], heartbeat: &[u8]) -> (Dtus, CancellationToken) {
    let shutdown = CancellationToken::new();
    let listener = DtuListener { listen: "127.0.0.1:0".parse().unwrap(), heartbeat: heartbeat.to_vec() };
    let known = known.iter().map(|id| id.to_vec()).collect();
    (Dtus::listen(listener, known, shutdown.clone()).await.unwrap(), shutdown)
}

async fn dial(dtus: &Dtus) -> TcpStream {
    TcpStream::connect(dtus.address().unwrap()).await.unwrap()
}

fn link(dtus: &Dtus, registration: &[u8]) -> Link {
    Link::along(&Road::Dtu { registration: registration.to_vec() }, TIMEOUT, &Workarounds::default(), dtus)
}

/// An answer whose first register is the unit's number times a factor.
fn answer(unit: u8, count: u8, factor: u16) -> Vec<u8> {
    let [high, low] = (u16::from(unit) * factor).to_be_bytes();
    let mut frame = vec![unit, 3, count * 2, high, low];
    frame.resize(3 + usize::from(count) * 2, 0);
    let crc = frame.iter().fold(0xFFFF_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    });
    frame.extend(crc.to_le_bytes());
    frame
}

/// The slaves behind a modem: every unit answers, with these bytes around each answer.
async fn slaves(mut stream: TcpStream, factor: u16, before: &'static [u8], behind: &'static [u8]) {
    let mut question = [0_u8; 8];
    while stream.read_exact(&mut question).await.is_ok() {
        let bytes = [before, &answer(question[0], question[5], factor), behind].concat();
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Reads until the modem that was just dialled is there.
async fn read_soon(link: &mut Link, unit: u8) -> Result<Vec<u16>, Failure> {
    for _ in 0..500 {
        match link.read(unit, BLOCK).await {
            Err(Failure::NoLine(_) | Failure::Wrong(_) | Failure::NoAnswer(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            done => return done,
        }
    }
    link.read(unit, BLOCK).await
}

#[tokio::test]
async fn a_dtu_that_has_not_dialled_in_is_told_by_its_registration() {
    let (dtus, _shutdown) = hall(&[b"SITE7"], b"").await;
    for dtus in [dtus, Dtus::default()] {
        let failed = link(&dtus, b"SITE7").read(1, BLOCK).await.unwrap_err();
        assert_eq!(failed, Failure::NoLine("the DTU \"SITE7\" has not dialled in".to_owned()));
    }
}

#[tokio::test]
async fn several_devices_share_the_connection_of_a_dtu_whose_registration_comes_in_pieces() {
    let (dtus, _shutdown) = hall(&[b"SITE7", b"SITE8"], b"").await;
    let mut modem = dial(&dtus).await;
    assert!(!dtus.has_dialled(b"SITE8"));
    for piece in [&b"SI"[..], b"TE", b"8"] {
        modem.write_all(piece).await.unwrap();
        modem.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::spawn(slaves(modem, 10, b"", b""));
    let mut link = link(&dtus, b"SITE8");
    for unit in [1, 2, 3, 1] {
        assert_eq!(read_soon(&mut link, unit).await, Ok(vec![u16::from(unit) * 10]));
    }
    assert!(dtus.has_dialled(b"SITE8") && !dtus.has_dialled(b"SITE7"));
}

#[tokio::test]
async fn heartbeats_stand_anywhere_between_frames_and_a_registration_may_be_repeated() {
    let (dtus, _shutdown) = hall(&[b"SITE7"], b"ping").await;
    let mut modem = dial(&dtus).await;
    modem.write_all(b"pingSITE7pi").await.unwrap();
    tokio::spawn(async move {
        modem.write_all(b"ng").await.unwrap();
        slaves(modem, 10, b"pingSITE7", b"ping").await;
    });
    let mut link = link(&dtus, b"SITE7");
    for unit in [1, 2, 3, 4, 5] {
        assert_eq!(read_soon(&mut link, unit).await, Ok(vec![u16::from(unit) * 10]));
    }
    let counted = link.counters().snapshot();
    assert_eq!((counted.garbled, counted.unasked_bytes), (0, 0), "{counted:?}");
}

#[tokio::test]
async fn a_heartbeat_that_begins_like_a_unit_is_told_from_its_answers() {
    for heartbeat in [&b"ping"[..], b"p"] {
        let (dtus, _shutdown) = hall(&[b"SITE7"], heartbeat).await;
        let mut modem = dial(&dtus).await;
        modem.write_all(b"SITE7").await.unwrap();
        let before: &'static [u8] = if heartbeat.len() == 1 { b"p" } else { b"pingping" };
        tokio::spawn(slaves(modem, 10, before, b""));
        let mut link = link(&dtus, b"SITE7");
        for _ in 0..5 {
            assert_eq!(read_soon(&mut link, b'p').await, Ok(vec![u16::from(b'p') * 10]));
        }
        assert_eq!(link.counters().snapshot().garbled, 0);
    }
}

#[tokio::test]
async fn bytes_of_a_heartbeat_within_an_answer_are_data() {
    // The heartbeat is the two data bytes of every answer of unit 5.
    let (dtus, _shutdown) = hall(&[b"SITE7"], &[0x00, 0x32]).await;
    let mut modem = dial(&dtus).await;
    modem.write_all(b"SITE7").await.unwrap();
    tokio::spawn(slaves(modem, 10, &[0x00, 0x32], b""));
    let mut link = link(&dtus, b"SITE7");
    for _ in 0..5 {
        assert_eq!(read_soon(&mut link, 5).await, Ok(vec![50]));
    }
}

#[tokio::test]
async fn a_second_connection_takes_the_place_of_the_first() {
    let (dtus, _shutdown) = hall(&[b"SITE7"], b"").await;
    let mut half_open = dial(&dtus).await;
    half_open.write_all(b"SITE7").await.unwrap();
    let mut link = link(&dtus, b"SITE7");
    // The first says nothing at all.
    while matches!(link.read(1, BLOCK).await, Err(Failure::NoLine(_))) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut modem = dial(&dtus).await;
    modem.write_all(b"SITE7").await.unwrap();
    tokio::spawn(slaves(modem, 20, b"", b""));
    assert_eq!(read_soon(&mut link, 1).await, Ok(vec![20]));
    assert_eq!(read_soon(&mut link, 2).await, Ok(vec![40]));
    let mut end = [0_u8; 64];
    while half_open.read(&mut end).await.is_ok_and(|bytes| bytes > 0) {}
}

#[tokio::test]
async fn unknown_and_overlong_visitors_are_sent_away() {
    let (dtus, _shutdown) = hall(&[b"SITE7"], b"ping").await;
    let endless = b"ping".repeat(100);
    for visitor in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"SITE9", &[0; 64], &endless] {
        let mut stream = dial(&dtus).await;
        let _ = stream.write_all(visitor).await;
        let ended = timeout(Duration::from_secs(5), stream.read(&mut [0; 8])).await.unwrap();
        assert!(matches!(ended, Ok(0) | Err(_)), "{visitor:?}");
    }
}

async fn dial_from(dtus: &Dtus, host: &str) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(format!("{host}:0").parse().unwrap()).unwrap();
    socket.connect(dtus.address().unwrap()).await.unwrap()
}

#[tokio::test]
async fn one_address_may_hold_half_of_the_64_seats_and_the_others_are_sent_away_at_once() {
    let (dtus, _shutdown) = hall(&[b"SITE7"], b"").await;
    let (sent_away, mut those) = tokio::sync::mpsc::channel(200);
    for (host, dialled) in [("127.0.0.1", 40), ("127.0.0.2", 40), ("127.0.0.3", 4)] {
        for _ in 0..dialled {
            let mut stream = dial_from(&dtus, host).await;
            let sent_away = sent_away.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 8]).await;
                let _ = sent_away.send(host).await;
            });
        }
    }
    let began = now();
    let mut counts = HashMap::new();
    for _ in 0..20 {
        *counts.entry(timeout(PATIENCE, those.recv()).await.unwrap().unwrap()).or_insert(0) += 1;
    }
    assert_eq!(counts, HashMap::from([("127.0.0.1", 8), ("127.0.0.2", 8), ("127.0.0.3", 4)]));
    assert!(now() - began < PATIENCE && those.try_recv().is_err());
}

#[tokio::test]
async fn two_modems_with_one_registration_are_both_kept_out_and_that_is_told() {
    let (dtus, _shutdown) = hall(&[b"SITE7"], b"").await;
    let mut link = link(&dtus, b"SITE7");
    for factor in [10, 20, 10] {
        let mut modem = dial(&dtus).await;
        modem.write_all(b"SITE7").await.unwrap();
        tokio::spawn(slaves(modem, factor, b"", b""));
        while read_soon(&mut link, 1).await != Ok(vec![factor]) {}
    }
    let mut modem = dial(&dtus).await;
    modem.write_all(b"SITE7").await.unwrap();
    assert!(matches!(timeout(PATIENCE, modem.read(&mut [0; 8])).await.unwrap(), Ok(0) | Err(_)));
    // The line that was there says that it is replaced, and no other is had.
    while !matches!(link.read(1, BLOCK).await, Err(Failure::NoLine(_))) {}
    let Err(Failure::NoLine(why)) = link.read(1, BLOCK).await else { panic!("a line of one of two") };
    assert_eq!(why, two_call_themselves("SITE7"));
}

#[tokio::test]
async fn a_modem_that_hangs_up_after_each_answer_and_dials_again_has_no_rival() {
    let (dtus, _shutdown) = hall(&[b"SITE7"], b"").await;
    let mut link = link(&dtus, b"SITE7");
    for factor in 1..=6 {
        let mut modem = dial(&dtus).await;
        modem.write_all(b"SITE7").await.unwrap();
        let answers = tokio::spawn(async move {
            let mut question = [0; 8];
            modem.read_exact(&mut question).await.unwrap();
            modem.write_all(&answer(question[0], question[5], factor)).await.unwrap();
        });
        // The bus is not asked before the modem is back.
        let is_back = || dtus.0.as_ref().unwrap().lines().values().any(|place| place.present.as_ref().is_some_and(|it| it.line.is_some()));
        let comes_back = async {
            while !is_back() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, comes_back).await.unwrap();
        assert_eq!(read_soon(&mut link, 1).await, Ok(vec![factor]));
        answers.await.unwrap();
    }
}

#[tokio::test]
async fn a_port_that_cannot_be_had_is_told_by_every_line() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap();
    let (hall, shutdown) = (Hall::new(Vec::new(), vec![b"SITE7".to_vec()]), CancellationToken::new());
    let dtus = Dtus(Some(hall.clone()));
    let serving = tokio::spawn(hall.clone().serve_when_possible(listen, shutdown.clone()));
    while hall.why_shut().is_none() {
        tokio::task::yield_now().await;
    }
    let Err(Failure::NoLine(why)) = link(&dtus, b"SITE7").read(1, BLOCK).await else { panic!("a line through a port of others") };
    assert!(why.starts_with(&format!("cannot listen for DTUs on {listen}: ")), "{why}");
    shutdown.cancel();
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_visitor_is_sent_away_after_ten_seconds() {
    let (dtus, _shutdown) = hall(&[b"SITE7"], b"").await;
    let began = now();
    let mut stream = dial(&dtus).await;
    assert!(matches!(stream.read(&mut [0; 8]).await, Ok(0) | Err(_)));
    assert!((PATIENCE..PATIENCE * 2).contains(&(now() - began)));
}

#[test]
fn a_source_is_told_of_once_a_minute_and_only_so_many_are_remembered() {
    let (mut told, began) = (Told::default(), now());
    let source = |number: u32| IpAddr::from(number.to_be_bytes());
    assert!(told.is_news(source(1), began));
    assert!(!told.is_news(source(1), began + Duration::from_secs(59)));
    assert!(told.is_news(source(1), began + Duration::from_secs(61)));
    let later = began + Duration::from_secs(200);
    let news = (0..10_000).filter(|number| told.is_news(source(*number), later)).count();
    assert_eq!((news, told.0.len()), (MOST_SOURCES, MOST_SOURCES));
}

#[tokio::test]
async fn the_shutdown_ends_listening_and_hangs_up() {
    let (dtus, shutdown) = hall(&[b"SITE7"], b"").await;
    let mut modem = dial(&dtus).await;
    modem.write_all(b"SITE7").await.unwrap();
    let mut waiting = dial(&dtus).await;
    shutdown.cancel();
    for stream in [&mut modem, &mut waiting] {
        let ended = timeout(Duration::from_secs(5), stream.read(&mut [0; 8])).await.unwrap();
        assert!(matches!(ended, Ok(0) | Err(_)));
    }
}
