//! Forgetting events that need not be kept, a little at a time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use atelier_domain::id::UserId;
use atelier_domain::store::{EventRetention, EventSweep};
use atelier_domain::time::Timestamp;
use tokio::sync::watch;

use super::Events;
use crate::ServiceError;

/// Events removed in one go.
const REMOVED_MAX: usize = 2048;
/// Between two goes while there is more to do, and when all users were visited.
const BETWEEN_GOES: Duration = Duration::from_millis(200);
const BETWEEN_ROUNDS: Duration = Duration::from_secs(60);

impl Events {
    /// Sweeps until told to stop.
    pub async fn run_sweeps(&self, mut stopped: watch::Receiver<bool>) {
        let mut after = None;
        loop {
            let rest = match self.sweep(after).await {
                Ok(sweep) if sweep.is_done => {
                    after = None;
                    BETWEEN_ROUNDS
                }
                Ok(sweep) => {
                    after = sweep.after;
                    BETWEEN_GOES
                }
                Err(error) => {
                    tracing::warn!(%error, "old events could not be removed");
                    BETWEEN_ROUNDS
                }
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn sweep(&self, after: Option<UserId>) -> Result<EventSweep, ServiceError> {
        let (ports, limits) = (&self.inner.ports, &self.inner.limits);
        let age = u64::try_from(limits.kept_for.as_millis()).unwrap_or(u64::MAX);
        let since = Timestamp(ports.clock.now().0.saturating_sub(age));
        let keep = EventRetention { per_owner_max: limits.kept_per_user, since };
        let store = ports.events.clone();
        let sweep = ports.pool.run(move || store.sweep_events(after, &keep, REMOVED_MAX)).await?;
        for why in &sweep.unreadable {
            tracing::error!(why, "old events of a user could not be removed");
        }
        self.inner.skipped.fetch_add(sweep.unreadable.len() as u64, Ordering::Relaxed);
        if sweep.removed > 0 {
            tracing::debug!(removed = sweep.removed, "old events were removed");
        }
        Ok(sweep)
    }
}
