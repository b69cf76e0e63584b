//! A key as its owner sees it; its secret is not among it.

use atelier_domain::account::ApiKey;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct KeyView<'a> {
    pub id: String,
    pub name: &'a str,
    /// Its first characters.
    pub hint: &'a str,
    pub scopes: Vec<&'static str>,
    pub created: String,
    pub expires: Option<String>,
    pub revoked: Option<String>,
    pub last_used: Option<String>,
}

impl<'a> From<&'a ApiKey> for KeyView<'a> {
    fn from(key: &'a ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: &key.name,
            hint: &key.hint,
            scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
            created: key.created.rfc3339(),
            expires: key.expires.map(|moment| moment.rfc3339()),
            revoked: key.revoked.map(|moment| moment.rfc3339()),
            last_used: key.last_used.map(|moment| moment.rfc3339()),
        }
    }
}
