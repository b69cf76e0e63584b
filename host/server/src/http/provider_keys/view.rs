//! A key as it is shown: never with its secrets.

use atelier_service::own_keys::KeptKey;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A key of the caller's.
#[derive(Serialize, ToSchema)]
#[schema(as = ProviderKey)]
pub(in crate::http) struct KeyView<'a> {
    /// The instance that is called with it: what its models' ids begin with.
    instance: &'a str,
    /// The names of its secrets.
    secrets: &'a [String],
    /// When it was set: milliseconds since 1970.
    set: u64,
}

impl<'a> From<&'a KeptKey> for KeyView<'a> {
    fn from(key: &'a KeptKey) -> Self {
        Self { instance: key.instance.as_str(), secrets: &key.secrets, set: key.set.0 }
    }
}

pub(super) fn sample() -> Value {
    json!({"instance": "openai", "secrets": ["api-key"], "set": 1_795_305_600_000_u64})
}
