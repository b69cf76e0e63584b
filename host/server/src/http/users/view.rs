//! A user as administrators see it.

use atelier_domain::account::{Role, User};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::openapi::{id, words};

#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserView<'a> {
    #[schema(schema_with = id)]
    id: String,
    name: &'a str,
    #[schema(inline, value_type = RoleWord)]
    role: &'static str,
    #[schema(format = DateTime)]
    created: String,
    /// None of their keys opens anything.
    disabled: bool,
}

words! {
    RoleWord: "user" | "administrator";
}

/// A user, for the reference.
pub(super) fn sample() -> serde_json::Value {
    serde_json::json!({"id": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "name": "ada", "role": "user",
        "created": "2026-11-22T00:00:00.000Z", "disabled": false})
}

impl<'a> From<&'a User> for UserView<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.id.to_string(),
            name: &user.name,
            role: match user.role {
                Role::User => "user",
                Role::Administrator => "administrator",
            },
            created: user.created.rfc3339(),
            disabled: user.disabled,
        }
    }
}
