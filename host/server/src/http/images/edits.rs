//! `POST /v1/images/edits`.

use atelier_domain::model::Task;

use super::request::read_form;
use crate::http::{ApiError, Call, Reply};

/// Changes images as a text says, where a mask lets it.
pub(in crate::http) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    let asked = read_form(&mut call, Task::ImageEdit).await?;
    super::run(&call.app, call.caller()?, &call.request_id, Task::ImageEdit, asked).await
}
