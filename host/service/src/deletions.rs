//! What goes on after a user was deleted: what they have under way is ended, and what they stored is removed, in small steps that any
//! later process goes on with.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::deletion::{Advance, Deletion};
use atelier_domain::id::UserId;
use atelier_domain::store::DeletionStore;
use atelier_domain::time::Clock;
use tokio::sync::{Notify, watch};
use tokio::task::JoinError;

use crate::accounts::Accounts;
use crate::batches::Batches;
use crate::jobs::Jobs;
use crate::own_keys::OwnKeys;
use crate::{ServiceError, StoragePool};

/// Rows removed in one step, and jobs and batches ended in one.
const STEP: usize = 64;
/// Deletions taken up in one round.
const OPEN_MAX: usize = 1024;
/// Between two steps, in which others have their turn at the store.
const BETWEEN_STEPS: Duration = Duration::from_millis(10);
/// From one round to the next, where something waits for a job's end or for money to come back; and where nothing is open.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(2);
const REST: Duration = Duration::from_secs(60);

/// What deletions need.
#[derive(Debug)]
pub struct DeletionPorts {
    pub store: Arc<dyn DeletionStore>,
    pub accounts: Arc<Accounts>,
    pub own_keys: Arc<OwnKeys>,
    pub jobs: Jobs,
    pub batches: Batches,
    pub pool: StoragePool,
    pub clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Inner {
    ports: DeletionPorts,
    /// Somebody was deleted.
    begun: Notify,
}

impl Inner {
    /// What follows at once.
    async fn followed(&self, user: UserId) {
        self.ports.own_keys.forget(user).await;
        self.begun.notify_one();
    }
}

fn stopped(error: JoinError) -> ServiceError {
    ServiceError::Internal(format!("a deletion stopped: {error}"))
}

/// Deletions of users.
#[derive(Clone, Debug)]
pub struct Deletions {
    inner: Arc<Inner>,
}

impl Deletions {
    /// At rest: [`Deletions::run`] removes what deleted users stored.
    pub fn new(ports: DeletionPorts) -> Self {
        Self { inner: Arc::new(Inner { ports, begun: Notify::new() }) }
    }

    /// Deletes a user: for administrators.
    ///
    /// # Errors
    /// As [`Accounts::delete_user`].
    pub async fn delete(&self, user: UserId) -> Result<Deletion, ServiceError> {
        let inner = self.inner.clone();
        // On its own, to its end: what was done in the store is known everywhere, whether or not its caller stays.
        let work = tokio::spawn(async move {
            let deletion = inner.ports.accounts.delete_user(user).await;
            inner.followed(user).await;
            deletion
        });
        work.await.map_err(stopped)?
    }

    /// Deletes a user who says so with their password.
    ///
    /// # Errors
    /// As [`Accounts::delete_own`].
    pub async fn delete_own(
        &self,
        user: UserId,
        password: &str,
        from: IpAddr,
    ) -> Result<Deletion, ServiceError> {
        let (inner, password) = (self.inner.clone(), password.to_owned());
        let work = tokio::spawn(async move {
            let deletion = inner.ports.accounts.delete_own(user, &password, from).await;
            inner.followed(user).await;
            deletion
        });
        work.await.map_err(stopped)?
    }

    /// Removes what deleted users stored, until told to stop. It begins with what was left by an earlier process.
    pub async fn run(&self, mut stopped: watch::Receiver<bool>) {
        loop {
            let rest = tokio::select! {
                round = self.round() => match round {
                    Ok(0) => REST,
                    Ok(_) => BETWEEN_ROUNDS,
                    Err(error) => {
                        tracing::error!(%error, "what deleted users stored could not be removed; it is tried again");
                        BETWEEN_ROUNDS
                    }
                },
                _ = stopped.wait_for(|stop| *stop) => return,
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.inner.begun.notified() => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Goes on with all deletions as far as that is possible now; gives how many are still open.
    ///
    /// # Errors
    /// Storage is failing or busy; what was removed stays removed.
    pub async fn round(&self) -> Result<usize, ServiceError> {
        let DeletionPorts { store, pool, .. } = &self.inner.ports;
        let listed = store.clone();
        let open = pool.run(move || listed.open_deletions(OPEN_MAX)).await?;
        let (mut waiting, mut failed) = (0, None);
        for deletion in open {
            match self.go_on(deletion.user).await {
                Ok(true) => {}
                Ok(false) => waiting += 1,
                // That of one user keeps no other's waiting.
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            None => Ok(waiting),
            Some(error) => Err(error),
        }
    }

    /// Whether all that a user stored is gone.
    async fn go_on(&self, user: UserId) -> Result<bool, ServiceError> {
        self.end_work_of(user).await?;
        let DeletionPorts { store, pool, clock, .. } = &self.inner.ports;
        loop {
            let (store, now) = (store.clone(), clock.now());
            let step = pool.run(move || store.erase_some(user, now, STEP)).await?;
            for why in &step.unreadable {
                tracing::error!(%user, why, "a row that may be a deleted user's was left where it is");
            }
            match step.advance {
                Advance::More => tokio::time::sleep(BETWEEN_STEPS).await,
                Advance::Waiting => return Ok(false),
                Advance::Finished => {
                    tracing::info!(%user, "all that a deleted user stored is removed");
                    return Ok(true);
                }
            }
        }
    }

    /// Asks for whatever a user has under way to be ended. Their providers are told.
    async fn end_work_of(&self, user: UserId) -> Result<(), ServiceError> {
        let DeletionPorts { store, pool, jobs, batches, .. } = &self.inner.ports;
        let store = store.clone();
        let work = pool.run(move || store.open_work_of(user, STEP)).await?;
        for id in work.jobs {
            gone_is_ended(jobs.cancel_of(user, id).await)?;
        }
        for id in work.batches {
            gone_is_ended(batches.cancel_of(user, id).await)?;
        }
        Ok(())
    }
}

/// What was removed since it was listed needs no end.
fn gone_is_ended<T>(ended: Result<T, ServiceError>) -> Result<(), ServiceError> {
    match ended {
        Ok(_) | Err(ServiceError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
