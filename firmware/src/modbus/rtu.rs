//! Frames on a serial line: bytes with silences between them.
//!
//! A frame ends after 3.5 character times of silence (Modbus over serial line V1.02, 2.5.1.1). Above 19200
//! baud the silence is fixed at 1.75 ms, as the standard recommends.

/// Longest frame: unit, 253 bytes, CRC.
pub const MAX_FRAME: usize = 256;

/// The silence that ends a frame, in µs. A character is 11 bits.
pub const fn silence_us(baud: u32) -> u32 {
    if baud > 19_200 || baud == 0 { 1_750 } else { 38_500_000 / baud }
}

/// CRC-16/MODBUS.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        let mut crc = crc ^ u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 != 0 { crc >> 1 ^ 0xA001 } else { crc >> 1 };
        }
        crc
    })
}

/// Collects bytes until a silence ends the frame.
#[derive(Debug, Clone)]
pub struct Framer {
    silence_us: u32,
    bytes: [u8; MAX_FRAME],
    length: usize,
    /// More bytes came than a frame has: the line is babbling, nothing of it counts.
    overrun: bool,
    last_us: u64,
}

impl Framer {
    /// A framer for this line speed.
    pub const fn new(baud: u32) -> Framer {
        Framer { silence_us: silence_us(baud), bytes: [0; MAX_FRAME], length: 0, overrun: false, last_us: 0 }
    }

    /// A framer for a line whose bytes do not keep time, as an emulator's or a converter's: `silence_us` only clears what
    /// was left of a broken frame, and whole requests are taken with [`Framer::take_request`].
    pub const fn with_silence(silence_us: u32) -> Framer {
        Framer { silence_us, bytes: [0; MAX_FRAME], length: 0, overrun: false, last_us: 0 }
    }

    /// The frame at once, when it is a whole request whose length is known (functions 1 to 6: eight bytes; 15 and 16: by their
    /// byte count) and its CRC is right. For lines made with [`Framer::with_silence`]; on a true line the silence decides.
    pub fn take_request(&mut self, frame: &mut [u8; MAX_FRAME]) -> Option<usize> {
        let bytes = &self.bytes[..self.length];
        let expected = match bytes {
            [_, 1..=6, ..] => 8,
            [_, 15 | 16, _, _, _, _, count, ..] => 9 + usize::from(*count),
            _ => return None,
        };
        let (body, crc) = bytes.split_last_chunk::<2>()?;
        if self.length != expected || crc16(body).to_le_bytes() != *crc {
            return None;
        }
        frame[..expected].copy_from_slice(bytes);
        self.clear();
        Some(expected)
    }

    /// Takes a byte and the time it came, in µs. When the silence before it ended a frame, the caller should
    /// have taken that with [`Framer::take`]; what was not taken is lost here.
    pub fn byte(&mut self, byte: u8, at_us: u64) {
        if self.is_ended(at_us) {
            self.clear();
        }
        self.last_us = at_us;
        if self.length == MAX_FRAME {
            self.overrun = true;
        } else {
            self.bytes[self.length] = byte;
            self.length += 1;
        }
    }

    /// The frame, when the line has been silent long enough by `now_us`. The framer is empty afterwards.
    pub fn take(&mut self, now_us: u64, frame: &mut [u8; MAX_FRAME]) -> Option<usize> {
        if !self.is_ended(now_us) {
            return None;
        }
        let length = self.length;
        frame[..length].copy_from_slice(&self.bytes[..length]);
        let whole = !self.overrun;
        self.clear();
        whole.then_some(length)
    }

    fn is_ended(&self, now_us: u64) -> bool {
        self.length > 0 && now_us.saturating_sub(self.last_us) >= u64::from(self.silence_us)
    }

    fn clear(&mut self) {
        self.length = 0;
        self.overrun = false;
    }
}
