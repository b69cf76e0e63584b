//! Another model that does a job in place of the first.

use atelier_domain::id::JobId;

use super::Inner;
use crate::ServiceError;

impl Inner {
    /// Has the next model do a job of which nothing was taken yet, at its own price.
    pub(super) async fn step_in(&self, id: JobId) -> Result<(), ServiceError> {
        let now = self.ports.clock.now();
        self.change(id, move |job| {
            if job.bill.fallbacks.is_empty() {
                return false;
            }
            let next = job.bill.fallbacks.remove(0);
            (job.request.model, job.bill.price) = (next.model, next.price);
            (job.charging, job.attempt) = (false, 0);
            if !job.cancel_requested {
                job.wake_at = now;
            }
            true
        })
        .await
        .map(drop)
    }
}
