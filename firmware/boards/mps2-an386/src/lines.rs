//! Bytes between the interrupts and the main loop.

use core::cell::RefCell;

use cortex_m::interrupt::{CriticalSection, Mutex, free};
use heapless::Deque;

use crate::peripherals::{Microseconds, Uart};

/// Bytes received and when, µs; so many may wait for the loop.
pub struct Received<const N: usize>(Mutex<RefCell<Deque<(u8, u32), N>>>);

/// From the field bus.
pub static FIELD_BUS: Received<128> = Received::new();
/// From the gas module.
pub static GAS_MODULE: Received<32> = Received::new();
/// From the hook of test builds.
#[cfg(feature = "test-hook")]
pub static HOOK: Received<8> = Received::new();

impl<const N: usize> Received<N> {
    const fn new() -> Received<N> {
        Received(Mutex::new(RefCell::new(Deque::new())))
    }

    /// The interrupt: takes the byte out of the UART. When the loop is so late that there is no room, the byte is lost,
    /// and the frame it belonged to fails its check.
    pub fn fill(&self, uart: Uart) {
        free(|section| {
            // Cleared first: a byte that comes while the others are taken raises it anew. The other way round that byte
            // would wait for an interrupt that never comes, and the line would be deaf.
            uart.clear_interrupts();
            while let Some(byte) = uart.receive() {
                let _lost = self.0.borrow(section).borrow_mut().push_back((byte, Microseconds::now()));
            }
        });
    }

    /// The loop: the oldest byte.
    pub fn take(&self) -> Option<(u8, u32)> {
        free(|section| self.0.borrow(section).borrow_mut().pop_front())
    }

    /// True when nothing waits for the loop.
    pub fn is_empty(&self, section: &CriticalSection) -> bool {
        self.0.borrow(section).borrow().is_empty()
    }
}

/// Bytes that wait to be sent.
pub struct Sending {
    uart: Uart,
    bytes: Deque<u8, 256>,
}

impl Sending {
    /// Nothing waits.
    pub const fn new(uart: Uart) -> Sending {
        Sending { uart, bytes: Deque::new() }
    }

    /// Puts a whole message behind what waits, or nothing of it when there is no room: whoever waits for it asks again.
    pub fn put(&mut self, message: &[u8]) {
        if message.len() <= self.bytes.capacity() - self.bytes.len() {
            self.bytes.extend(message.iter().copied());
        }
    }

    /// Sends as many as the UART takes; its interrupt wakes the loop for the next.
    pub fn pump(&mut self) {
        while let Some(byte) = self.bytes.front() {
            if !self.uart.send(*byte) {
                return;
            }
            self.bytes.pop_front();
        }
    }
}
