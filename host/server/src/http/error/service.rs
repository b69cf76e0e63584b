//! Use cases' errors as told to callers.

use std::time::Duration;

use atelier_domain::money::Refusal;
use atelier_domain::store::StoreError;
use atelier_service::ServiceError;
use http::StatusCode;

use super::{Told, provider};

pub(super) fn told(error: &ServiceError) -> Told {
    let text = error.to_string();
    match error {
        ServiceError::KeyUnknown => Told::new(StatusCode::UNAUTHORIZED, "invalid_api_key", text),
        ServiceError::KeyExpired => Told::new(StatusCode::UNAUTHORIZED, "expired_api_key", text),
        ServiceError::KeyRevoked => Told::new(StatusCode::UNAUTHORIZED, "revoked_api_key", text),
        ServiceError::UserDisabled => Told::new(StatusCode::UNAUTHORIZED, "user_disabled", text),
        ServiceError::LastAdministrator => Told::new(StatusCode::CONFLICT, "last_administrator", text),
        ServiceError::SignInFailed => Told::new(StatusCode::UNAUTHORIZED, "sign_in_failed", text),
        ServiceError::SessionOver => Told::new(StatusCode::UNAUTHORIZED, "session_over", text),
        ServiceError::TooManyFailures { after } => {
            let text = format!("{text}; wait as `retry-after` says");
            Told::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", text).retry(Some(*after))
        }
        ServiceError::SignInBusy => Told::new(StatusCode::SERVICE_UNAVAILABLE, "sign_in_busy", text)
            .retry(Some(Duration::from_secs(2))),
        ServiceError::NotOffered => Told::new(StatusCode::FORBIDDEN, "not_offered", text),
        ServiceError::TokenOver => Told::new(StatusCode::BAD_REQUEST, "token_over", text).at("token"),
        ServiceError::MailBusy => {
            Told::new(StatusCode::SERVICE_UNAVAILABLE, "mail_busy", text).retry(Some(Duration::from_secs(60)))
        }
        ServiceError::ScopeMissing(_) => Told::new(StatusCode::FORBIDDEN, "insufficient_scope", text),
        ServiceError::RateLimited(decision) => {
            let text = format!("{text}; wait as `retry-after` says");
            Told::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", text).retry(decision.retry_after)
        }
        ServiceError::ModelUnknown { nearest, .. } => {
            Told::new(StatusCode::NOT_FOUND, "model_not_found", text + &hint(nearest)).at("model")
        }
        ServiceError::ModelCannot { able, .. } => {
            let hint = match able.as_slice() {
                [] => "; no configured model can".to_owned(),
                able => format!("; these can: {}", able.join(", ")),
            };
            Told::new(StatusCode::BAD_REQUEST, "model_cannot_do_task", text + &hint).at("model")
        }
        ServiceError::ModelNotCallable { .. } => {
            Told::new(StatusCode::BAD_REQUEST, "model_not_available", text).at("model")
        }
        ServiceError::CatalogueUnavailable { instance, .. } => {
            let text = format!("the provider {instance} does not answer, so that its models are not known");
            Told::new(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable", text)
                .retry(Some(Duration::from_secs(5)))
        }
        ServiceError::OwnKeyUnusable { .. } => Told::new(StatusCode::BAD_REQUEST, "own_key_unusable", text),
        ServiceError::OwnKeyNotTaken => Told::new(StatusCode::BAD_REQUEST, "own_key_not_taken", text),
        ServiceError::OwnKeyNotKept => Told::new(StatusCode::BAD_REQUEST, "own_key_not_kept", text),
        ServiceError::Prompt { param, .. } => {
            Told::new(StatusCode::BAD_REQUEST, "invalid_prompt", text).at(param)
        }
        ServiceError::Invalid { param, .. } => {
            Told::new(StatusCode::BAD_REQUEST, "invalid_value", text).at(param)
        }
        ServiceError::NotFound { .. } => Told::new(StatusCode::NOT_FOUND, "not_found", text),
        ServiceError::NotEnded { .. } => {
            Told::new(StatusCode::CONFLICT, "not_ended", text).retry(Some(Duration::from_secs(1)))
        }
        ServiceError::Exists { .. } => Told::new(StatusCode::CONFLICT, "already_exists", text),
        ServiceError::Provider(error) => provider::told(error),
        ServiceError::AnswerBrokenOff { .. } => {
            Told::new(StatusCode::BAD_GATEWAY, "provider_bad_response", text)
        }
        ServiceError::TimedOut { .. } => Told::new(StatusCode::GATEWAY_TIMEOUT, "provider_timeout", text),
        ServiceError::JobFailed { code, .. } => provider::failed_job(code, text),
        ServiceError::TooManyJobs { .. } => Told::new(StatusCode::TOO_MANY_REQUESTS, "too_many_jobs", text)
            .retry(Some(Duration::from_secs(10))),
        ServiceError::TooMany { .. } => Told::new(StatusCode::TOO_MANY_REQUESTS, "too_many", text),
        ServiceError::QueueFull { .. } => {
            Told::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", text).retry(Some(Duration::from_secs(10)))
        }
        ServiceError::AnswerPending => {
            Told::new(StatusCode::CONFLICT, "answer_pending", text).retry(Some(Duration::from_secs(1)))
        }
        ServiceError::KeyInUse => Told::new(StatusCode::CONFLICT, "idempotency_key_in_use", text)
            .retry(Some(Duration::from_secs(1))),
        ServiceError::KeyReused => {
            Told::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", text)
        }
        ServiceError::ClaimUnknown => Told::new(StatusCode::CONFLICT, "outcome_unknown", text),
        ServiceError::AnswerNotKept => Told::new(StatusCode::CONFLICT, "answer_not_kept", text),
        ServiceError::QuotaExceeded { .. } | ServiceError::StillLeaving { .. } => {
            Told::new(StatusCode::PAYLOAD_TOO_LARGE, "storage_quota_exceeded", text)
        }
        ServiceError::DiskLow => Told::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", text)
            .retry(Some(Duration::from_secs(60))),
        ServiceError::ContentMissing { what, blob, state } => Told::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "content_missing",
            format!(
                "the content of {what}, blob {blob}, is {state} in this server's storage; the operator can restore it from a backup"
            ),
        ),
        ServiceError::NotPriced { .. } => {
            let text = format!("{text}; the operator has to set one, or say that it is free");
            Told::new(StatusCode::BAD_REQUEST, "model_not_priced", text).at("model")
        }
        ServiceError::Template(_) => Told::new(StatusCode::UNPROCESSABLE_ENTITY, "template_failed", text),
        ServiceError::Refused(why) => refused(why, text),
        ServiceError::CallbacksBusy => Told::new(StatusCode::SERVICE_UNAVAILABLE, "callbacks_busy", text)
            .retry(Some(Duration::from_secs(2))),
        ServiceError::StorageBusy => Told::new(StatusCode::SERVICE_UNAVAILABLE, "storage_busy", text)
            .retry(Some(Duration::from_secs(1))),
        ServiceError::Store(StoreError::Conflict { .. }) => Told::new(StatusCode::CONFLICT, "conflict", text),
        ServiceError::Store(StoreError::QuotaExceeded { .. } | StoreError::StillLeaving { .. }) => {
            Told::new(StatusCode::PAYLOAD_TOO_LARGE, "storage_quota_exceeded", text)
        }
        ServiceError::Store(StoreError::TooManyFiles { .. }) => {
            Told::new(StatusCode::TOO_MANY_REQUESTS, "too_many", text)
        }
        ServiceError::Store(StoreError::Exists { .. }) => {
            Told::new(StatusCode::CONFLICT, "already_exists", text)
        }
        ServiceError::Store(StoreError::Refused(why)) => refused(why, text),
        ServiceError::Store(StoreError::Full(_)) => Told::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "storage_full",
            "the disk of this server is full: nothing new is stored until its operator has made room",
        )
        .retry(Some(Duration::from_secs(60))),
        ServiceError::Store(StoreError::Damaged(_) | StoreError::Unavailable(_)) | ServiceError::Blobs(_) => {
            Told::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "storage_unavailable",
                "storage does not work at the moment; the operator's log says why",
            )
        }
        ServiceError::Internal(_) => Told::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "something went wrong here; the operator finds it in the log by the request id",
        ),
    }
}

/// A decision of the ledger. No attempt alone makes it another: credits have to come, or a new day.
fn refused(why: &Refusal, text: String) -> Told {
    match why {
        Refusal::InsufficientCredits { .. } => {
            Told::new(StatusCode::PAYMENT_REQUIRED, "insufficient_credits", text)
        }
        Refusal::BudgetExceeded { .. } => Told::new(StatusCode::TOO_MANY_REQUESTS, "budget_exceeded", text),
        Refusal::RefundTooLarge { .. } => {
            Told::new(StatusCode::CONFLICT, "refund_too_large", text).at("amount")
        }
        Refusal::TooMuch(_) => Told::new(StatusCode::BAD_REQUEST, "amount_too_large", text).at("amount"),
    }
}

fn hint(nearest: &[String]) -> String {
    match nearest {
        [] => "; GET /v1/models lists what there is".to_owned(),
        near => format!("; did you mean {}?", near.join(" or ")),
    }
}

/// What the log says of errors whose message to callers is short.
pub(super) fn internal_detail(error: &ServiceError) -> Option<String> {
    match error {
        ServiceError::Provider(error) => provider::internal_detail(error),
        ServiceError::Store(_)
        | ServiceError::Blobs(_)
        | ServiceError::Internal(_)
        | ServiceError::ContentMissing { .. }
        | ServiceError::CatalogueUnavailable { .. }
        | ServiceError::AnswerBrokenOff { .. } => Some(error.to_string()),
        ServiceError::KeyUnknown
        | ServiceError::KeyExpired
        | ServiceError::KeyRevoked
        | ServiceError::UserDisabled
        | ServiceError::LastAdministrator
        | ServiceError::SignInFailed
        | ServiceError::SessionOver
        | ServiceError::TooManyFailures { .. }
        | ServiceError::SignInBusy
        | ServiceError::NotOffered
        | ServiceError::TokenOver
        | ServiceError::MailBusy
        | ServiceError::ScopeMissing(_)
        | ServiceError::RateLimited(_)
        | ServiceError::ModelUnknown { .. }
        | ServiceError::ModelCannot { .. }
        | ServiceError::ModelNotCallable { .. }
        | ServiceError::OwnKeyUnusable { .. }
        | ServiceError::OwnKeyNotKept
        | ServiceError::OwnKeyNotTaken
        | ServiceError::Prompt { .. }
        | ServiceError::Invalid { .. }
        | ServiceError::NotFound { .. }
        | ServiceError::NotEnded { .. }
        | ServiceError::Exists { .. }
        | ServiceError::TimedOut { .. }
        | ServiceError::JobFailed { .. }
        | ServiceError::TooManyJobs { .. }
        | ServiceError::TooMany { .. }
        | ServiceError::QueueFull { .. }
        | ServiceError::AnswerPending
        | ServiceError::KeyInUse
        | ServiceError::KeyReused
        | ServiceError::ClaimUnknown
        | ServiceError::AnswerNotKept
        | ServiceError::QuotaExceeded { .. }
        | ServiceError::StillLeaving { .. }
        | ServiceError::DiskLow
        | ServiceError::NotPriced { .. }
        | ServiceError::Template(_)
        | ServiceError::Refused(_)
        | ServiceError::CallbacksBusy
        | ServiceError::StorageBusy => None,
    }
}
