//! `POST /v1/images/variations`.

use atelier_domain::model::Task;

use super::request::read_form;
use super::response;
use super::schema::VariationForm;
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply};

/// Makes images like one.
pub(in crate::http) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    let asked = read_form(&mut call, Task::ImageVariation).await?;
    super::run(call, Task::ImageVariation, asked).await
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    response::described(
        Operation::new("createImageVariation", Tag::Images, "Make images like one")
            .takes_form::<VariationForm>(),
    )
}
