//! URLs that leave the host, and what was granted.

use std::net::IpAddr;

use atelier_runtime::egress::{Grants, HostPattern, Reach, is_special};
use atelier_runtime::fuzzing::destination;
use atelier_server::fuzzing::granted_webhook;
use url::{Host, Url};

/// Whatever is let out goes to the host and port that was granted, and in public to no special address. Lines `public HOST` and
/// `private HOST:PORT` grant, each other line is a URL: asked for as it is, as a redirect from the last that was let out, and as a webhook's.
pub fn egress_url(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (mut public, mut private, mut urls) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.split('\n').take(16) {
        let granted = |host: &str| HostPattern::parse(host).map(|pattern| (host.to_owned(), pattern));
        if let Some(host) = line.strip_prefix("public ") {
            public.extend(granted(host));
        } else if let Some(host) = line.strip_prefix("private ") {
            private.extend(granted(host));
        } else {
            urls.push(line);
        }
    }
    let patterns = |of: &[(String, HostPattern)]| of.iter().map(|(_, pattern)| pattern.clone()).collect();
    let grants = Grants::new(patterns(&public), patterns(&private));
    let mut sent: Option<Url> = None;
    for text in urls {
        if let Ok((url, _)) = granted_webhook(text, &[]) {
            goes_where_it_says(&url, Reach::Public);
        }
        let redirected = sent.as_ref().and_then(|sent| sent.join(text).ok());
        for url in [redirected, Url::parse(text).ok()].into_iter().flatten() {
            if let Ok(reach) = grants.check(&url) {
                goes_where_it_says(&url, reach);
                let granted = if reach == Reach::Public { &public } else { &private };
                let is_granted = granted.iter().any(|(text, _)| names(text, &url));
                assert!(is_granted, "{url} was granted by none of {granted:?}");
                sent = Some(url);
            }
        }
    }
}

/// The way out dials what the policy saw.
fn goes_where_it_says(url: &Url, reach: Reach) {
    assert!(url.username().is_empty() && url.password().is_none(), "{url} has a user");
    let literal = match url.host().expect("it was let out") {
        Host::Ipv4(address) => Some(IpAddr::from(address)),
        Host::Ipv6(address) => Some(IpAddr::from(address)),
        Host::Domain(_) => None,
    };
    if reach == Reach::Public {
        assert_eq!(url.scheme(), "https", "{url}");
        assert!(!literal.is_some_and(is_public_no_more), "{url}");
    }
    let Ok((host, port)) = destination(url.clone()) else { return };
    assert_eq!(Some(port), url.port_or_known_default(), "{url}");
    match literal {
        Some(address) => assert_eq!(host.parse(), Ok(address), "{url}"),
        None => {
            assert_eq!(Some(host.as_str()), url.host_str(), "{url}");
            let name = host.trim_end_matches('.');
            let is_local = name == "localhost" || name.ends_with(".localhost");
            assert!(reach == Reach::Private || !is_local, "{url}");
            // A resolver takes numbers for addresses (inet_aton), which nobody would have looked at. The root's dot makes no difference.
            let name = host.strip_suffix('.').unwrap_or(&host);
            let last = name.rsplit('.').next().unwrap_or_default();
            let is_decimal = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
            let hexadecimal = last.strip_prefix("0x");
            let is_hexadecimal =
                hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let is_number = is_decimal || is_hexadecimal;
            assert!(!is_number && host.parse::<IpAddr>().is_err(), "{url}");
        }
    }
}

/// By the product's own list, and by what the standard library knows.
fn is_public_no_more(address: IpAddr) -> bool {
    let plain = address.to_canonical();
    let is_local = plain.is_loopback() || plain.is_unspecified() || plain.is_multicast();
    let is_inner = match plain {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_broadcast() || v4.is_documentation(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    is_special(address) || is_local || is_inner
}

/// Whether a grant, read anew, names a URL's host and port.
fn names(grant: &str, url: &Url) -> bool {
    let (is_below, rest) = grant.strip_prefix("*.").map_or((false, grant), |rest| (true, rest));
    // A scheme's own port is not told by its URLs, but by those of another scheme.
    let read = |scheme: &str| Url::parse(&format!("{scheme}://{rest}/")).ok();
    let (Some(http), Some(https)) = (read("http"), read("https")) else { return false };
    let root = |host: Option<&str>| host.map(|host| host.strip_suffix('.').unwrap_or(host).to_owned());
    let (Some(granted), Some(asked)) = (root(https.host_str()), root(url.host_str())) else { return false };
    let has_host = if is_below { asked.ends_with(&format!(".{granted}")) } else { asked == granted };
    let default = if url.scheme() == "https" { 443 } else { 80 };
    has_host && url.port_or_known_default() == https.port().or(http.port()).or(Some(default))
}
