//! What one life of a node leaves to the next: told across a reset in RAM that the start-up code leaves alone.
//!
//! What ends a life on purpose writes the cause here first; a life that ended without a word was ended from outside. RAM
//! whose check does not fit has lost its power. A board puts this beside what its reset registers say.

use core::mem::MaybeUninit;
use core::ptr::{addr_of, addr_of_mut};

use register_map::ResetCause;

/// How the life before this one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastLife {
    /// The RAM has lost its power: nothing is remembered.
    Forgotten,
    /// It left no word.
    Cut,
    /// It said why.
    Ended(ResetCause),
}

/// What a chip's reset registers say of the reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResetFlags {
    /// The brown-out detector, or power coming on, which many chips do not tell apart.
    pub brown_out: bool,
    /// A watchdog.
    pub watchdog: bool,
    /// The program.
    pub software: bool,
    /// The reset pin. On many chips every reset pulls it.
    pub pin: bool,
}

impl LastLife {
    /// Why the node starts, by the word of the last life and the registers. A dip of the supply that RAM survived is told from
    /// power coming on by just that.
    pub const fn cause(self, flags: ResetFlags) -> ResetCause {
        match self {
            LastLife::Forgotten => ResetCause::PowerOn,
            _ if flags.brown_out => ResetCause::BrownOut,
            _ if flags.watchdog => ResetCause::Watchdog,
            LastLife::Ended(cause) => cause,
            LastLife::Cut if flags.software => ResetCause::Software,
            LastLife::Cut if flags.pin => ResetCause::Pin,
            LastLife::Cut => ResetCause::Unknown,
        }
    }
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Will {
    boots: u32,
    cause: u32,
    check: u32,
}

// A host has no such section, and its tests need none.
#[cfg_attr(target_os = "none", unsafe(link_section = ".uninit.will"))]
static mut WILL: MaybeUninit<Will> = MaybeUninit::uninit();

/// No cause of the register map has this code.
const NO_WORD: u32 = u32::MAX;

impl Will {
    const fn new(boots: u32, cause: u32) -> Will {
        Will { boots, cause, check: Will::check(boots, cause) }
    }

    const fn check(boots: u32, cause: u32) -> u32 {
        boots.wrapping_mul(0x9E37_79B9) ^ cause.rotate_left(16) ^ 0x5A17_C0DE
    }

    /// How the life ended that left this, and the number of lives since power came on, the coming one included.
    const fn open(self) -> (LastLife, u32) {
        if self.check != Will::check(self.boots, self.cause) {
            return (LastLife::Forgotten, 1);
        }
        let last = if self.cause == NO_WORD { LastLife::Cut } else { LastLife::Ended(ResetCause::from_code(self.cause as u16)) };
        (last, self.boots.wrapping_add(1))
    }
}

/// How the last life ended, and the number of starts since power came on, this one included. Call it once, first of all.
pub fn begin() -> (LastLife, u32) {
    let (last, boots) = read().open();
    write(Will::new(boots, NO_WORD));
    (last, boots)
}

/// This start is known, by what outlived the power, to be this one.
pub fn count_on(boots: u32) {
    write(Will::new(boots, NO_WORD));
}

/// The next life will read this cause.
pub fn bequeath(cause: ResetCause) {
    write(Will::new(read().boots, cause as u32));
}

fn read() -> Will {
    // SAFETY: three words of plain RAM, of which any bits are a `Will`. A handler that interrupts a write never returns to
    // it, and the check finds a torn will.
    unsafe { addr_of!(WILL).cast::<Will>().read_volatile() }
}

fn write(will: Will) {
    // SAFETY: as in `read`; one core, and only the start and the end of a life write.
    unsafe { addr_of_mut!(WILL).cast::<Will>().write_volatile(will) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_crosses_the_reset_and_counts_the_start() {
        assert_eq!(Will::new(3, ResetCause::Panic as u32).open(), (LastLife::Ended(ResetCause::Panic), 4));
    }

    #[test]
    fn a_life_that_left_no_word_was_cut() {
        assert_eq!(Will::new(1, NO_WORD).open(), (LastLife::Cut, 2));
    }

    #[test]
    fn ram_that_lost_its_power_is_forgotten_whatever_it_holds() {
        for (boots, cause, check) in [(0, 0, 0), (u32::MAX, u32::MAX, u32::MAX), (7, 3, Will::check(7, 4))] {
            assert_eq!(Will { boots, cause, check }.open(), (LastLife::Forgotten, 1));
        }
    }

    #[test]
    fn the_registers_and_the_word_together_say_why_the_node_starts() {
        let pin = ResetFlags { pin: true, ..ResetFlags::default() };
        let panicked = LastLife::Ended(ResetCause::Panic);
        for (last, flags, cause) in [
            (LastLife::Forgotten, ResetFlags { brown_out: true, ..pin }, ResetCause::PowerOn),
            (LastLife::Forgotten, pin, ResetCause::PowerOn),
            (LastLife::Cut, ResetFlags { brown_out: true, ..pin }, ResetCause::BrownOut),
            (LastLife::Cut, ResetFlags { watchdog: true, ..pin }, ResetCause::Watchdog),
            (panicked, ResetFlags { software: true, ..pin }, ResetCause::Panic),
            // It said that it panics, and then hung before it could reset.
            (panicked, ResetFlags { watchdog: true, ..pin }, ResetCause::Watchdog),
            (LastLife::Cut, ResetFlags { software: true, ..pin }, ResetCause::Software),
            (LastLife::Cut, pin, ResetCause::Pin),
            (LastLife::Cut, ResetFlags::default(), ResetCause::Unknown),
        ] {
            assert_eq!(last.cause(flags), cause, "{last:?} {flags:?}");
        }
    }

    #[test]
    fn the_start_reads_what_the_end_has_written() {
        begin();
        bequeath(ResetCause::Watchdog);
        let (last, boots) = begin();
        assert_eq!(last, LastLife::Ended(ResetCause::Watchdog));
        assert_eq!(begin(), (LastLife::Cut, boots + 1));
        count_on(70);
        assert_eq!(begin(), (LastLife::Cut, 71));
    }
}
