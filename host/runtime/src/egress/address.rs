//! Which addresses are on the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is private, local, reserved or otherwise not a public unicast host (IANA special-purpose address
/// registries). Addresses that embed an IPv4 address are judged by it as well.
pub fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_special_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_special_v4(v4),
            None => is_special_v6(v6),
        },
    }
}

fn is_special_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (0 | 10 | 127, _, _) => true,
        (100, 64..=127, _) => true, // shared address space, RFC 6598
        (169, 254, _) => true,      // link-local, cloud metadata
        (172, 16..=31, _) => true,
        (192, 0, 0 | 2) => true,
        (192, 88, 99) => true, // 6to4 relays
        (192, 168, _) => true,
        (198, 18..=19, _) => true, // benchmarking, RFC 2544
        (198, 51, 100) => true,    // documentation
        (203, 0, 113) => true,     // documentation
        (224..=255, _, _) => true, // multicast, reserved, broadcast
        (168, 63, 129) => true,    // Azure's host services at 168.63.129.16
        _ => false,
    }
}

fn is_special_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    match segments {
        // Only 2000::/3 is global unicast.
        [first, ..] if first & 0xe000 != 0x2000 => true,
        [0x2001, second, ..] if second < 0x0200 => true, // IETF protocol assignments, Teredo
        [0x2001, 0x0db8, ..] => true,                    // documentation
        [0x2002, ..] => true,                            // 6to4: an IPv4 address inside
        [0x3fff, second, ..] if second < 0x1000 => true, // documentation, RFC 9637
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_special_addresses_are_told_from_public_ones() {
        for special in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "168.63.129.16",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "::127.0.0.1",
        ] {
            assert!(is_special(special.parse().expect("address")), "{special}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "104.18.7.192",
            "172.32.0.1",
            "2606:4700::6810:7c0",
            "2a00:1450:4001::200e",
        ] {
            assert!(!is_special(public.parse().expect("address")), "{public}");
        }
    }
}
