//! Forgetting single usage records, a little at a time.

use std::time::Duration;

use atelier_domain::time::Timestamp;
use tokio::sync::watch;

use super::Ledger;
use crate::ServiceError;

/// Records removed in one go.
const REMOVED_MAX: usize = 2048;
/// Between two goes while there is more to do, and when there is not.
const BETWEEN_GOES: Duration = Duration::from_millis(200);
const BETWEEN_ROUNDS: Duration = Duration::from_secs(10 * 60);

impl Ledger {
    /// Forgets records that need not be kept, until told to stop.
    pub async fn run_sweeps(&self, mut stopped: watch::Receiver<bool>) {
        loop {
            let rest = match self.sweep_usage().await {
                Ok(REMOVED_MAX) => BETWEEN_GOES,
                Ok(_) => BETWEEN_ROUNDS,
                Err(error) => {
                    tracing::warn!(%error, "old usage records could not be removed");
                    BETWEEN_ROUNDS
                }
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Forgets some of the records that are older than they are kept; gives how many.
    ///
    /// # Errors
    /// The store fails.
    pub async fn sweep_usage(&self) -> Result<usize, ServiceError> {
        let age = u64::try_from(self.settings.usage_kept_for.as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp(self.clock.now().0.saturating_sub(age));
        let store = self.store.clone();
        self.pool.run(move || store.sweep_usage(before, REMOVED_MAX)).await
    }
}
