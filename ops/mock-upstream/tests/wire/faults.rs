use std::time::Instant;

use mock_upstream::{Config, Ending, Fault, FaultKind};
use serde_json::{Value, json};

use crate::client::{Bench, WITHIN, chat_body, header, json_of};

#[tokio::test]
async fn each_status_fault_speaks_the_providers_error() {
    let bench = Bench::start().await;
    for (model, status) in [("mock-chat+429=7", 429), ("mock-chat+500", 500), ("mock-chat+503", 503)] {
        let response = bench.chat(model, "hi", false).await;
        assert_eq!(response.status().as_u16(), status);
        if status == 429 {
            assert_eq!(header(&response, "retry-after"), "7");
            assert_eq!(header(&response, "x-ratelimit-remaining-requests"), "0");
        }
        assert!(json_of(response).await["error"]["message"].is_string());
    }
    assert_eq!(bench.upstream.charges().requests, 0);
}

#[tokio::test]
async fn a_cut_stream_starts_well_and_ends_in_a_reset() {
    let bench = Bench::start().await;
    let mut response = bench.chat("mock-chat+cut", "one two three", true).await;
    assert_eq!(response.status(), 200);
    let mut received = Vec::new();
    let broken = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => received.extend_from_slice(&chunk),
            Ok(None) => panic!("the stream ended in order"),
            Err(broken) => break broken,
        }
    };
    assert!(received.starts_with(b"data: {"), "the first half arrives before {broken}");
    assert!(!received.windows(6).any(|window| window == b"[DONE]"));
    assert_eq!(bench.upstream.requests()[0].ending, Ending::Cut);
}

#[tokio::test]
async fn a_cut_plain_answer_is_shorter_than_announced() {
    let bench = Bench::start().await;
    let response = bench.chat("mock-chat+cut", "hi", false).await;
    assert!(response.content_length().unwrap() > 100);
    assert!(response.bytes().await.is_err());
}

#[tokio::test]
async fn drip_and_slow_take_their_time() {
    let bench = Bench::start().await;
    let since = Instant::now();
    let text = bench.chat("mock-chat+drip=10", "one two three", true).await.text().await.unwrap();
    assert!(text.ends_with("[DONE]\n\n"));
    assert!(since.elapsed().as_millis() >= 80);
    let since = Instant::now();
    assert_eq!(bench.chat("mock-chat+slow=120", "hi", false).await.status(), 200);
    assert!(since.elapsed().as_millis() >= 120);
}

#[tokio::test]
async fn malformed_json_does_not_parse() {
    let bench = Bench::start().await;
    let text = bench.chat("mock-chat+malformed", "hi", false).await.text().await.unwrap();
    assert!(serde_json::from_str::<Value>(&text).is_err());
    let text = bench.chat("mock-chat+malformed", "hi", true).await.text().await.unwrap();
    let payloads =
        text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    assert!(payloads.map(serde_json::from_str::<Value>).any(|parsed| parsed.is_err()));
}

#[tokio::test]
async fn redirects_point_inside() {
    let bench = Bench::start().await;
    let response = bench.chat("mock-chat+redirect-private", "hi", false).await;
    assert_eq!(response.status(), 302);
    assert_eq!(header(&response, "location"), format!("{}/_mock/private", bench.upstream.url()));
    let response = bench.chat("mock-chat+redirect-metadata", "hi", false).await;
    assert!(header(&response, "location").starts_with("http://169.254.169.254/"));
}

#[tokio::test]
async fn echoes_bring_the_credential_back_every_way() {
    let bench = Bench::start().await;
    let secret = "Bearer sk-test-secret";
    let body = json_of(bench.chat("mock-chat+echo", "hi", false).await).await;
    assert!(body["choices"][0]["message"]["content"].as_str().unwrap().contains(secret));
    let response = bench.chat("mock-chat+echo-header", "hi", false).await;
    assert_eq!(header(&response, "x-mock-echo"), secret);
    let response = bench.chat("mock-chat+echo-error", "hi", false).await;
    assert_eq!(response.status(), 401);
    assert!(json_of(response).await["error"]["message"].as_str().unwrap().contains(secret));
    let wish = json!({"model": "text-embedding-3-small+echo", "input": "a", "dimensions": 2});
    let body = json_of(bench.post("/v1/embeddings", &wish).send().await.unwrap()).await;
    assert!(body["mock_echo"].as_str().unwrap().contains(secret));
}

#[tokio::test]
async fn a_split_echo_never_shows_the_secret_in_one_event() {
    let bench = Bench::start().await;
    let text = bench.chat("mock-chat+echo-split", "hi", true).await.text().await.unwrap();
    assert!(!text.contains("sk-test-secret"));
    let events = crate::client::events(&text);
    let said: String = events.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
    assert!(said.contains("sk-test-secret"));
}

#[tokio::test]
async fn a_giant_is_as_large_as_asked_and_still_json() {
    let bench = Bench::start().await;
    let text = bench.chat("mock-chat+giant=1048576", "hi", false).await.text().await.unwrap();
    assert_eq!(text.len(), (1 << 20) + r#"{"giant":""}"#.len());
    assert!(serde_json::from_str::<Value>(&text).is_ok());
    let text = bench.chat("mock-chat+giant=1048576", "hi", true).await.text().await.unwrap();
    assert!(text.len() > 1_000_000 && text.ends_with("[DONE]\n\n"));
}

#[tokio::test]
async fn an_idle_stream_is_open_until_the_client_leaves() {
    let bench = Bench::start().await;
    let mut response = bench.chat("mock-chat+idle", "hi", true).await;
    assert_eq!(response.status(), 200);
    bench.upstream.wait_for_open_streams(1, WITHIN).await.unwrap();
    let silence = std::time::Duration::from_millis(50);
    assert!(tokio::time::timeout(silence, response.chunk()).await.is_err());
    drop(response);
    let left = bench.upstream.wait_for_disconnect(WITHIN).await.unwrap();
    assert!(left.ended_after_ms.unwrap() >= 50);
    assert_eq!(bench.upstream.open_streams(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_byte_is_noticed() {
    let bench = Bench::start().await;
    let asking =
        tokio::spawn(bench.post("/v1/chat/completions", &chat_body("m+slow=60000", "hi", false)).send());
    bench.upstream.wait_for_requests(1, WITHIN).await.unwrap();
    asking.abort();
    let left = bench.upstream.wait_for_disconnect(WITHIN).await.unwrap();
    assert_eq!((left.status, left.ending), (None, Ending::ClientLeft));
}

#[tokio::test]
async fn faults_come_from_the_header_the_config_and_the_next_requests() {
    let bench = Bench::with(Config { fault: Some(FaultKind::Unavailable.into()), ..Config::default() }).await;
    bench.upstream.fault_next("429=3".parse::<Fault>().unwrap(), 1);
    assert_eq!(bench.chat("m", "hi", false).await.status(), 429);
    assert_eq!(bench.chat("m", "hi", false).await.status(), 503);
    let asked =
        bench.post("/v1/chat/completions", &chat_body("m", "hi", false)).header("x-mock-fault", "500");
    assert_eq!(asked.send().await.unwrap().status(), 500);
    let unknown =
        bench.post("/v1/chat/completions", &chat_body("m", "hi", false)).header("x-mock-fault", "nap");
    let body = json_of(unknown.send().await.unwrap()).await;
    assert!(body["error"]["message"].as_str().unwrap().contains("use one of 429"));
}

#[tokio::test]
async fn a_stream_error_is_the_providers_error_event() {
    let bench = Bench::start().await;
    let text = bench.chat("mock-chat+stream-error", "hi", true).await.text().await.unwrap();
    assert!(!text.contains("[DONE]"));
    assert_eq!(crate::client::events(&text).last().unwrap()["error"]["type"], "server_error");
}

#[tokio::test]
async fn a_cut_is_a_reset_on_the_socket_and_not_an_orderly_close() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let bench = Bench::start().await;
    let mut socket = tokio::net::TcpStream::connect(bench.upstream.address()).await.unwrap();
    let body = chat_body("m+cut", "one two three", true).to_string();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k";
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    let end = tokio::time::timeout(WITHIN, socket.read_to_end(&mut received)).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert!(received.windows(6).any(|window| window == b"data: "), "the first half arrives");
}

#[tokio::test]
async fn a_reset_comes_before_any_answer_and_nothing_is_charged() {
    let bench = Bench::start().await;
    let sent = bench.post("/v1/chat/completions", &chat_body("m+reset", "hi", false)).send().await;
    assert!(sent.unwrap_err().is_request(), "no answer began");
    assert_eq!(bench.upstream.requests()[0].ending, Ending::Cut);
    assert_eq!(bench.upstream.charges().requests, 0);
}

#[tokio::test]
async fn chaos_befalls_some_requests_until_it_is_calm_and_each_is_listed() {
    let bench = Bench::with(Config { chaos: Some(7), ..Config::default() }).await;
    let ask = async |number: u32| {
        let request = bench.post("/v1/chat/completions", &chat_body("m", "hi", false));
        let sent = request.header("x-request-id", format!("job-{number}")).send().await;
        let answered = match sent {
            Ok(response) if response.status() == 200 => response.bytes().await.is_ok(),
            Ok(_) | Err(_) => false,
        };
        u32::from(!answered)
    };
    let mut failed = 0;
    for number in 0..200 {
        failed += ask(number).await;
    }
    let listed = json_of(bench.get("/_mock/faults").send().await.unwrap()).await;
    let faults = listed["faults"].as_array().unwrap();
    let slow = faults.iter().filter(|fault| fault["fault"].as_str().unwrap().starts_with("slow"));
    assert_eq!(faults.len() - slow.count(), failed as usize);
    assert!(failed > 0 && faults[0]["request_id"].as_str().unwrap().starts_with("job-"));
    bench.post("/_mock/calm", &json!({})).send().await.unwrap();
    for number in 200..300 {
        assert_eq!(ask(number).await, 0);
    }
}
