//! The node on a PC: the firmware's own logic behind sockets and pseudo-terminals.
//!
//! A [`SimulatedNode`] is fed signals where a real board reads its sensors; a [`line`] carries several nodes
//! by unit id, as Modbus TCP, RTU over TCP or RTU on a pty, and can be made as bad as a real cable. Not one
//! line of conversion, limits or registers is here: that is the firmware's.
#![forbid(unsafe_code)]

mod clock;
pub mod heard;
pub mod line;
mod node;

pub use line::{Line, LineFaults, Units};
pub use node::SimulatedNode;
