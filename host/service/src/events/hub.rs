//! Who looks on, and how they are woken.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atelier_domain::id::UserId;
use atelier_domain::store::{EventWatcher, Noted};
use tokio::sync::{Notify, watch};

use crate::ServiceError;

/// Told by the store of each event; wakes feeds and the sender of webhooks.
#[derive(Debug, Default)]
pub struct Hub {
    state: Mutex<State>,
    deliveries: Notify,
    is_closed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    open: usize,
    users: HashMap<UserId, User>,
}

#[derive(Debug)]
struct User {
    open: usize,
    /// The number of the newest event.
    newest: watch::Sender<u64>,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Counts stay consistent whatever panics beside them, so that a poisoned lock is still good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more feed.
    ///
    /// # Errors
    /// The user has too many, or all have.
    pub(super) fn enter(
        self: Arc<Self>,
        owner: UserId,
        per_user_max: usize,
        max: usize,
    ) -> Result<Place, ServiceError> {
        let mut state = self.lock();
        let mine = state.users.get(&owner).map_or(0, |user| user.open);
        if mine >= per_user_max || state.open >= max {
            return Err(ServiceError::TooMany { what: "open event feeds", max: per_user_max });
        }
        state.open += 1;
        let new = || User { open: 0, newest: watch::Sender::new(0) };
        let user = state.users.entry(owner).or_insert_with(new);
        user.open += 1;
        let (newest, closed) = (user.newest.subscribe(), self.is_closed.subscribe());
        drop(state);
        Ok(Place { newest, closed, owner, hub: self })
    }

    /// Feeds that are open.
    pub(super) fn open(&self) -> usize {
        self.lock().open
    }

    /// Ends all feeds, and those that begin later: the server stops.
    pub fn close(&self) {
        self.is_closed.send_replace(true);
    }

    /// Waits until there may be a delivery to send.
    pub(crate) async fn delivery(&self) {
        self.deliveries.notified().await;
    }

    /// There may be a delivery to send.
    pub(crate) fn wake_deliveries(&self) {
        self.deliveries.notify_one();
    }
}

impl EventWatcher for Hub {
    fn stored(&self, noted: Noted) {
        if let Some(user) = self.lock().users.get(&noted.owner) {
            // Two writers may tell in another order than they wrote.
            user.newest.send_modify(|newest| *newest = (*newest).max(noted.sequence));
        }
        if noted.has_deliveries {
            self.wake_deliveries();
        }
    }
}

/// An open feed's place. Dropped, it is free.
#[derive(Debug)]
pub(super) struct Place {
    /// Changes when there is something new.
    pub(super) newest: watch::Receiver<u64>,
    /// Turns true when the server stops.
    pub(super) closed: watch::Receiver<bool>,
    owner: UserId,
    hub: Arc<Hub>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        state.open = state.open.saturating_sub(1);
        if let Some(user) = state.users.get_mut(&self.owner) {
            user.open = user.open.saturating_sub(1);
            if user.open == 0 {
                state.users.remove(&self.owner);
            }
        }
    }
}
