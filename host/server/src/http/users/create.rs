//! `POST /api/v1/users`.

use atelier_domain::account::Role;
use http::StatusCode;
use serde::Deserialize;

use super::view::UserView;
use crate::http::{ApiError, Call, Reply, answer, body};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    name: String,
    #[serde(default)]
    role: RoleBody,
}

#[derive(Clone, Copy, Default, Deserialize)]
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
