//! What an instance may reach.

use atelier_domain::egress::EgressDenial;
use url::{Host, Url};

/// A granted host: exact, or all below one, optionally at one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    /// Lower case; without the `*.` of a wildcard.
    host: String,
    below: bool,
    port: Option<u16>,
}

impl HostPattern {
    /// Reads `host`, `*.host`, `host:port` or `[v6]:port`. `None` if it is none of them.
    pub fn parse(text: &str) -> Option<Self> {
        let (below, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        // A URL parser reads the host, so that grant and request are normalised alike (IDNA, IPv4 spellings).
        let url = Url::parse(&format!("http://{rest}/")).ok()?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        if url.path() != "/" || has_user || url.query().is_some() || url.fragment().is_some() {
            return None;
        }
        // A scheme's own port is not told by its URLs, but by those of another scheme.
        let explicit_port = url.port().or_else(|| Url::parse(&format!("https://{rest}/")).ok()?.port());
        let host = without_root(url.host_str()?);
        Some(Self { host: host.to_owned(), below, port: explicit_port })
    }

    fn covers(&self, host: &str, port: u16, default_port: u16) -> bool {
        let host_matches = if self.below {
            host.strip_suffix(&self.host).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        } else {
            host == self.host
        };
        host_matches && self.port.unwrap_or(default_port) == port
    }
}

/// How a granted request may travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// `https` to public addresses only.
    Public,
    /// Any address, and plain `http`: the operator granted it by host and port.
    Private,
}

/// All that an instance may reach.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    public: Vec<HostPattern>,
    private: Vec<HostPattern>,
}

impl Grants {
    /// Grants for public hosts, and for hosts that may be private or plain HTTP.
    pub fn new(public: Vec<HostPattern>, private: Vec<HostPattern>) -> Self {
        Self { public, private }
    }

    /// These and those.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        self.public.extend_from_slice(&others.public);
        self.private.extend_from_slice(&others.private);
        self
    }

    /// How a URL may be reached, or why it may not.
    ///
    /// # Errors
    /// The rule it breaks, for the operator.
    pub fn check(&self, url: &Url) -> Result<Reach, EgressDenial> {
        let default_port = match url.scheme() {
            "https" => 443,
            "http" => 80,
            _ => return Err(EgressDenial::Scheme),
        };
        let Some(host) = url.host_str() else { return Err(EgressDenial::NoHost) };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressDenial::Credentials);
        }
        let port = url.port().unwrap_or(default_port);
        let host = without_root(host);
        if self.private.iter().any(|pattern| pattern.covers(host, port, default_port)) {
            return Ok(Reach::Private);
        }
        if !self.public.iter().any(|pattern| pattern.covers(host, port, default_port)) {
            return Err(EgressDenial::NotGranted);
        }
        if url.scheme() != "https" {
            return Err(EgressDenial::PlainHttp);
        }
        if is_local_name(host) || literal(url).is_some_and(super::is_special) {
            return Err(EgressDenial::SpecialAddress);
        }
        Ok(Reach::Public)
    }
}

/// A dot at the end, the root of all names, makes the same host to a resolver but another text.
fn without_root(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// Names that mean this machine whatever a resolver says (RFC 6761 §6.3), and what could be taken for one.
fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host == "localhost" || host.ends_with(".localhost")
}

fn literal(url: &Url) -> Option<std::net::IpAddr> {
    match url.host()? {
        Host::Ipv4(v4) => Some(v4.into()),
        Host::Ipv6(v6) => Some(v6.into()),
        Host::Domain(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(public: &[&str], private: &[&str]) -> Grants {
        let parse =
            |list: &[&str]| list.iter().map(|text| HostPattern::parse(text).expect("pattern")).collect();
        Grants::new(parse(public), parse(private))
    }

    fn check(grants: &Grants, url: &str) -> Result<Reach, String> {
        grants.check(&Url::parse(url).expect("url")).map_err(|why| why.to_string())
    }

    #[test]
    fn only_granted_hosts_and_ports_can_be_reached() {
        let grants = grants(
            &["api.example.com", "*.files.example.com", "other.example.com:8443"],
            &["127.0.0.1:8484"],
        );
        assert_eq!(check(&grants, "https://api.example.com/v1"), Ok(Reach::Public));
        assert_eq!(check(&grants, "https://API.example.com./v1"), Ok(Reach::Public));
        assert_eq!(check(&grants, "https://a.b.files.example.com/x"), Ok(Reach::Public));
        assert_eq!(check(&grants, "https://other.example.com:8443/"), Ok(Reach::Public));
        assert_eq!(check(&grants, "http://127.0.0.1:8484/v1"), Ok(Reach::Private));
        for denied in [
            "http://api.example.com/v1",
            "https://api.example.com:444/",
            "https://files.example.com/",
            "https://evilfiles.example.com/",
            "https://other.example.com/",
            "https://user@api.example.com/",
            "http://127.0.0.1:8485/",
            "http://2130706433:8485/",
            "ftp://api.example.com/",
            "https://api.example.com.evil.net/",
        ] {
            assert!(check(&grants, denied).is_err(), "{denied}");
        }
        // Another spelling of the granted address is that address.
        assert_eq!(check(&grants, "http://2130706433:8484/"), Ok(Reach::Private));
    }

    #[test]
    fn a_private_address_needs_a_private_grant_however_it_is_written() {
        let grants = grants(&["169.254.169.254", "[::ffff:169.254.169.254]", "10.0.0.1"], &[]);
        for url in [
            "https://169.254.169.254/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://10.1/",
            "https://0x0a000001/",
        ] {
            assert!(check(&grants, url).is_err(), "{url}");
        }
    }

    #[test]
    fn odd_spellings_of_loopback_and_metadata_are_those_addresses_in_grants_and_requests() {
        for (spelling, same) in [
            ("2130706433", "127.0.0.1"),
            ("0x7f000001", "127.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("017700000001", "127.0.0.1"),
            ("0177.0.0.01", "127.0.0.1"),
            ("127.1", "127.0.0.1"),
            ("127.0.0.1.", "127.0.0.1"),
            ("0", "0.0.0.0"),
            ("0x0", "0.0.0.0"),
            ("0.0.0.0.", "0.0.0.0"),
            ("2852039166", "169.254.169.254"),
            ("0xa9fea9fe", "169.254.169.254"),
            ("0251.0376.0251.0376", "169.254.169.254"),
            ("169.254.43518", "169.254.169.254"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("[::127.0.0.1]", "[::7f00:1]"),
            ("[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
            ("[::ffff:0:127.0.0.1]", "[::ffff:0:7f00:1]"),
            ("[64:ff9b::169.254.169.254]", "[64:ff9b::a9fe:a9fe]"),
            ("[64:ff9b:1::127.0.0.1]", "[64:ff9b:1::7f00:1]"),
            ("[2002:7f00:1::]", "[2002:7f00:1::0]"),
            ("[2001:0:7f00:1::]", "[2001:0:7f00:1::0]"),
            ("[fd00:ec2::254]", "[fd00:ec2:0::254]"),
        ] {
            for (granted, asked) in [(spelling, same), (same, spelling), (spelling, spelling)] {
                let url = format!("https://{asked}/");
                let why = check(&grants(&[granted], &[]), &url).expect_err(&url);
                assert!(why.contains("private or special"), "granted {granted}, asked {asked}: {why}");
                let reach = check(&grants(&[], &[&format!("{granted}:443")]), &url);
                assert_eq!(reach, Ok(Reach::Private), "granted {granted}, asked {asked}");
            }
        }
        let local = grants(&["localhost.", "*.localhost"], &[]);
        for url in ["https://localhost/", "https://LocalHost./", "https://a.b.localhost./"] {
            assert!(check(&local, url).expect_err(url).contains("private"), "{url}");
        }
        assert!(check(&grants(&["localhost.."], &[]), "https://localhost../").is_err());
        assert_eq!(check(&grants(&[], &["localhost.:80"]), "http://localhost:80/"), Ok(Reach::Private));
        assert_eq!(check(&grants(&[], &["localhost:80"]), "http://localhost.:80/"), Ok(Reach::Private));
    }

    #[test]
    fn a_grant_is_a_host_and_a_port_however_they_are_written_and_nothing_else() {
        let granted = grants(&["example.com:84\t43"], &[]);
        assert_eq!(check(&granted, "https://example.com:8443/"), Ok(Reach::Public));
        assert!(check(&granted, "https://example.com/").is_err(), "the port was written for a reason");
        for text in ["example.com#:443", ":password@example.com", "user@example.com", "example.com?", "a/b"] {
            assert_eq!(HostPattern::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_no_url_parser_takes_is_no_grant_either() {
        for text in
            ["[fe80::1%25eth0]", "[fe80::1%eth0]:80", "1.2.3.4.5", "0x100000000", "256.0.0.1", "a b", ""]
        {
            assert_eq!(HostPattern::parse(text), None, "{text:?}");
            assert!(Url::parse(&format!("https://{text}/")).is_err(), "{text:?}");
        }
    }
}
