//! From where providers call.

use std::net::IpAddr;
use std::str::FromStr;

/// An address, or all that share its first bits (CIDR, RFC 4632).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// As an IPv6 address, IPv4 mapped into it.
    bits: u128,
    mask: u128,
}

/// The text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a network is an address, or an address and a number of bits such as 203.0.113.0/24")]
pub struct InvalidNetwork;

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl Network {
    /// Whether an address is in it. An IPv4 address is itself also in the form that an IPv6 socket gives it.
    pub fn contains(&self, address: IpAddr) -> bool {
        bits_of(address) & self.mask == self.bits
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;
    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().map_err(|_| InvalidNetwork)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(width);
        if length > width {
            return Err(InvalidNetwork);
        }
        // Of an IPv4 network the bits before it, which say that it is one, count always.
        let mask = u128::MAX.checked_shl(width - length).unwrap_or(0);
        Ok(Self { bits: bits_of(address) & mask, mask })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_networks_that_share_its_first_bits() {
        let is_in = |address: &str, network: &str| {
            let network: Network = network.parse().expect("a network");
            network.contains(address.parse().expect("an address"))
        };
        for (address, network) in [
            ("203.0.113.7", "203.0.113.0/24"),
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.0/24"),
            ("203.0.113.7", "0.0.0.0/0"),
            ("2001:db8::7", "2001:db8::/32"),
            ("2001:db8::7", "::/0"),
        ] {
            assert!(is_in(address, network), "{address} in {network}");
        }
        for (address, network) in [
            ("203.0.114.7", "203.0.113.0/24"),
            ("203.0.113.8", "203.0.113.7"),
            ("2001:db8::7", "0.0.0.0/0"),
            ("2001:db9::7", "2001:db8::/32"),
        ] {
            assert!(!is_in(address, network), "{address} in {network}");
        }
        for text in ["", "example.com", "203.0.113.0/33", "2001:db8::/129", "203.0.113.0/", "203.0.113.0/-1"]
        {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork), "{text:?}");
        }
    }
}
