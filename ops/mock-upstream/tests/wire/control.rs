use mock_upstream::{Config, MockUpstream};
use serde_json::json;

use crate::client::{Bench, chat_body, json_of};

#[tokio::test]
async fn requests_are_recorded_with_headers_body_and_ending() {
    let bench = Bench::start().await;
    bench.chat("mock-chat", "remember me", false).await.text().await.unwrap();
    let seen = json_of(bench.get("/_mock/requests").send().await.unwrap()).await;
    let request = &seen["requests"][0];
    assert_eq!(request["method"], "POST");
    assert_eq!(request["path"], "/v1/chat/completions");
    assert_eq!(request["ending"], "complete");
    assert!(request["body"].as_str().unwrap().contains("remember me"));
    assert_eq!(bench.upstream.requests()[0].header("authorization"), Some("Bearer sk-test-secret"));
}

#[tokio::test]
async fn a_repeated_idempotency_key_is_one_charge() {
    let bench = Bench::start().await;
    let mut answers = Vec::new();
    for key in ["a", "a", "b"] {
        let request = bench.post("/v1/chat/completions", &chat_body("m", "hi", false));
        let request = request.header("idempotency-key", key).header("x-request-id", format!("job-{key}"));
        answers.push(json_of(request.send().await.unwrap()).await);
    }
    assert_eq!(answers[0], answers[1], "its answer again");
    assert_ne!(answers[0]["id"], answers[2]["id"]);
    bench.chat("m", "no key", false).await;
    bench.chat("m+500", "not charged", false).await;
    let charges = json_of(bench.get("/_mock/charges").send().await.unwrap()).await;
    let line = |request: u64, key: Option<&str>| {
        let id = key.map(|key| format!("job-{key}"));
        json!({"request": request, "path": "/v1/chat/completions", "key": key, "request_id": id})
    };
    let lines = [line(1, Some("a")), line(3, Some("b")), line(4, None)];
    let expected = json!({"distinct": 3, "requests": 4, "by_key": {"a": 2, "b": 1}, "lines": lines});
    assert_eq!(charges, expected);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_has_paid() {
    let config = Config { charged_answer_delay_ms: 60_000, ..Config::default() };
    let upstream = MockUpstream::start(config).await.unwrap();
    let request = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = request.post(format!("{}/v1/chat/completions", upstream.url())).bearer_auth("sk-any");
    let leaving = tokio::spawn(request.json(&chat_body("m", "hi", false)).send());
    while upstream.charges().distinct == 0 {
        tokio::task::yield_now().await;
    }
    leaving.abort();
    upstream.wait_for_disconnect(std::time::Duration::from_secs(10)).await.unwrap();
    assert_eq!(upstream.charges().requests, 1);
}

#[tokio::test]
async fn a_reset_forgets_and_ids_start_again() {
    let bench = Bench::start().await;
    let first = json_of(bench.chat("m", "hi", false).await).await;
    bench.post("/_mock/reset", &json!({})).send().await.unwrap();
    assert!(bench.upstream.requests().is_empty());
    assert_eq!(bench.upstream.charges().requests, 0);
    assert_eq!(json_of(bench.chat("m", "hi", false).await).await, first);
}

#[tokio::test]
async fn what_is_remembered_is_bounded() {
    let config = mock_upstream::Config {
        recorded_requests_max: 2,
        recorded_body_bytes_max: 10,
        request_body_bytes_max: 1000,
        ..mock_upstream::Config::default()
    };
    let bench = Bench::with(config).await;
    for text in ["one", "two", "three"] {
        bench.chat("m", text, false).await;
    }
    let seen = bench.upstream.requests();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].body.len(), 10);
    assert!(seen[1].body_bytes > 10);
    assert_eq!(bench.chat("m", &"x".repeat(2000), false).await.status(), 413);
}

#[tokio::test]
async fn a_fault_can_be_asked_for_over_the_wire() {
    let bench = Bench::start().await;
    bench.post("/_mock/fault", &json!({"fault": "500", "times": 2})).send().await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(bench.chat("m", "hi", false).await.status().as_u16());
    }
    assert_eq!(statuses, [500, 500, 200]);
    assert_eq!(bench.post("/_mock/fault", &json!({"fault": "nap"})).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn dropping_the_handle_closes_the_port() {
    let bench = Bench::start().await;
    let address = bench.upstream.address();
    let mut open = bench.chat("m+idle", "hi", true).await;
    drop(bench.upstream);
    assert!(open.chunk().await.is_err(), "open streams end with the server");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
