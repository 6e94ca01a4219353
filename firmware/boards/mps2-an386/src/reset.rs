//! Why the node started, and how often: told across a reset in RAM that the start-up code leaves alone.
//!
//! The AN386 has no register for the cause. What ends a life on purpose writes it here first; a life that ended without a
//! word was ended by the reset pin. RAM whose check does not fit has lost its power.

use core::mem::MaybeUninit;
use core::ptr::{addr_of, addr_of_mut};

use register_map::ResetCause;

#[derive(Clone, Copy)]
#[repr(C)]
struct Will {
    boots: u32,
    cause: u32,
    check: u32,
}

#[unsafe(link_section = ".uninit.will")]
static mut WILL: MaybeUninit<Will> = MaybeUninit::uninit();

const fn check(boots: u32, cause: u32) -> u32 {
    boots.wrapping_mul(0x9E37_79B9) ^ cause.rotate_left(16) ^ 0x5A17_C0DE
}

/// This start's cause and the number of starts since power came on. Call it once.
pub fn begin() -> (ResetCause, u32) {
    // SAFETY: three words of plain RAM, any bits are a `Will`; nothing else runs before interrupts are enabled.
    let will = unsafe { addr_of!(WILL).cast::<Will>().read_volatile() };
    let (cause, boots) = if will.check == check(will.boots, will.cause) {
        (ResetCause::from_code(will.cause as u16), will.boots.wrapping_add(1))
    } else {
        (ResetCause::PowerOn, 1)
    };
    write(boots, ResetCause::Pin);
    (cause, boots)
}

/// The next start will say this cause.
pub fn bequeath(cause: ResetCause) {
    // SAFETY: as in `begin`; a handler that interrupts a write only ends the life sooner, and the check finds a torn will.
    let boots = unsafe { addr_of!(WILL).cast::<Will>().read_volatile().boots };
    write(boots, cause);
}

fn write(boots: u32, cause: ResetCause) {
    let cause = u32::from(cause as u16);
    // SAFETY: the only place that writes it; a single core.
    unsafe { addr_of_mut!(WILL).cast::<Will>().write_volatile(Will { boots, cause, check: check(boots, cause) }) }
}
