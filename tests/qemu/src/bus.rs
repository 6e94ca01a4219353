//! A Modbus RTU master, small enough to be believed.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use firmware::modbus::crc16;

use crate::Chance;

/// The master's end of a field bus.
pub struct Bus {
    line: UnixStream,
    chance: Chance,
    /// Chance that a byte in either direction is changed, thousandths.
    pub garbled: u64,
    /// How long an answer may take.
    pub deadline: Duration,
}

/// Why a request yielded no words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody answered in time, or not in whole.
    Silence,
    /// The answer's CRC or form is wrong.
    Garbled,
    /// The node said no.
    Exception(u8),
}

impl Bus {
    pub fn new(line: UnixStream, seed: u64) -> Bus {
        line.set_read_timeout(Some(Duration::from_millis(2))).expect("a timeout");
        Bus { line, chance: Chance::new(seed), garbled: 0, deadline: Duration::from_secs(2) }
    }

    /// Reads registers with function 3.
    pub fn read(&mut self, unit: u8, address: u16, count: u16) -> Result<Vec<u16>, Refusal> {
        let mut request = vec![unit, 3];
        request.extend(address.to_be_bytes());
        request.extend(count.to_be_bytes());
        let body = self.ask(&request)?;
        let [answered, 3, bytes, data @ ..] = &body[..] else { return Err(Refusal::Garbled) };
        if *answered != unit || usize::from(*bytes) != data.len() || data.len() != usize::from(count) * 2 {
            return Err(Refusal::Garbled);
        }
        Ok(data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
    }

    /// Writes registers with function 16.
    pub fn write(&mut self, unit: u8, address: u16, words: &[u16]) -> Result<(), Refusal> {
        let mut request = vec![unit, 16];
        request.extend(address.to_be_bytes());
        request.extend((words.len() as u16).to_be_bytes());
        request.push(words.len() as u8 * 2);
        request.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        let body = self.ask(&request)?;
        if body == request[..6] { Ok(()) } else { Err(Refusal::Garbled) }
    }

    /// Reads until somebody answers: a board may still be starting, a host may be busy.
    pub fn read_surely(&mut self, unit: u8, address: u16, count: u16) -> Vec<u16> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match self.read(unit, address, count) {
                Ok(words) => return words,
                Err(refusal) => assert!(Instant::now() < deadline, "register {address}: {refusal:?}"),
            }
        }
    }

    /// Sends a body with its CRC, and gives the body of the answer.
    pub fn ask(&mut self, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        let mut request = body.to_vec();
        request.extend(crc16(body).to_le_bytes());
        self.ask_raw(&request)
    }

    /// Sends bytes as they are.
    pub fn ask_raw(&mut self, request: &[u8]) -> Result<Vec<u8>, Refusal> {
        let mut chunk = [0; 512];
        // What came too late for the question before must not answer this one.
        while matches!(self.line.read(&mut chunk), Ok(1..)) {}
        let mut request = request.to_vec();
        self.chance.garble(&mut request, self.garbled);
        self.line.write_all(&request).expect("the field bus takes a request");
        let deadline = Instant::now() + self.deadline;
        let mut answer = Vec::new();
        while Instant::now() < deadline {
            let Ok(count) = self.line.read(&mut chunk) else { continue };
            self.chance.garble(&mut chunk[..count], self.garbled);
            answer.extend(&chunk[..count]);
            let Some(expected) = expected_length(&answer) else { continue };
            if answer.len() >= expected {
                let (body, crc) = answer[..expected].split_last_chunk::<2>().ok_or(Refusal::Garbled)?;
                return match body {
                    _ if crc16(body).to_le_bytes() != *crc => Err(Refusal::Garbled),
                    [_, function, code] if function & 0x80 != 0 => Err(Refusal::Exception(*code)),
                    _ => Ok(body.to_vec()),
                };
            }
        }
        Err(if answer.is_empty() { Refusal::Silence } else { Refusal::Garbled })
    }
}

fn expected_length(answer: &[u8]) -> Option<usize> {
    match answer {
        [_, function, ..] if function & 0x80 != 0 => Some(5),
        [_, 16, ..] => Some(8),
        [_, _, bytes, ..] => Some(usize::from(*bytes) + 5),
        _ => None,
    }
}
