//! Checks that the house is still the house. All checks are tests; see `tests/`.
