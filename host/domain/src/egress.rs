//! What a plugin asked to reach and may not.

/// Characters of a host's name that are kept, as many as a name of the DNS has.
const HOST_CHARACTERS_MAX: usize = 253;

/// Why a host may not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum EgressDenial {
    #[error("the instance has no grant for it")]
    NotGranted,
    /// Of this machine, its network, or a cloud's own services, whatever name leads there.
    #[error("it is a private or special address, which needs a grant in private_hosts")]
    SpecialAddress,
    #[error("plain http needs a grant in private_hosts")]
    PlainHttp,
    #[error("its scheme is not allowed")]
    Scheme,
    #[error("a URL may not carry a user name or password")]
    Credentials,
    #[error("it has no host")]
    NoHost,
    #[error("this call has no way out")]
    NoWayOut,
}

impl EgressDenial {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotGranted => "not_granted",
            Self::SpecialAddress => "special_address",
            Self::PlainHttp => "plain_http",
            Self::Scheme => "scheme",
            Self::Credentials => "credentials",
            Self::NoHost => "no_host",
            Self::NoWayOut => "no_way_out",
        }
    }
}

/// One request that did not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedEgress<'a> {
    pub instance: &'a str,
    /// The id of its plugin.
    pub plugin: &'a str,
    /// As it was asked for: printable and short. It is the plugin's choice, and may hold anything that the plugin knows.
    pub host: String,
    pub denial: EgressDenial,
    /// Of the call; empty of what the host fetches on its own.
    pub request_id: &'a str,
}

/// A host as it can be shown: what is not printable ASCII is replaced, what is too long is cut.
pub fn shown_host(host: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    host.chars().take(HOST_CHARACTERS_MAX).map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_shown_printable_and_short() {
        assert_eq!(shown_host("api.example.com"), "api.example.com");
        assert_eq!(shown_host("a\n\u{202e}b\u{7f} ä"), "a??b???");
        assert_eq!(shown_host(&"a".repeat(100_000)).len(), HOST_CHARACTERS_MAX);
    }
}
