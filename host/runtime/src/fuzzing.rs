//! What reads bytes from outside and is nobody else's business: for `ops/fuzz`, and no part of this crate's interface.

use url::Url;

use crate::egress::{EgressError, client, connector};
pub use crate::provider::Callbacks;

/// The host and port that the way out dials for a URL.
///
/// # Errors
/// The URL cannot be sent.
pub fn destination(url: Url) -> Result<(String, u16), EgressError> {
    client::uri_of(url).map(|uri| connector::destination(&uri))
}
