//! Why the node started, by the chip's reset flags and the word of the life before, and how a life ends.

use bedrock::ResetFlags;
use cortex_m::peripheral::SCB;
use embassy_stm32::pac;
use register_map::ResetCause;

/// This start's cause and the number of starts since power came on. Call it once, before the clocks are set.
pub fn begin() -> (ResetCause, u32) {
    // RM0351, 6.4.29: the flags add up until they are removed, and every reset raises PINRSTF because it pulls NRST low.
    let flags = pac::RCC.csr().read();
    pac::RCC.csr().modify(|csr| csr.set_rmvf(true));
    let (last, boots) = bedrock::begin();
    let cause = last.cause(ResetFlags {
        brown_out: flags.borrstf(),
        watchdog: flags.iwdgrstf() || flags.wwdgrstf(),
        software: flags.sftrstf() || flags.oblrstf(),
        pin: flags.pinrstf(),
    });
    (cause, boots)
}

/// Outputs into the safe state, which for an alarm is on, and a new start.
pub fn die(cause: ResetCause) -> ! {
    cortex_m::interrupt::disable();
    crate::outputs::force_on();
    bedrock::bequeath(cause);
    SCB::sys_reset()
}
