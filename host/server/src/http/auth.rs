//! `/api/v1/auth`: people in browsers, who have passwords and sessions where programs have keys.

pub(super) mod everywhere;
pub(super) mod forgotten;
pub(super) mod password;
pub(super) mod session;
pub(super) mod sessions;
pub(super) mod sign_in;
pub(super) mod sign_out;
pub(super) mod sign_up;
pub(super) mod view;
