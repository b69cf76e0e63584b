//! Ids with OpenAI's prefixes.

use std::str::FromStr;

use atelier_domain::id::CallId;
use atelier_service::ServiceError;

use super::ApiError;

/// Of files.
pub(super) const FILE: &str = "file-";

/// Of trainings.
pub(super) const FINE_TUNING_JOB: &str = "ftjob-";

/// Of answers.
pub(super) const RESPONSE: &str = "resp_";

/// Of batches.
pub(super) const BATCH: &str = "batch_";

/// Of videos.
pub(super) const VIDEO: &str = "video_";

/// A new id: the prefix and 32 hexadecimal digits that sort by time.
pub(super) fn id(prefix: &str) -> String {
    of(prefix, &CallId::new().simple())
}

/// An id of ours, in its 32 digits, with its prefix.
pub(super) fn of(prefix: &str, simple: &str) -> String {
    let mut id = String::with_capacity(prefix.len() + simple.len());
    id.push_str(prefix);
    id.push_str(simple);
    id
}

/// An id as OpenAI's clients send it.
///
/// # Errors
/// A malformed one names nothing that there is.
pub(super) fn read<T: FromStr>(prefix: &str, text: &str, what: &'static str) -> Result<T, ApiError> {
    let simple = text.strip_prefix(prefix).filter(|simple| {
        simple.len() == 32 && simple.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    });
    let id = simple.and_then(|simple| simple.parse().ok());
    id.ok_or_else(|| ServiceError::NotFound { what }.into())
}
