//! What must hold of any list of transitions, as named functions. Tests and the simulation call them.
