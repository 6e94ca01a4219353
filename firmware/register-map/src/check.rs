//! The check word that ends every block.

/// Why a block cannot be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockError {
    /// Another number of registers than the block has.
    Length { expected: usize, actual: usize },
    /// The check word does not fit: another block, a torn one, or not our map at all.
    Check { address: u16, expected: u16, actual: u16 },
    /// The identity block does not begin with the magic number.
    Magic(u16),
    /// A map of another version.
    Version(u16),
    /// A quality byte that means nothing.
    Quality(u8),
    /// A unit code that means nothing.
    Unit(u8),
    /// A word of the settings that means nothing.
    Setting { offset: u16 },
}

impl core::fmt::Display for BlockError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            BlockError::Length { expected, actual } => write!(f, "{actual} registers where the block has {expected}"),
            BlockError::Check { address, expected, actual } => {
                write!(f, "block {address}: check word {actual:#06x}, computed {expected:#06x}")
            }
            BlockError::Magic(word) => write!(f, "register 0 is {word:#06x}, a Davy node has {:#06x}", crate::MAGIC),
            BlockError::Version(version) => write!(f, "register map version {version}, this program reads {}", crate::VERSION),
            BlockError::Quality(code) => write!(f, "quality byte {code:#04x} is unknown"),
            BlockError::Unit(code) => write!(f, "unit code {code} is unknown"),
            BlockError::Setting { offset } => write!(f, "word {offset} of the settings means nothing"),
        }
    }
}

impl core::error::Error for BlockError {}

/// CRC-16/CCITT-FALSE (polynomial 0x1021, start 0xFFFF) over the block's address and words, high byte
/// first. Another polynomial than the frame's CRC, so that one error pattern does not pass both.
pub fn check_word(address: u16, words: &[u16]) -> u16 {
    words.iter().fold(feed(0xFFFF, address), |crc, word| feed(crc, *word))
}

fn feed(crc: u16, word: u16) -> u16 {
    let mut crc = crc ^ word;
    let mut bit = 0;
    while bit < 16 {
        crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 };
        bit += 1;
    }
    crc
}

/// Checks length and check word, and gives the words before it.
pub(crate) fn verified<const N: usize>(address: u16, registers: &[u16]) -> Result<&[u16; N], BlockError> {
    let Ok(words) = <&[u16; N]>::try_from(registers) else {
        return Err(BlockError::Length { expected: N, actual: registers.len() });
    };
    let (expected, actual) = (check_word(address, &words[..N - 1]), words[N - 1]);
    if expected == actual { Ok(words) } else { Err(BlockError::Check { address, expected, actual }) }
}

pub(crate) fn put_u32(words: &mut [u16], at: usize, number: u32) {
    words[at] = (number >> 16) as u16;
    words[at + 1] = number as u16;
}

pub(crate) fn get_u32(words: &[u16], at: usize) -> u32 {
    u32::from(words[at]) << 16 | u32::from(words[at + 1])
}
