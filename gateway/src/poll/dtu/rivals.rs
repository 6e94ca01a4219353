//! Two DTUs with one registration. Each takes the other's place for as long as both dial, and the readings of two plants
//! would stand under the same tags. A modem that dials in again after its radio was gone leaves a line behind that had
//! fallen silent; a line that still spoke has a rival. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// A line that gave bytes so recently lives.
const LIVES: Duration = Duration::from_secs(15);
/// So many living lines replaced within so long: two DTUs have one registration.
const MOST: usize = 3;
const WITHIN: Duration = Duration::from_secs(60);
/// Nobody of that registration is let in for so long.
const AWAY: Duration = Duration::from_secs(60);
/// After that a single living line that is replaced is enough, for so long.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What is known of rivals for one registration.
#[derive(Debug, Default)]
pub struct Rivalry {
    replaced: Vec<Instant>,
    away_until: Option<Instant>,
}

impl Rivalry {
    /// A line that last gave bytes at `heard` is replaced. True when that is a rival's doing: nobody is let in for a while.
    pub fn replaces(&mut self, heard: Option<Instant>, at: Instant) -> bool {
        if heard.is_none_or(|heard| at - heard > LIVES) {
            return false;
        }
        self.replaced.retain(|before| at - *before < WITHIN);
        self.replaced.push(at);
        let is_known = self.away_until.is_some_and(|until| at < until + REMEMBERED);
        if !is_known && self.replaced.len() < MOST {
            return false;
        }
        self.replaced.clear();
        self.away_until = Some(at + AWAY);
        true
    }

    /// True while nobody is let in.
    pub fn is_away(&self, at: Instant) -> bool {
        self.away_until.is_some_and(|until| at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::super::now;
    use super::*;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn a_modem_whose_radio_comes_and_goes_has_no_rival() {
        let (mut rivalry, began) = (Rivalry::default(), now());
        for dialled in (20..2_000).step_by(20) {
            let heard = (dialled % 40 == 0).then(|| began + seconds(dialled - 16));
            assert!(!rivalry.replaces(heard, began + seconds(dialled)));
        }
    }

    #[test]
    fn three_living_lines_replaced_within_a_minute_have_rivals_and_nobody_is_let_in_for_a_minute() {
        let (mut rivalry, began) = (Rivalry::default(), now());
        let mut replaced = |s| rivalry.replaces(Some(began + seconds(s - 2)), began + seconds(s));
        assert_eq!([replaced(10), replaced(40), replaced(71), replaced(72)], [false, false, false, true]);
        assert!(rivalry.is_away(began + seconds(131)) && !rivalry.is_away(began + seconds(132)));
        // They are at it again.
        assert!(rivalry.replaces(Some(began + seconds(140)), began + seconds(141)));
        assert!(rivalry.is_away(began + seconds(200)));
    }

    #[test]
    fn rivals_of_long_ago_are_forgotten() {
        let (mut rivalry, began) = (Rivalry::default(), now());
        let mut replaced = |s| rivalry.replaces(Some(began + seconds(s)), began + seconds(s));
        assert_eq!([replaced(1), replaced(2), replaced(3), replaced(664)], [false, false, true, false]);
    }
}
