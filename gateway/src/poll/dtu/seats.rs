//! The seats of those who have connected and not yet said who they are. Whoever fills them from one address leaves half to
//! the others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All of them.
pub const SEATS: usize = 64;

/// How many are taken, by address.
#[derive(Debug, Clone, Default)]
pub struct Seats(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// Given back when it is dropped.
#[derive(Debug)]
pub struct Seat(Seats, IpAddr);

impl Seats {
    /// A seat, if there is one for this address.
    pub fn take(&self, from: IpAddr) -> Option<Seat> {
        let mut taken = self.lock();
        let all: usize = taken.values().sum();
        let own = taken.get(&from).copied().unwrap_or(0);
        if all >= SEATS || own >= SEATS / 2 {
            return None;
        }
        taken.insert(from, own + 1);
        Some(Seat(self.clone(), from))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.0.lock();
        let left = taken.get(&self.1).map_or(0, |own| own.saturating_sub(1));
        if left == 0 {
            taken.remove(&self.1);
        } else {
            taken.insert(self.1, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_takes_half_of_the_seats_at_most_and_gives_them_back() {
        let seats = Seats::default();
        let take = |host: u8| seats.take(IpAddr::from([10, 0, 0, host]));
        let first: Vec<_> = std::iter::from_fn(|| take(1)).collect();
        let second: Vec<_> = std::iter::from_fn(|| take(2)).collect();
        assert_eq!((first.len(), second.len()), (SEATS / 2, SEATS / 2));
        assert!(take(3).is_none());
        drop(first);
        assert!(take(3).is_some() && take(1).is_some() && take(2).is_none());
        drop(second);
        assert!(seats.lock().is_empty());
    }
}
