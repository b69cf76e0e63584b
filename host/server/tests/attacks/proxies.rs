use std::net::Ipv4Addr;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::host::TestHost;
use crate::wire::{connect_from, rest_of, status};

/// A trusted proxy's address, and a stranger's.
const PROXY: [u8; 4] = [127, 0, 0, 1];
const STRANGER: [u8; 4] = [127, 0, 0, 9];

async fn host(more: &str) -> TestHost {
    let server = format!("[server]\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n{more}\n");
    TestHost::edited(|text| {
        text.replacen("[server]\n", &server, 1)
            .replace("# connections_per_address = 1000 ", "connections_per_address = 2 ")
    })
    .await
}

/// A request that is under way for as long as the connection is kept: its body does not end.
async fn begun(host: &TestHost, from: [u8; 4], said: &str) -> TcpStream {
    let mut connection = connect_from(Ipv4Addr::from(from), host.running().address).await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{said}authorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        host.key
    );
    connection.write_all(head.as_bytes()).await.expect("sent");
    connection
}

async fn told(host: &TestHost, from: [u8; 4], said: &str) -> String {
    let mut connection = connect_from(Ipv4Addr::from(from), host.running().address).await;
    let head = format!("GET /favicon.ico HTTP/1.1\r\nhost: x\r\n{said}connection: close\r\n\r\n");
    connection.write_all(head.as_bytes()).await.expect("sent");
    rest_of(&mut connection).await
}

/// Waits until a client's requests meet this status: what is under way is counted a moment after it was sent.
async fn becomes(host: &TestHost, from: [u8; 4], said: &str, wanted: u16) -> String {
    loop {
        let text = told(host, from, said).await;
        if status(&text) == wanted {
            return text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_client_behind_a_proxy_has_its_own_bound_and_cannot_take_on_anothers_address() {
    let host = host("").await;
    let alice = "x-forwarded-for: 198.51.100.1, 203.0.113.7\r\n";
    let kept = [begun(&host, PROXY, alice).await, begun(&host, PROXY, alice).await];
    let refused = becomes(&host, PROXY, "x-forwarded-for: 203.0.113.7\r\n", 429).await;
    assert!(refused.contains("too_many_connections") && refused.contains("retry-after: 1"), "{refused}");
    assert!(refused.contains("x-content-type-options: nosniff"), "{refused}");
    // Others come through the same proxy, many more than the bound of one address.
    let others: Vec<_> =
        (1..=5).map(|last| format!("x-forwarded-for: 203.0.113.{}\r\n", 100 + last)).collect();
    let mut open = Vec::new();
    for other in &others {
        open.push(begun(&host, PROXY, other).await);
        assert_eq!(status(&told(&host, PROXY, other).await), 204);
    }
    // What a client writes into the header itself stands further left: it is neither alice, nor somebody new.
    for spoofed in [
        "203.0.113.200, 203.0.113.7",
        "unknown, 203.0.113.7",
        "\"x, 203.0.113.7",
        "10.9.9.9,203.0.113.7, 10.0.0.5",
    ] {
        assert_eq!(
            status(&told(&host, PROXY, &format!("x-forwarded-for: {spoofed}\r\n")).await),
            429,
            "{spoofed}"
        );
    }
    let spoofed = "x-forwarded-for: 203.0.113.7, 198.51.100.9\r\nforwarded: for=203.0.113.7\r\n";
    assert_eq!(status(&told(&host, PROXY, spoofed).await), 204, "the other header is not read");
    // Whoever is no proxy is who it is, whatever it says.
    assert_eq!(status(&told(&host, STRANGER, "x-forwarded-for: 203.0.113.7\r\n").await), 204);
    for unreadable in ["garbage", "203.0.113.7:http", "1.2.3.4.5"] {
        let said = format!("x-forwarded-for: {unreadable}\r\n");
        assert_eq!(status(&told(&host, PROXY, &said).await), 400, "{unreadable}");
        assert_eq!(status(&told(&host, STRANGER, &said).await), 204, "{unreadable}");
    }
    // An answered request frees its place.
    drop((kept, open));
    becomes(&host, PROXY, alice, 204).await;
    host.stop().await;
}

#[tokio::test]
async fn a_stranger_s_connections_are_bounded_for_its_own_address_whatever_it_says() {
    let host = host("forwarded_header = \"forwarded\"").await;
    let kept = [
        begun(&host, STRANGER, "forwarded: for=203.0.113.1\r\n").await,
        begun(&host, STRANGER, "forwarded: for=203.0.113.2\r\n").await,
    ];
    // The third is closed before anything of it is read.
    loop {
        let mut third = connect_from(Ipv4Addr::from(STRANGER), host.running().address).await;
        // It may be closed already.
        let _ = third.write_all(b"GET /favicon.ico HTTP/1.1\r\nhost: x\r\nforwarded: for=203.0.113.3\r\nconnection: close\r\n\r\n").await;
        if rest_of(&mut third).await.is_empty() {
            break;
        }
    }
    assert_eq!(status(&told(&host, PROXY, "forwarded: for=203.0.113.1\r\n").await), 204);
    assert_eq!(status(&told(&host, PROXY, "forwarded: for=\"203.0.113.1\r\n").await), 400);
    drop(kept);
    host.stop().await;
}
