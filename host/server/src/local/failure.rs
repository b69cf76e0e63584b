//! Why an in-house model gave no answer, as callers are told.

use atelier_domain::failure::{Failure, FailureCode, ProviderError};
use atelier_inference::{self as inference, EngineError};

use super::INSTANCE;

/// A failure that is the caller's matter.
pub(super) fn reported(code: FailureCode, message: String, param: Option<&str>) -> ProviderError {
    let failure = Failure { param: param.map(str::to_owned), ..Failure::new(code, message) };
    ProviderError::Reported { instance: INSTANCE.to_owned(), failure: Box::new(failure) }
}

/// An engine's.
pub(super) fn engine_error(error: EngineError) -> ProviderError {
    let text = error.to_string();
    match error {
        EngineError::Busy { retry_after } => {
            let failure =
                Failure { retry_after: Some(retry_after), ..Failure::new(FailureCode::Overloaded, text) };
            ProviderError::Reported { instance: INSTANCE.to_owned(), failure: Box::new(failure) }
        }
        EngineError::ContextTooLong { .. } | EngineError::CacheTooSmall { .. } => {
            reported(FailureCode::InvalidRequest, text, Some("messages"))
        }
        EngineError::PromptTooLarge { .. } => reported(FailureCode::TooLarge, text, Some("messages")),
        EngineError::InputTooLong { index, .. } => {
            reported(FailureCode::InvalidRequest, text, Some(&format!("input[{index}]")))
        }
        EngineError::InputsTooLarge { .. } => reported(FailureCode::TooLarge, text, Some("input")),
        EngineError::InvalidRequest { parameter, .. } => {
            reported(FailureCode::InvalidRequest, text, Some(parameter))
        }
        EngineError::NoRoom { .. } => {
            // The models that hold the room are asked for it again with the next request.
            let failure = Failure {
                retry_after: Some(inference::ROOM_WAITED_MAX),
                ..Failure::new(FailureCode::Overloaded, text)
            };
            ProviderError::Reported { instance: INSTANCE.to_owned(), failure: Box::new(failure) }
        }
        EngineError::Fetch(_) | EngineError::Model(_) | EngineError::Unloaded => {
            ProviderError::Unavailable { instance: INSTANCE.to_owned(), reason: text, retry_after: None }
        }
        EngineError::ReaderStalled { .. } => ProviderError::Canceled,
        EngineError::Stopped => ProviderError::Trapped { instance: INSTANCE.to_owned(), detail: text },
    }
}
