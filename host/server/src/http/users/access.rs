//! `POST /api/v1/users/{id}/disable` and `…/enable`.

use super::view::UserView;
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer};

/// Takes all of a user's access away, at once.
pub(in crate::http) async fn disable(call: Call) -> Result<Reply, ApiError> {
    set(call, true).await
}

/// Gives a disabled user's keys their access back.
pub(in crate::http) async fn enable(call: Call) -> Result<Reply, ApiError> {
    set(call, false).await
}

async fn set(mut call: Call, disabled: bool) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    if disabled && call.caller()?.user() == id {
        return Err(ApiError::invalid("id", "an administrator cannot disable themselves"));
    }
    let user = call.app.accounts.set_disabled(id, disabled).await?;
    answer::json(&UserView::from(&user))
}
