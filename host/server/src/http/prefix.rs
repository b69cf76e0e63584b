//! Ids with OpenAI's prefixes.

use atelier_domain::id::CallId;

/// A new id: the prefix and 32 hexadecimal digits that sort by time.
pub(super) fn id(prefix: &str) -> String {
    let mut id = String::with_capacity(prefix.len() + 32);
    id.push_str(prefix);
    id.push_str(&CallId::new().simple());
    id
}
