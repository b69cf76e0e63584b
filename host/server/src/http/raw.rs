//! Members that are passed on as they were written: only their kind is looked at.

use std::borrow::{Borrow, Cow};

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

/// JSON as it was written, borrowed or not.
pub(super) trait Raw<'de>: Deserialize<'de> + Borrow<RawValue> {}

impl<'de, T: Deserialize<'de> + Borrow<RawValue>> Raw<'de> for T {}

/// An object, or `null`.
pub(super) fn object<'de, D: Deserializer<'de>, T: Raw<'de>>(from: D) -> Result<Option<T>, D::Error> {
    checked(from, "an object", |text| text.starts_with('{'))
}

/// An object that must be there.
pub(super) fn the_object<'de, D: Deserializer<'de>, T: Raw<'de>>(from: D) -> Result<T, D::Error> {
    object(from)?.ok_or_else(|| D::Error::custom("must be an object"))
}

/// A text, or `null`.
pub(super) fn text<'de, D: Deserializer<'de>, T: Raw<'de>>(from: D) -> Result<Option<T>, D::Error> {
    checked(from, "a text", |text| text.starts_with('"'))
}

/// A list of texts, or `null`.
pub(super) fn texts<'de, D: Deserializer<'de>, T: Raw<'de>>(from: D) -> Result<Option<T>, D::Error> {
    checked(from, "a list of texts", |text| serde_json::from_str::<Vec<Cow<'_, str>>>(text).is_ok())
}

/// True, false or `null`.
pub(super) fn flag<'de, D: Deserializer<'de>, T: Raw<'de>>(from: D) -> Result<Option<T>, D::Error> {
    checked(from, "true or false", |text| matches!(text, "true" | "false"))
}

/// A whole number from 0 to 4294967295, or `null`.
pub(super) fn count<'de, D: Deserializer<'de>, T: Raw<'de>>(from: D) -> Result<Option<T>, D::Error> {
    checked(from, "a whole number from 0 to 4294967295", |text| text.parse::<u32>().is_ok())
}

fn checked<'de, D: Deserializer<'de>, T: Raw<'de>>(
    from: D,
    what: &str,
    is_so: impl Fn(&str) -> bool,
) -> Result<Option<T>, D::Error> {
    match Option::<T>::deserialize(from)? {
        Some(raw) if !is_so(raw.borrow().get()) => Err(D::Error::custom(format_args!("must be {what}"))),
        raw => Ok(raw),
    }
}
