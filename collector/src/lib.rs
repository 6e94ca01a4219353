//! The control room: remembers, judges, grades, tells, shows.
