//! `extra_content`: the member in which APIs that follow OpenAI's carry what theirs has no place for. Google's own compatible API
//! keeps a tool call's thought signature there, and client libraries send it back as they got it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The member of a tool call.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = ExtraContent)]
pub(in crate::http) struct ExtraContent<T = String> {
    google: Option<Google<T>>,
}

#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = GoogleExtraContent)]
struct Google<T> {
    thought_signature: Option<T>,
}

impl<T> ExtraContent<T> {
    pub(in crate::http) fn of(signature: T) -> Self {
        Self { google: Some(Google { thought_signature: Some(signature) }) }
    }

    pub(in crate::http) fn into_signature(self) -> Option<T> {
        self.google?.thought_signature
    }
}
