//! Typed values of paths and queries.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use axum::RequestPartsExt;
use axum::extract::{Path, Query};
use http::Uri;

use super::openapi::words;
use super::{ApiError, Call};

/// A typed value.
pub(super) fn parsed<T: FromStr<Err: Display>>(param: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|error: T::Err| {
        let why = error.to_string();
        // What Rust says of numbers.
        let is_number =
            why.contains("digit") || why.contains("too large to fit") || why.contains("empty string");
        ApiError::invalid(param, if is_number { "must be a whole number".to_owned() } else { why })
    })
}

/// The parameters of a query, decoded; those that are not known here are refused.
///
/// # Errors
/// The query is malformed, or a parameter is unknown.
pub(super) fn query(uri: &Uri, known: &[&str]) -> Result<HashMap<String, String>, ApiError> {
    let Query(all) = Query::<HashMap<String, String>>::try_from_uri(uri)
        .map_err(|error| ApiError::invalid("(query)", error.body_text()))?;
    match all.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(ApiError::UnknownParameter { param: unknown.clone() }),
        None => Ok(all),
    }
}

/// How many items a page has at most: the parameter `limit`.
pub(super) fn page_size(
    query: &HashMap<String, String>,
    usual: usize,
    max: usize,
) -> Result<usize, ApiError> {
    let limit = query.get("limit").map(|text| parsed("limit", text)).transpose()?.unwrap_or(usual);
    if !(1..=max).contains(&limit) {
        return Err(ApiError::invalid("limit", format!("must be from 1 to {max}")));
    }
    Ok(limit)
}

words! {
    OrderWord: "asc" | "desc";
}

/// Whether a list begins with the newest: the parameter `order`, as OpenAI's lists have it.
pub(super) fn newest_first(query: &HashMap<String, String>) -> Result<bool, ApiError> {
    match query.get("order").map(String::as_str) {
        None | Some("desc") => Ok(true),
        Some("asc") => Ok(false),
        Some(_) => Err(ApiError::invalid("order", "must be \"asc\" or \"desc\"")),
    }
}

/// A typed part of the path, by its name in the route.
pub(super) async fn path<T: FromStr<Err: Display>>(call: &mut Call, name: &str) -> Result<T, ApiError> {
    let found = call.parts.extract::<Path<HashMap<String, String>>>().await;
    let Path(names) = found.map_err(|error| ApiError::invalid(name, error.body_text()))?;
    parsed(name, names.get(name).map_or("", String::as_str))
}
