//! `GET /v1/models` and `GET /v1/models/{id}` (OpenAI API, models).

pub(super) mod get;
pub(super) mod list;
mod view;
