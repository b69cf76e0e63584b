//! A user as administrators see it.

use atelier_domain::account::{Role, User};
use atelier_domain::deletion::Deletion;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::openapi::{id, words};

#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(in crate::http) struct UserView<'a> {
    #[schema(schema_with = id)]
    id: String,
    /// Empty once they were deleted.
    name: &'a str,
    #[schema(inline, value_type = RoleWord)]
    role: &'static str,
    #[schema(format = DateTime)]
    created: String,
    /// None of their keys opens anything.
    disabled: bool,
    /// Set once they were deleted.
    #[schema(required, inline, nullable)]
    deleted: Option<DeletedView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Deleted)]
struct DeletedView {
    /// From then on nothing of theirs opens.
    #[schema(format = DateTime)]
    since: String,
    /// From then on nothing that they stored is left; `null` while it is being removed.
    #[schema(required, format = DateTime)]
    finished: Option<String>,
}

words! {
    RoleWord: "user" | "administrator";
}

/// A user, for the reference.
pub(super) fn sample() -> serde_json::Value {
    serde_json::json!({"id": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "name": "ada", "role": "user",
        "created": "2026-11-22T00:00:00.000Z", "disabled": false, "deleted": null})
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
            deleted: None,
        }
    }
}

impl<'a> UserView<'a> {
    /// A user, and their deletion if they were deleted.
    pub(super) fn of(user: &'a User, deletion: Option<Deletion>) -> Self {
        let deleted = deletion.map(|deletion| DeletedView {
            since: deletion.begun.rfc3339(),
            finished: deletion.finished.map(|moment| moment.rfc3339()),
        });
        Self { deleted, ..Self::from(user) }
    }
}
