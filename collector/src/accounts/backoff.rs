//! What wrong passwords cost. Pure: time is an argument.
//!
//! After three wrong tries of one (account, address) each further one must wait 1, 2, 4 … 30 s; after twenty of
//! one address, whatever the accounts, likewise. Right passwords forget the pair. The memory is bounded: when
//! it is full the pair that failed longest ago is forgotten.

use measurement::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

const LONGEST_MS: i64 = 30_000;
const FREE_OF_PAIR: u32 = 3;
const FREE_OF_ADDRESS: u32 = 20;
/// Failures older than this are forgotten.
const FORGET_MS: i64 = 15 * 60_000;
const MOST: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Failures {
    /// How much longer to wait, given how many are free.
    fn wait_ms(&self, free: u32, now: Timestamp) -> i64 {
        if self.count < free {
            return 0;
        }
        let penalty = (1000_i64 << (self.count - free).min(5)).min(LONGEST_MS);
        // A clock that was set back must not make anybody wait longer than the penalty.
        penalty - now.since(self.last).clamp(0, penalty)
    }
}

/// Remembers wrong passwords.
#[derive(Debug, Default)]
pub struct Backoff(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    pairs: HashMap<(String, String), Failures>,
    addresses: HashMap<String, Failures>,
}

impl Backoff {
    /// Whether a try is allowed now, or in how many seconds it will be.
    pub fn try_now(&self, account: &str, address: &str, now: Timestamp) -> Result<(), u64> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = memory.pairs.get(&(account.to_owned(), address.to_owned())).map_or(0, |failures| failures.wait_ms(FREE_OF_PAIR, now));
        let whole = memory.addresses.get(address).map_or(0, |failures| failures.wait_ms(FREE_OF_ADDRESS, now));
        match pair.max(whole) {
            0 => Ok(()),
            wait => Err(u64::try_from(wait).unwrap_or(0).div_ceil(1000)),
        }
    }

    /// A wrong password. True when it is the third of its pair, then every tenth: worth a journal entry.
    pub fn failed(&self, account: &str, address: &str, now: Timestamp) -> bool {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Memory { pairs, addresses } = &mut *memory;
        let count = note(pairs, (account.to_owned(), address.to_owned()), now);
        note(addresses, address.to_owned(), now);
        count == FREE_OF_PAIR || count.is_multiple_of(10)
    }

    /// A right password.
    pub fn succeeded(&self, account: &str, address: &str) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.pairs.remove(&(account.to_owned(), address.to_owned()));
    }
}

fn note<K: std::hash::Hash + Eq + Clone>(failures: &mut HashMap<K, Failures>, key: K, now: Timestamp) -> u32 {
    if failures.len() >= MOST {
        failures.retain(|_, one| now.since(one.last) < FORGET_MS);
        let oldest = failures.iter().min_by_key(|(_, one)| one.last).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest.filter(|_| failures.len() >= MOST) {
            failures.remove(&oldest);
        }
    }
    let one = failures.entry(key).or_insert(Failures { count: 0, last: now });
    if now.since(one.last) >= FORGET_MS {
        one.count = 0;
    }
    one.count = one.count.saturating_add(1);
    one.last = now;
    one.count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(backoff: &Backoff, account: &str, address: &str, times: u32, at: i64) {
        for _ in 0..times {
            backoff.failed(account, address, Timestamp(at));
        }
    }

    #[test]
    fn three_wrong_passwords_are_free_and_the_next_must_wait() {
        let backoff = Backoff::default();
        fail(&backoff, "duty", "10.0.0.1", 2, 0);
        assert_eq!(backoff.try_now("duty", "10.0.0.1", Timestamp(0)), Ok(()));
        fail(&backoff, "duty", "10.0.0.1", 1, 0);
        assert_eq!(backoff.try_now("duty", "10.0.0.1", Timestamp(0)), Err(1));
        assert_eq!(backoff.try_now("duty", "10.0.0.1", Timestamp(1000)), Ok(()));
    }

    #[test]
    fn the_wait_doubles_and_never_exceeds_thirty_seconds() {
        let backoff = Backoff::default();
        fail(&backoff, "duty", "10.0.0.1", 5, 0);
        assert_eq!(backoff.try_now("duty", "10.0.0.1", Timestamp(0)), Err(4));
        fail(&backoff, "duty", "10.0.0.1", 1000, 0);
        assert_eq!(backoff.try_now("duty", "10.0.0.1", Timestamp(0)), Err(30));
    }

    #[test]
    fn guesses_from_elsewhere_never_lock_the_duty_officer_out() {
        let backoff = Backoff::default();
        for host in 0..200 {
            fail(&backoff, "duty", &format!("10.0.1.{host}"), 100, 0);
        }
        assert_eq!(backoff.try_now("duty", "10.0.0.1", Timestamp(0)), Ok(()));
    }

    #[test]
    fn one_address_that_tries_many_accounts_must_wait_for_all_of_them() {
        let backoff = Backoff::default();
        for account in 0..30 {
            fail(&backoff, &format!("user{account}"), "10.0.0.9", 1, 0);
        }
        assert!(backoff.try_now("fresh", "10.0.0.9", Timestamp(0)).is_err());
    }

    #[test]
    fn a_clock_set_back_does_not_make_anybody_wait_longer() {
        let backoff = Backoff::default();
        fail(&backoff, "duty", "10.0.0.1", 3, 1_000_000);
        assert_eq!(backoff.try_now("duty", "10.0.0.1", Timestamp(0)), Err(1));
    }

    #[test]
    fn the_memory_of_failures_is_bounded() {
        let backoff = Backoff::default();
        for host in 0..(MOST as i64 + 50) {
            backoff.failed("duty", &format!("host-{host}"), Timestamp(host));
        }
        assert!(backoff.0.lock().unwrap().pairs.len() <= MOST);
    }
}
