use crate::host::TestHost;
use crate::wire::{answers, said_to, status};

#[tokio::test]
async fn a_path_that_climbs_or_hides_leads_to_nothing() {
    let host = TestHost::start().await;
    let key = &host.key;
    for path in [
        "/docs/../../../etc/passwd",
        "/docs/..%2f..%2f..%2fetc%2fpasswd",
        "/docs/%2e%2e/%2e%2e/etc/passwd",
        "/docs/%252e%252e/etc/passwd",
        "/docs/..\\..\\etc\\passwd",
        "/docs/....//....//etc/passwd",
        "/docs/page.js/../../../etc/passwd",
        "/docs/page.js%00.css",
        "//etc/passwd",
        "/./v1/models",
        "/v1/../api/v1/users",
        "/v1//models",
        "/V1/models",
        "/v1/files/..%2f..%2fatelier.toml/content",
        "/v1/files/%2e%2e/content",
        "/v1/files/file-../content",
        "/links/../data/links.key",
        "/links/..%2f..%2flinks.key",
        "/shares/%2e%2e%2fpage.css",
        "/api/v1/generations/..%2f..%2f/outputs/0",
        "/api/v1/plugins/..%2f../name",
        "/api/v1/plugins/%2e%2e/%2e%2e",
        "/v1/files/%ff%fe/content",
        "/v1/files/file-%0d%0aset-cookie:%20a/content",
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
        );
        let told = said_to(host.running().address, request.as_bytes()).await;
        assert!(matches!(status(&told), 400 | 404), "{path}: {told}");
        assert_eq!(answers(&told), 1, "{path}: {told}");
        for secret in ["root:", "[server]", "set-cookie"] {
            assert!(!told.contains(secret), "{path}: {told}");
        }
    }
    // What is no path at all.
    for target in ["*", "../x", "http:", "x y", "/\u{1}", "/%"] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let told = said_to(host.running().address, request.as_bytes()).await;
        assert!(matches!(status(&told), 400 | 404), "{target:?}: {told}");
    }
    let tunnel =
        "CONNECT 169.254.169.254:80 HTTP/1.1\r\nhost: 169.254.169.254:80\r\nconnection: close\r\n\r\n";
    let told = said_to(host.running().address, tunnel.as_bytes()).await;
    assert!((400..500).contains(&status(&told)), "this is no proxy: {told}");
    host.stop().await;
}
