//! `/api/v1/generations`: one job resource for every medium.

pub(super) mod cancel;
pub(super) mod content;
pub(super) mod create;
pub(super) mod events;
pub(super) mod failed;
pub(super) mod get;
pub(super) mod list;
pub(super) mod rendition;
pub(super) mod view;
