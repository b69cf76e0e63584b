//! Who sent a request, by what trusted proxies say. Each says from whom it got the request, the nearest one last; so what is read is read
//! from the right, and only as far as whoever said it is trusted. What stands further left is the client's own word.

use std::net::{IpAddr, Ipv6Addr};

use http::header::{FORWARDED, HeaderName};
use http::{HeaderMap, HeaderValue};

use super::{ForwardedHeader, Proxies};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Trusted proxies in a row.
const HOPS_MAX: usize = 32;
/// Bytes of a line of `Forwarded`, which is read whole: quotes decide where it may be taken apart.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// Bytes of one name of a sender: an IPv6 address in brackets, with its port, fits well.
const NODE_BYTES_MAX: usize = 128;

/// What a trusted proxy passed on cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub &'static str);

/// From whom a proxy says that it got a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Address(IpAddr),
    /// It does not know, or does not tell (RFC 7239 §6.2, §6.3).
    Untold,
}

/// The address of whoever sent a request that came from `peer`: the first from the right that is no trusted proxy's. `None`: `peer` is none,
/// and whatever it says of others is not looked at.
///
/// # Errors
/// A trusted proxy passed on what cannot be read: counted as anybody's, it could stand for whom its client wants.
pub(super) fn client(
    peer: IpAddr,
    headers: &HeaderMap,
    proxies: &Proxies,
) -> Result<Option<IpAddr>, Malformed> {
    if !proxies.trust(peer) {
        return Ok(None);
    }
    let mut nearest = peer.to_canonical();
    let mut hops = 0;
    let mut further = |sender: Sender| {
        hops += 1;
        if hops > HOPS_MAX {
            return Err(Malformed("it names too many proxies"));
        }
        // The one who does not tell is the last who is known.
        let Sender::Address(address) = sender else { return Ok(true) };
        nearest = address;
        Ok(!proxies.trust(address))
    };
    match proxies.header {
        ForwardedHeader::For => {
            'lines: for line in headers.get_all(X_FORWARDED_FOR).iter().rev() {
                for item in text(line)?.rsplit(',').map(|item| item.trim_matches([' ', '\t'])) {
                    // A list may have empty items (RFC 9110 §5.6.1).
                    if !item.is_empty() && further(node(item, true)?)? {
                        break 'lines;
                    }
                }
            }
        }
        ForwardedHeader::Forwarded => {
            'lines: for line in headers.get_all(FORWARDED).iter().rev() {
                for sender in elements(text(line)?)?.into_iter().rev() {
                    if further(sender)? {
                        break 'lines;
                    }
                }
            }
        }
    }
    Ok(Some(nearest))
}

fn text(line: &HeaderValue) -> Result<&str, Malformed> {
    line.to_str().map_err(|_| Malformed("it is no text"))
}

/// An address as `Forwarded` and `X-Forwarded-For` write it: with or without a port, IPv6 in brackets; `bare` also without them.
fn node(text: &str, bare: bool) -> Result<Sender, Malformed> {
    const NONE: Malformed = Malformed("it names no address");
    if text.len() > NODE_BYTES_MAX {
        return Err(NONE);
    }
    if let Some(inner) = text.strip_prefix('[') {
        let (address, port) = inner.split_once(']').ok_or(NONE)?;
        let address: Ipv6Addr = address.parse().map_err(|_| NONE)?;
        let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(NONE)?) };
        return port.is_none_or(is_port).then_some(of(address.into())).ok_or(NONE);
    }
    if bare && let Ok(address) = text.parse::<Ipv6Addr>() {
        return Ok(of(address.into()));
    }
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    if !port.is_none_or(is_port) {
        return Err(NONE);
    }
    if name.eq_ignore_ascii_case("unknown") || name.strip_prefix('_').is_some_and(is_obfuscated) {
        return Ok(Sender::Untold);
    }
    match name.parse::<IpAddr>() {
        Ok(address @ IpAddr::V4(_)) => Ok(of(address)),
        _ => Err(NONE),
    }
}

fn of(address: IpAddr) -> Sender {
    Sender::Address(address.to_canonical())
}

/// RFC 7239 §6: a number, or a name that is made up.
fn is_port(text: &str) -> bool {
    let is_number = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number || text.strip_prefix('_').is_some_and(is_obfuscated)
}

fn is_obfuscated(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// The senders that a line of `Forwarded` names, one for each of its elements (RFC 7239 §4).
fn elements(line: &str) -> Result<Vec<Sender>, Malformed> {
    const BROKEN: Malformed = Malformed("it is not written as RFC 7239 says");
    if line.len() > LINE_BYTES_MAX {
        return Err(Malformed("it is too long"));
    }
    let mut senders = Vec::new();
    let mut rest = line;
    let mut element: Option<Option<Sender>> = None;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        match rest.chars().next() {
            None | Some(',') => {
                senders.extend(element.take().map(|sender| sender.unwrap_or(Sender::Untold)));
                match rest.strip_prefix(',') {
                    Some(more) => rest = more,
                    None => return Ok(senders),
                }
            }
            Some(';') => {
                element = Some(element.unwrap_or_default());
                rest = &rest[1..];
            }
            Some(_) => {
                let end = rest.bytes().position(|byte| !is_token(byte)).unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                let after = after.strip_prefix('=').filter(|_| !name.is_empty()).ok_or(BROKEN)?;
                let (value, after) = value(after).ok_or(BROKEN)?;
                let is_over = |text: &str| text.is_empty() || text.starts_with([';', ',']);
                rest = after.trim_start_matches([' ', '\t']);
                if !is_over(rest) {
                    return Err(BROKEN);
                }
                let sender = element.get_or_insert_default();
                if name.eq_ignore_ascii_case("for") && sender.replace(node(&value, false)?).is_some() {
                    return Err(BROKEN);
                }
            }
        }
    }
}

/// A token or a quoted string (RFC 9110 §5.6), and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.bytes().position(|byte| !is_token(byte)).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
