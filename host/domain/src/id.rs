//! Typed identifiers. Each parses from text before it is used, so that a malformed one never reaches a store.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {what}: {why}")]
pub struct InvalidId {
    /// What was expected, e.g. `model id`.
    pub what: &'static str,
    /// The text, cut to 80 characters.
    pub text: String,
    /// The rule it breaks.
    pub why: &'static str,
}

impl InvalidId {
    fn new(what: &'static str, text: &str, why: &'static str) -> Self {
        Self { what, text: text.chars().take(80).collect(), why }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new one (UUIDv7: sorted by the time of its making).
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
            /// The 16 bytes, big-endian: sorts like the id.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
            /// From the 16 bytes of [`Self::as_bytes`].
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
            /// Without hyphens, as used behind OpenAI's prefixes.
            pub fn simple(&self) -> String {
                self.0.simple().to_string()
            }
            /// One that is the same whenever it is made of the same time and parts, for where nothing may be drawn at random.
            pub fn derived(made: Timestamp, parts: &[&[u8]]) -> Self {
                Self(derived(concat!("atelier 2026-11 ", $what), made, parts))
            }
            /// When it was made, to the millisecond.
            pub fn made(&self) -> Timestamp {
                let mut bytes = [0; 8];
                bytes[2..].copy_from_slice(&self.0.as_bytes()[..6]);
                Timestamp(u64::from_be_bytes(bytes))
            }
        }
        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let id = Uuid::try_parse(text).map_err(|_| InvalidId::new($what, text, "it must be a UUID"))?;
                match id.get_version_num() {
                    7 => Ok(Self(id)),
                    _ => Err(InvalidId::new($what, text, "it must be a UUID of version 7")),
                }
            }
        }
    };
}

uuid_id!(/// A user.
    UserId, "user id");
uuid_id!(/// An API key (its name in lists, not its secret).
    KeyId, "key id");
uuid_id!(/// A browser that is signed in (its name in lists, not its secret).
    SessionId, "session id");
uuid_id!(/// A job.
    JobId, "job id");
uuid_id!(/// A file that a user keeps here.
    FileId, "file id");
uuid_id!(/// Many requests in one file.
    BatchId, "batch id");
uuid_id!(/// A conversation that a user keeps.
    ConversationId, "conversation id");
uuid_id!(/// A message of a conversation.
    ChatMessageId, "message id");
uuid_id!(/// An answer that is kept.
    ResponseId, "response id");
uuid_id!(/// A record of the audit log.
    AuditId, "audit record id");
uuid_id!(/// A mail that waits to be sent.
    MailId, "mail id");
uuid_id!(/// A link to an artifact.
    LinkId, "link id");
uuid_id!(/// A prompt template.
    TemplateId, "template id");
uuid_id!(/// One call into a provider.
    CallId, "call id");
uuid_id!(/// A message of ours to webhook endpoints: the same for each attempt and each endpoint.
    MessageId, "message id");
uuid_id!(/// An endpoint of outgoing webhooks.
    EndpointId, "webhook endpoint id");
uuid_id!(/// A message on its way to one endpoint.
    DeliveryId, "delivery id");

/// A UUID of version 7 (RFC 9562 §5.7) whose random part is a hash: time, version, variant, and the rest of the hash.
fn derived(purpose: &str, made: Timestamp, parts: &[&[u8]]) -> Uuid {
    let mut hasher = blake3::Hasher::new_derive_key(purpose);
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    bytes[..6].copy_from_slice(&made.0.to_be_bytes()[2..]);
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    Uuid::from_bytes(bytes)
}
uuid_id!(/// An entry of the ledger's journal.
    EntryId, "ledger entry id");
uuid_id!(/// A record of what one call or job used.
    UsageId, "usage record id");

/// Name of a configured instance of a provider: the first part of its models' ids.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceName(String);

impl InstanceName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceName {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = |why| Err(InvalidId::new("instance name", text, why));
        if text.is_empty() || text.len() > 63 {
            return invalid("it must have 1 to 63 characters");
        }
        if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return invalid("it may have lower-case letters, digits and hyphens only");
        }
        if !text.as_bytes()[0].is_ascii_alphanumeric() {
            return invalid("it must begin with a letter or digit");
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for InstanceName {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}
impl From<InstanceName> for String {
    fn from(name: InstanceName) -> String {
        name.0
    }
}
impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `instance/model`: the model part is the provider's own id and may contain slashes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId {
    text: String,
    slash: usize,
}

impl ModelId {
    /// Joins an instance's name and the provider's own id.
    pub fn new(instance: &InstanceName, model: &str) -> Self {
        Self { text: format!("{instance}/{model}"), slash: instance.as_str().len() }
    }
    /// The instance that serves it.
    pub fn instance(&self) -> &str {
        &self.text[..self.slash]
    }
    /// The provider's own id.
    pub fn model(&self) -> &str {
        &self.text[self.slash + 1..]
    }
    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for ModelId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = |why| Err(InvalidId::new("model id", text, why));
        if text.len() > 256 {
            return invalid("it may have 256 bytes at most");
        }
        if text.chars().any(char::is_control) {
            return invalid("it may not have control characters");
        }
        match text.split_once('/') {
            Some((instance, model)) if !model.is_empty() && instance.parse::<InstanceName>().is_ok() => {
                Ok(Self { text: text.to_owned(), slash: instance.len() })
            }
            _ => invalid("it must read instance/model, as GET /v1/models lists them"),
        }
    }
}
impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl fmt::Debug for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_id_keeps_the_slashes_of_the_providers_own_id() {
        let id: ModelId = "replicate/black-forest-labs/flux-schnell".parse().expect("valid");
        assert_eq!((id.instance(), id.model()), ("replicate", "black-forest-labs/flux-schnell"));
    }

    #[test]
    fn malformed_ids_are_refused_with_the_rule_they_break() {
        for text in ["", "gpt", "/gpt", "Open AI/gpt", "openai/", "-x/y", "a/\u{0}"] {
            assert!(text.parse::<ModelId>().is_err(), "{text:?}");
        }
        assert!("00000000-0000-4000-8000-000000000000".parse::<JobId>().is_err(), "version 4");
        assert!(JobId::new().to_string().parse::<JobId>().is_ok());
    }

    #[test]
    fn a_derived_id_is_of_version_7_keeps_its_time_and_differs_with_its_parts() {
        let made = Timestamp(1_795_305_600_123);
        let id = MessageId::derived(made, &[b"alice", b"1"]);
        assert_eq!(id.to_string().parse::<MessageId>().expect("of version 7"), id);
        assert_eq!(id.made(), made);
        assert_eq!(MessageId::derived(made, &[b"alice", b"1"]), id);
        assert_ne!(MessageId::derived(made, &[b"alice1", b""]), id);
        assert_ne!(*DeliveryId::derived(made, &[b"alice", b"1"]).as_bytes(), *id.as_bytes());
    }
}
