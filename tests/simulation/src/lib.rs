//! Whole-system properties under simulated time, with a seed that anyone can replay.
