//! How deep the stack has been: the start-up code has painted it (feature `paint-stack` of cortex-m-rt), and what was never
//! used still shows the paint.

use core::ptr::addr_of;

/// What cortex-m-rt paints with.
const PAINT: u32 = 0xCCCC_CCCC;

// The board's `memory.x`: the stack grows down from `_stack_start` to `_stack_end`.
unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// Bytes that there are.
pub fn size() -> u16 {
    u16::try_from(addr_of!(_stack_start) as usize - addr_of!(_stack_end) as usize).unwrap_or(u16::MAX)
}

/// Bytes that were never used.
pub fn free() -> u16 {
    let mut free = 0;
    while free < size() {
        // SAFETY: within the stack, whole words; reading what others may be using harms nobody, and is volatile.
        let word = unsafe { addr_of!(_stack_end).byte_add(usize::from(free)).read_volatile() };
        if word != PAINT {
            break;
        }
        free += 4;
    }
    free
}
