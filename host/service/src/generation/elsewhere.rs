//! Whether another model may be asked in place of one that failed.

use atelier_domain::failure::{FailureCode, Limit, ProviderError};

/// Whether another may be asked, where so many charging requests have left and were not withdrawn: nothing that costs is outstanding, or
/// its provider said that it is not available (503); and what failed may go well elsewhere.
pub(crate) fn another_may_try(outstanding: u32, error: &ProviderError) -> bool {
    let was_refused =
        matches!(error, ProviderError::Reported { failure, .. } if failure.http_status == Some(503));
    match outstanding {
        0 => may_go_well_elsewhere(error),
        1 => was_refused,
        _ => false,
    }
}

fn may_go_well_elsewhere(error: &ProviderError) -> bool {
    match error {
        ProviderError::Unavailable { .. }
        | ProviderError::SecretMissing { .. }
        | ProviderError::SecretRefused { .. }
        | ProviderError::LimitReached { limit: Limit::SlowLane, .. } => true,
        ProviderError::Reported { failure, .. } => matches!(
            failure.code,
            FailureCode::RateLimited | FailureCode::Overloaded | FailureCode::Unavailable
        ),
        ProviderError::LimitReached { .. }
        | ProviderError::EgressDenied { .. }
        | ProviderError::Forbidden { .. }
        | ProviderError::Trapped { .. }
        | ProviderError::Unsupported { .. }
        | ProviderError::PromptRefused { .. }
        // Whoever is asked next would ask the same judge.
        | ProviderError::PromptUnjudged { .. }
        | ProviderError::Canceled => false,
    }
}
