//! `POST /v1/images/edits`.

use atelier_domain::model::Task;

use super::request::read_form;
use super::schema::EditForm;
use super::stream;
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply};

/// Changes images as a text says, where a mask lets it.
pub(in crate::http) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    let asked = read_form(&mut call, Task::ImageEdit).await?;
    super::run(call, Task::ImageEdit, asked).await
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    stream::described(
        Operation::new("createImageEdit", Tag::Images, "Change images").takes_form::<EditForm>(),
    )
}
