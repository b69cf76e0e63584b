//! What reads bytes from outside and is nobody else's business: for `ops/fuzz`, and no part of this crate's interface.

pub use crate::backup::configuration::to_restore as configuration_in_backup;
pub use crate::http::form_fuzzing::{Fields, fields};
pub use crate::webhook_sender::granted as granted_webhook;
