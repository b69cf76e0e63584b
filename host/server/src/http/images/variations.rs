//! `POST /v1/images/variations`.

use atelier_domain::model::Task;

use super::request::read_form;
use crate::http::{ApiError, Call, Reply};

/// Makes images like one.
pub(in crate::http) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    let asked = read_form(&mut call, Task::ImageVariation).await?;
    super::run(&call.app, call.caller()?, &call.request_id, Task::ImageVariation, asked).await
}
