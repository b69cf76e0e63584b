//! `/api/v1/conversations`: what users keep of what they say, as trees of messages.

pub(super) mod change;
pub(super) mod create;
pub(super) mod get;
pub(super) mod list;
pub(super) mod messages;
pub(super) mod remove;
pub(super) mod say;
pub(super) mod search;
mod stream;
pub(super) mod view;
