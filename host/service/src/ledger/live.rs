//! Live calls: paid from memory out of allowances, recorded in one append, entered into the books in the background.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_domain::id::{EntryId, KeyId, UserId};
use atelier_domain::model::Task;
use atelier_domain::money::{AllowanceWanted, MicroCredits, ModelPrice, Refusal};
use futures::future::BoxFuture;
use tokio::sync::watch;

use super::charge::{Charge, Expected};
use super::purse::{Purse, Reservation, Returns};
use super::unrecorded::Unrecorded;
use super::{Accounting, Ledger, Sent, payer};
use crate::ServiceError;
use crate::caller::Caller;
use crate::registry::ModelEntry;

/// How often what was recorded enters the books.
const FOLD_EVERY: Duration = Duration::from_millis(200);
/// An allowance that nobody has used for so long is given back.
const IDLE_MS: u64 = 10_000;
/// Refills under way at once, by hash of the key.
const REFILLS: usize = 64;
/// What live calls of all users draw on.
#[derive(Debug)]
pub(super) struct Purses {
    current: Mutex<HashMap<(UserId, KeyId), Arc<Purse>>>,
    refills: [tokio::sync::Mutex<()>; REFILLS],
    hasher: RandomState,
    returns: Arc<Returns>,
    /// Held while allowances are returned.
    returning: Arc<tokio::sync::Mutex<()>>,
    /// Something was recorded that is not in the books.
    is_dirty: AtomicBool,
    /// What could not be recorded.
    pub(super) unrecorded: Arc<Unrecorded>,
}

impl Default for Purses {
    fn default() -> Self {
        Self {
            current: Mutex::default(),
            refills: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            hasher: RandomState::new(),
            returns: Arc::default(),
            returning: Arc::default(),
            is_dirty: AtomicBool::new(false),
            unrecorded: Arc::default(),
        }
    }
}

impl Purses {
    /// A call was recorded.
    pub(super) fn note_recorded(&self) {
        self.is_dirty.store(true, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(UserId, KeyId), Arc<Purse>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, payer: (UserId, KeyId)) -> Option<Arc<Purse>> {
        self.lock().get(&payer).cloned()
    }

    /// Puts a new purse in the place of the current one, unless that has more to give. The other is given back once its calls have ended.
    fn put(&self, payer: (UserId, KeyId), new: Arc<Purse>, day: u32) {
        let mut current = self.lock();
        let other = match current.get(&payer) {
            Some(old) if old.free(day) > new.free(day) => Some(new),
            Some(_) | None => current.insert(payer, new),
        };
        drop(current);
        if let Some(other) = other {
            other.close();
        }
    }

    fn refill_of(&self, payer: (UserId, KeyId)) -> &tokio::sync::Mutex<()> {
        &self.refills[self.hasher.hash_one(payer) as usize % REFILLS]
    }
}

/// The money of a call.
pub(crate) enum Admission {
    Now(Charge),
    /// Money has to be set aside first, which waits for a disk.
    Later(BoxFuture<'static, Result<Charge, ServiceError>>),
}

impl Ledger {
    /// Sets aside what a live call may cost: at once where nothing costs or enough is set aside already.
    ///
    /// # Errors
    /// The model has no price and needs one, the call may cost more than there is money, or the last one could not be recorded.
    pub(crate) fn admit(
        self: &Arc<Self>,
        caller: &Caller,
        model: &Arc<ModelEntry>,
        task: Task,
        expected: Expected,
        sent: Arc<Sent>,
    ) -> Result<Admission, ServiceError> {
        self.admit_any(caller, model, task, expected, sent, &[])
    }

    /// The same for a call that others may answer in place of the first: set aside is the most that any of them may cost.
    ///
    /// # Errors
    /// As [`Ledger::admit`].
    pub(crate) fn admit_any(
        self: &Arc<Self>,
        caller: &Caller,
        model: &Arc<ModelEntry>,
        task: Task,
        expected: Expected,
        sent: Arc<Sent>,
        others: &[(Arc<ModelEntry>, Expected)],
    ) -> Result<Admission, ServiceError> {
        if self.purses.unrecorded.is_failing() {
            return Err(ServiceError::StorageBusy);
        }
        let price = self.price_of(model)?;
        let expected = expected.in_meters_of(price.as_ref().map(|price| &*price.snapshot));
        let charge = Charge {
            ledger: self.clone(),
            caller: caller.clone(),
            model: model.clone(),
            task,
            expected,
            sent,
            price: price.as_ref().map(|price| price.snapshot.clone()),
            reservation: None,
        };
        let mut most = self.most_of(price.as_deref(), &expected)?;
        for (model, expected) in others {
            let price = self.price_of(model)?;
            let expected = expected.in_meters_of(price.as_ref().map(|price| &*price.snapshot));
            most = most.max(self.most_of(price.as_deref(), &expected)?);
        }
        let Some(most) = most else { return Ok(Admission::Now(charge)) };
        if let Some(reservation) = self.from_current(caller, most) {
            return Ok(Admission::Now(Charge { reservation: Some(reservation), ..charge }));
        }
        let ledger = self.clone();
        Ok(Admission::Later(Box::pin(async move {
            let reservation = ledger.refilled(payer(&charge.caller), most).await?;
            Ok(Charge { reservation: Some(reservation), ..charge })
        })))
    }

    /// The most that a call may cost, if it may cost anything.
    fn most_of(
        &self,
        price: Option<&ModelPrice>,
        expected: &Expected,
    ) -> Result<Option<MicroCredits>, ServiceError> {
        let price = price.filter(|price| !price.snapshot.is_free());
        price.map(|price| self.most_of_call(price, expected)).transpose()
    }

    fn most_of_call(&self, price: &ModelPrice, expected: &Expected) -> Result<MicroCredits, ServiceError> {
        let costing =
            price.snapshot.cost(&expected.at_most()).map_err(|why| ServiceError::Refused(why.into()))?;
        // How a provider counts a sound is not certain: some count whole minutes.
        let is_open = costing.is_unpriced || costing.total.is_zero() || expected.sound_ms.is_some();
        Ok(if is_open {
            costing.total.max(price.hold.unwrap_or(self.settings.call_hold))
        } else {
            costing.total
        })
    }

    fn from_current(self: &Arc<Self>, caller: &Caller, most: MicroCredits) -> Option<Reservation> {
        let payer = payer(caller);
        let purse = self.purses.of(payer)?;
        let reservation = purse.take(most, self.clock.now().day(), self.clock.monotonic_ms())?;
        if purse.is_low() {
            self.refill_in_background(payer, purse.id);
        }
        Some(reservation)
    }

    /// Has a new allowance ready before the old one is used up, so that no call waits for it.
    fn refill_in_background(self: &Arc<Self>, payer: (UserId, KeyId), old: EntryId) {
        let ledger = self.clone();
        tokio::spawn(async move {
            // Somebody is at it already.
            let Ok(_turn) = ledger.purses.refill_of(payer).try_lock() else { return };
            let old = ledger.purses.of(payer).filter(|purse| purse.id == old);
            if let Some(old) = old {
                // Less than there is left would be no refill.
                let day = ledger.clock.now().day();
                let least = old.free(day).plus(MicroCredits::ONE).unwrap_or(MicroCredits::MAX);
                match ledger.take_allowance(payer, least).await {
                    Ok(reservation) => drop(reservation),
                    Err(ServiceError::Refused(why)) => tracing::debug!(%why, "an allowance was not refilled"),
                    Err(error) => tracing::warn!(%error, "an allowance could not be refilled"),
                }
            }
        });
    }

    /// What a call may cost, out of an allowance that has as much, which may be a new one.
    async fn refilled(
        self: &Arc<Self>,
        payer: (UserId, KeyId),
        most: MicroCredits,
    ) -> Result<Reservation, ServiceError> {
        let ledger = self.clone();
        // Also where its caller leaves meanwhile: an allowance that was taken has a purse, and one is taken after the other.
        let refilling = tokio::spawn(async move { ledger.refilled_in_turn(payer, most).await });
        refilling
            .await
            .map_err(|error| ServiceError::Internal(format!("an allowance was not taken: {error}")))?
    }

    async fn refilled_in_turn(
        &self,
        payer: (UserId, KeyId),
        most: MicroCredits,
    ) -> Result<Reservation, ServiceError> {
        let _turn = self.purses.refill_of(payer).lock().await;
        let (day, now_ms) = (self.clock.now().day(), self.clock.monotonic_ms());
        if let Some(reservation) = self.purses.of(payer).and_then(|purse| purse.take(most, day, now_ms)) {
            return Ok(reservation);
        }
        match self.take_allowance(payer, most).await {
            Err(ServiceError::Refused(
                Refusal::InsufficientCredits { .. } | Refusal::BudgetExceeded { .. },
            )) => {
                // What is missing may lie in allowances that are not in use.
                self.recall(payer.0).await?;
                self.take_allowance(payer, most).await
            }
            outcome => outcome,
        }
    }

    /// Sets a new allowance aside, and takes the least of it. It must be waited for to its end, in the payer's turn.
    async fn take_allowance(
        &self,
        payer: (UserId, KeyId),
        least: MicroCredits,
    ) -> Result<Reservation, ServiceError> {
        let (user, key) = payer;
        let at = self.clock.now();
        let wanted = AllowanceWanted {
            id: EntryId::new(),
            user,
            key,
            least,
            most: self.settings.allowance.max(least),
            is_debited: self.settings.accounting == Accounting::Enforce,
            at,
        };
        let store = self.store.clone();
        let taken = self.pool.run(move || store.take_allowance(&wanted)).await?;
        let now_ms = self.clock.monotonic_ms();
        let purse = Purse::new(wanted.id, at.day(), taken, now_ms, self.purses.returns.clone());
        let reservation = purse.take(least, at.day(), now_ms);
        self.purses.put(payer, purse, at.day());
        reservation.ok_or_else(|| ServiceError::Internal("an allowance was less than the least".to_owned()))
    }

    /// Gives back what a user's live calls do not need at the moment.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub(crate) async fn recall(&self, user: UserId) -> Result<(), ServiceError> {
        let mine: Vec<_> = self.purses.lock().extract_if(|(owner, _), _| *owner == user).collect();
        mine.iter().for_each(|(_, purse)| purse.close());
        self.give_back().await
    }

    /// Enters what was recorded into the books, and gives back what nobody uses, until told to stop.
    pub async fn run(&self, mut stopped: watch::Receiver<bool>) {
        loop {
            let is_last = tokio::select! {
                () = tokio::time::sleep(FOLD_EVERY) => false,
                _ = stopped.wait_for(|stop| *stop) => true,
            };
            let now_ms = self.clock.monotonic_ms();
            let idle: Vec<_> = {
                let mut current = self.purses.lock();
                current.extract_if(|_, purse| is_last || purse.is_idle(now_ms, IDLE_MS)).collect()
            };
            idle.iter().for_each(|(_, purse)| purse.close());
            if let Err(error) = self.mend().await {
                tracing::error!(%error, "live calls cannot be recorded, and none is let in; it is tried again");
            }
            if let Err(error) = self.settle().await {
                tracing::error!(%error, "live calls could not be entered into the books; it is tried again");
            }
            if is_last {
                return;
            }
        }
    }

    /// Records what could not be recorded, and lets calls in again, if there is such and it works now.
    async fn mend(&self) -> Result<(), ServiceError> {
        if !self.purses.unrecorded.is_failing() {
            return Ok(());
        }
        let (store, unrecorded) = (self.store.clone(), self.purses.unrecorded.clone());
        let work = move || {
            // A journal that is full or failed goes on once it is in the books.
            let folded = store.fold();
            unrecorded.try_again(&*store)?;
            folded.map(drop)
        };
        let mended = self.pool.run(work).await;
        self.purses.note_recorded();
        mended
    }

    /// Enters what was recorded so far into the books.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn settle(&self) -> Result<(), ServiceError> {
        if self.purses.is_dirty.swap(false, Ordering::AcqRel) {
            let store = self.store.clone();
            let folded = self.pool.run(move || store.fold()).await;
            let folded = folded.inspect_err(|_| self.purses.is_dirty.store(true, Ordering::Release))?;
            if !folded.uncharged.is_zero() {
                tracing::error!(
                    micro_credits = folded.uncharged.get(),
                    "live calls cost more than was set aside for them"
                );
            }
        }
        self.give_back().await
    }

    /// Returns what closed purses left. In one piece of work that ends whether or not its caller stays; who comes meanwhile waits for it.
    async fn give_back(&self) -> Result<(), ServiceError> {
        let turn = self.purses.returning.clone().lock_owned().await;
        let (store, returns) = (self.store.clone(), self.purses.returns.clone());
        let work = move || {
            let _turn = turn;
            let mut outcome = Ok(());
            for id in returns.take() {
                if let Err(error) = store.return_allowance(id) {
                    returns.add(id);
                    outcome = Err(error);
                }
            }
            outcome
        };
        self.pool.run(work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fuller_purse_stays_and_the_other_is_given_back() {
        let (purses, payer) = (Purses::default(), (UserId::new(), KeyId::new()));
        let amount = |of| MicroCredits::new(of).expect("small");
        let purse = |of| Purse::new(EntryId::new(), 1, amount(of), 0, purses.returns.clone());
        let current = |purses: &Purses| purses.of(payer).expect("there").id;
        let (old, less, more) = (purse(100), purse(50), purse(60));
        purses.put(payer, old.clone(), 1);
        let (call, other) = (old.take(amount(45), 1, 0).expect("100"), less.take(amount(10), 1, 0));
        purses.put(payer, less.clone(), 1);
        assert_eq!(current(&purses), old.id, "55 are left of it, and 40 of the other");
        drop(other);
        assert_eq!(purses.returns.take(), [less.id]);
        purses.put(payer, more.clone(), 1);
        assert_eq!(current(&purses), more.id);
        assert!(purses.returns.take().is_empty(), "a call is paid from it");
        drop(call);
        assert_eq!(purses.returns.take(), [old.id]);
        // What is left of yesterday's is nothing today.
        let today = Purse::new(EntryId::new(), 2, amount(1), 0, purses.returns.clone());
        purses.put(payer, today.clone(), 2);
        assert_eq!((current(&purses), purses.returns.take()), (today.id, vec![more.id]));
    }
}
