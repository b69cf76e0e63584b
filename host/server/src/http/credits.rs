//! `/api/v1/credits`: what a user has, and how it came about.

pub(super) mod balance;
pub(super) mod entries;
pub(super) mod grant;
pub(super) mod refund;
pub(super) mod view;

use atelier_domain::money::MicroCredits;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{RefOr, Schema};

/// An amount of micro-credits.
pub(super) fn amount() -> RefOr<Schema> {
    let most = usize::try_from(MicroCredits::MAX.get()).unwrap_or(usize::MAX);
    super::openapi::number(0, most, None)
}

/// The same, or `null`.
pub(super) fn optional_amount() -> RefOr<Schema> {
    super::openapi::optional(amount())
}

/// Another user's name or id, in a query.
pub(super) fn user() -> RefOr<Schema> {
    utoipa::openapi::schema::ObjectBuilder::new().schema_type(Type::String).into()
}

pub(super) const ABOUT_USER: &str = "Another user's name or id: for administrators.";
