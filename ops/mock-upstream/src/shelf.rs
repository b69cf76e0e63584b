//! A bounded map for the things clients create: the oldest makes room for the newest.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most things of one kind kept at once.
const KEPT_MAX: usize = 1024;
/// Most bytes of one kind kept at once; the newest thing is kept whatever its size.
const KEPT_BYTES_MAX: usize = 64 << 20;

#[derive(Debug)]
struct Kept<T> {
    id: String,
    bytes: usize,
    thing: T,
}

#[derive(Debug)]
pub(crate) struct Shelf<T>(Mutex<VecDeque<Kept<T>>>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }
}

impl<T: Clone> Shelf<T> {
    /// Keep a thing that holds about so many bytes of what the client sent.
    pub fn put(&self, id: &str, bytes: usize, thing: T) {
        let mut kept = self.kept();
        kept.push_back(Kept { id: id.to_owned(), bytes, thing });
        let mut total: usize = kept.iter().map(|kept| kept.bytes).sum();
        while kept.len() > KEPT_MAX || (total > KEPT_BYTES_MAX && kept.len() > 1) {
            total -= kept.pop_front().map_or(0, |oldest| oldest.bytes);
        }
    }

    /// Change the thing with this id, if it is still kept, and return what `change` made of it.
    pub fn with<R>(&self, id: &str, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut kept = self.kept();
        kept.iter_mut().rev().find(|kept| kept.id == id).map(|kept| change(&mut kept.thing))
    }

    pub fn get(&self, id: &str) -> Option<T> {
        self.with(id, |thing| thing.clone())
    }

    pub fn take(&self, id: &str) -> Option<T> {
        let mut kept = self.kept();
        let at = kept.iter().position(|kept| kept.id == id)?;
        kept.remove(at).map(|kept| kept.thing)
    }

    /// Everything kept, newest first.
    pub fn all(&self) -> Vec<T> {
        self.kept().iter().rev().map(|kept| kept.thing.clone()).collect()
    }

    pub fn clear(&self) {
        self.kept().clear();
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept<T>>> {
        // A panic while holding the lock leaves the map whole: each change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_BYTES_MAX, KEPT_MAX, Shelf};

    #[test]
    fn the_oldest_make_room_when_there_are_too_many_or_too_large_ones() {
        let shelf = Shelf::default();
        for number in 0..=KEPT_MAX {
            shelf.put(&number.to_string(), 1, number);
        }
        assert_eq!(shelf.all().len(), KEPT_MAX);
        assert_eq!((shelf.get("0"), shelf.get("1")), (None, Some(1)));
        shelf.put("large", KEPT_BYTES_MAX + 1, 7);
        assert_eq!(shelf.all(), [7]);
    }
}
