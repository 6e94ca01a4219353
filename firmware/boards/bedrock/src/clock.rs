//! Times beyond a counter's 32 bits.

/// The whole time of a counter reading, µs, by a time within half an hour of it: the byte that was stamped may have come before
/// or after.
pub const fn whole_us(counter: u32, near_us: u64) -> u64 {
    let moved = counter.wrapping_sub(near_us as u32) as i32;
    near_us.saturating_add_signed(moved as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_read_on_beyond_its_bits_and_back_before_them() {
        let turn = 1 << 32;
        for (counter, near, whole) in [
            (5, 0, 5),
            (7, 3 * turn, 3 * turn + 7),
            (u32::MAX, 3 * turn + 2, 3 * turn - 1),
            (2, 3 * turn - 1, 3 * turn + 2),
            (1_800_000_000, 0, 1_800_000_000),
            (u32::MAX, 0, 0),
        ] {
            assert_eq!(whole_us(counter, near), whole, "{counter} near {near}");
        }
    }
}
