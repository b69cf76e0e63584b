//! The addresses at which providers call back. Whoever knows one may use it; nobody can make one up.

use std::fmt;
use std::net::IpAddr;

use atelier_domain::id::{InstanceName, JobId};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Sets this use of the key apart from any other.
const PURPOSE: &[u8] = b"atelier callback address 1";
const SENDER: &[u8] = b"atelier callback sender 1";
const JOB: u8 = b'j';
const INSTANCE: u8 = b'i';
const TAG_BYTES: usize = 32;
/// A longest instance's name, and what is around it, in base64.
const TOKEN_BYTES_MAX: usize = 192;

/// What an address is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// One job.
    Job(JobId),
    /// All jobs of an instance, for providers that call one address per project.
    Instance(InstanceName),
}

/// Makes and reads addresses. Their tokens are keyed hashes (BLAKE3): nothing is stored for them.
#[derive(Clone)]
pub struct CallbackAddresses {
    key: [u8; 32],
    base: Option<String>,
}

/// Never the key.
impl fmt::Debug for CallbackAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackAddresses").field("base", &self.base).finish_non_exhaustive()
    }
}

impl CallbackAddresses {
    /// Addresses below `public_url` (without a trailing slash). Without one there are none to give; tokens given before stay good.
    pub fn new(key: [u8; 32], public_url: Option<String>) -> Self {
        Self { key, base: public_url.map(|url| format!("{url}/hooks/")) }
    }

    /// Where a target is called back.
    pub fn url(&self, target: &Target) -> Option<String> {
        let base = self.base.as_ref()?;
        let mut bytes = match target {
            Target::Job(id) => [&[JOB][..], id.as_bytes()].concat(),
            Target::Instance(name) => [&[INSTANCE][..], name.as_str().as_bytes()].concat(),
        };
        let tag = self.tag(&bytes);
        bytes.extend_from_slice(tag.as_bytes());
        Some(format!("{base}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What a token is for; `None` if it is not one of ours.
    pub fn read(&self, token: &str) -> Option<Target> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (payload, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        // Hashes are compared in constant time.
        if self.tag(payload) != blake3::Hash::from_bytes(tag.try_into().ok()?) {
            return None;
        }
        let (kind, payload) = payload.split_first()?;
        match *kind {
            JOB => Some(Target::Job(JobId::from_bytes(payload.try_into().ok()?))),
            INSTANCE => Some(Target::Instance(std::str::from_utf8(payload).ok()?.parse().ok()?)),
            _ => None,
        }
    }

    /// A sender's address for the log: the same for the same address, and of no use to whoever has no key.
    pub(super) fn pseudonym(&self, address: IpAddr) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        let hash = match address {
            IpAddr::V4(v4) => hasher.update(SENDER).update(&v4.to_ipv6_mapped().octets()).finalize(),
            IpAddr::V6(v6) => hasher.update(SENDER).update(&v6.octets()).finalize(),
        };
        hash.to_hex()[..16].to_owned()
    }

    fn tag(&self, payload: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(PURPOSE).update(payload).finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(addresses: &CallbackAddresses, target: &Target) -> String {
        let url = addresses.url(target).expect("there is a public URL");
        url.strip_prefix("https://host.example/hooks/").expect("below it").to_owned()
    }

    #[test]
    fn an_address_is_read_as_it_was_made_and_a_changed_one_is_none() {
        let addresses = CallbackAddresses::new([7; 32], Some("https://host.example".to_owned()));
        let name = "a".repeat(63).parse().expect("a name");
        for target in [Target::Job(JobId::new()), Target::Instance(name)] {
            let token = token(&addresses, &target);
            assert!(token.len() <= TOKEN_BYTES_MAX);
            assert_eq!(addresses.read(&token), Some(target.clone()));
            for at in 0..token.len() {
                let mut changed = token.clone().into_bytes();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).expect("ASCII");
                assert_eq!(addresses.read(&changed), None, "character {at}");
            }
            assert_eq!(CallbackAddresses::new([8; 32], None).read(&token), None, "another host's key");
            assert_eq!(
                CallbackAddresses::new([7; 32], None).read(&token),
                Some(target),
                "ours, after a restart"
            );
        }
        let long = "A".repeat(100_000);
        for none in ["", "A", "not base64!", long.as_str(), &"A".repeat(44)] {
            assert_eq!(addresses.read(none), None);
        }
        assert_eq!(CallbackAddresses::new([7; 32], None).url(&Target::Job(JobId::new())), None);
        assert!(!format!("{addresses:?}").contains("7, 7"), "{addresses:?}");
    }
}
