//! What an error of the way out means for the call that met it.

use atelier_domain::failure::ProviderError;

use super::client::EgressError;

impl EgressError {
    /// The call's own error where the operator has something to know or do, whatever the guest makes of it. `None`: the upstream or the
    /// way to it failed, which is the guest's to tell.
    pub fn refusal(&self, instance: &str) -> Option<ProviderError> {
        let instance = instance.to_owned();
        match self {
            Self::Denied { host, denial } => {
                Some(ProviderError::EgressDenied { instance, host: host.clone(), reason: denial.to_string() })
            }
            Self::SecretMissing(secret) => {
                Some(ProviderError::SecretMissing { instance, secret: secret.clone() })
            }
            Self::SecretRefused { secret, reason } => Some(ProviderError::SecretRefused {
                instance,
                secret: secret.clone(),
                reason: reason.clone(),
            }),
            Self::TokenUnavailable { .. } => {
                Some(ProviderError::Unavailable { instance, reason: self.to_string(), retry_after: None })
            }
            Self::Invalid(_)
            | Self::Dns(_)
            | Self::Connect(_)
            | Self::Tls(_)
            | Self::Timeout { .. }
            | Self::Reset(_)
            | Self::TooLarge(_) => None,
        }
    }
}
