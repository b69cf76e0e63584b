//! What an instance may reach.

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
        let explicit_port = rest.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        if url.path() != "/" || !url.username().is_empty() || url.query().is_some() {
            return None;
        }
        Some(Self { host: url.host_str()?.to_owned(), below, port: explicit_port })
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
    pub fn check(&self, url: &Url) -> Result<Reach, String> {
        let default_port = match url.scheme() {
            "https" => 443,
            "http" => 80,
            other => return Err(format!("the scheme {other} is not allowed")),
        };
        let Some(host) = url.host_str() else { return Err("it has no host".to_owned()) };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL may not carry a user name or password".to_owned());
        }
        let port = url.port().unwrap_or(default_port);
        // A dot at the end names the same host to a resolver, but not to a pattern.
        let host = host.strip_suffix('.').unwrap_or(host);
        if self.private.iter().any(|pattern| pattern.covers(host, port, default_port)) {
            return Ok(Reach::Private);
        }
        if !self.public.iter().any(|pattern| pattern.covers(host, port, default_port)) {
            return Err("the instance has no grant for it".to_owned());
        }
        if url.scheme() != "https" {
            return Err("plain http needs a grant in private_hosts".to_owned());
        }
        if let Some(address) = literal(url)
            && super::is_special(address)
        {
            return Err("it is a private or special address, which needs a grant in private_hosts".to_owned());
        }
        Ok(Reach::Public)
    }
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
        grants.check(&Url::parse(url).expect("url"))
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
}
