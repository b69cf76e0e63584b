//! Addresses of mailboxes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Characters of an address (RFC 5321 §4.5.3.1.3, without the brackets), of its local part, and of a label of its domain.
pub const EMAIL_CHARACTERS_MAX: usize = 254;
const LOCAL_MAX: usize = 64;
const LABEL_MAX: usize = 63;

/// An address in its plain form (RFC 5321: a dot-string at a domain of at least two labels), in lower case. There is nothing in it
/// that a header, a command or a log line could be ended with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

/// The text is no address that mail is sent to from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an address such as ada@example.org: plain ASCII, a domain with a dot, {EMAIL_CHARACTERS_MAX} characters at most"
)]
pub struct InvalidEmail;

impl EmailAddress {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail)?;
        let is_atom = |atom: &str| {
            !atom.is_empty()
                && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
        };
        let is_label = |label: &str| {
            (1..=LABEL_MAX).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let labels: Vec<&str> = domain.split('.').collect();
        // A number is the end of an address and not of a name (RFC 3696 §2).
        let is_named = labels.last().is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit()));
        let is_good = text.len() <= EMAIL_CHARACTERS_MAX
            && local.len() <= LOCAL_MAX
            && local.split('.').all(is_atom)
            && labels.len() >= 2
            && labels.iter().all(|label| is_label(label))
            && is_named;
        if is_good { Ok(Self(text.to_ascii_lowercase())) } else { Err(InvalidEmail) }
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read_in_lower_case() {
        for (text, read) in [
            ("ada@example.org", "ada@example.org"),
            ("Ada.Lovelace+Notes@Mail.Example.ORG", "ada.lovelace+notes@mail.example.org"),
            ("o'neil@xn--bcher-kva.example", "o'neil@xn--bcher-kva.example"),
        ] {
            assert_eq!(text.parse::<EmailAddress>().expect(text).as_str(), read);
        }
        assert_eq!("a@b.example".parse::<EmailAddress>().expect("good").domain(), "b.example");
    }

    #[test]
    fn header_injection_in_an_address_is_refused() {
        for text in [
            "ada@example.org\r\nBcc: all@example.org",
            "ada@example.org\nSubject: x",
            "ada\r@example.org",
            "ada@example.org\0",
            "\"ada\r\nBcc: x\"@example.org",
            "ada@example.org>\r\nDATA",
            "ada@example.org,bob@example.org",
            "<ada@example.org>",
            "Ada <ada@example.org>",
            "ada @example.org",
            "ada@example.org ",
            "ada@exam\u{2028}ple.org",
            "ada%0d%0a@example.org\u{b}",
        ] {
            assert_eq!(text.parse::<EmailAddress>(), Err(InvalidEmail), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_plain_address_is_refused() {
        let long = format!("{}@example.org", "a".repeat(65));
        let domain = format!("a@{}.org", "b".repeat(64));
        let whole = format!("{}@{}org", "a".repeat(60), "bcdefghi.".repeat(30));
        for text in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.org",
            "ada@localhost",
            "ada@[127.0.0.1]",
            "ada@127.0.0.1",
            "a..b@example.org",
            ".a@example.org",
            "ada@-example.org",
            "ada@example..org",
            "ädä@example.org",
            "ada@bücher.example",
            &long,
            &domain,
            &whole,
        ] {
            assert_eq!(text.parse::<EmailAddress>(), Err(InvalidEmail), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_an_address_is_visible_ascii_and_reads_as_itself(text in ".{0,40}@.{0,40}") {
            if let Ok(address) = text.parse::<EmailAddress>() {
                prop_assert!(address.as_str().bytes().all(|b| b.is_ascii_graphic() && !b"<>,;:\"\\".contains(&b)));
                prop_assert_eq!(address.as_str().parse::<EmailAddress>(), Ok(address.clone()));
            }
        }
    }
}
