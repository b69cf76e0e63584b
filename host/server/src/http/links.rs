//! Links to artifacts: `/api/v1/links` for who makes them, `/links/{token}` and `/shares/{token}` for who was given one.

pub(super) mod create;
pub(super) mod follow;
pub(super) mod list;
pub(super) mod page;
pub(super) mod rendition;
pub(super) mod revoke;
pub(super) mod view;
