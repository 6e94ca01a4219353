//! How often a node has started, in flash: the number outlives a loss of power, and no two starts have the same.
//!
//! Two erase blocks of places of eight bytes: the number and its complement, u32, little-endian. Each start takes the next place; when a
//! block is full the other is erased, so that at any moment one of them holds the newest number. A place that a power cut tore does
//! not pass, and its number is given again.

use embedded_storage::nor_flash::NorFlash;

const PLACE: usize = 8;

/// The counter in its flash.
#[derive(Debug)]
pub struct BootCounter<F> {
    flash: F,
    offset: u32,
}

impl<F: NorFlash> BootCounter<F> {
    const WHOLE_WORDS: () =
        assert!(PLACE.is_multiple_of(F::WRITE_SIZE) && PLACE.is_multiple_of(F::READ_SIZE) && F::ERASE_SIZE.is_multiple_of(PLACE));
    const BLOCK: u32 = F::ERASE_SIZE as u32;

    /// A counter in two erase blocks from `offset`, which begins one.
    pub const fn new(flash: F, offset: u32) -> BootCounter<F> {
        let () = Self::WHOLE_WORDS;
        BootCounter { flash, offset }
    }

    /// Gives the flash back.
    pub fn release(self) -> F {
        self.flash
    }

    /// Counts this start and gives its number: one more than the newest, and `at_least` what is known of it from elsewhere.
    pub fn count(&mut self, at_least: u32) -> Result<u32, F::Error> {
        let newest = self.newest()?;
        let number = newest.map_or(1, |(_, number)| number.saturating_add(1)).max(at_least);
        let place = self.free_after(newest.map(|(place, _)| place))?;
        let [a, b, c, d] = number.to_le_bytes();
        self.flash.write(self.offset + place, &[a, b, c, d, !a, !b, !c, !d])?;
        Ok(number)
    }

    fn newest(&mut self) -> Result<Option<(u32, u32)>, F::Error> {
        let mut newest = None;
        for place in (0..2 * Self::BLOCK).step_by(PLACE) {
            let [a, b, c, d, e, f, g, h] = self.read(place)?;
            let (number, inverse) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
            // All ones before zeros are what a write leaves that has begun in the middle.
            if number == !inverse && number != u32::MAX && newest.is_none_or(|(_, before)| number > before) {
                newest = Some((place, number));
            }
        }
        Ok(newest)
    }

    /// The next erased place of the block, or else the first of the other one, which is erased then.
    fn free_after(&mut self, newest: Option<u32>) -> Result<u32, F::Error> {
        let block = newest.map_or(Self::BLOCK, |place| place - place % Self::BLOCK);
        let from = newest.map_or(2 * Self::BLOCK, |place| place + PLACE as u32);
        for place in (from..block + Self::BLOCK).step_by(PLACE) {
            if self.read(place)? == [0xFF; PLACE] {
                return Ok(place);
            }
        }
        let other = Self::BLOCK - block;
        self.flash.erase(self.offset + other, self.offset + other + Self::BLOCK)?;
        Ok(other)
    }

    fn read(&mut self, place: u32) -> Result<[u8; PLACE], F::Error> {
        let mut bytes = [0; PLACE];
        self.flash.read(self.offset + place, &mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::two_copies::tests::Flash;

    fn flash() -> Flash {
        Flash { bytes: std::vec![0xFF; 3 * 256], power: usize::MAX }
    }

    fn counter(flash: Flash) -> BootCounter<Flash> {
        BootCounter::new(flash, 256)
    }

    #[test]
    fn every_start_has_a_number_of_its_own_however_many_there_are() {
        let mut flash = flash();
        for number in 1..300 {
            let mut counter = counter(flash);
            assert_eq!(counter.count(1).unwrap(), number);
            flash = counter.release();
        }
        assert_eq!(counter(flash).count(1000).unwrap(), 1000, "what is known from elsewhere is not counted again");
    }

    #[test]
    fn a_power_cut_at_any_byte_never_takes_a_number_back() {
        for before in [0, 1, 31, 32, 33, 63, 64, 65] {
            let mut counted = counter(flash());
            assert!((1..=before).all(|number| counted.count(1).unwrap() == number));
            let flash = counted.release();
            for power in 0..=256 + PLACE {
                let mut cut = counter(Flash { power, ..flash.clone() });
                let given = cut.count(1).ok();
                let mut after = counter(Flash { power: usize::MAX, ..cut.release() });
                let next = after.count(1).unwrap();
                let least = given.map_or(before + 1, |given| given + 1);
                assert!(next >= least && next <= before + 2, "{before} before, cut after {power} bytes: {next}");
                assert_eq!(after.count(1).unwrap(), next + 1);
            }
        }
    }

    #[test]
    fn flash_that_held_something_else_counts_from_the_beginning() {
        let noise = (0..3 * 256_u32).map(|i| (i.wrapping_mul(0x9E37_79B9) >> 24) as u8).collect();
        let mut counter = counter(Flash { bytes: noise, power: usize::MAX });
        assert_eq!((counter.count(1).unwrap(), counter.count(1).unwrap()), (1, 2));
    }
}
