//! Which models are in memory: one budget for all, kept by unloading the least recently used idle one for the next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use crate::error::{EngineError, ModelError};
use crate::planner::{self, Device, Machine, Needs, Plan};

/// How long a model waits for room that models in use hold.
pub const ROOM_WAITED_MAX: Duration = Duration::from_secs(30);
/// How often busy holders are looked at while a model waits for their room.
const LOOK: Duration = Duration::from_millis(20);
/// Models that wait at once; one more is refused.
const WAITING_MAX: usize = 64;

/// Whose memory a model takes.
#[derive(Clone, Copy)]
pub(crate) enum Memory<'a> {
    /// The processor's, but for what passes through while loading.
    Processor,
    /// A card's, which is asked what it has in all and what nothing uses. There is one for all models.
    Card(&'a (dyn Fn() -> Device + Sync)),
}

impl Memory<'_> {
    fn is_card(&self) -> bool {
        matches!(self, Self::Card(_))
    }
}

/// A model that may be asked to go.
pub(crate) trait Resident: Send + Sync {
    /// Where nobody uses it, take it out of use at once; what is given frees its memory when awaited.
    fn evict(&self) -> Option<BoxFuture<'static, ()>>;
}

/// What a load asks for its room, from the thread that reads the model.
pub(crate) struct Rooms {
    pub(crate) budget: Budget,
    pub(crate) resident: Weak<dyn Resident>,
    pub(crate) runtime: tokio::runtime::Handle,
}

impl Rooms {
    /// As [`Budget::take`], of the processor's memory; blocks.
    pub(crate) fn take(&self, needs: &Needs) -> Result<Room, EngineError> {
        self.take_of(Memory::Processor, needs)
    }

    /// As [`Budget::take`]; blocks.
    pub(crate) fn take_of(&self, memory: Memory<'_>, needs: &Needs) -> Result<Room, EngineError> {
        self.runtime.block_on(self.budget.take(memory, needs, self.resident.clone()))
    }
}

/// Memory that all models of a process share. Clones share it too.
#[derive(Clone, Debug)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    total_bytes: u64,
    waited_max: Duration,
    ask_machine: bool,
    holders: Mutex<Holders>,
    freed: Notify,
    /// Who waits, waits in order of arrival: a large model is not starved by small ones.
    turn: Semaphore,
    places: Semaphore,
}

#[derive(Default)]
struct Holders {
    used_bytes: u64,
    card_used_bytes: u64,
    /// Counts uses: the least recently used has the lowest.
    clock: u64,
    by_id: BTreeMap<u64, Holder>,
}

struct Holder {
    used_at: u64,
    on_card: bool,
    resident: Weak<dyn Resident>,
}

impl Holders {
    fn used_of(&mut self, on_card: bool) -> &mut u64 {
        if on_card { &mut self.card_used_bytes } else { &mut self.used_bytes }
    }
}

impl std::fmt::Debug for Holders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { used_bytes, card_used_bytes, by_id, .. } = self;
        f.debug_struct("Holders")
            .field("used_bytes", used_bytes)
            .field("card_used_bytes", card_used_bytes)
            .field("models", &by_id.len())
            .finish()
    }
}

/// A model's share of the budget; dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Room {
    shared: Arc<Shared>,
    id: u64,
    bytes: u64,
    on_card: bool,
}

impl Budget {
    /// So many bytes for all models together, and never more than the machine has free. A model whose room is held by busy
    /// ones waits for `waited_max` at most.
    pub fn new(total_bytes: u64, waited_max: Duration) -> Self {
        Self::made(total_bytes, waited_max, true)
    }

    fn made(total_bytes: u64, waited_max: Duration, ask_machine: bool) -> Self {
        let shared = Shared {
            total_bytes,
            waited_max,
            ask_machine,
            holders: Mutex::default(),
            freed: Notify::new(),
            turn: Semaphore::new(1),
            places: Semaphore::new(WAITING_MAX),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Bytes that a model could have at most, were all others unloaded.
    pub(crate) fn bytes_max(&self, memory: Memory<'_>) -> u64 {
        let holders = self.shared.holders();
        match memory {
            Memory::Processor => self.shared.processor(&holders).room_later(),
            Memory::Card(ask) => card(&holders, ask()).room_later(),
        }
    }

    /// Bytes that loaded models and their requests hold.
    pub fn used_bytes(&self) -> u64 {
        self.shared.holders().used_bytes
    }

    /// Room for a model: at once, or after idle models were unloaded or busy ones became idle.
    ///
    /// # Errors
    /// [`ModelError::DoesNotFit`] where unloading everything would not do, [`EngineError::NoRoom`] where others stayed busy.
    pub(crate) async fn take(
        &self,
        memory: Memory<'_>,
        needs: &Needs,
        resident: Weak<dyn Resident>,
    ) -> Result<Room, EngineError> {
        let shared = &self.shared;
        let until = Instant::now() + shared.waited_max;
        let refused = || shared.no_room(memory, needs);
        let _place = shared.places.try_acquire().map_err(|_| refused())?;
        let turn = tokio::time::timeout_at(until, shared.turn.acquire()).await;
        let _turn = turn.map_err(|_| refused())?.map_err(|_| EngineError::Stopped)?;
        loop {
            if let Some(room) = shared.try_take(memory, needs, &resident)? {
                return Ok(room);
            }
            if let Some(gone) = shared.evict_one(memory, &resident) {
                gone.await;
                // Where a caller still reads what it held, its room comes back a little later.
                if shared.try_take_would_wait(memory, needs) {
                    let _ = tokio::time::timeout(LOOK, shared.freed.notified()).await;
                }
                continue;
            }
            if Instant::now() >= until {
                return Err(refused());
            }
            // Either way it is looked at again.
            let _ = tokio::time::timeout(LOOK, shared.freed.notified()).await;
        }
    }
}

impl Shared {
    fn holders(&self) -> std::sync::MutexGuard<'_, Holders> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn processor(&self, holders: &Holders) -> Device {
        let free_bytes = self.total_bytes.saturating_sub(holders.used_bytes);
        let of_machine = if self.ask_machine { planner::memory::available_bytes() } else { None };
        Device {
            free_bytes: free_bytes.min(of_machine.unwrap_or(u64::MAX)),
            held_bytes: holders.used_bytes,
            ..Device::unused(self.total_bytes)
        }
    }

    fn plan(&self, memory: Memory<'_>, needs: &Needs, holders: &Holders) -> Plan {
        let machine = match memory {
            Memory::Processor => Machine { gpu: None, cpu: self.processor(holders) },
            // The processor has room for what passes through, and so for no part of the model.
            Memory::Card(ask) => {
                let cpu = Device::unused(needs.staging_bytes);
                Machine { gpu: Some(card(holders, ask())), cpu }
            }
        };
        planner::plan(needs, &machine)
    }

    fn try_take_would_wait(&self, memory: Memory<'_>, needs: &Needs) -> bool {
        matches!(self.plan(memory, needs, &self.holders()), Plan::Wait(_))
    }

    fn try_take(
        self: &Arc<Self>,
        memory: Memory<'_>,
        needs: &Needs,
        resident: &Weak<dyn Resident>,
    ) -> Result<Option<Room>, EngineError> {
        let mut holders = self.holders();
        match self.plan(memory, needs, &holders) {
            Plan::Refused(shortage) => Err(ModelError::from(shortage).into()),
            Plan::Wait(_) => Ok(None),
            Plan::Load(_) => {
                let (bytes, on_card) = (needs.whole_bytes(), memory.is_card());
                *holders.used_of(on_card) += bytes;
                holders.clock += 1;
                let id = holders.clock;
                holders.by_id.insert(id, Holder { used_at: id, on_card, resident: resident.clone() });
                Ok(Some(Room { shared: self.clone(), id, bytes, on_card }))
            }
        }
    }

    /// Begin to unload the least recently used model of this memory that nobody uses.
    fn evict_one(&self, memory: Memory<'_>, but: &Weak<dyn Resident>) -> Option<BoxFuture<'static, ()>> {
        let mut holders: Vec<_> = {
            let holders = self.holders();
            let there = holders.by_id.values().filter(|holder| holder.on_card == memory.is_card());
            there.map(|holder| (holder.used_at, holder.resident.clone())).collect()
        };
        holders.sort_unstable_by_key(|(used_at, _)| *used_at);
        // Without the lock: a model that goes gives its room back, which takes it.
        holders
            .into_iter()
            .filter(|(_, resident)| !Weak::ptr_eq(resident, but))
            .find_map(|(_, resident)| resident.upgrade()?.evict())
    }

    fn no_room(&self, memory: Memory<'_>, needs: &Needs) -> EngineError {
        let holders = self.holders();
        let device = match memory {
            Memory::Processor => self.processor(&holders),
            Memory::Card(ask) => card(&holders, ask()),
        };
        EngineError::NoRoom {
            needed_bytes: needs.whole_bytes(),
            free_bytes: device.room_now(),
            total_bytes: device.total_bytes,
        }
    }
}

/// What a card has, less what its models were promised and have not taken yet.
fn card(holders: &Holders, said: Device) -> Device {
    let unpromised_bytes = said.total_bytes.saturating_sub(holders.card_used_bytes);
    Device {
        total_bytes: said.total_bytes,
        free_bytes: said.free_bytes.min(unpromised_bytes),
        held_bytes: holders.card_used_bytes,
        headroom_bytes: said.headroom_bytes,
    }
}

impl Room {
    /// The model is used now.
    pub(crate) fn touch(&self) {
        let mut holders = self.shared.holders();
        holders.clock += 1;
        let now = holders.clock;
        if let Some(holder) = holders.by_id.get_mut(&self.id) {
            holder.used_at = now;
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut holders = self.shared.holders();
        *holders.used_of(self.on_card) -= self.bytes;
        holders.by_id.remove(&self.id);
        drop(holders);
        self.shared.freed.notify_one();
    }
}

#[cfg(test)]
mod tests;
