//! The way out: nobody gets to where they were not let, however they spell it.

use atelier_domain::egress::DeniedEgress;
use atelier_domain::failure::ProviderError;
use atelier_domain::provider::Provider as _;
use atelier_runtime::{CallReport, Observer, SandboxedProvider};

use crate::support::{Host, SECRET, assert_good, chat, profile};
use crate::upstream::{Script, Upstream, response};
use std::sync::{Arc, Mutex};

/// An instance that may reach `upstream`, and that has the grants of an ordinary, public host for `also`.
fn instance(host: &Host, upstream: &Upstream, also: &[String]) -> Arc<SandboxedProvider> {
    host.instance_with(&upstream.address, |config| config.hosts = also.to_vec())
}

#[track_caller]
fn assert_denied(error: &ProviderError, reason: &str) {
    match error {
        ProviderError::EgressDenied { reason: found, .. } => assert!(found.contains(reason), "{error}"),
        _ => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_private_address_is_refused_in_every_spelling_although_its_host_is_granted() {
    let (upstream, victim) = (Upstream::start([]).await, Upstream::start([]).await);
    let port = victim.port();
    let host = Host::new(profile());
    let hosts: Vec<String> = [
        "127.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "10.0.0.1",
        "0.0.0.0",
    ]
    .map(|name| format!("{name}:{port}"))
    .to_vec();
    for target in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "LocalHost.",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::1]",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "017700000001",
        "0.0.0.0",
        "0",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "0xa9fea9fe",
        "10.1",
    ] {
        // An instance each, so that no breaker takes part.
        let provider = instance(&host, &upstream, &hosts);
        let error = chat(&provider, "visit", &format!("https://{target}:{port}/")).await.expect_error();
        assert_denied(&error, "private");
        assert_good(&provider).await;
    }
    assert_eq!(victim.connections(), 0, "not even a connection was opened");
}

#[tokio::test]
async fn a_host_without_a_grant_is_refused_before_it_is_resolved() {
    let upstream = Upstream::start([]).await;
    let host = Host::new(profile());
    let provider = instance(&host, &upstream, &[]);
    for url in [
        "https://example.invalid/".to_owned(),
        "https://127.0.0.1.example.invalid/".to_owned(),
        format!("http://{}.example.invalid/", upstream.address),
        "https://8.8.8.8/".to_owned(),
    ] {
        let error = chat(&provider, "visit", &url).await.expect_error();
        assert!(
            matches!(error, ProviderError::EgressDenied { .. } | ProviderError::Reported { .. }),
            "{error}"
        );
        assert!(!error.to_string().contains("resolved"), "{error}");
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn user_names_other_schemes_and_other_ports_do_not_get_around_a_grant() {
    let (upstream, victim) = (Upstream::start([]).await, Upstream::start([]).await);
    let host = Host::new(profile());
    for url in [
        format!("http://{}@{}/", upstream.address, victim.address),
        format!("http://user:password@{}/", upstream.address),
        format!("http://{}/", victim.address),
        format!("ftp://{}/", upstream.address),
    ] {
        let provider = instance(&host, &upstream, &[]);
        let error = chat(&provider, "visit", &url).await.expect_error();
        assert!(matches!(error, ProviderError::EgressDenied { .. }), "{url}: {error}");
    }
    assert_eq!((upstream.connections(), victim.connections()), (0, 0));
}

#[tokio::test]
async fn plain_http_needs_the_grant_of_a_private_host() {
    let upstream = Upstream::start([]).await;
    let host = Host::new(profile());
    let provider = instance(&host, &upstream, &["plain.example:80".to_owned()]);
    let error = chat(&provider, "visit", "http://plain.example/").await.expect_error();
    assert_denied(&error, "plain http");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_following_it_by_hand_meets_the_same_door() {
    let victim = Upstream::start([("/metadata", Script::Answer(response("200 OK", "", b"treasure")))]).await;
    let location = format!("location: https://localhost:{}/metadata\r\n", victim.port());
    let upstream = Upstream::start([("/moved", Script::Answer(response("302 Found", &location, b"")))]).await;
    let host = Host::new(profile());
    for granted in [vec![], vec![format!("localhost:{}", victim.port())]] {
        let provider = instance(&host, &upstream, &granted);
        let error = chat(&provider, "follow-redirect", "/moved").await.expect_error();
        assert!(matches!(error, ProviderError::EgressDenied { .. }), "{error}");
    }
    assert_eq!((upstream.arrived().len(), victim.connections()), (2, 0));
}

#[tokio::test]
async fn headers_that_are_the_hosts_cannot_be_set() {
    let upstream = Upstream::start([]).await;
    let host = Host::new(profile());
    for pair in [
        "host=evil.example",
        "Host=evil.example",
        "content-length=3",
        "transfer-encoding=chunked",
        "connection=upgrade",
        "authorization=Bearer mine",
        "AUTHORIZATION=Bearer mine",
        "proxy-anything=1",
        "cookie=a=b",
        "via=1.1 other",
        "accept-encoding=gzip",
        "traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "TraceState=a=1",
        "x-fine=one\r\nhost: evil.example",
        "x-fine=one\nx-two: two",
        "x-fine: y\r\nhost=evil.example",
        "x fine=1",
        "=1",
    ] {
        let provider = instance(&host, &upstream, &[]);
        let error = chat(&provider, "header", pair).await.expect_error();
        match &error {
            ProviderError::Forbidden { what, .. } => {
                assert!(what.contains("header"), "{what}");
                assert!(!what.contains(['\r', '\n']), "{what:?}");
            }
            _ => panic!("{pair:?}: {error}"),
        }
        assert_good(&provider).await;
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_describing_plugin_has_no_way_out() {
    let upstream = Upstream::start([]).await;
    let host = Host::new(profile());
    let provider = instance(&host, &upstream, &["example.com".to_owned()]);
    let description = provider.describe().await.expect("describing works");
    let outcome = description.models[0].description.clone().expect("the plugin tells how it went");
    assert!(outcome.starts_with("forbidden:") && outcome.contains("no way out"), "{outcome}");
}

/// Notes what is denied.
#[derive(Debug, Default)]
struct Watch(Mutex<Vec<[String; 5]>>);

impl Observer for Watch {
    fn call_ended(&self, _: &CallReport<'_>) {}
    fn egress_denied(&self, denied: &DeniedEgress<'_>) {
        let told = [denied.instance, denied.plugin, &denied.host, denied.denial.as_str(), denied.request_id];
        self.0.lock().expect("no panic").push(told.map(str::to_owned));
    }
}

#[tokio::test]
async fn what_is_denied_is_told_with_who_asked_where_and_why_and_without_secrets() {
    let upstream = Upstream::start([]).await;
    let watch = Arc::new(Watch::default());
    let host = Host::observed(profile(), Arc::clone(&watch) as Arc<dyn Observer>);
    let granted = ["10.0.0.1:443".to_owned(), "plain.example:80".to_owned()];
    let long = format!("{}.example", "a".repeat(5_000));
    for (url, shown, why) in [
        ("https://10.0.0.1/", "10.0.0.1", "special_address"),
        ("https://other.example/", "other.example", "not_granted"),
        ("http://plain.example/", "plain.example", "plain_http"),
        ("ftp://plain.example/", "plain.example", "scheme"),
        ("https://user:password@other.example/", "other.example", "credentials"),
        (&*format!("https://{long}/"), &long[..253], "not_granted"),
    ] {
        // An instance each, so that no breaker takes part.
        let provider = instance(&host, &upstream, &granted);
        chat(&provider, "visit", url).await.expect_error();
        let told = std::mem::take(&mut *watch.0.lock().expect("no panic"));
        let told: Vec<_> = told.iter().filter(|told| told[0] == "hostile").collect();
        assert_eq!(
            told,
            [&["hostile", "dev/hostile", shown, why, "test-request"].map(str::to_owned)],
            "{url}"
        );
        assert!(!format!("{told:?}").contains(SECRET));
    }
}
