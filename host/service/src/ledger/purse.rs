//! Allowances in use: spent from memory, a lock of its own for each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atelier_domain::id::EntryId;
use atelier_domain::money::MicroCredits;

/// What is left of an allowance, as far as this process has promised it to calls.
#[derive(Debug)]
pub(super) struct Purse {
    pub id: EntryId,
    /// The day (UTC) whose budgets it counts against: on another day nothing is taken from it.
    day: u32,
    /// What it began with.
    whole: MicroCredits,
    state: Mutex<State>,
    returns: Arc<Returns>,
}

#[derive(Debug)]
struct State {
    free: MicroCredits,
    /// Calls under way that are paid from it.
    calls: usize,
    is_closing: bool,
    used_ms: u64,
}

/// Allowances that no call uses any more, to be given back.
#[derive(Debug, Default)]
pub(super) struct Returns(Mutex<Vec<EntryId>>);

impl Returns {
    pub(super) fn take(&self) -> Vec<EntryId> {
        std::mem::take(&mut lock(&self.0))
    }

    pub(super) fn add(&self, id: EntryId) {
        lock(&self.0).push(id);
    }
}

/// What is set aside for one call. Dropping it gives back what the call did not cost.
#[derive(Debug)]
pub(super) struct Reservation {
    purse: Arc<Purse>,
    pub held: MicroCredits,
    cost: MicroCredits,
}

impl Reservation {
    /// The allowance that it is a part of.
    pub(super) fn allowance(&self) -> EntryId {
        self.purse.id
    }

    /// The call has ended, and what it cost is recorded: never more than was set aside.
    pub(super) fn spend(mut self, cost: MicroCredits) {
        self.cost = cost.min(self.held);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.purse.put_back(self.held.beyond(self.cost));
    }
}

/// What is guarded stays consistent whatever panics beside it, so that a poisoned lock is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Purse {
    pub(super) fn new(
        id: EntryId,
        day: u32,
        whole: MicroCredits,
        now_ms: u64,
        returns: Arc<Returns>,
    ) -> Arc<Self> {
        let state = State { free: whole, calls: 0, is_closing: false, used_ms: now_ms };
        Arc::new(Self { id, day, whole, state: Mutex::new(state), returns })
    }

    /// Sets a call's most aside, if there is as much.
    pub(super) fn take(self: &Arc<Self>, held: MicroCredits, day: u32, now_ms: u64) -> Option<Reservation> {
        let mut state = lock(&self.state);
        let free = state.free.minus(held).filter(|_| !state.is_closing && day == self.day)?;
        state.free = free;
        state.calls += 1;
        state.used_ms = now_ms;
        Some(Reservation { purse: self.clone(), held, cost: MicroCredits::ZERO })
    }

    /// What can be taken from it on a day.
    pub(super) fn free(&self, day: u32) -> MicroCredits {
        let state = lock(&self.state);
        if state.is_closing || day != self.day { MicroCredits::ZERO } else { state.free }
    }

    /// Whether little of it is left.
    pub(super) fn is_low(&self) -> bool {
        lock(&self.state).free.get() * 4 < self.whole.get()
    }

    fn put_back(&self, rest: MicroCredits) {
        let mut state = lock(&self.state);
        state.free = state.free.plus(rest).unwrap_or(MicroCredits::MAX);
        state.calls -= 1;
        if state.is_closing && state.calls == 0 {
            self.returns.add(self.id);
        }
    }

    /// Lets no further call pay from it; once the last has ended, it is given back.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        if !state.is_closing {
            state.is_closing = true;
            if state.calls == 0 {
                self.returns.add(self.id);
            }
        }
    }

    /// Whether nobody has paid from it for so long.
    pub(super) fn is_idle(&self, now_ms: u64, for_ms: u64) -> bool {
        let state = lock(&self.state);
        state.calls == 0 && now_ms.saturating_sub(state.used_ms) >= for_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(of: u64) -> MicroCredits {
        MicroCredits::new(of).expect("small")
    }

    #[test]
    fn a_purse_never_promises_more_than_it_has_however_many_ask() {
        let returns = Arc::<Returns>::default();
        let purse = Purse::new(EntryId::new(), 1, amount(1_000), 0, returns.clone());
        let spent = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..64u64 {
                let (purse, spent) = (&purse, &spent);
                scope.spawn(move || {
                    for turn in 0..50 {
                        let most = 1 + (thread + turn) % 9;
                        if let Some(held) = purse.take(amount(most), 1, 0) {
                            let cost = most / 2;
                            spent.fetch_add(cost, std::sync::atomic::Ordering::SeqCst);
                            held.spend(amount(cost));
                        }
                    }
                });
            }
        });
        let spent = spent.into_inner();
        assert!(spent <= 1_000);
        assert_eq!(lock(&purse.state).free, amount(1_000 - spent));
        purse.close();
        assert_eq!(returns.take(), [purse.id]);
    }

    #[test]
    fn a_closed_purse_waits_for_its_calls_and_takes_no_more_and_neither_does_one_of_yesterday() {
        let returns = Arc::<Returns>::default();
        let purse = Purse::new(EntryId::new(), 1, amount(10), 0, returns.clone());
        assert!(purse.take(amount(1), 2, 0).is_none(), "another day");
        let (spending, unused) =
            (purse.take(amount(4), 1, 0).expect("4"), purse.take(amount(4), 1, 0).expect("8"));
        assert!(purse.take(amount(3), 1, 0).is_none(), "2 are left");
        assert!(purse.is_low());
        purse.close();
        drop(unused);
        assert!(returns.take().is_empty(), "one call goes on");
        assert!(purse.take(amount(1), 1, 0).is_none());
        spending.spend(amount(1));
        assert_eq!(returns.take(), [purse.id]);
        assert_eq!(lock(&purse.state).free, amount(9));
    }
}
