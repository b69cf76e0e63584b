//! `POST /api/v1/keys`.

use std::time::Duration;

use atelier_domain::account::Scope;
use atelier_service::ServiceError;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::view::{KeyView, ScopeWord, sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer, body};

const DAYS_MAX: u64 = 36_500;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey)]
struct Body {
    /// For people.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// None beyond those of the key that asks.
    #[schema(inline, value_type = Vec<ScopeWord>, min_items = 1)]
    scopes: Vec<String>,
    #[schema(minimum = 1, maximum = 36500)]
    expires_in_days: Option<u64>,
    /// Another user's name: for administrators.
    user: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = NewKeyMade)]
struct NewKeyView<'a> {
    #[serde(flatten)]
    key: KeyView<'a>,
    /// Shown only now.
    secret: &'a str,
}

/// Makes a key that may do no more than the key that asks for it.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let wanted: Body = body::parse(&bytes)?;
    let mut scopes = Vec::with_capacity(wanted.scopes.len());
    for (i, word) in wanted.scopes.iter().enumerate() {
        let scope: Scope =
            word.parse().map_err(|error| ApiError::invalid(format!("scopes[{i}]"), format!("{error}")))?;
        if !call.caller()?.principal.may(scope) {
            return Err(ServiceError::ScopeMissing(scope).into());
        }
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    if wanted.expires_in_days.is_some_and(|days| days == 0 || days > DAYS_MAX) {
        return Err(ApiError::invalid("expires_in_days", format!("must be from 1 to {DAYS_MAX}")));
    }
    let now = call.app.clock.now();
    let expires = wanted.expires_in_days.map(|days| now.plus(Duration::from_secs(days * 86_400)));
    let owner = super::owner(&call.app, call.caller()?, wanted.user.as_deref()).await?;
    let made = call.app.accounts.create_key(owner, &wanted.name, scopes, expires).await?;
    let view = NewKeyView { key: KeyView::from(&made.key), secret: made.secret.reveal() };
    answer::json_with(StatusCode::CREATED, &view)
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let mut made = sample();
    made["secret"] = "atl_7Qx2…".into();
    Operation::new("createKey", Tag::Keys, "Make a key")
        .about("The answer shows the secret, and nothing ever shows it again. A key may do no more than the key that asks for it.")
        .takes::<Body>(json!({"name": "nightly reports", "scopes": ["read", "generate"], "expires_in_days": 365}))
        .answers::<NewKeyView<'_>>(201, "The key, with its secret.", made)
        .refuses(&[404])
}
