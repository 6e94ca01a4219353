//! What Sensirion's I2C parts share: words of two bytes, each followed by its CRC-8 (polynomial 0x31, start 0xFF).
//!
//! Source: SHT4x datasheet 6.x, 4.4 "Checksum calculation": the CRC of 0xBEEF is 0x92.

/// Why a transaction with one of these parts yielded nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error<E> {
    /// The part did not take a command.
    Write {
        /// The command.
        command: u16,
        /// What the bus says.
        source: E,
    },
    /// The part did not give its answer.
    Read {
        /// The command that was answered.
        command: u16,
        /// What the bus says.
        source: E,
    },
    /// A word's CRC does not fit.
    Crc {
        /// Which word of the answer.
        word: usize,
    },
}

/// CRC-8 of a word's bytes.
pub fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0xFF, |crc, byte| {
        let mut crc = crc ^ byte;
        for _ in 0..8 {
            crc = if crc & 0x80 != 0 { crc << 1 ^ 0x31 } else { crc << 1 };
        }
        crc
    })
}

/// The words of an answer, each checked.
pub fn words<const N: usize, E>(answer: &[u8]) -> Result<[u16; N], Error<E>> {
    let mut words = [0; N];
    for (i, (word, bytes)) in words.iter_mut().zip(answer.chunks(3)).enumerate() {
        match bytes {
            &[high, low, crc] if crc8(&[high, low]) == crc => *word = u16::from_be_bytes([high, low]),
            _ => return Err(Error::Crc { word: i }),
        }
    }
    if answer.len() == 3 * N { Ok(words) } else { Err(Error::Crc { word: answer.len() / 3 }) }
}

/// °C of a raw temperature.
pub fn celsius(raw: u16) -> f32 {
    -45.0 + 175.0 * f32::from(raw) / 65535.0
}
