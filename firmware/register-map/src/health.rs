//! The health block: what the node knows of itself, apart from its gases.

use crate::check::{BlockError, check_word, get_u32, put_u32, verified};

/// Address of the health block.
pub const HEALTH: u16 = 0x0300;
/// Registers of the health block.
pub const HEALTH_WORDS: usize = 16;
/// A fact that the board does not know.
const UNKNOWN: u16 = u16::MAX;

/// What is wrong with the node itself. None of it says anything about a gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Troubles {
    /// The beacon was ordered on and its feedback stayed dark.
    pub beacon_failed: bool,
    /// Both copies of the settings are damaged: the node alarms as early as it can and calls no value good.
    pub settings_lost: bool,
    /// The event log found at the start was not whole and began anew.
    pub events_lost: bool,
    /// Nothing keeps the settings over a loss of power on this board.
    pub settings_not_kept: bool,
}

/// What a board knows of its processor; `None` where it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BoardFacts {
    /// The watchdog bites after this long without food, ms.
    pub watchdog_ms: Option<u16>,
    /// Longest time between two feedings since the start, ms.
    pub longest_round_ms: Option<u16>,
    /// Bytes of stack that were never used since the start.
    pub stack_free: Option<u16>,
    /// Bytes of stack that there are.
    pub stack_size: Option<u16>,
    /// Where the clock comes from: 1 a crystal, 2 the chip's own oscillator, 3 an emulator.
    pub clock_source: Option<u16>,
}

/// What the node knows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// What is wrong.
    pub troubles: Troubles,
    /// What the board says.
    pub board: BoardFacts,
    /// Requests answered on the field bus since the start, wrapping.
    pub answered: u32,
    /// Frames on the field bus whose CRC was wrong, since the start, wrapping.
    pub bad_frames: u32,
}

impl Health {
    /// Of a node that has just begun.
    pub const NOTHING_KNOWN: Health = Health {
        troubles: Troubles { beacon_failed: false, settings_lost: false, events_lost: false, settings_not_kept: false },
        board: BoardFacts { watchdog_ms: None, longest_round_ms: None, stack_free: None, stack_size: None, clock_source: None },
        answered: 0,
        bad_frames: 0,
    };

    /// The block's registers.
    pub fn encode(&self) -> [u16; HEALTH_WORDS] {
        let mut words = [0; HEALTH_WORDS];
        let Troubles { beacon_failed, settings_lost, events_lost, settings_not_kept } = self.troubles;
        for (bit, set) in [beacon_failed, settings_lost, events_lost, settings_not_kept].into_iter().enumerate() {
            words[0] |= u16::from(set) << bit;
        }
        let BoardFacts { watchdog_ms, longest_round_ms, stack_free, stack_size, clock_source } = self.board;
        for (word, fact) in words[1..].iter_mut().zip([watchdog_ms, longest_round_ms, stack_free, stack_size, clock_source]) {
            *word = fact.unwrap_or(UNKNOWN);
        }
        put_u32(&mut words, 6, self.answered);
        put_u32(&mut words, 8, self.bad_frames);
        words[HEALTH_WORDS - 1] = check_word(HEALTH, &words[..HEALTH_WORDS - 1]);
        words
    }

    /// Reads the block's registers.
    pub fn decode(registers: &[u16]) -> Result<Health, BlockError> {
        let words: &[u16; HEALTH_WORDS] = verified(HEALTH, registers)?;
        let set = |bit: u16| words[0] & 1 << bit != 0;
        let fact = |at: usize| Some(words[at]).filter(|fact| *fact != UNKNOWN);
        Ok(Health {
            troubles: Troubles { beacon_failed: set(0), settings_lost: set(1), events_lost: set(2), settings_not_kept: set(3) },
            board: BoardFacts {
                watchdog_ms: fact(1),
                longest_round_ms: fact(2),
                stack_free: fact(3),
                stack_size: fact(4),
                clock_source: fact(5),
            },
            answered: get_u32(words, 6),
            bad_frames: get_u32(words, 8),
        })
    }
}
