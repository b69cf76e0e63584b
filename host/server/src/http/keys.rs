//! `/api/v1/keys`: the caller's own keys; an administrator names another user's with `user`.

pub(super) mod create;
pub(super) mod list;
pub(super) mod revoke;
pub(super) mod view;

use atelier_domain::account::Scope;
use atelier_domain::id::UserId;
use atelier_service::ServiceError;
use atelier_service::caller::Caller;

use super::ApiError;
use crate::app::App;

/// Whom a call is about: the caller, or for an administrator the user of that name or id.
pub(super) async fn owner(app: &App, caller: &Caller, named: Option<&str>) -> Result<UserId, ApiError> {
    match named {
        None => Ok(caller.user()),
        Some(_) if !caller.principal.may(Scope::Admin) => {
            Err(ServiceError::ScopeMissing(Scope::Admin).into())
        }
        Some(named) => user(app, named).await,
    }
}

/// The user of a name or id.
pub(super) async fn user(app: &App, named: &str) -> Result<UserId, ApiError> {
    match named.parse::<UserId>() {
        Ok(id) => Ok(id),
        Err(_) => Ok(app.accounts.user_by_name(named).await?.id),
    }
}
