//! The node's logic without hardware: sample, convert, self-test, annunciate, present.
