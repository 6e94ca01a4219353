//! What the cross-compiled boards have in common beneath their pins: words that outlive a reset, and the depth of the stack.
#![no_std]

pub mod kept;
pub mod rounds;
#[cfg(target_os = "none")]
pub mod stack;
pub mod will;

pub use rounds::Rounds;
pub use will::{LastLife, ResetFlags, begin, bequeath, count_on};
