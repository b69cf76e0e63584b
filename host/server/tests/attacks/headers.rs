use atelier_server::http::route::table;
use http::HeaderMap;
use reqwest::multipart::{Form, Part};

use crate::host::{TestHost, json};
use crate::wire::{answers, said_to, status};

/// What every answer has, whatever it answers (E-4).
fn check(headers: &HeaderMap, what: &str) {
    let header = |name: &str| {
        let value = headers.get(name).unwrap_or_else(|| panic!("{what} has no {name}: {headers:?}"));
        value.to_str().expect("text").to_owned()
    };
    assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(header("x-frame-options"), "DENY", "{what}");
    assert_eq!(header("referrer-policy"), "no-referrer", "{what}");
    assert!(!header("permissions-policy").is_empty(), "{what}");
    let policy = header("content-security-policy");
    assert!(policy.contains("default-src 'none'"), "{what}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
    for word in ["unsafe-inline", "unsafe-eval", "*", "data:", "http:"] {
        assert!(!policy.contains(word), "{what}: {policy}");
    }
    let cache = header("cache-control");
    assert!(
        cache.contains("no-store") || cache.contains("private") || cache.contains("public"),
        "{what}: {cache}"
    );
    for name in ["server", "x-powered-by"] {
        assert!(!headers.contains_key(name), "{what} tells {name}");
    }
}

#[tokio::test]
async fn no_answer_of_any_route_lacks_what_keeps_browsers_from_guessing() {
    let host = TestHost::start().await;
    for route in table() {
        let path = route.path.replace(['{', '}', '*'], "");
        let ask = || host.client.request(route.method.clone(), host.url(&path));
        for (request, who) in [(ask(), "nobody"), (ask().bearer_auth(&host.key), "an administrator")] {
            let answer = request.send().await.expect("answered");
            let what = format!("{} {path} for {who}: {}", route.method, answer.status());
            check(answer.headers(), &what);
            let is_public = answer.headers()["cache-control"].to_str().expect("text").contains("public");
            assert!(
                !is_public
                    || matches!(
                        path.as_str(),
                        "/shares/page.css"
                            | "/docs/page.js"
                            | "/docs/page.css"
                            | "/docs"
                            | "/api/v1/openapi.json"
                            | "/favicon.ico"
                    ),
                "{what}: whose answer is it that anybody may keep?"
            );
        }
    }
    let nowhere = host.get("/nowhere").send().await.expect("answered");
    assert_eq!(nowhere.status(), 404);
    check(nowhere.headers(), "no route");
    let method = host.client.put(host.url("/v1/models")).send().await.expect("answered");
    assert_eq!(method.status(), 405);
    check(method.headers(), "no such method");
    for path in ["/metrics", "/health/live", "/health/ready", "/nothing"] {
        let url = format!("http://{}{path}", host.running().admin_address);
        let answer = host.client.get(url).send().await.expect("answered");
        check(answer.headers(), path);
    }
    host.stop().await;
}

#[tokio::test]
async fn a_line_break_in_what_comes_back_makes_no_header_of_an_answer() {
    let host = TestHost::start().await;
    let address = host.running().address;
    // What is taken over into answers: the request's id, an origin, the name of a file.
    for head in [
        "x-request-id: a\rset-cookie: b=c\r\n",
        "x-request-id: a\0b\r\n",
        "origin: http://a\rset-cookie: b=c\r\n",
    ] {
        let told =
            said_to(address, format!("GET /v1/models HTTP/1.1\r\nhost: x\r\n{head}\r\n").as_bytes()).await;
        assert_eq!((status(&told), answers(&told)), (400, 1), "{head:?}: {told}");
        assert!(!told.contains("set-cookie"), "{told}");
    }
    for id in ["a%0d%0aset-cookie: b=c", "a\\r\\nset-cookie: b=c", "\u{10a}\u{10d}set-cookie: b=c"] {
        let head =
            format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nx-request-id: {id}\r\nconnection: close\r\n\r\n");
        let told = said_to(address, head.as_bytes()).await;
        assert!(!told.to_ascii_lowercase().contains("set-cookie"), "{id}: {told}");
    }
    let name = "a%0D%0Aset-cookie: b=c\";x=\".jsonl";
    let file = Part::text("{\"a\": 1}\n").file_name(name);
    let form = Form::new().text("purpose", "user_data").part("file", file);
    let made = host.client.post(host.url("/v1/files")).bearer_auth(&host.key).multipart(form);
    let made = json(made.send().await.expect("answered"), 200).await;
    let path = format!("/v1/files/{}/content", made["id"].as_str().expect("an id"));
    let content = host.get(&path).send().await.expect("answered");
    assert!(!content.headers().contains_key("set-cookie"));
    let disposition = content.headers()["content-disposition"].to_str().expect("text");
    let (_, name) = disposition.split_once("filename*=UTF-8''").expect("a name");
    assert!(!name.contains(['"', ';', ' ', '=', '\r', '\n']), "{disposition}");
    host.stop().await;
}
