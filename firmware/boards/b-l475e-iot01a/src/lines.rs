//! Bytes between the UARTs and the main loop.
//!
//! Each line is a task at interrupt priority, so that a byte has its time when it comes, however long the loop takes: the
//! 3.5 characters of Modbus are a matter of 4 ms at 9600 baud.

use embassy_futures::join::join;
use embassy_stm32::usart::{BufferedUart, BufferedUartRx, BufferedUartTx};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::pipe::Pipe;
use embassy_time::Instant;
use embedded_io_async::{Read, Write};

/// One serial line, as the main loop sees it. `SEND` is the longest message, `RECEIVE` how many bytes may wait for the loop.
pub struct Line<const SEND: usize, const RECEIVE: usize> {
    received: Channel<CriticalSectionRawMutex, (u8, u32), RECEIVE>,
    sending: Pipe<CriticalSectionRawMutex, SEND>,
}

impl<const SEND: usize, const RECEIVE: usize> Line<SEND, RECEIVE> {
    /// Nothing came, nothing waits.
    pub const fn new() -> Line<SEND, RECEIVE> {
        Line { received: Channel::new(), sending: Pipe::new() }
    }

    /// The loop: the oldest byte and when it came, in µs modulo 2^32.
    pub fn take(&self) -> Option<(u8, u32)> {
        self.received.try_receive().ok()
    }

    /// The loop: puts a whole message behind what waits, or nothing of it when there is no room: whoever waits for it asks
    /// again.
    pub fn put(&self, message: &[u8]) {
        if message.len() <= self.sending.free_capacity() {
            let _whole = self.sending.try_write(message);
        }
    }

    /// The task: carries bytes both ways for ever.
    pub async fn carry(&self, uart: BufferedUart<'_>) {
        let (to, from) = uart.split();
        join(self.hear(from), self.speak(to)).await;
    }

    /// When the loop is so late that there is no room, the byte is lost, and the frame it belonged to fails its check.
    async fn hear(&self, mut uart: BufferedUartRx<'_>) {
        let mut bytes = [0; 16];
        loop {
            // A line error is a byte that is wrong or missing: the same check finds it.
            let count = uart.read(&mut bytes).await.unwrap_or(0);
            let at = Instant::now().as_micros() as u32;
            for byte in &bytes[..count] {
                let _lost = self.received.try_send((*byte, at));
            }
        }
    }

    async fn speak(&self, mut uart: BufferedUartTx<'_>) {
        let mut bytes = [0; 32];
        loop {
            let count = self.sending.read(&mut bytes).await;
            let _failed = uart.write_all(&bytes[..count]).await;
        }
    }
}
