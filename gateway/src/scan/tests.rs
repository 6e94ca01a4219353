#![allow(clippy::unwrap_used, reason = "a test may stop here")]
//! Scans of slaves that serve the images of the shipped profiles' vectors, over a line in memory.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::device::Vector;
use crate::poll::link::{Opener, Stream};

const TIMEOUT: Duration = Duration::from_secs(1);

/// What a unit holds by function and address, how long it thinks, and what it says of itself.
#[derive(Default, Clone)]
struct Slave {
    words: BTreeMap<(u8, u16), u16>,
    thinks: Duration,
    calls_itself: Option<&'static str>,
    is_deaf_to: Option<u8>,
    is_doubled: bool,
}

impl Slave {
    /// The image of a vector.
    fn of(vector: &Vector) -> Slave {
        let mut words = BTreeMap::new();
        for (functions, image) in [(&[3, 4][..], &vector.words), (&[1], &vector.coils), (&[2], &vector.inputs)] {
            for (address, values) in image {
                let first = address.strip_prefix("0x").map_or_else(|| address.parse(), |hex| u16::from_str_radix(hex, 16)).unwrap();
                for (place, value) in values.iter().enumerate() {
                    for function in functions {
                        words.insert((*function, first + place as u16), *value);
                    }
                }
            }
        }
        Slave { words, thinks: Duration::from_millis(10), ..Slave::default() }
    }

    fn answer(&self, question: &[u8]) -> Vec<u8> {
        let (unit, function) = (question[0], question[1]);
        let body = match (function, self.calls_itself) {
            (0x2B, Some(name)) => {
                let mut body = vec![0x2B, 0x0E, 1, 1, 0, 0, 1, 0, name.len() as u8];
                body.extend(name.bytes());
                body
            }
            (1..=4, _) => {
                let first = u16::from_be_bytes([question[2], question[3]]);
                let count = u16::from_be_bytes([question[4], question[5]]);
                let found: Option<Vec<u16>> =
                    (0..count).map(|place| self.words.get(&(function, first.wrapping_add(place))).copied()).collect();
                match found {
                    None => vec![function | 0x80, 2],
                    Some(bits) if function <= 2 => {
                        let bytes = bits.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | *bit as u8));
                        let bytes: Vec<u8> = bytes.collect();
                        [vec![function, bytes.len() as u8], bytes].concat()
                    }
                    Some(words) => {
                        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
                        [vec![function, bytes.len() as u8], bytes].concat()
                    }
                }
            }
            _ => vec![function | 0x80, 1],
        };
        let mut frame = vec![unit];
        frame.extend(body);
        frame.extend(crc16(&frame).to_le_bytes());
        frame
    }
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc: u16, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}

/// A bus with these slaves.
fn bus(slaves: BTreeMap<u8, Slave>) -> Link {
    let opener: Opener = Box::new(move || {
        let (near, mut far) = tokio::io::duplex(4096);
        let slaves = slaves.clone();
        tokio::spawn(async move {
            let mut question = [0; 8];
            loop {
                if far.read_exact(&mut question[..2]).await.is_err() {
                    return;
                }
                let length = if question[1] == 0x2B { 8 - 1 } else { 8 };
                if far.read_exact(&mut question[2..length]).await.is_err() {
                    return;
                }
                assert!(matches!(question[1], 1..=4 | 0x2B), "function {} was asked", question[1]);
                let Some(slave) = slaves.get(&question[0]).filter(|slave| slave.is_deaf_to != Some(question[1])) else { continue };
                tokio::time::sleep(slave.thinks).await;
                let mut answer = slave.answer(&question);
                if slave.is_doubled {
                    // Two devices talk at once: what is heard is neither.
                    answer.iter_mut().skip(2).for_each(|byte| *byte &= 0x5A);
                    answer.push(0xA5);
                }
                if far.write_all(&answer).await.is_err() {
                    return;
                }
            }
        });
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    });
    Link::over(opener, true, TIMEOUT, Duration::ZERO)
}

fn vector(profile: &str, place: usize) -> Vector {
    Profile::find(profile, Path::new(".")).unwrap().vectors[place].clone()
}

#[tokio::test(start_paused = true)]
async fn every_unit_of_a_bus_is_found_and_nobody_else() {
    let ids = [1, 2, 17, 31, 100, 246, 247];
    let slaves = ids.iter().map(|unit| (*unit, Slave::of(&vector("honeywell-xnx", 0)))).collect();
    let mut asked = Vec::new();
    let found = scan(&mut bus(slaves), 1..=247, |progress| asked.push(progress)).await.unwrap();
    assert_eq!(found.iter().map(|found| found.unit).collect::<Vec<_>>(), ids);
    assert!(found.iter().all(|found| !found.is_contested));
    let sought = asked.iter().filter(|progress| progress.stage == Stage::Seeking).map(|progress| progress.unit);
    assert!(sought.eq(1..=247) && asked.last().is_some_and(|last| last.stage == Stage::Guessing));
}

#[tokio::test(start_paused = true)]
async fn every_shipped_profile_is_guessed_from_the_image_of_its_vectors() {
    for name in Profile::shipped_names().filter(|name| *name != "davy-node") {
        let profile = Profile::find(name, Path::new(".")).unwrap();
        let mut ranks = Vec::new();
        for vector in &profile.vectors {
            let found = scan(&mut bus([(5, Slave::of(vector))].into()), 5..=5, |_| {}).await.unwrap();
            let rank = found[0].guesses.iter().position(|guess| guess.profile == name);
            println!("{name}, {:?}: {}", vector.name, found[0]);
            ranks.push((rank, rank.map(|rank| found[0].guesses[rank].sure_percent)));
        }
        // Some images are of a device without a value, or of another device: nobody could know it by them.
        let best = ranks.iter().flat_map(|(rank, _)| *rank).min();
        assert!(best.is_some_and(|best| best <= 1), "{name}: {ranks:?}");
        if !profile.identities.is_empty() {
            assert!(ranks.iter().any(|(rank, sure)| *rank == Some(0) && *sure >= Some(90)), "{name}: {ranks:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn our_own_node_is_known_by_its_identity_block() {
    let mut block = [0; register_map::IDENTITY_WORDS];
    block[..6].copy_from_slice(&[register_map::MAGIC, register_map::VERSION, 0x0123, 0x4567, 0x89AB, 0xCDEF]);
    let last = block.len() - 1;
    block[last] = register_map::check_word(register_map::IDENTITY, &block[..last]);
    let words = block.iter().enumerate().map(|(place, word)| ((3, register_map::IDENTITY + place as u16), *word)).collect();
    let found = scan(&mut bus([(9, Slave { words, ..Slave::default() })].into()), 1..=20, |_| {}).await.unwrap();
    assert_eq!(found[0].guesses[0], Guess { profile: "davy-node".to_owned(), sure_percent: 99 });
    assert_eq!(found[0].serial.as_deref(), Some("0123456789ABCDEF"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_unit_and_one_that_only_knows_function_4_are_found_too() {
    let quick = Slave::of(&vector("honeywell-xnx", 0));
    let slow = Slave { thinks: Duration::from_millis(700), ..quick.clone() };
    let deaf = Slave { is_deaf_to: Some(3), ..Slave::of(&vector("senseair-s8", 0)) };
    let found = scan(&mut bus([(3, quick), (4, slow), (9, deaf)].into()), 1..=30, |_| {}).await.unwrap();
    assert_eq!(found.iter().map(|found| found.unit).collect::<Vec<_>>(), [3, 4, 9]);
}

/// The same slaves behind Modbus TCP, by a server that says nothing for other units and hangs up on those above 7.
fn tcp_bus(slaves: BTreeMap<u8, Slave>) -> Link {
    let opener: Opener = Box::new(move || {
        let (near, mut far) = tokio::io::duplex(4096);
        let slaves = slaves.clone();
        tokio::spawn(async move {
            let mut asked = [0; 12];
            while far.read_exact(&mut asked).await.is_ok() {
                let Some(slave) = slaves.get(&asked[6]) else {
                    if asked[6] > 7 {
                        return;
                    }
                    continue;
                };
                tokio::time::sleep(slave.thinks).await;
                let mut frame = slave.answer(&asked[6..]);
                frame.truncate(frame.len() - 2);
                let answer = [&asked[..4], &(frame.len() as u16).to_be_bytes(), &frame].concat();
                if far.write_all(&answer).await.is_err() {
                    return;
                }
            }
        });
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    });
    Link::over(opener, false, TIMEOUT, Duration::ZERO)
}

#[tokio::test(start_paused = true)]
async fn a_slow_unit_behind_modbus_tcp_is_found_although_no_late_answer_is_heard() {
    let quick = Slave::of(&vector("honeywell-xnx", 0));
    let slow = Slave { thinks: Duration::from_millis(700), ..quick.clone() };
    let found = scan(&mut tcp_bus([(3, quick), (4, slow)].into()), 1..=10, |_| {}).await.unwrap();
    assert_eq!(found.iter().map(|found| found.unit).collect::<Vec<_>>(), [3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_only_refuses_is_somebody_and_says_who_it_is() {
    let slave = Slave { calls_itself: Some("Acme H2S-4"), ..Slave::default() };
    let found = scan(&mut bus([(7, slave)].into()), 1..=10, |_| {}).await.unwrap();
    assert_eq!(found[0].identification, [(0, "Acme H2S-4".to_owned())]);
    assert_eq!(found[0].to_string(), "unit 7: no profile fits, says of itself: Acme H2S-4");
}

#[tokio::test(start_paused = true)]
async fn two_devices_with_one_id_are_told_of() {
    let alone = Slave::of(&vector("honeywell-xnx", 0));
    let two = Slave { is_doubled: true, ..alone.clone() };
    let found = scan(&mut bus([(3, alone), (4, two)].into()), 1..=10, |_| {}).await.unwrap();
    assert_eq!(found.iter().map(|found| (found.unit, found.is_contested)).collect::<Vec<_>>(), [(3, false), (4, true)]);
    assert!(found[1].to_string().ends_with("Two devices answer to unit 4?"), "{}", found[1]);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_says_nobody_is_there_is_believed() {
    let opener: Opener = Box::new(|| {
        let (near, mut far) = tokio::io::duplex(4096);
        tokio::spawn(async move {
            let mut question = [0; 12];
            while far.read_exact(&mut question).await.is_ok() {
                let code = if question[6] == 2 { 2 } else { 0x0B };
                let _ = far.write_all(&[question[0], question[1], 0, 0, 0, 3, question[6], question[7] | 0x80, code]).await;
            }
        });
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    });
    let found = scan(&mut Link::over(opener, false, TIMEOUT, Duration::ZERO), 1..=20, |_| {}).await.unwrap();
    assert_eq!(found.iter().map(|found| found.unit).collect::<Vec<_>>(), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_cannot_be_opened_is_the_answer() {
    let opener: Opener = Box::new(|| Box::pin(async { Err(std::io::Error::other("no such port")) }));
    let mut link = Link::over(opener, true, TIMEOUT, Duration::ZERO);
    assert_eq!(scan(&mut link, 1..=247, |_| {}).await, Err(Failure::NoLine("no such port".to_owned())));
}
