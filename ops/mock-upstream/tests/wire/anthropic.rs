use reqwest::Response;
use serde_json::{Value, json};

use crate::client::{Bench, events, header, json_of};

async fn ask(bench: &Bench, path: &str, body: &Value) -> Response {
    let request = bench.client.post(format!("{}{path}", bench.upstream.url())).json(body);
    request.header("x-api-key", "sk-ant-test").header("anthropic-version", "2023-06-01").send().await.unwrap()
}

fn message(text: &str) -> Value {
    json!({"model": "mock-chat", "max_tokens": 100, "messages": [{"role": "user", "content": text}]})
}

#[tokio::test]
async fn a_message_is_answered_at_both_mounts_with_rate_limit_headers() {
    let bench = Bench::start().await;
    for path in ["/anthropic/v1/messages", "/v1/messages"] {
        let response = ask(&bench, path, &message("hi")).await;
        assert_eq!(header(&response, "anthropic-ratelimit-requests-limit"), "4000");
        assert!(header(&response, "request-id").starts_with("req_"));
        let body = json_of(response).await;
        assert_eq!(body["content"][0]["text"], "Hello from the mock: hi");
        assert_eq!(body["stop_reason"], "end_turn");
    }
}

#[tokio::test]
async fn a_stream_has_the_documented_order_of_events() {
    let bench = Bench::start().await;
    let mut wish = message("hi");
    wish["stream"] = json!(true);
    wish["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
    let text = ask(&bench, "/v1/messages", &wish).await.text().await.unwrap();
    let events = events(&text);
    let names: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(names[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(names[names.len() - 2..], ["message_delta", "message_stop"]);
    let kinds: Vec<&str> =
        events.iter().filter_map(|event| event["content_block"]["type"].as_str()).collect();
    assert_eq!(kinds, ["thinking", "text"]);
    let said: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(said, "Hello from the mock: hi");
}

#[tokio::test]
async fn a_streamed_tool_use_comes_in_fragments_of_json() {
    let bench = Bench::start().await;
    let mut wish = message("the weather please");
    wish["stream"] = json!(true);
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    wish["tools"] = json!([{"name": "get_weather", "input_schema": schema}]);
    let text = ask(&bench, "/v1/messages", &wish).await.text().await.unwrap();
    let events = events(&text);
    let input: String = events.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert_eq!(input, r#"{"city":"Paris"}"#);
    assert!(events.iter().any(|event| event["delta"]["stop_reason"] == "tool_use"));
}

#[tokio::test]
async fn requests_without_key_version_or_max_tokens_are_refused() {
    let bench = Bench::start().await;
    let url = format!("{}/v1/messages", bench.upstream.url());
    let keyless = bench.client.post(&url).json(&message("hi")).send().await.unwrap();
    assert_eq!(keyless.status(), 401);
    assert_eq!(json_of(keyless).await["error"]["type"], "authentication_error");
    let versionless =
        bench.client.post(&url).header("x-api-key", "k").json(&message("hi")).send().await.unwrap();
    assert_eq!(versionless.status(), 400);
    let mut wish = message("hi");
    wish.as_object_mut().unwrap().remove("max_tokens");
    let response = ask(&bench, "/v1/messages", &wish).await;
    assert_eq!(json_of(response).await["error"]["message"], "max_tokens: Field required");
}

#[tokio::test]
async fn the_model_list_speaks_the_dialect_of_the_version_header() {
    let bench = Bench::start().await;
    let url = format!("{}/v1/models", bench.upstream.url());
    let request = bench.client.get(&url).header("x-api-key", "k").header("anthropic-version", "2023-06-01");
    assert_eq!(json_of(request.send().await.unwrap()).await["data"][0]["type"], "model");
    assert_eq!(json_of(bench.get("/v1/models").send().await.unwrap()).await["data"][0]["object"], "model");
}

#[tokio::test]
async fn overload_is_529_with_its_own_type() {
    let bench = Bench::start().await;
    let mut wish = message("hi");
    wish["model"] = json!("mock-chat+529");
    let response = ask(&bench, "/v1/messages", &wish).await;
    assert_eq!(response.status().as_u16(), 529);
    assert_eq!(json_of(response).await["error"]["type"], "overloaded_error");
}

#[tokio::test]
async fn the_newer_version_refuses_what_the_older_one_takes() {
    let bench = Bench::start().await;
    let url = format!("{}/v1/messages", bench.upstream.url());
    let status = async |version: &str, body: &Value| {
        let request =
            bench.client.post(&url).bearer_auth("k").header("anthropic-version", version).json(body);
        request.send().await.unwrap().status().as_u16()
    };
    let with_messages = |messages: Value| {
        let mut wish = message("hi");
        wish["messages"] = messages;
        wish
    };
    let mut sampled = message("hi");
    sampled["temperature"] = json!(1.0);
    let document =
        json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}});
    let user = json!({"role": "user", "content": "hi"});
    let documented = with_messages(json!([user, {"role": "assistant", "content": [document]}, user]));
    let cited = json!([{"type": "text", "text": "x", "citations": [{"type": "char_location"}]}]);
    let cited_in_results = json!([{"type": "search_result", "content": cited}]);
    let citing = with_messages(json!([{"role": "user", "content": cited}]));
    let citing_in_results = with_messages(json!([{"role": "user", "content": cited_in_results}]));
    for refused in [sampled, documented, citing, citing_in_results] {
        assert_eq!(status("2023-06-01", &refused).await, 200, "{refused}");
        assert_eq!(status("2026-10-21", &refused).await, 400, "{refused}");
    }
    assert_eq!(status("2026-10-21", &message("hi")).await, 200);
    assert_eq!(status("2020-01-01", &message("hi")).await, 400);
}
