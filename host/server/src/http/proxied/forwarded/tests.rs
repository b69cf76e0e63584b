use proptest::prelude::*;

use super::*;

fn proxies(header: ForwardedHeader) -> Proxies {
    let networks = ["10.0.0.0/8", "192.0.2.1", "2001:db8:aa::/48"];
    Proxies { networks: networks.map(|text| text.parse().expect("a network")).into(), header }
}

fn asked(header: ForwardedHeader, peer: &str, lines: &[&str]) -> Result<Option<IpAddr>, Malformed> {
    let name = if header == ForwardedHeader::For { X_FORWARDED_FOR } else { FORWARDED };
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(name.clone(), HeaderValue::from_str(line).expect("a value"));
    }
    client(peer.parse().expect("an address"), &headers, &proxies(header))
}

fn check(header: ForwardedHeader, lines: &[&str], expected: &str) {
    let expected: IpAddr = expected.parse().expect("an address");
    assert_eq!(asked(header, "10.0.0.1", lines), Ok(Some(expected)), "{lines:?}");
}

#[test]
fn the_client_is_the_first_from_the_right_that_is_no_proxy() {
    use ForwardedHeader::{For, Forwarded};
    check(For, &[], "10.0.0.1");
    check(For, &["203.0.113.7"], "203.0.113.7");
    check(For, &["198.51.100.1, 203.0.113.7"], "203.0.113.7");
    check(For, &["198.51.100.1, 203.0.113.7, 192.0.2.1,10.9.9.9"], "203.0.113.7");
    check(For, &["198.51.100.1", "203.0.113.7", "192.0.2.1"], "203.0.113.7");
    check(For, &["203.0.113.7:4711"], "203.0.113.7");
    check(For, &["2001:db8::7"], "2001:db8::7");
    check(For, &["[2001:db8::7]:80, 2001:db8:aa::1"], "2001:db8::7");
    check(For, &["::ffff:203.0.113.7"], "203.0.113.7");
    check(For, &["nonsense, 203.0.113.7, , "], "203.0.113.7");
    check(For, &["203.0.113.7, unknown, 10.0.0.2"], "10.0.0.2");
    check(For, &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
    check(Forwarded, &["for=203.0.113.7"], "203.0.113.7");
    check(Forwarded, &["for=198.51.100.1;by=x, For=203.0.113.7;proto=https;by=10.0.0.1"], "203.0.113.7");
    check(Forwarded, &["for=\"[2001:db8::7]:4711\";host=\"a,b;c=\\\"d\""], "2001:db8::7");
    check(Forwarded, &["for=198.51.100.1, for=203.0.113.7, for=192.0.2.1"], "203.0.113.7");
    check(Forwarded, &["for=203.0.113.7, for=_hidden"], "10.0.0.1");
    check(Forwarded, &["for=203.0.113.7, proto=https"], "10.0.0.1");
    check(Forwarded, &["for=203.0.113.7 ; proto=http , "], "203.0.113.7");
}

#[test]
fn whoever_is_no_trusted_proxy_is_not_believed() {
    for header in [ForwardedHeader::For, ForwardedHeader::Forwarded] {
        for line in ["198.51.100.1", "for=198.51.100.1", "10.0.0.1", "garbage\"", ""] {
            // Even what cannot be read has no effect.
            assert_eq!(asked(header, "203.0.113.9", &[line]), Ok(None), "{line}");
        }
    }
    // What a client sends in the header that the proxies do not write is the client's own word.
    let mut headers = HeaderMap::new();
    headers.insert(FORWARDED, HeaderValue::from_static("for=198.51.100.1"));
    headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("203.0.113.7"));
    let proxy = "10.0.0.1".parse().expect("an address");
    let client = client(proxy, &headers, &proxies(ForwardedHeader::For));
    assert_eq!(client, Ok("203.0.113.7".parse().ok()));
}

#[test]
fn what_a_trusted_proxy_passes_on_and_cannot_be_read_is_refused() {
    let long = "10.0.0.1,".repeat(HOPS_MAX + 1);
    for line in ["garbage", "203.0.113.7:port", "1.2.3", "[::1", "203.0.113.7:123456", "fe80::1%eth0", &long]
    {
        assert!(asked(ForwardedHeader::For, "10.0.0.1", &[line]).is_err(), "{line}");
    }
    let long = format!("for=203.0.113.7;x=\"{}\"", "y".repeat(LINE_BYTES_MAX));
    for line in [
        "for",
        "for=",
        "=x",
        "for=\"203.0.113.7",
        "for=203.0.113.7 x",
        "for=203.0.113.7;for=203.0.113.8",
        "for=2001:db8::7",
        "for=\"2001:db8::7\"",
        // The quote of one client would hide what the proxy appends.
        "for=\"198.51.100.1, for=203.0.113.7",
        &long,
    ] {
        assert!(asked(ForwardedHeader::Forwarded, "10.0.0.1", &[line]).is_err(), "{line}");
    }
}

proptest! {
    #[test]
    fn whatever_a_client_sends_its_own_address_is_found(said in "[ -~]{0,200}", last in 1u8..255) {
        // Its proxy appends who it is, as a line of its own, as proxies do that cannot read what came.
        let client: IpAddr = [203, 0, 113, last].into();
        for (header, own) in [
            (ForwardedHeader::For, client.to_string()),
            (ForwardedHeader::Forwarded, format!("for={client}")),
        ] {
            prop_assert_eq!(asked(header, "10.0.0.1", &[&said, &own]), Ok(Some(client)));
        }
        // Or in the same line: then no other address can be had by it either.
        let appended = format!("{said}, {client}");
        prop_assert_eq!(asked(ForwardedHeader::For, "10.0.0.1", &[&appended]), Ok(Some(client)));
        let appended = format!("{said}, for={client}");
        if let Ok(found) = asked(ForwardedHeader::Forwarded, "10.0.0.1", &[&appended]) {
            prop_assert_eq!(found, Some(client));
        }
    }

    #[test]
    fn any_bytes_are_read_to_an_end(said in proptest::collection::vec(any::<u8>(), 0..300)) {
        let Ok(value) = HeaderValue::from_bytes(&said) else { return Ok(()) };
        for (header, name) in
            [(ForwardedHeader::For, X_FORWARDED_FOR), (ForwardedHeader::Forwarded, FORWARDED)]
        {
            let headers = HeaderMap::from_iter([(name, value.clone())]);
            prop_assert_eq!(client([203, 0, 113, 9].into(), &headers, &proxies(header)), Ok(None));
            // Of a proxy it is an address, or refused.
            if let Ok(found) = client([10, 0, 0, 1].into(), &headers, &proxies(header)) {
                prop_assert!(found.is_some());
            }
        }
    }
}
