//! A key as its owner sees it; its secret is not among it.

use atelier_domain::account::ApiKey;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::openapi::{id, words};

#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
pub(in crate::http) struct KeyView<'a> {
    #[schema(schema_with = id)]
    pub id: String,
    pub name: &'a str,
    /// Its first characters.
    pub hint: &'a str,
    #[schema(inline, value_type = Vec<ScopeWord>)]
    pub scopes: Vec<&'static str>,
    #[schema(format = DateTime)]
    pub created: String,
    #[schema(required, format = DateTime)]
    pub expires: Option<String>,
    #[schema(required, format = DateTime)]
    pub revoked: Option<String>,
    /// To the minute.
    #[schema(required, format = DateTime)]
    pub last_used: Option<String>,
}

words! {
    ScopeWord: "read" | "generate" | "admin" | "plugin-admin";
}

/// A key, for the reference.
pub(super) fn sample() -> serde_json::Value {
    serde_json::json!({"id": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "name": "nightly reports", "hint": "atl_7Qx2",
        "scopes": ["read", "generate"], "created": "2026-11-22T00:00:00.000Z", "expires": "2027-11-22T00:00:00.000Z",
        "revoked": null, "last_used": null})
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
