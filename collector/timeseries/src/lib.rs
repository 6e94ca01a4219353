//! Samples on disk: append, seal, query, retain.
