//! One datasheet part a file, over embedded-hal and embedded-io.
