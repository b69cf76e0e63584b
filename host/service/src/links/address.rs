//! The signed part of a link's address.

use std::fmt;

use atelier_domain::id::LinkId;
use atelier_domain::link::Link;
use atelier_domain::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Sets this use of the key apart from any other.
const PURPOSE: &[u8] = b"atelier artifact link 1";
const ID: usize = 16;
const END: usize = 8;
const TAG: usize = 32;
const TOKEN_BYTES: usize = (ID + END + TAG) * 4 / 3 + 1;

/// What a token says, as this host once signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub id: LinkId,
    pub expires: Timestamp,
}

/// Makes and reads tokens: id, end and a keyed hash (BLAKE3) of both. Another key revokes all of them.
#[derive(Clone)]
pub struct LinkAddresses {
    key: [u8; 32],
}

/// Never the key.
impl fmt::Debug for LinkAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkAddresses").finish_non_exhaustive()
    }
}

impl LinkAddresses {
    /// Signed with this key.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    pub(super) fn token(&self, link: &Link) -> String {
        let mut bytes = [&link.id.as_bytes()[..], &link.expires.0.to_be_bytes()].concat();
        let tag = self.tag(&bytes);
        bytes.extend_from_slice(tag.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a token says; `None` if it is not one of ours.
    pub(super) fn read(&self, token: &str) -> Option<Signed> {
        if token.len() != TOKEN_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (payload, tag) = bytes.split_at_checked(ID + END)?;
        // Hashes are compared in constant time.
        if self.tag(payload) != blake3::Hash::from_bytes(tag.try_into().ok()?) {
            return None;
        }
        let (id, end) = payload.split_at_checked(ID)?;
        let (id, end) = (id.try_into().ok()?, end.try_into().ok()?);
        Some(Signed { id: LinkId::from_bytes(id), expires: Timestamp(u64::from_be_bytes(end)) })
    }

    fn tag(&self, payload: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(PURPOSE).update(payload).finalize()
    }
}

#[cfg(test)]
mod tests {
    use atelier_domain::id::{FileId, UserId};
    use atelier_domain::link::{Artifact, LinkKind};

    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_made_and_a_changed_one_is_none() {
        let addresses = LinkAddresses::new([7; 32]);
        let link = Link {
            id: LinkId::new(),
            owner: UserId::new(),
            artifact: Artifact::File(FileId::new()),
            kind: LinkKind::Download,
            title: None,
            created: Timestamp(0),
            expires: Timestamp(1_795_305_600_000),
        };
        let token = addresses.token(&link);
        assert_eq!(token.len(), TOKEN_BYTES);
        assert_eq!(addresses.read(&token), Some(Signed { id: link.id, expires: link.expires }));
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(addresses.read(&changed), None, "character {at}");
        }
        assert_eq!(LinkAddresses::new([8; 32]).read(&token), None, "another key revokes all");
        for none in ["", "A", "not base64!", &"A".repeat(TOKEN_BYTES), &"A".repeat(100_000)] {
            assert_eq!(addresses.read(none), None);
        }
        assert!(!format!("{addresses:?}").contains('7'), "{addresses:?}");
    }
}
