//! Prints the figures that the README promises, measured on this machine.
