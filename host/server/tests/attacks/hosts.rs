use crate::host::TestHost;
use crate::wire::{said_to, status};

const NAMED: &str = "hosts = [\"atelier.example\", \"other.example:8443\"]";

async fn named() -> TestHost {
    TestHost::edited(|text| text.replacen("[server]\n", &format!("[server]\n{NAMED}\n"), 1)).await
}

async fn told(host: &TestHost, target: &str, heads: &str) -> u16 {
    let request = format!("GET {target} HTTP/1.1\r\n{heads}connection: close\r\n\r\n");
    status(&said_to(host.running().address, request.as_bytes()).await)
}

#[tokio::test]
async fn a_host_that_is_not_this_server_s_is_misdirected() {
    let host = named().await;
    for name in [
        "evil.example",
        "atelier.example.evil.example",
        "evilatelier.example",
        "127.0.0.1",
        "other.example",
        "other.example:443",
    ] {
        assert_eq!(told(&host, "/favicon.ico", &format!("host: {name}\r\n")).await, 421, "{name}");
    }
    for name in [
        "atelier.example",
        "ATELIER.example",
        "atelier.example:8080",
        "atelier.example.",
        "other.example:8443",
    ] {
        assert_eq!(told(&host, "/favicon.ico", &format!("host: {name}\r\n")).await, 204, "{name}");
    }
    assert_eq!(told(&host, "http://evil.example/favicon.ico", "host: evil.example\r\n").await, 421);
    assert_eq!(told(&host, "http://atelier.example/favicon.ico", "host: atelier.example\r\n").await, 204);
    for name in [
        "",
        "a b",
        "user@atelier.example",
        "atelier.example:",
        "atelier.example:x",
        "[::1",
        "atelier.example/x",
    ] {
        assert_eq!(told(&host, "/favicon.ico", &format!("host: {name}\r\n")).await, 400, "{name:?}");
    }
    // What there is not is not looked for either.
    assert_eq!(told(&host, "/nowhere", "host: evil.example\r\n").await, 421);
    host.stop().await;
}

#[tokio::test]
async fn a_request_for_no_host_or_for_two_is_refused() {
    for host in [TestHost::start().await, named().await] {
        for heads in [
            "",
            "host: atelier.example\r\nhost: evil.example\r\n",
            "host: evil.example\r\nx-a: b\r\nhost: atelier.example\r\n",
        ] {
            assert_eq!(told(&host, "/favicon.ico", heads).await, 400, "{heads:?}");
            assert_eq!(told(&host, "/nowhere", heads).await, 400, "{heads:?}");
        }
        // The target and the header say different things.
        let target = "http://evil.example/favicon.ico";
        assert_eq!(told(&host, target, "host: atelier.example\r\n").await, 400);
        host.stop().await;
    }
}
