//! The only way out of the host, for plugins and for the host's own fetches on behalf of callers.
//!
//! scheme, host and port against the grants → secrets put in, or what they sign → resolve once → refuse special addresses → dial exactly those
//! addresses → no redirects. What comes back has the secrets blanked out.

mod address;
mod body;
pub(crate) mod client;
pub(crate) mod connector;
mod download;
mod grants;
mod incoming;
mod refusal;
mod scrub;
mod secrets;
mod signers;
mod traced;

pub use address::is_special;
pub use body::{OutgoingBody, Segment};
pub use client::{Egress, EgressError, EgressTimeouts, OutgoingRequest, Received};
pub use grants::{Grants, HostPattern, Reach};
pub use incoming::IncomingBody;
pub use scrub::{Patterns, Scrubber};
pub use secrets::Secrets;
