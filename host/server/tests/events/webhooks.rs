use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use mock_upstream::{Config, MockUpstream, sign_webhook};
use serde_json::{Value, json};

use crate::installed::{Atelier, answered};
use crate::receiver::{Received, Receiver};
use crate::{PATIENCE, begin, start, stranger};

const ENDPOINTS: &str = "/api/v1/webhook-endpoints";

async fn with_receiver() -> (MockUpstream, Receiver, Atelier) {
    let upstream = MockUpstream::start(Config { polls_to_finish: 1, ..Config::default() }).await.expect("it");
    let receiver = Receiver::start().await;
    let more = format!("[webhooks]\nprivate_hosts = [\"{}\"]\n", receiver.address);
    let atelier = start(&upstream, &more).await;
    (upstream, receiver, atelier)
}

async fn post(atelier: &Atelier, path: &str, body: &Value) -> (u16, Value) {
    answered(atelier.post(path).json(body).send().await.expect("answered")).await
}

async fn act(atelier: &Atelier, path: &str) -> (u16, Value) {
    answered(atelier.post(path).send().await.expect("answered")).await
}

async fn get(atelier: &Atelier, path: &str) -> (u16, Value) {
    answered(atelier.get(path).send().await.expect("answered")).await
}

/// An endpoint's path and secret.
async fn endpoint(atelier: &Atelier, url: &str, events: &[&str]) -> (String, String) {
    let (status, made) = post(atelier, ENDPOINTS, &json!({"url": url, "events": events})).await;
    assert_eq!(status, 201, "{made}");
    let path = format!("{ENDPOINTS}/{}", made["id"].as_str().expect("an id"));
    (path, made["secret"].as_str().expect("a secret").to_owned())
}

/// The newest delivery once it is no longer pending.
async fn settled(atelier: &Atelier, path: &str) -> Value {
    let waiting = async {
        loop {
            let (_, page) = get(atelier, &format!("{path}/deliveries")).await;
            let newest = page["data"][0].clone();
            if newest.is_object() && newest["state"] != "pending" {
                return newest;
            }
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("in time")
}

fn check(received: &Received, secret: &str) {
    let time: u64 = received.header("webhook-timestamp").parse().expect("seconds");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    assert!(now.abs_diff(time) < 300);
    let signature = sign_webhook(secret, received.header("webhook-id"), time, &received.body);
    assert_eq!(received.header("webhook-signature"), signature.expect("a good secret"));
    assert_eq!(received.header("content-type"), "application/json");
}

#[tokio::test]
async fn an_event_is_posted_signed_and_again_until_it_is_taken() {
    let (_upstream, receiver, atelier) = with_receiver().await;
    receiver.answer(&[StatusCode::INTERNAL_SERVER_ERROR, StatusCode::FOUND]);
    let wanted = ["generation.succeeded", "generation.failed", "generation.canceled"];
    let (path, secret) = endpoint(&atelier, &receiver.url("/hook"), &wanted).await;
    let job = begin(&atelier).await;
    let first = receiver.wait_for(2).await;
    assert!(first.iter().all(|received| received.path == "/hook"), "no redirect is followed: {first:?}");
    let told = first[0].json();
    assert_eq!(told["type"], "generation.succeeded", "{told}");
    assert_eq!((&told["data"]["id"], &told["data"]["state"]), (&json!(job), &json!("succeeded")));
    assert!(!told.to_string().contains("CANARY"));
    let request_id = told["data"]["request_id"].as_str().expect("the request that began it");
    assert!(request_id.starts_with("req_") && first[0].header("x-request-id") == request_id, "{told}");
    for received in &first {
        check(received, &secret);
        assert_eq!(received.header("webhook-id"), first[0].header("webhook-id"));
        assert_eq!(received.body, first[0].body);
    }
    let (_, page) = get(&atelier, &format!("{path}/deliveries?limit=1")).await;
    let delivery = &page["data"][0];
    assert_eq!((&delivery["generation"], &page["next"]), (&json!(job), &Value::Null));
    // The third attempt would come after a minute: by hand it comes now.
    let again = format!("{path}/deliveries/{}/resend", delivery["id"].as_str().expect("an id"));
    let (status, resent) = act(&atelier, &again).await;
    assert_eq!((status, &resent["state"]), (202, &json!("pending")), "{resent}");
    let third = receiver.wait_for(3).await;
    assert_eq!(third[2].header("webhook-id"), first[0].header("webhook-id"));
    let taken = settled(&atelier, &path).await;
    let statuses: Vec<_> =
        taken["attempts"].as_array().expect("attempts").iter().map(|each| each["status"].clone()).collect();
    assert_eq!(statuses, [204, 302, 500]);
    assert_eq!(taken["attempts"][2]["excerpt"], "the answer is 500");

    let (status, rotated) = post(&atelier, &format!("{path}/rotate"), &json!({"overlap_hours": 0})).await;
    assert_eq!(status, 200, "{rotated}");
    assert_eq!(act(&atelier, &format!("{path}/test")).await.0, 202);
    let tested = receiver.wait_for(4).await.remove(3);
    check(&tested, rotated["secret"].as_str().expect("a secret"));
    assert_eq!(tested.json()["type"], "webhook.test");
    let (_, seen) = get(&atelier, &path).await;
    let (_, listed) = get(&atelier, ENDPOINTS).await;
    for answer in [seen, listed] {
        assert!(!answer.to_string().contains("whsec_"), "secrets are shown once: {answer}");
    }
    let metrics = atelier.client.get(format!("{}/metrics", atelier.admin)).send().await.expect("answered");
    let metrics = metrics.text().await.expect("a body");
    assert!(metrics.contains("atelier_webhook_attempts_total{outcome=\"retried\"} 2\n"), "{metrics}");
    assert_eq!(act(&atelier, &format!("{path}/remove")).await.0, 204);
    assert_eq!(get(&atelier, &path).await.0, 404);
}

#[tokio::test]
async fn a_webhook_goes_to_no_private_address_and_to_no_stranger_s_endpoint() {
    let (_upstream, receiver, atelier) = with_receiver().await;
    let other_port = format!("https://127.0.0.1:{}/", receiver.address.port().wrapping_add(1).max(1));
    for url in [
        "http://example.com/hook",
        "ftp://example.com/hook",
        "https://localhost/hook",
        "https://a.localhost/hook",
        "https://127.0.0.1/hook",
        "https://127.1/hook",
        "https://0x7f000001/hook",
        "https://10.0.0.1/hook",
        "https://192.168.0.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/hook",
        "https://[::ffff:10.0.0.1]/hook",
        "https://[fd00::1]/hook",
        "https://user:secret@example.com/hook",
        "https://example.com/hook#part",
        "//example.com/hook",
        "",
        &other_port,
    ] {
        let (status, refused) = post(&atelier, ENDPOINTS, &json!({"url": url})).await;
        assert_eq!((status, refused["param"].as_str()), (400, Some("url")), "{url}: {refused}");
    }
    for (body, param) in [
        (json!({}), "url"),
        (json!({"url": 1}), "url"),
        (json!({"url": "https://example.com/", "events": ["generation.done"]}), "events[0]"),
        (json!({"url": "https://example.com/", "events": []}), "events"),
        (json!({"url": "https://example.com/", "secret": "whsec_AAAA"}), "secret"),
    ] {
        let (status, refused) = post(&atelier, ENDPOINTS, &body).await;
        assert_eq!((status, refused["param"].as_str()), (400, Some(param)), "{body}: {refused}");
    }
    let (path, _) = endpoint(&atelier, "https://example.com/hook", &["generation.queued"]).await;
    let moved = json!({"url": "https://169.254.169.254/"});
    assert_eq!(post(&atelier, &path, &moved).await.0, 400, "nor can it be moved there");

    let bob = stranger(&atelier).await;
    let as_bob = |request: reqwest::RequestBuilder| request.bearer_auth(&bob);
    let url = |path: &str| format!("{}{path}", atelier.base);
    assert_eq!(as_bob(atelier.client.get(url(&path))).send().await.expect("answered").status(), 404);
    for (verb, body) in [("", json!({"enabled": false})), ("/rotate", json!({})), ("/test", json!(null))] {
        let request = as_bob(atelier.client.post(url(&format!("{path}{verb}"))));
        let request = if body.is_null() { request } else { request.json(&body) };
        assert_eq!(request.send().await.expect("answered").status(), 404, "{verb}");
    }
    let gone = as_bob(atelier.client.post(url(&format!("{path}/remove")))).send().await.expect("answered");
    assert_eq!(gone.status(), 404);
    let deliveries = as_bob(atelier.client.get(url(&format!("{path}/deliveries"))));
    assert_eq!(deliveries.send().await.expect("answered").status(), 404);
    assert_eq!(get(&atelier, &path).await.1["enabled"], true);
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn what_was_to_be_told_when_the_host_was_killed_is_told_after_its_restart() {
    let (_upstream, receiver, mut atelier) = with_receiver().await;
    // Nobody takes it before the kill.
    receiver.answer(&[StatusCode::SERVICE_UNAVAILABLE]);
    let (path, secret) = endpoint(&atelier, &receiver.url("/hook"), &["generation.queued"]).await;
    let job = begin(&atelier).await;
    receiver.wait_for(1).await;
    atelier.kill();
    atelier.restart();
    let told = receiver.wait_for(2).await;
    check(&told[1], &secret);
    assert_eq!(told[1].json()["data"]["id"], json!(job));
    assert_eq!(told[1].header("webhook-id"), told[0].header("webhook-id"));
    assert_eq!(settled(&atelier, &path).await["state"], "succeeded");
}
