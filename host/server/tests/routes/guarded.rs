//! What every route has, whatever it does: who may ask, how often, for how long, and what its answers say to browsers.

use atelier_domain::account::Scope;
use atelier_server::http::route::{Access, Media, Route, table};
use futures::future::join_all;
use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::host::TestHost;

/// Which answers have what, so that no browser does with them what they are not for.
const SECURITY: [&str; 6] = [
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "content-security-policy",
    "permissions-policy",
    "cache-control",
];

async fn host(server: &str) -> TestHost {
    TestHost::edited(|text| {
        let often = ["upload", "analytics", "shares", "administration"]
            .map(|class| format!("{class} = {{ requests = 100000, seconds = 60 }}\n"));
        let text =
            ["requests = 10,", "requests = 20,", "requests = 30,", "requests = 60,", "requests = 120,"]
                .iter()
                .fold(text, |text, few| text.replace(few, "requests = 100000,"));
        let text = text.replace("[limits]\n", &format!("[limits]\n{}", often.concat()));
        text.replace("[server]\n", &format!("[server]\n{server}\n"))
    })
    .await
}

/// An address of the route at which there is nothing.
fn address(route: &Route) -> String {
    let parts = route.path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

fn method(route: &Route) -> Method {
    Method::from_bytes(route.method.as_str().as_bytes()).expect("a method")
}

#[tokio::test]
async fn every_route_asks_for_its_key_and_scope_counts_requests_and_guards_its_answers() {
    let host = host("").await;
    let reader = host.user_key("reader", &[Scope::Read]).await;
    for route in table() {
        let what = format!("{} {}", route.method, route.path);
        let ask = || host.client.request(method(&route), host.url(&address(&route)));
        let stranger = ask().send().await.expect("answered");
        for name in SECURITY {
            assert!(stranger.headers().contains_key(name), "{what}: no {name}");
        }
        assert!(stranger.headers().contains_key("x-request-id"), "{what}: no x-request-id");
        let Access::Key(scope) = route.access else {
            assert_ne!(stranger.status(), 401, "{what} is for anybody");
            continue;
        };
        assert_eq!(stranger.status(), 401, "{what} is open to anybody");
        assert_eq!(stranger.headers()["www-authenticate"], "Bearer", "{what}");
        let known = ask().bearer_auth(&reader).send().await.expect("answered");
        assert_eq!(known.status() == 403, scope != Scope::Read, "{what} for a key that may only read");
        for name in SECURITY.iter().chain(&["ratelimit", "ratelimit-policy"]) {
            assert!(known.headers().contains_key(*name), "{what}: no {name}");
        }
    }
    host.stop().await;
}

#[test]
fn every_route_bounds_its_body_and_one_without_a_body_takes_none() {
    const ANY_MAX: usize = 200 << 20;
    for route in table() {
        let what = format!("{} {}", route.method, route.path);
        match route.media {
            Media::Json | Media::Form | Media::JsonOrForm => {
                assert!((1..=ANY_MAX).contains(&route.body_max), "{what}");
            }
            Media::None => assert!(route.method == "GET" || route.body_max == 0, "{what}"),
        }
    }
}

/// The clock is the gate's, through which every route's handler is reached; a body that never comes is what can hold each of them.
#[tokio::test]
async fn every_route_that_waits_for_a_body_has_a_time_limit() {
    let host = host("request_seconds = 1").await;
    let server = host.running().address;
    // Where the address is the permission, nothing is waited for from whoever has none.
    let waits = |route: &Route| route.media != Media::None && !route.path.starts_with("/hooks/");
    let asked = table().into_iter().filter(waits).map(|route| {
        let key = host.key.clone();
        async move {
            let kind = match route.media {
                Media::Form => "multipart/form-data; boundary=x",
                Media::Json | Media::JsonOrForm | Media::None => "application/json",
            };
            let head = format!(
                "{} {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: {kind}\r\ncontent-length: 9\r\n\r\n",
                route.method,
                address(&route)
            );
            let mut connection = TcpStream::connect(server).await.expect("connected");
            connection.write_all(head.as_bytes()).await.expect("sent");
            let mut heard = [0; 12];
            connection.read_exact(&mut heard).await.expect("answered");
            (route, String::from_utf8_lossy(&heard).into_owned())
        }
    });
    let answers = join_all(asked).await;
    assert!(answers.len() > 30, "only {} routes were asked", answers.len());
    for (route, heard) in answers {
        // The body's own clock, or the request's.
        assert!(["HTTP/1.1 504", "HTTP/1.1 408"].contains(&heard.as_str()), "{}: {heard}", route.path);
    }
    host.stop().await;
}
