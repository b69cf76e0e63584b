use atelier_server::config::{Config, template};
use http::Method;
use reqwest::Response;

use crate::host::{TestHost, json};

const OURS: &str = "https://app.example";

async fn host(more: &str) -> TestHost {
    let section = format!("[server.cors]\norigins = [\"{OURS}\", \"http://localhost:3000\"]\n{more}\n");
    TestHost::with(&section).await
}

fn header(answer: &Response, name: &str) -> Option<String> {
    answer.headers().get(name).map(|value| value.to_str().expect("text").to_owned())
}

async fn preflight(host: &TestHost, origin: &str, path: &str) -> Response {
    let request = host.client.request(Method::OPTIONS, host.url(path)).header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    let request =
        request.header("access-control-request-headers", "authorization,content-type,x-stainless-os");
    request.send().await.expect("answered")
}

#[tokio::test]
async fn a_page_of_an_origin_that_is_not_named_reads_nothing() {
    for host in [host("").await, host("credentials = true").await, TestHost::start().await] {
        for origin in [
            "https://evil.example",
            "https://app.example.evil.example",
            "https://evilapp.example",
            "http://app.example",
            "https://app.example:8443",
            "https://APP.example",
            "https://app.example/",
            "null",
            "*",
            "",
        ] {
            let asked = host.get("/v1/models").header("origin", origin).send().await.expect("answered");
            let told = preflight(&host, origin, "/v1/chat/completions").await;
            assert!(told.status().is_client_error(), "{origin}: {}", told.status());
            for answer in [asked, told] {
                for name in ["origin", "credentials", "methods", "headers"] {
                    let name = format!("access-control-allow-{name}");
                    assert_eq!(header(&answer, &name), None, "{origin}");
                }
            }
        }
        host.stop().await;
    }
}

#[tokio::test]
async fn a_page_of_a_named_origin_reads_answers_and_refusals_but_sends_no_cookies() {
    let host = host("").await;
    // A browser asks before it knows whether there is a key.
    let told = preflight(&host, OURS, "/v1/chat/completions").await;
    assert_eq!(told.status(), 204);
    assert_eq!(header(&told, "access-control-allow-origin").as_deref(), Some(OURS));
    assert_eq!(header(&told, "access-control-allow-credentials"), None);
    let names = header(&told, "access-control-allow-headers").expect("names");
    assert_eq!(names, "authorization,content-type,x-stainless-os");
    assert!(header(&told, "access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
    assert!(header(&told, "access-control-max-age").is_some() && header(&told, "x-request-id").is_some());
    assert_eq!(header(&told, "x-content-type-options").as_deref(), Some("nosniff"));
    assert!(header(&told, "vary").is_some_and(|vary| vary.contains("origin")));

    let answer = host.get("/v1/models").header("origin", OURS).send().await.expect("answered");
    assert_eq!(header(&answer, "access-control-allow-origin").as_deref(), Some(OURS));
    let exposed = header(&answer, "access-control-expose-headers").expect("names");
    for name in ["x-request-id", "retry-after", "x-ratelimit-remaining-requests", "ratelimit"] {
        assert!(exposed.split(", ").any(|each| each == name), "{name}: {exposed}");
    }
    let refused =
        host.client.get(host.url("/v1/models")).header("origin", OURS).send().await.expect("answered");
    assert_eq!(header(&refused, "access-control-allow-origin").as_deref(), Some(OURS));
    json(refused, 401).await;
    let nowhere = host.get("/nowhere").header("origin", OURS).send().await.expect("answered");
    assert_eq!(header(&nowhere, "access-control-allow-origin").as_deref(), Some(OURS));
    // Who keeps answers without an origin keeps none for one.
    let own = host.get("/v1/models").send().await.expect("answered");
    assert!(header(&own, "vary").is_some_and(|vary| vary.contains("origin")));
    assert_eq!(header(&own, "access-control-allow-origin"), None);
    // What is no question of a browser is answered as ever.
    let plain = host.client.request(Method::OPTIONS, host.url("/v1/models")).send().await.expect("answered");
    assert_eq!(plain.status(), 405);
    host.stop().await;
}

#[tokio::test]
async fn cookies_are_taken_only_where_the_operator_says_so_and_then_for_that_origin() {
    let host = host("credentials = true").await;
    for answer in [
        preflight(&host, OURS, "/v1/models").await,
        host.get("/v1/models").header("origin", OURS).send().await.expect("answered"),
    ] {
        assert_eq!(header(&answer, "access-control-allow-credentials").as_deref(), Some("true"));
        assert_eq!(header(&answer, "access-control-allow-origin").as_deref(), Some(OURS));
    }
    host.stop().await;
}

#[test]
fn an_origin_that_is_none_or_stands_for_many_is_a_mistake_at_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("atelier.toml");
    for origin in [
        "*",
        "null",
        "https://*.example",
        "https://app.example/",
        "https://app.example/x",
        "app.example",
        "ftp://a.example",
        "https://user@app.example",
        "https://APP.example",
        "https://app.example:443",
    ] {
        let text = format!("{}\n[server.cors]\norigins = [\"{origin}\"]\n", template::TEXT);
        std::fs::write(&path, text).expect("written");
        let error = Config::load(&path).expect_err(origin);
        let paths: Vec<_> = error.mistakes.iter().map(|mistake| mistake.path.as_str()).collect();
        assert_eq!(paths, ["server.cors.origins"], "{origin}");
    }
}
