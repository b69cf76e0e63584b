//! The API's own description (OpenAPI 3.1), made from the route table: a route's rules give its security, limits and usual
//! refusals, its handler's `describe` says the rest, and the wire types give the schemas.

mod document;
mod operation;
mod refusal;
mod schema;
mod serve;

pub use document::json;
pub use operation::{Operation, Tag};
pub(super) use schema::{
    any_object, choice, form_file, id, list_of, null, number, object_with, optional, optional_id,
    optional_object, text, words_schema,
};
pub(super) use serve::{Reference, docs_page, docs_script, docs_style, document};

/// Declares string types of fixed words: the schemas of members that Rust holds as text.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident: $($word:literal)|+;)+) => {$(
        $(#[$doc])*
        pub(in crate::http) enum $name {}
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $crate::http::openapi::words_schema(&[$($word),+])
            }
        }
        impl utoipa::ToSchema for $name {}
    )+};
}
pub(super) use words;
