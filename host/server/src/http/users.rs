//! `/api/v1/users`: for administrators.

pub(super) mod access;
pub(super) mod create;
pub(super) mod delete;
pub(super) mod get;
pub(super) mod list;
pub(super) mod view;
