//! What storage must take, offered again and again while it is busy or failing.

use std::time::Duration;

use atelier_domain::store::StoreError;
use tokio::time::Instant;

use crate::ServiceError;

/// How soon what storage did not take is offered again, at first and at last.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Does what storage must take, again and again while it is busy or failing, for so long.
///
/// # Errors
/// What it is refused with at last, or what does not pass by itself.
pub(crate) async fn patiently<T, F>(patience: Duration, attempt: impl Fn() -> F) -> Result<T, ServiceError>
where
    F: Future<Output = Result<T, ServiceError>>,
{
    let (until, mut pause) = (Instant::now() + patience, PAUSE_MIN);
    loop {
        match attempt().await {
            Err(error) if may_pass(&error) && Instant::now() < until => {
                tracing::warn!(%error, "storage did not take what it must; it is offered again");
            }
            outcome => return outcome,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Whether storage may take later what it did not take now.
fn may_pass(error: &ServiceError) -> bool {
    matches!(
        error,
        ServiceError::StorageBusy | ServiceError::Store(StoreError::Unavailable(_)) | ServiceError::Blobs(_)
    )
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_again_until_patience_ends_and_nothing_else_is() {
        let tries = Cell::new(0);
        let busy_for = |count: u32| {
            let tries = &tries;
            move || async move {
                tries.set(tries.get() + 1);
                if tries.get() < count { Err(ServiceError::StorageBusy) } else { Ok(tries.get()) }
            }
        };
        assert_eq!(patiently(Duration::from_secs(60), busy_for(4)).await.expect("taken"), 4);
        tries.set(0);
        let given_up = patiently(Duration::from_secs(60), busy_for(u32::MAX)).await;
        assert!(matches!(given_up, Err(ServiceError::StorageBusy)) && tries.get() > 5, "{}", tries.get());
        tries.set(0);
        let gone = || async {
            tries.set(tries.get() + 1);
            Err::<(), _>(ServiceError::NotFound { what: "such thing" })
        };
        assert!(patiently(Duration::from_secs(60), gone).await.is_err());
        assert_eq!(tries.get(), 1);
    }
}
