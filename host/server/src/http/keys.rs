//! `/api/v1/keys`: the caller's own keys; an administrator names another user's with `user`.

pub(super) mod create;
pub(super) mod list;
pub(super) mod revoke;
mod view;

use atelier_domain::account::Scope;
use atelier_domain::id::UserId;
use atelier_service::ServiceError;
use atelier_service::caller::Caller;

use super::ApiError;
use crate::app::App;

/// Whose keys a call is about: the caller's own, or for an administrator those of the named user.
async fn owner(app: &App, caller: &Caller, named: Option<&str>) -> Result<UserId, ApiError> {
    match named {
        None => Ok(caller.user()),
        Some(_) if !caller.principal.may(Scope::Admin) => {
            Err(ServiceError::ScopeMissing(Scope::Admin).into())
        }
        Some(name) => Ok(app.accounts.user_by_name(name).await?.id),
    }
}
