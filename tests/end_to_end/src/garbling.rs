//! A serial cable beside a motor: bytes change on their way, in both directions.

use anyhow::{Context, Result};
use qemu::Chance;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_serial::{SerialPort, SerialPortBuilderExt, SerialStream};

/// The cable. It is gone when dropped.
pub struct Garbling {
    path: String,
    /// Held open, so that the pseudo-terminal stays while nobody has opened it.
    _end: SerialStream,
    ways: [JoinHandle<std::io::Result<()>>; 2],
}

impl Garbling {
    /// A cable to the serial port at `far`, on which one byte in so many thousand is another.
    pub fn to(far: &str, thousandths: u64, seed: u64) -> Result<Garbling> {
        let (near, end) = SerialStream::pair().context("a pseudo-terminal")?;
        let path = end.name().context("its name")?;
        let far = tokio_serial::new(far, 9600).open_native_async().with_context(|| format!("the port {far}"))?;
        let (near_from, near_to) = tokio::io::split(near);
        let (far_from, far_to) = tokio::io::split(far);
        let ways = [
            tokio::spawn(carry(near_from, far_to, thousandths, Chance::new(2 * seed))),
            tokio::spawn(carry(far_from, near_to, thousandths, Chance::new(2 * seed + 1))),
        ];
        Ok(Garbling { path, _end: end, ways })
    }

    /// The near end, as a serial port.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Drop for Garbling {
    fn drop(&mut self) {
        self.ways.iter().for_each(JoinHandle::abort);
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    thousandths: u64,
    mut chance: Chance,
) -> std::io::Result<()> {
    let mut bytes = [0; 256];
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        chance.garble(&mut bytes[..count], thousandths);
        to.write_all(&bytes[..count]).await?;
    }
}
