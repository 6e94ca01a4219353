//! Messages to a serial line, each of them whole or not at all.
//!
//! A message is handed over only when the one before it has left to the last bit: then a transmitter's buffer is empty, so that
//! one as long as the longest message always has room, and nothing of a message is ever left to follow it.

/// What sends by itself what it was given.
pub trait Transmitter {
    /// All that it was given has left.
    fn is_idle(&mut self) -> bool;

    /// Takes the whole message and begins to send it, or takes nothing of it. Called only while it is idle.
    fn begin(&mut self, message: &[u8]) -> bool;
}

/// No message takes longer: 256 bytes at 9600 baud are 0.27 s.
const LONGEST_US: u64 = 1_000_000;

/// One direction of one line.
#[derive(Debug)]
pub struct Sender<T> {
    transmitter: T,
    began_us: u64,
}

impl<T: Transmitter> Sender<T> {
    /// Nothing is under way.
    pub const fn new(transmitter: T) -> Sender<T> {
        Sender { transmitter, began_us: 0 }
    }

    /// Sends the message, or nothing of it while another is under way: whoever waits for it asks again. True when it was taken.
    pub fn put(&mut self, message: &[u8], now_us: u64) -> bool {
        if message.is_empty() || !self.transmitter.is_idle() {
            return false;
        }
        self.began_us = now_us;
        self.transmitter.begin(message)
    }

    /// Nothing is under way.
    pub fn is_idle(&mut self) -> bool {
        self.transmitter.is_idle()
    }

    /// False when a message has not left in the time that the longest one takes: nothing more will leave by this line.
    pub fn works(&mut self, now_us: u64) -> bool {
        now_us.saturating_sub(self.began_us) < LONGEST_US || self.transmitter.is_idle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 256;

    /// A ring between the loop and the interrupt that sends a byte now and then, as a chip's driver has it: it takes what has room.
    struct Ring {
        bytes: [u8; ROOM],
        read: usize,
        held: usize,
        wire: std::vec::Vec<u8>,
    }

    impl Ring {
        fn new() -> Ring {
            Ring { bytes: [0; ROOM], read: 0, held: 0, wire: std::vec::Vec::new() }
        }

        fn send(&mut self, count: usize) {
            for _ in 0..count.min(self.held) {
                self.wire.push(self.bytes[self.read]);
                (self.read, self.held) = ((self.read + 1) % ROOM, self.held - 1);
            }
        }
    }

    impl Transmitter for Ring {
        fn is_idle(&mut self) -> bool {
            self.held == 0
        }

        fn begin(&mut self, message: &[u8]) -> bool {
            assert_eq!(self.held, 0, "nothing is ever put behind what waits");
            for (at, byte) in message.iter().enumerate() {
                self.bytes[(self.read + at) % ROOM] = *byte;
            }
            self.held = message.len();
            true
        }
    }

    #[test]
    fn three_hundred_messages_leave_whole_and_in_order_wherever_they_lie_in_the_ring() {
        let mut sender = Sender::new(Ring::new());
        let (mut taken, mut refused) = (std::vec::Vec::new(), 0);
        for number in 0..300_usize {
            let length = [37, 9, 41, 256, 5][number % 5];
            let message: std::vec::Vec<u8> = (0..length).map(|at| (number + at) as u8).collect();
            while !sender.put(&message, 0) {
                refused += 1;
                sender.transmitter.send(7);
            }
            taken.extend_from_slice(&message);
        }
        sender.transmitter.send(ROOM);
        assert!(refused > 300, "most had to wait");
        assert_eq!(sender.transmitter.wire, taken);
    }

    #[test]
    fn while_one_is_under_way_nothing_of_the_next_is_taken() {
        let mut sender = Sender::new(Ring::new());
        assert!(sender.put(&[1; 40], 0));
        sender.transmitter.send(39);
        assert!(!sender.put(&[2; 3], 1));
        sender.transmitter.send(1);
        assert!(sender.is_idle() && sender.put(&[3; 3], 2));
    }

    #[test]
    fn a_line_that_never_gets_rid_of_a_message_does_not_work() {
        let mut sender = Sender::new(Ring::new());
        assert!(sender.works(5_000_000), "an idle line does");
        sender.put(&[1; 40], 5_000_000);
        assert!(sender.works(5_999_999));
        assert!(!sender.works(6_000_000));
        sender.transmitter.send(40);
        assert!(sender.works(6_000_001));
    }
}
