//! `/api/v1/budgets`: what a user or a key may spend in a day and in a month (UTC).

pub(super) mod get;
pub(super) mod set;
pub(super) mod view;
