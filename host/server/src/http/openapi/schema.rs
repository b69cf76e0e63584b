//! Small schemas that no Rust type gives.

use utoipa::ToSchema;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, SchemaType,
    Type,
};
use utoipa::openapi::{Ref, RefOr, Schema};

const UUID_7: &str = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$";

/// A text out of a few.
pub(in crate::http) fn words_schema(words: &[&'static str]) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied())).into()
}

/// An id of ours: a UUID of version 7, which sorts by the time of its making.
pub(in crate::http) fn id() -> RefOr<Schema> {
    let uuid = SchemaFormat::KnownFormat(KnownFormat::Uuid);
    ObjectBuilder::new().schema_type(Type::String).format(Some(uuid)).pattern(Some(UUID_7)).into()
}

/// A text of bounded length.
pub(in crate::http) fn text(characters_max: usize) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    text.max_length(Some(characters_max)).into()
}

/// A whole number within bounds, and what it is if it is not sent.
pub(in crate::http) fn number(from: usize, to: usize, usual: Option<usize>) -> RefOr<Schema> {
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(from)).maximum(Some(to));
    number.default(usual.map(Into::into)).into()
}

/// Always `null`.
pub(in crate::http) fn null() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::Null)).into()
}

/// The same, or `null`, which says no more than nothing does.
pub(in crate::http) fn optional(schema: RefOr<Schema>) -> RefOr<Schema> {
    choice([schema, null()])
}

/// An id of ours, or `null`.
pub(in crate::http) fn optional_id() -> RefOr<Schema> {
    optional(id())
}

/// Any JSON object, or `null`.
pub(in crate::http) fn optional_object() -> RefOr<Schema> {
    optional(any_object())
}

/// Any JSON object.
pub(in crate::http) fn any_object() -> RefOr<Schema> {
    ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(true))).into()
}

/// A type by its name among the components.
fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

/// A list of a type by its name.
pub(in crate::http) fn list_of<T: ToSchema>() -> RefOr<Schema> {
    ArrayBuilder::new().items(reference::<T>()).into()
}

/// An object that needs this member and may have others.
pub(in crate::http) fn object_with(name: &str, schema: RefOr<Schema>) -> RefOr<Schema> {
    ObjectBuilder::new().property(name, schema).required(name).into()
}

/// One of several forms.
pub(in crate::http) fn choice(forms: impl IntoIterator<Item = RefOr<Schema>>) -> RefOr<Schema> {
    forms.into_iter().fold(OneOfBuilder::new(), OneOfBuilder::item).into()
}

/// Bytes: a file in a form, or an answer that is no text.
pub(in crate::http) fn form_file() -> RefOr<Schema> {
    let binary = SchemaFormat::KnownFormat(KnownFormat::Binary);
    ObjectBuilder::new().schema_type(Type::String).format(Some(binary)).into()
}
