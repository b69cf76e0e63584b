//! How many connections one address has, so that none takes all places.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atelier_service::limits::network_of;
use tokio::sync::Semaphore;

/// Connections by the address that they come from.
#[derive(Debug)]
pub(crate) struct Places {
    max: usize,
    taken: Mutex<HashMap<IpAddr, Taken>>,
}

/// What one address has.
#[derive(Debug, Default)]
struct Taken {
    places: usize,
    /// Of its handshakes; made with the first.
    turns: Option<Arc<Semaphore>>,
}

/// A connection's place. Free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    /// So many for each address.
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, taken: Mutex::default() })
    }

    /// A place for a connection from there, if one is left.
    pub(crate) fn take(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let address = network_of(from);
        let mut taken = self.lock();
        let of_address = taken.entry(address).or_default();
        if of_address.places >= self.max {
            return None;
        }
        of_address.places += 1;
        Some(Place { places: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Taken>> {
        // The counts stay consistent whatever panics beside them, so that a poisoned lock is still good.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The turns that the connections of its address take; so many at once.
    pub(crate) fn turns(&self, max: usize) -> Arc<Semaphore> {
        let mut taken = self.places.lock();
        let of_address = taken.entry(self.address).or_default();
        of_address.turns.get_or_insert_with(|| Arc::new(Semaphore::new(max))).clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(of_address) = taken.get_mut(&self.address) {
            of_address.places -= 1;
            if of_address.places == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_places_and_gives_them_back() {
        let places = Places::new(2);
        let from = |text: &str| places.take(text.parse().expect("an address"));
        let (first, _second) = (from("192.0.2.1").expect("one"), from("::ffff:192.0.2.1").expect("two"));
        assert!(from("192.0.2.1").is_none());
        let _other = from("192.0.2.2").expect("another's are its own");
        drop(first);
        let _again = from("192.0.2.1").expect("it was given back");
        let _v6 = (from("2001:db8::1").expect("one"), from("2001:db8::2").expect("of the same network"));
        assert!(from("2001:db8::ffff:0:0:1").is_none(), "a network is one address");
        assert!(from("2001:db8:0:1::1").is_some());
    }

    #[test]
    fn nothing_is_kept_of_an_address_without_a_connection() {
        let places = Places::new(1);
        drop(places.take(IpAddr::V4([192, 0, 2, 1].into())));
        assert!(places.lock().is_empty());
    }
}
