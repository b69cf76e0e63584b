//! `[mail]`: the server that takes this server's mail.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use atelier_domain::account::email::EmailAddress;
use atelier_domain::plugin::SecretValue;

use super::Section;
use super::secret::SecretSource;

/// Characters of the name beside the sender's address.
const NAME_CHARACTERS_MAX: usize = 100;

/// How a mail server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// TLS from the first byte (RFC 8314 §3.3), usually at port 465.
    Tls,
    /// TLS after `STARTTLS` (RFC 3207), without which nothing is sent, usually at port 587.
    StartTls,
    /// None: on this machine alone.
    None,
}

/// The mail server and how to be let in there.
#[derive(Clone, Debug)]
pub struct Mail {
    pub host: String,
    pub port: u16,
    pub security: MailSecurity,
    /// Name and password.
    pub login: Option<(String, SecretValue)>,
    /// The name beside the address, and the address.
    pub from: (Option<String>, EmailAddress),
    /// A PEM file: who signs the server's certificate, where that is none of the usual authorities.
    pub ca: Option<PathBuf>,
}

impl Mail {
    /// `None` where there is no such section, or where there are mistakes in it.
    pub(super) fn read(section: &mut Section, folder: &Path) -> Option<Self> {
        let (server, from) = (section.text("server"), section.text("from"));
        let (word, ca) = (section.text("security"), section.text("ca"));
        let user = section.text("user");
        let password = section.value("password", |value| SecretSource::of(value)?.read(folder));
        if server.is_none() && from.is_none() && user.is_none() && word.is_none() {
            return None;
        }
        let security = match word.as_deref() {
            Some("tls") => Some(MailSecurity::Tls),
            None | Some("starttls") => Some(MailSecurity::StartTls),
            Some("none") => Some(MailSecurity::None),
            Some(_) => {
                section.wrong("security", "must be \"starttls\", \"tls\" or \"none\"");
                None
            }
        };
        let place = server.as_deref().and_then(place_of);
        match &place {
            None => section
                .wrong("server", "must be the mail server and its port, such as \"smtp.example.com:587\""),
            Some((host, _)) if security == Some(MailSecurity::None) && !is_here(host) => {
                section.wrong("security", "must be \"starttls\" or \"tls\" for a server on another machine");
            }
            Some(_) => {}
        }
        let sender = from.as_deref().and_then(sender_of);
        if sender.is_none() {
            section.wrong("from", "must be the sender's address, such as \"Atelier <noreply@example.com>\"");
        }
        let login = match (user, password) {
            (Some(user), Some(password)) => Some((user, password)),
            (None, None) => None,
            (Some(_), None) => {
                section.wrong(
                    "password",
                    "is missing, or could not be read: the user's, such as { env = \"SMTP_PASSWORD\" }",
                );
                None
            }
            (None, Some(_)) => {
                section.wrong("user", "is missing: whose password it is");
                None
            }
        };
        let ((host, port), from) = (place?, sender?);
        Some(Self { host, port, security: security?, login, from, ca: ca.map(|ca| folder.join(ca)) })
    }
}

/// Host and port; an address of IPv6 stands in brackets.
fn place_of(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_name = |host: &str| {
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
    };
    let is_good = is_name(host) || host.parse::<IpAddr>().is_ok();
    let port = port.parse().ok().filter(|port| *port != 0)?;
    is_good.then(|| (host.to_owned(), port))
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// `address`, or `name <address>`.
fn sender_of(text: &str) -> Option<(Option<String>, EmailAddress)> {
    let Some(rest) = text.strip_suffix('>') else { return Some((None, text.parse().ok()?)) };
    let (name, address) = rest.split_once('<')?;
    let name = name.trim();
    let is_good = name.chars().count() <= NAME_CHARACTERS_MAX && !name.chars().any(char::is_control);
    let address = address.parse().ok().filter(|_| is_good)?;
    Some((Some(name.to_owned()).filter(|name| !name.is_empty()), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        assert_eq!(place_of("smtp.example.com:587"), Some(("smtp.example.com".to_owned(), 587)));
        assert_eq!(place_of("[::1]:25"), Some(("::1".to_owned(), 25)));
        for none in [
            "smtp.example.com",
            "smtp.example.com:0",
            ":25",
            "a b:25",
            "smtp.example.com:99999",
            "http://x:25",
        ] {
            assert_eq!(place_of(none), None, "{none}");
        }
        assert!(is_here("127.0.0.1") && is_here("::1") && is_here("localhost") && !is_here("10.0.0.1"));
    }

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        let read = |text: &str| sender_of(text).map(|(name, address)| (name, address.to_string()));
        let address = || "noreply@example.com".to_owned();
        assert_eq!(read("noreply@example.com"), Some((None, address())));
        assert_eq!(read("Atelier <noreply@example.com>"), Some((Some("Atelier".to_owned()), address())));
        assert_eq!(read("<noreply@example.com>"), Some((None, address())));
        for none in
            ["", "Atelier", "A\r\nBcc: x <noreply@example.com>", "a <b> <noreply@example.com>", "a <nobody>"]
        {
            assert_eq!(read(none), None, "{none:?}");
        }
    }
}
