use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use mock_upstream::{Config, Fault, FaultKind, MockUpstream};
use reqwest::Client;
use serde_json::Value;

use crate::binary::{Binary, SECRET};

const PROMPT: &str = "canary-prompt-4711 tell me a secret";
const WRONG_KEY: &str = "atl_canary-wrong-key-0000000000000000000000";

#[tokio::test]
async fn log_lines_are_json_with_the_request_s_id_and_hold_nothing_of_callers() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let atelier = Binary::start(&upstream, |text| text.replace("level = \"info\"", "level = \"debug\""));
    // From an address that can be told from the server's own.
    let caller = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 99));
    let client = Client::builder().no_proxy().local_address(caller).build().expect("a client");
    let send = async |id: &str, key: &str, stream: bool| {
        let request = atelier.chat(PROMPT, stream).build().expect("a request");
        let again = client.post(request.url().clone()).bearer_auth(key).header("x-request-id", id);
        let body = request.body().and_then(|body| body.as_bytes()).expect("a body").to_vec();
        let sent = again.header("content-type", "application/json").body(body).send().await;
        let answer = sent.expect("answered");
        let status = answer.status().as_u16();
        (status, answer.text().await.unwrap_or_default())
    };
    assert_eq!(send("good-1", &atelier.key, false).await.0, 200);
    assert_eq!(send("stream-1", &atelier.key, true).await.0, 200);
    assert_eq!(send("unauthorised-1", WRONG_KEY, false).await.0, 401);
    for (id, fault) in [
        ("echoed-1", "echo"),
        ("echoed-error-1", "echo-error"),
        ("broken-1", "malformed"),
        ("cut-1", "cut"),
        ("failed-1", "500"),
    ] {
        upstream.fault_next(fault.parse::<Fault>().expect("a fault"), 1);
        send(id, &atelier.key, false).await;
        // Good ones between, so that no breaker opens.
        send("between-1", &atelier.key, false).await;
    }
    upstream.fault_next(FaultKind::StreamError, 1);
    send("stream-2", &atelier.key, true).await;
    let malformed = atelier.post("/v1/chat/completions").header("content-type", "application/json");
    let malformed = malformed.header("x-request-id", "malformed-1").body(format!("{{\"{PROMPT}\": oops}}"));
    assert_eq!(malformed.send().await.expect("answered").status(), 400);
    let nowhere = client.get(format!("{}/v1/nothing/{WRONG_KEY}?q={WRONG_KEY}", atelier.base));
    assert_eq!(nowhere.header("x-request-id", "nowhere-1").send().await.expect("answered").status(), 404);
    let key = atelier.key.clone();
    atelier.terminate();
    let (status, log) = atelier.ended(Duration::from_secs(15));
    assert_eq!(status.code(), Some(0));

    let (lines, plain): (Vec<_>, Vec<_>) = log.iter().partition(|line| line.starts_with('{'));
    assert_eq!(plain.len(), 1, "only where it listens is said to a person: {plain:?}");
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for line in &lines {
        for member in ["timestamp", "level", "message", "target"] {
            assert!(line[member].is_string(), "{member}: {line}");
        }
    }
    for id in [
        "good-1",
        "stream-1",
        "unauthorised-1",
        "echoed-1",
        "echoed-error-1",
        "broken-1",
        "cut-1",
        "failed-1",
        "stream-2",
        "malformed-1",
        "nowhere-1",
    ] {
        assert!(lines.iter().any(|line| line["request_id"] == id), "no line for {id}: {log:#?}");
    }
    let good = lines.iter().find(|line| line["request_id"] == "good-1" && line["message"] == "request");
    let good = good.expect("one line for each request");
    assert_eq!((&good["status"], &good["route"]), (&200.into(), &"/v1/chat/completions".into()), "{good}");
    let whole = log.join("\n");
    for (what, text) in [
        ("prompt", "canary-prompt"),
        ("key", key.as_str()),
        ("wrong key", "canary-wrong-key"),
        ("provider's key", SECRET),
        ("caller's address", "127.0.0.99"),
    ] {
        assert!(!whole.contains(text), "the log holds the {what}: {log:#?}");
    }
}
