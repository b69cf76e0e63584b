//! Events of jobs: as server-sent events, and as the bodies of webhooks, which are the same.

pub(super) mod feed;
pub(super) mod follow;
pub(super) mod message;
