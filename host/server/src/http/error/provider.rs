//! Providers' failures as told to callers. A failure of the operator's key or set-up is never told as the caller's.

use std::time::Duration;

use atelier_domain::failure::{Failure, FailureCode, Limit, ProviderError};
use http::StatusCode;

use super::Told;

pub(super) fn told(error: &ProviderError) -> Told {
    match error {
        ProviderError::Reported { failure, .. } => reported(failure),
        ProviderError::LimitReached { limit: Limit::CallerTime, .. } => {
            Told::new(StatusCode::GATEWAY_TIMEOUT, "request_timeout", error.to_string())
        }
        ProviderError::LimitReached { limit: Limit::SlowLane, .. } => {
            Told::new(StatusCode::SERVICE_UNAVAILABLE, "plugin_busy", error.to_string())
                .retry(Some(Duration::from_secs(1)))
        }
        ProviderError::LimitReached { .. } => {
            Told::new(StatusCode::BAD_GATEWAY, "plugin_limit_reached", error.to_string())
        }
        ProviderError::EgressDenied { instance, .. } | ProviderError::Forbidden { instance, .. } => {
            Told::new(
                StatusCode::BAD_GATEWAY,
                "plugin_denied",
                format!("{instance} tried what its operator does not allow"),
            )
        }
        ProviderError::SecretMissing { instance, .. } | ProviderError::SecretRefused { instance, .. } => {
            Told::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "provider_misconfigured",
                format!("{instance} is not fully configured; the operator has to set or mend its key"),
            )
        }
        ProviderError::Trapped { instance, .. } => {
            Told::new(StatusCode::BAD_GATEWAY, "plugin_failed", format!("{instance} stopped unexpectedly"))
        }
        ProviderError::Unavailable { instance, retry_after, .. } => Told::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "provider_unavailable",
            format!("{instance} is not available at the moment"),
        )
        .retry(retry_after.or(Some(Duration::from_secs(1)))),
        ProviderError::Unsupported { .. } => {
            Told::new(StatusCode::BAD_REQUEST, "unsupported_by_provider", error.to_string())
        }
        ProviderError::PromptRefused { param, .. } => {
            let told = Told::new(StatusCode::BAD_REQUEST, "content_policy_violation", error.to_string());
            match param {
                Some(param) => told.at(param),
                None => told,
            }
        }
        ProviderError::PromptUnjudged { retry_after, .. } => Told::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "moderation_unavailable",
            "prompts are judged before they are sent, and this one could not be; try again in a moment"
                .to_owned(),
        )
        .retry(retry_after.or(Some(Duration::from_secs(1)))),
        ProviderError::Canceled => Told::new(StatusCode::BAD_GATEWAY, "canceled", error.to_string()),
    }
}

fn reported(failure: &Failure) -> Told {
    let (status, code) = status_of(failure.code);
    let message = match failure.code {
        // Its text may quote the operator's key or account.
        FailureCode::Unauthenticated | FailureCode::Forbidden => {
            "the provider refused this server's own key; the operator has to check it".to_owned()
        }
        FailureCode::QuotaExhausted => "this server's quota at the provider is used up".to_owned(),
        FailureCode::InvalidRequest
        | FailureCode::NotFound
        | FailureCode::RateLimited
        | FailureCode::ContentRefused
        | FailureCode::TooLarge
        | FailureCode::Unsupported
        | FailureCode::Overloaded
        | FailureCode::Unavailable
        | FailureCode::Timeout
        | FailureCode::Canceled
        | FailureCode::BadResponse
        | FailureCode::Internal => failure.message.chars().take(2000).collect(),
    };
    let told = Told::new(status, code, message).retry(failure.retry_after);
    match &failure.param {
        Some(param) => told.at(param),
        None => told,
    }
}

/// The status and code for a failure of the contract's vocabulary.
fn status_of(code: FailureCode) -> (StatusCode, &'static str) {
    match code {
        FailureCode::InvalidRequest => (StatusCode::BAD_REQUEST, "provider_invalid_request"),
        FailureCode::Unauthenticated | FailureCode::Forbidden => {
            (StatusCode::BAD_GATEWAY, "provider_auth_failed")
        }
        FailureCode::NotFound => (StatusCode::NOT_FOUND, "provider_not_found"),
        FailureCode::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "provider_rate_limited"),
        FailureCode::QuotaExhausted => (StatusCode::SERVICE_UNAVAILABLE, "provider_quota_exhausted"),
        FailureCode::ContentRefused => (StatusCode::BAD_REQUEST, "content_policy_violation"),
        FailureCode::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "provider_too_large"),
        FailureCode::Unsupported => (StatusCode::BAD_REQUEST, "unsupported_by_provider"),
        FailureCode::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "provider_overloaded"),
        FailureCode::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable"),
        FailureCode::Timeout => (StatusCode::GATEWAY_TIMEOUT, "provider_timeout"),
        FailureCode::Canceled => (StatusCode::BAD_GATEWAY, "canceled"),
        FailureCode::BadResponse => (StatusCode::BAD_GATEWAY, "provider_bad_response"),
        FailureCode::Internal => (StatusCode::BAD_GATEWAY, "provider_error"),
    }
}

/// A job's stored error: a failure code of the contract, or a word of the job engine's own.
pub(super) fn failed_job(code: &str, message: String) -> Told {
    match code {
        "deadline_exceeded" => Told::new(StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", message),
        "outcome_unknown" => Told::new(StatusCode::BAD_GATEWAY, "outcome_unknown", message),
        "canceled" => Told::new(StatusCode::CONFLICT, "canceled", message),
        word => {
            let (status, code) = status_of(FailureCode::from_word(word));
            Told::new(status, code, message)
        }
    }
}

pub(super) fn internal_detail(error: &ProviderError) -> Option<String> {
    match error {
        // Not the provider's own words: they may repeat a prompt (O-1).
        ProviderError::Reported { instance, failure } => Some(format!(
            "{instance} reported {}; its status {}; {} bytes of detail",
            failure.code,
            failure.http_status.map_or_else(|| "unknown".to_owned(), |status| status.to_string()),
            failure.provider_detail.as_deref().unwrap_or_default().len(),
        )),
        ProviderError::LimitReached { .. }
        | ProviderError::EgressDenied { .. }
        | ProviderError::Forbidden { .. }
        | ProviderError::SecretMissing { .. }
        | ProviderError::SecretRefused { .. }
        | ProviderError::Trapped { .. }
        | ProviderError::Unavailable { .. }
        | ProviderError::PromptUnjudged { .. } => Some(error.to_string()),
        ProviderError::PromptRefused { .. } | ProviderError::Unsupported { .. } | ProviderError::Canceled => {
            None
        }
    }
}
