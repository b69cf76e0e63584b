//! What the log says of an error beside what its caller is told.

use atelier_domain::store::StoreError;
use atelier_service::ServiceError;

use super::ApiError;

impl ApiError {
    /// Logs it, in the words of whoever met it: a fault of this server as an error, all else as a warning.
    pub(in crate::http) fn log(&self, request_id: &str, what: &'static str, detail: &str) {
        let code = self.code();
        if self.is_fault() {
            tracing::error!(request_id, code, detail, "{what}");
        } else {
            tracing::warn!(request_id, code, detail, "{what}");
        }
    }

    /// Whether this server is to blame: neither the caller, nor a provider, nor how much there is to do.
    fn is_fault(&self) -> bool {
        match self {
            Self::Service(error) => matches!(
                error,
                ServiceError::Internal(_)
                    | ServiceError::Blobs(_)
                    | ServiceError::ContentMissing { .. }
                    | ServiceError::Store(
                        StoreError::Damaged(_) | StoreError::Unavailable(_) | StoreError::Full(_)
                    )
            ),
            Self::Keyed { error, .. } => error.is_fault(),
            _ => false,
        }
    }
}
