//! `POST /api/v1/users`.

use atelier_domain::account::Role;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{UserView, sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer, body};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewUser)]
struct Body {
    /// Unique.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    #[serde(default)]
    #[schema(inline)]
    role: RoleBody,
}

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RoleBody {
    #[default]
    User,
    Administrator,
}

/// Adds a user, who has no key yet.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let body: Body = body::parse(&bytes)?;
    let role = match body.role {
        RoleBody::User => Role::User,
        RoleBody::Administrator => Role::Administrator,
    };
    let user = call.app.accounts.create_user(&body.name, role).await?;
    answer::json_with(StatusCode::CREATED, &UserView::from(&user))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("createUser", Tag::Users, "Add a user")
        .about("The user has no key yet: make one with `POST /api/v1/keys` and their name as `user`.")
        .takes::<Body>(json!({"name": "ada", "role": "user"}))
        .answers::<UserView<'_>>(201, "The user.", sample())
        .refuses(&[409])
}
