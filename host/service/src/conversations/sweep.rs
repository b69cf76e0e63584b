//! What goes on beside requests: answers of a process that ended, and messages of conversations that were removed.

use std::time::Duration;

use tokio::sync::watch;

use super::Conversations;
use crate::ServiceError;

/// Answers marked in one go, and messages removed in one: each of these may have a thousand words.
const MARKED_MAX: usize = 256;
const REMOVED_MAX: usize = 16;
/// Between two goes, in which others have their turn at the store; and from one round to the next.
const BETWEEN_GOES: Duration = Duration::from_millis(50);
const BETWEEN_ROUNDS: Duration = Duration::from_secs(300);

impl Conversations {
    /// Marks the answers of a process that ended as interrupted: before any is made.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn recover(&self) -> Result<(), ServiceError> {
        loop {
            let (store, now) = (self.inner.ports.store.clone(), self.inner.ports.clock.now());
            let marked = self.inner.ports.pool.run(move || store.interrupt_answers(now, MARKED_MAX)).await?;
            if marked > 0 {
                tracing::warn!(marked, "answers were interrupted when the server stopped");
            }
            if marked < MARKED_MAX {
                return Ok(());
            }
        }
    }

    /// Gives back what removed conversations kept, until told to stop.
    pub async fn run(&self, mut stopped: watch::Receiver<bool>) {
        loop {
            let rest = match self.sweep().await {
                Ok(REMOVED_MAX..) => BETWEEN_GOES,
                Ok(_) => BETWEEN_ROUNDS,
                Err(error) => {
                    tracing::error!(%error, "messages of removed conversations could not be removed");
                    BETWEEN_ROUNDS
                }
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.inner.removed.notified() => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn sweep(&self) -> Result<usize, ServiceError> {
        let store = self.inner.ports.store.clone();
        self.inner.ports.pool.run(move || store.sweep_conversations(REMOVED_MAX)).await
    }
}
