//! Why the node started, and how a life ends. The AN386 has no register for the cause, so the word of the life before is all
//! there is: one that ended without a word was ended by the reset pin.

use bedrock::ResetFlags;
use cortex_m::peripheral::SCB;
use register_map::ResetCause;

/// This start's cause and the number of starts since power came on. Call it once.
pub fn begin() -> (ResetCause, u32) {
    let (last, boots) = bedrock::begin();
    let cause = last.cause(ResetFlags { pin: true, ..ResetFlags::default() });
    (cause, boots)
}

/// Outputs into the safe state, which for an alarm is on, and a new start.
pub fn die(cause: ResetCause) -> ! {
    cortex_m::interrupt::disable();
    crate::peripherals::show(true, true, true);
    bedrock::bequeath(cause);
    SCB::sys_reset()
}
