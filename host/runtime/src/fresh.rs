//! Fresh instances: each serves one call and no other. Some are made before they are wanted, while a call waits for its upstream,
//! and used ones are taken apart after their answer has gone out, so that neither holds up a caller.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::host_state::{CallState, Shared};
use crate::sandbox::LoadedPlugin;

/// Instances in the pool beside those of running calls: in stock, or about to be taken apart.
pub const HEADROOM: u32 = 64;
/// Instances in stock for one configured instance of a plugin: as many as calls begin at the same moment on few threads.
const STOCK_MAX: usize = 2;

/// A store in which no guest has run, and perhaps the instance in it.
pub struct Fresh {
    pub store: Store<CallState>,
    pub instance: Option<Instance>,
}

impl Fresh {
    /// A store with all limits, but nothing in it.
    pub fn empty(plugin: &LoadedPlugin, shared: Arc<Shared>) -> Self {
        let host_call_bytes = shared.profile.host_call_bytes;
        let mut store = Store::new(plugin.exports.pre.engine(), CallState::new(shared));
        store.set_hostcall_fuel(host_call_bytes);
        store.limiter(|state| &mut state.meter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| store.data_mut().tick());
        Self { store, instance: None }
    }
}

/// What waits for its call, within the headroom.
struct Ready {
    fresh: Fresh,
    _place: OwnedSemaphorePermit,
}

/// Instances in stock for one configured instance of a plugin.
#[derive(Default)]
pub struct Stock {
    ready: Mutex<Vec<Ready>>,
    /// Being made.
    coming: AtomicUsize,
}

impl Stock {
    fn ready(&self) -> MutexGuard<'_, Vec<Ready>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of them, if there is any.
    pub fn take(&self) -> Option<Fresh> {
        self.ready().pop().map(|ready| ready.fresh)
    }

    /// Makes one more, as soon as this thread has nothing better to do. Not of a plugin whose code would run on the way: that is for
    /// calls alone, which have clocks.
    pub fn refill(
        self: &Arc<Self>,
        headroom: &Arc<Semaphore>,
        plugin: &Arc<LoadedPlugin>,
        shared: &Arc<Shared>,
    ) {
        if !plugin.is_inert || self.ready().len() + self.coming.load(Ordering::Relaxed) >= STOCK_MAX {
            return;
        }
        let Ok(place) = Arc::clone(headroom).try_acquire_owned() else { return };
        let coming = Coming::new(Arc::clone(self));
        let (plugin, shared) = (Arc::clone(plugin), Arc::clone(shared));
        tokio::spawn(async move {
            // What the call has just sent goes out first.
            yield_now().await;
            let mut fresh = Fresh::empty(&plugin, shared);
            match plugin.exports.pre.instantiate_async(&mut fresh.store).await {
                Ok(instance) => {
                    fresh.instance = Some(instance);
                    coming.0.ready().push(Ready { fresh, _place: place });
                }
                // The next call tries for itself, and reports it.
                Err(error) => {
                    tracing::debug!(plugin = &*plugin.id, %error, "no instance could be made in advance")
                }
            }
        });
    }
}

/// Counts an instance while it is being made.
struct Coming(Arc<Stock>);

impl Coming {
    fn new(stock: Arc<Stock>) -> Self {
        stock.coming.fetch_add(1, Ordering::Relaxed);
        Self(stock)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.coming.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes a used instance apart: later, if there is headroom for it, else now.
pub fn dispose(store: Store<CallState>, headroom: &Arc<Semaphore>) {
    let Ok(place) = Arc::clone(headroom).try_acquire_owned() else { return };
    store.data().note_used_up();
    tokio::spawn(async move {
        yield_now().await;
        drop(store);
        drop(place);
    });
}
