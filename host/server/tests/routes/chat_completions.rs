use serde_json::{Value, json};

use crate::host::{TestHost, json as body, stable};

const MODEL: &str = "local/smollm2-135m-instruct";

async fn refused(host: &TestHost, request: Value) -> Value {
    let answer = host.post("/v1/chat/completions", &request).send().await.expect("answered");
    stable(body(answer, 400).await)["error"].take()
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named_by_its_path() {
    let host = TestHost::start().await;
    let hi = json!([{"role": "user", "content": "hi"}]);
    let script = "data:image/png;base64,PHNjcmlwdD4=";
    for (name, request) in [
        ("unknown_member", json!({"model": MODEL, "messages": hi, "temprature": 1})),
        ("missing_member", json!({"model": MODEL})),
        ("ill_typed_member", json!({"model": MODEL, "messages": [{"role": "user", "content": 5}]})),
        ("several_answers", json!({"model": MODEL, "messages": hi, "n": 9})),
        ("control_character", json!({"model": MODEL, "messages": [{"role": "user", "content": "a\u{0}b"}]})),
        ("option_of_no_model", json!({"model": MODEL, "messages": hi, "logit_bias": {"1": 2}})),
        (
            "script_as_image",
            json!({"model": MODEL, "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": script}}]}]}),
        ),
        (
            "unsupported_tools",
            json!({"model": MODEL, "messages": hi, "tools": [
            {"type": "function", "function": {"name": "f"}}]}),
        ),
    ] {
        insta::assert_json_snapshot!(name, refused(&host, request).await);
    }
    host.stop().await;
}

#[tokio::test]
async fn malformed_json_is_answered_with_its_place() {
    let host = TestHost::start().await;
    let request = host.client.post(host.url("/v1/chat/completions")).bearer_auth(&host.key);
    let request = request.header("content-type", "application/json").body("{\"model\": \"x\",\n  oops}");
    let answer = body(request.send().await.expect("answered"), 400).await;
    insta::assert_json_snapshot!("malformed", stable(answer));
    host.stop().await;
}

#[tokio::test]
async fn a_model_that_cannot_do_the_task_is_answered_with_those_that_can() {
    let host = TestHost::start().await;
    let request = json!({"model": MODEL, "input": "a text"});
    let answer = host.post("/v1/embeddings", &request).send().await.expect("answered");
    insta::assert_json_snapshot!("cannot", stable(body(answer, 400).await));
    host.stop().await;
}

#[tokio::test]
async fn the_in_house_model_answers_whole_and_in_a_stream_alike() {
    let host = TestHost::start().await;
    let mut request = json!({"model": MODEL, "temperature": 0, "seed": 7, "max_tokens": 12,
        "messages": [{"role": "user", "content": "What is the capital of France?"}]});
    let whole = body(host.post("/v1/chat/completions", &request).send().await.expect("answered"), 200).await;
    let text = whole["choices"][0]["message"]["content"].as_str().expect("a text").to_owned();
    assert!(text.contains("Paris"), "{text}");
    let usage = whole["usage"].clone();
    assert!(usage["completion_tokens"].as_u64().is_some_and(|tokens| (1..=12).contains(&tokens)), "{usage}");

    request["stream"] = json!(true);
    request["stream_options"] = json!({"include_usage": true});
    let answer = host.post("/v1/chat/completions", &request).send().await.expect("answered");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    let stream = answer.text().await.expect("a stream");
    let events: Vec<&str> = stream.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
    assert_eq!(events.last(), Some(&"[DONE]"));
    let chunks: Vec<Value> =
        events[..events.len() - 1].iter().map(|event| serde_json::from_str(event).expect("JSON")).collect();
    let streamed: String =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(streamed, text);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let last = chunks.last().expect("a chunk");
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &usage));
    host.stop().await;
}

#[tokio::test]
async fn anthropics_dialect_reaches_the_same_model() {
    let host = TestHost::start().await;
    let mut request = json!({"model": MODEL, "max_tokens": 8, "temperature": 0, "system": "Answer in one word.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "What is the capital of France?"}]}]});
    let post = |request: &Value| {
        host.client.post(host.url("/v1/messages")).header("x-api-key", &host.key).json(request).send()
    };
    let whole = body(post(&request).await.expect("answered"), 200).await;
    let text = whole["content"][0]["text"].as_str().expect("a text").to_owned();
    assert_eq!((&whole["type"], &whole["role"]), (&json!("message"), &json!("assistant")));
    request["stream"] = json!(true);
    let stream = post(&request).await.expect("answered").text().await.expect("a stream");
    let names: Vec<&str> = stream.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names[..2], ["message_start", "content_block_start"]);
    assert_eq!(names[names.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    let streamed: String = data
        .map(|data| serde_json::from_str::<Value>(data).expect("JSON"))
        .filter_map(|event| event["delta"]["text"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(streamed, text);
    let unknown =
        json!({"model": "local/nothing", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]});
    let refused = body(post(&unknown).await.expect("answered"), 404).await;
    assert_eq!((&refused["type"], &refused["error"]["type"]), (&json!("error"), &json!("not_found_error")));
    host.stop().await;
}
