//! A Modbus TCP slave that a test plays itself: it knows exactly what it has answered.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answers a read: unit, address, count of registers.
pub type Answer = dyn FnMut(u8, u16, u16) -> Option<Vec<u16>> + Send;

/// The slave, listening on loopback.
pub struct Slave {
    address: SocketAddr,
}

impl Slave {
    /// Starts listening. `answer` gives the registers, or none for silence.
    pub async fn start(answer: impl FnMut(u8, u16, u16) -> Option<Vec<u16>> + Send + 'static) -> Result<Slave> {
        Slave::start_at("127.0.0.1:0", answer).await
    }

    /// The same at an address of the caller's.
    pub async fn start_at(address: &str, answer: impl FnMut(u8, u16, u16) -> Option<Vec<u16>> + Send + 'static) -> Result<Slave> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let answer: Arc<Mutex<Box<Answer>>> = Arc::new(Mutex::new(Box::new(answer)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone()));
            }
        });
        Ok(Slave { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(mut stream: TcpStream, answer: Arc<Mutex<Box<Answer>>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut frame = [0; 12];
        stream.read_exact(&mut frame).await?;
        simulated::heard::request(&frame[7..]);
        let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let (unit, function) = (frame[6], frame[7]);
        let words = (answer.lock().unwrap_or_else(PoisonError::into_inner))(unit, word(8), word(10));
        let Some(words) = words else { continue };
        let mut reply = frame[..4].to_vec();
        reply.extend((3 + 2 * words.len() as u16).to_be_bytes());
        reply.extend([unit, function, 2 * words.len() as u8]);
        words.iter().for_each(|word| reply.extend(word.to_be_bytes()));
        stream.write_all(&reply).await?;
    }
}

/// CRC-16/MODBUS, bit by bit: written apart from the libraries under test.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc: u16, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}
