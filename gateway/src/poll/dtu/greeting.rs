//! Who says the first bytes of a connection. Pure.

/// Nobody needs more bytes to say who he is: the longest registration is 64, and some heartbeats may stand before it.
const MOST: usize = 256;

/// What the first bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting<'a> {
    /// Too little to say.
    More,
    /// This registration; what lies behind `end` is no part of it.
    Is { registration: &'a [u8], end: usize },
    /// This registration, or the beginning of a longer one.
    MayBeLonger { registration: &'a [u8], end: usize },
    /// Nobody that a bus waits for.
    Unknown,
}

/// Judges the first bytes: heartbeats may stand in front of the registration.
pub fn judge<'a>(heard: &[u8], known: &'a [Vec<u8>], heartbeat: &[u8]) -> Greeting<'a> {
    let mut start = 0;
    loop {
        let rest = &heard[start..];
        let longest = known.iter().filter(|id| rest.starts_with(id)).max_by_key(|id| id.len());
        let goes_on = known.iter().any(|id| id.len() > rest.len() && id.starts_with(rest));
        if let Some(registration) = longest {
            let end = start + registration.len();
            return if goes_on { Greeting::MayBeLonger { registration, end } } else { Greeting::Is { registration, end } };
        }
        if goes_on || !heartbeat.is_empty() && heartbeat.len() > rest.len() && heartbeat.starts_with(rest) {
            return if heard.len() <= MOST { Greeting::More } else { Greeting::Unknown };
        }
        if heartbeat.is_empty() || !rest.starts_with(heartbeat) {
            return Greeting::Unknown;
        }
        start += heartbeat.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(heard: &[u8], expected: Greeting) {
        let known = [b"SITE7".to_vec(), b"SITE71".to_vec(), vec![0x01, 0xFE, 0x00]];
        assert_eq!(judge(heard, &known, b"ping"), expected, "{:?}", String::from_utf8_lossy(heard));
    }

    #[test]
    fn a_registration_in_pieces_is_waited_for() {
        check(b"", Greeting::More);
        check(b"SIT", Greeting::More);
        check(&[0x01, 0xFE], Greeting::More);
    }

    #[test]
    fn text_and_binary_registrations_are_known_with_heartbeats_around_them() {
        check(b"SITE71", Greeting::Is { registration: b"SITE71", end: 6 });
        check(b"pingpingSITE71ping", Greeting::Is { registration: b"SITE71", end: 14 });
        check(&[0x01, 0xFE, 0x00, 0x09], Greeting::Is { registration: &[0x01, 0xFE, 0x00], end: 3 });
        check(b"pingpi", Greeting::More);
    }

    #[test]
    fn of_two_that_begin_alike_the_longer_one_is_waited_for() {
        check(b"SITE7", Greeting::MayBeLonger { registration: b"SITE7", end: 5 });
        check(b"SITE7ping", Greeting::Is { registration: b"SITE7", end: 5 });
    }

    #[test]
    fn anybody_else_is_unknown() {
        check(b"GET / HTTP/1.1", Greeting::Unknown);
        check(b"pingX", Greeting::Unknown);
        check(&b"ping".repeat(65), Greeting::Unknown);
    }
}
