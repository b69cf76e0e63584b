use atelier_domain::account::Scope;
use serde_json::json;

use crate::host::{TestHost, json as body, stable};

#[tokio::test]
async fn a_request_without_a_good_key_is_refused_with_what_to_do() {
    let host = TestHost::start().await;
    let none = host.client.get(host.url("/v1/models")).send().await.expect("answered");
    assert_eq!(none.headers()["www-authenticate"], "Bearer");
    insta::assert_json_snapshot!("no_key", stable(body(none, 401).await));
    let wrong =
        host.client.get(host.url("/v1/models")).bearer_auth("atl_wrong").send().await.expect("answered");
    insta::assert_json_snapshot!("wrong_key", stable(body(wrong, 401).await));
    host.stop().await;
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_from_then_on() {
    let host = TestHost::start().await;
    let secret = host.user_key("alice", &[Scope::Read]).await;
    let models = || host.client.get(host.url("/v1/models")).bearer_auth(&secret).send();
    assert_eq!(models().await.expect("answered").status(), 200);
    let accounts = &host.running().app.accounts;
    let alice = accounts.user_by_name("alice").await.expect("alice");
    let key = accounts.keys(alice.id, None, 10).await.expect("keys").remove(0);
    accounts.revoke_key(alice.id, key.id).await.expect("revoked");
    let refused = body(models().await.expect("answered"), 401).await;
    assert_eq!(refused["error"]["code"], "revoked_api_key");
    host.stop().await;
}

#[tokio::test]
async fn a_key_without_the_scope_is_forbidden() {
    let host = TestHost::start().await;
    let secret = host.user_key("bob", &[Scope::Read]).await;
    let request = host.client.post(host.url("/v1/chat/completions")).bearer_auth(&secret).json(&json!({}));
    let refused = body(request.send().await.expect("answered"), 403).await;
    assert_eq!(refused["error"]["code"], "insufficient_scope");
    host.stop().await;
}

#[tokio::test]
async fn the_limit_is_told_on_every_answer_and_refuses_with_a_retry_time() {
    let host = TestHost::with("").await;
    let secret = host.user_key("carol", &[Scope::Read]).await;
    let models = || host.client.get(host.url("/v1/models")).bearer_auth(&secret).send();
    let first = models().await.expect("answered");
    assert_eq!(first.headers()["x-ratelimit-limit-requests"], "120");
    assert_eq!(first.headers()["x-ratelimit-remaining-requests"], "119");
    assert_eq!(first.headers()["ratelimit-policy"], "\"status\";q=120;w=60");
    for _ in 1..120 {
        assert_eq!(models().await.expect("answered").status(), 200);
    }
    let refused = models().await.expect("answered");
    let wait: u64 = refused.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(body(refused, 429).await["error"]["code"], "rate_limit_exceeded");
    host.stop().await;
}

#[tokio::test]
async fn a_request_id_is_taken_over_if_it_is_decent_and_made_if_not() {
    let host = TestHost::start().await;
    let asked = host.get("/v1/models").header("x-request-id", "my-id.1").send().await.expect("answered");
    assert_eq!(asked.headers()["x-request-id"], "my-id.1");
    assert!(asked.headers().contains_key("server-timing"));
    let made = host.get("/v1/models").header("x-request-id", "no spaces").send().await.expect("answered");
    assert!(made.headers()["x-request-id"].to_str().expect("text").starts_with("req_"));
    host.stop().await;
}
