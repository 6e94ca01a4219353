//! What the cross-compiled boards have in common beneath their pins: words that outlive a reset, the depth of the
//! stack, messages that leave whole.
#![no_std]
#[cfg(test)]
extern crate std;

pub mod clock;
#[cfg(target_os = "none")]
pub mod fault;
pub mod kept;
pub mod rounds;
pub mod sender;
#[cfg(target_os = "none")]
pub mod stack;
pub mod will;

pub use clock::whole_us;
pub use rounds::Rounds;
pub use sender::{Sender, Transmitter};
pub use will::{LastLife, ResetFlags, begin, bequeath, count_on};
