//! The targets under libFuzzer, which keeps what reaches new code. `DAVY_FUZZ_TARGET` chooses one; see the README.
#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<String> = LazyLock::new(|| std::env::var("DAVY_FUZZ_TARGET").unwrap_or_default());

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match TARGET.as_str() {
        "gas" => fuzz::gas(data),
        "restart" => fuzz::restart(data),
        _ => _ = fuzz::modbus(data),
    }
});
