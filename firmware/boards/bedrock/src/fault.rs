//! How a fault is entered whose cause may be the stack itself.

/// Defines the handler of this name (`HardFault`, `NonMaskableInt`): it begins on an empty stack and never returns, so `$die` runs
/// although the stack has grown beyond its end. `$die` is an `extern "C" fn() -> !`.
///
/// A handler that pushed a word there would fault in the handler of faults, and the processor would stand still, outputs as they were,
/// until the watchdog.
#[macro_export]
macro_rules! on_an_empty_stack {
    ($handler:ident, $die:path) => {
        // SAFETY: the name is the vector's own, which cortex-m-rt leaves to the program; nothing else defines it. It sets the stack of
        // the program it interrupted to its start, which that program never returns to.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, reason = "as the vector is called")]
        unsafe extern "C" fn $handler() -> ! {
            core::arch::naked_asm!(
                "movw r0, #:lower16:_stack_start",
                "movt r0, #:upper16:_stack_start",
                "mov sp, r0",
                "b {die}",
                die = sym $die,
            )
        }
    };
}
