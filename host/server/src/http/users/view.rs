//! A user as administrators see it.

use atelier_domain::account::{Role, User};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct UserView<'a> {
    id: String,
    name: &'a str,
    role: &'static str,
    created: String,
    disabled: bool,
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
