//! An open line: its stream, what was heard on it and not yet judged, and when it was last busy.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::{Stream, frame, now};

/// Unjudged bytes that are kept: two of the longest frames.
const MOST_HEARD: usize = 2 * frame::LONGEST;

pub struct Line {
    stream: Box<dyn Stream>,
    /// Bytes not yet judged; never more than `MOST_HEARD`.
    pub heard: Vec<u8>,
    /// When a byte was last seen on it or sent.
    pub busy: Instant,
    /// True when something was heard that had no business there: it may go on.
    pub is_unsettled: bool,
    /// The next transaction number of Modbus TCP.
    pub transaction: u16,
}

impl Line {
    pub fn new(stream: Box<dyn Stream>) -> Line {
        Line { stream, heard: Vec::new(), busy: now(), is_unsettled: false, transaction: 0 }
    }

    /// Sends a frame. It is not drained afterwards: that would block the thread for as long as the wire takes, and the
    /// answer tells when the question has arrived.
    pub async fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < frame.len() {
            match poll_fn(|context| Pin::new(&mut self.stream).poll_write(context, &frame[sent..])).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                more => sent += more,
            }
        }
        self.busy = now();
        Ok(())
    }

    /// Waits for more bytes; says how many came. May be dropped and called again without loss.
    pub async fn hear(&mut self) -> io::Result<usize> {
        poll_fn(|context| self.poll_hear(context)).await
    }

    /// Takes what lies there without waiting.
    pub fn hear_pending(&mut self) -> io::Result<usize> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match self.poll_hear(&mut context) {
            Poll::Ready(heard) => heard,
            Poll::Pending => Ok(0),
        }
    }

    /// The oldest bytes go when there are too many: whatever they were, they are no answer.
    fn poll_hear(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut bytes = [0_u8; MOST_HEARD];
        let mut buffer = ReadBuf::new(&mut bytes);
        match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(Ok(())) => {
                self.busy = now();
                self.heard.extend_from_slice(buffer.filled());
                let beyond = self.heard.len().saturating_sub(MOST_HEARD);
                self.heard.drain(..beyond);
                Poll::Ready(Ok(buffer.filled().len()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Takes an interjection (a DTU's heartbeat or repeated registration) off the front. True when one was there.
pub fn strip(heard: &mut Vec<u8>, interjections: &[Vec<u8>]) -> bool {
    let found = interjections.iter().find(|bytes| !bytes.is_empty() && heard.starts_with(bytes)).map(Vec::len);
    found.is_some_and(|length| heard.drain(..length).next().is_some())
}

/// What remains of unasked bytes when interjections are taken out: only the beginning of one may stay.
/// Says how many bytes had no business there.
pub fn strip_unasked(heard: &mut Vec<u8>, interjections: &[Vec<u8>]) -> usize {
    let mut strangers = 0;
    while !heard.is_empty() && !interjections.iter().any(|bytes| bytes.starts_with(heard) && bytes.len() > heard.len()) {
        if !strip(heard, interjections) {
            heard.remove(0);
            strangers += 1;
        }
    }
    strangers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(heard: &[u8], left: &[u8], strangers: usize) {
        let mut heard = heard.to_vec();
        assert_eq!(strip_unasked(&mut heard, &[b"ping".to_vec(), b"SITE7".to_vec()]), strangers);
        assert_eq!(heard, left);
    }

    #[test]
    fn heartbeats_and_repeated_registrations_are_no_strangers() {
        check(b"pingpingSITE7", b"", 0);
        check(b"", b"", 0);
    }

    #[test]
    fn the_beginning_of_a_heartbeat_waits_for_its_rest() {
        check(b"pingpi", b"pi", 0);
        check(b"xSIT", b"SIT", 1);
    }

    #[test]
    fn anything_else_is_counted() {
        check(b"xxpingyy", b"", 4);
    }
}
