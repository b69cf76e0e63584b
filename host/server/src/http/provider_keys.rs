//! `/api/v1/provider-keys`: callers' own keys of providers.

pub(super) mod list;
pub(super) mod put;
pub(super) mod remove;
pub(super) mod view;
