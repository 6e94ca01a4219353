//! Bytes between the UARTs and the main loop.
//!
//! What comes is taken by a task at interrupt priority, so that a byte has its time when it comes, however long the loop takes:
//! the 3.5 characters of Modbus are a matter of 4 ms at 9600 baud. What is sent the loop gives to the UART's own buffer.

use core::task::Poll;

use embassy_futures::poll_once;
use embassy_stm32::usart::{BufferedUartRx, BufferedUartTx};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::Instant;
use embedded_io_async::{Read, Write};

/// Bytes that came and when, µs modulo 2^32; so many may wait for the loop.
pub struct Received<const N: usize>(Channel<CriticalSectionRawMutex, (u8, u32), N>);

impl<const N: usize> Received<N> {
    /// Nothing came.
    pub const fn new() -> Received<N> {
        Received(Channel::new())
    }

    /// The loop: the oldest byte and when it came.
    pub fn take(&self) -> Option<(u8, u32)> {
        self.0.try_receive().ok()
    }

    /// The task: takes what comes for ever. When the loop is so late that there is no room, the byte is lost, and the frame it
    /// belonged to fails its check.
    pub async fn hear(&self, mut uart: BufferedUartRx<'static>) {
        let mut bytes = [0; 16];
        loop {
            // A line error is a byte that is wrong or missing: the same check finds it.
            let count = uart.read(&mut bytes).await.unwrap_or(0);
            let at = Instant::now().as_micros() as u32;
            for byte in &bytes[..count] {
                let _lost = self.0.try_send((*byte, at));
            }
        }
    }
}

/// A UART whose interrupt sends what lies in its buffer.
pub struct Transmitter(BufferedUartTx<'static>);

/// One direction of one line.
pub type Sender = bedrock::Sender<Transmitter>;

/// Sends by this UART.
pub const fn sender(uart: BufferedUartTx<'static>) -> Sender {
    Sender::new(Transmitter(uart))
}

// Both are asked once and never waited for: the UART's own `write` registers no waker when its buffer has too little room, so
// that nobody would wake a task that waits for it (embassy-stm32 0.6, usart/buffered.rs).
impl bedrock::Transmitter for Transmitter {
    fn is_idle(&mut self) -> bool {
        poll_once(self.0.flush()).is_ready()
    }

    fn begin(&mut self, message: &[u8]) -> bool {
        matches!(poll_once(self.0.write(message)), Poll::Ready(Ok(count)) if count == message.len())
    }
}
