//! Checks that the house is still the house: arrows between crates, file heads, words.
