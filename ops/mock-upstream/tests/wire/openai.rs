use serde_json::json;

use crate::client::{Bench, events, header, json_of};

#[tokio::test]
async fn a_chat_answers_with_the_users_own_words() {
    let bench = Bench::start().await;
    let response = bench.chat("mock-chat", "hi there", false).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "x-ratelimit-limit-requests"), "10000");
    assert!(header(&response, "x-request-id").starts_with("req_"));
    let body = json_of(response).await;
    assert_eq!(body["choices"][0]["message"]["content"], "Hello from the mock: hi there");
    assert_eq!(body["usage"]["total_tokens"], 8);
}

#[tokio::test]
async fn a_streamed_chat_adds_up_to_the_plain_one_and_ends_with_usage() {
    let bench = Bench::start().await;
    let mut wish = crate::client::chat_body("mock-chat", "hi there", true);
    wish["stream_options"] = json!({"include_usage": true});
    let response = bench.post("/v1/chat/completions", &wish).send().await.unwrap();
    assert!(header(&response, "content-type").starts_with("text/event-stream"));
    let text = response.text().await.unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"));
    let events = events(&text);
    let said: String = events.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(said, "Hello from the mock: hi there");
    assert!(events[0]["usage"].is_null());
    let last = events.last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], 6);
}

fn weather(stream: bool) -> serde_json::Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    json!({
        "model": "mock-chat",
        "stream": stream,
        "messages": [{"role": "user", "content": "what is the weather?"}],
        "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}],
    })
}

#[tokio::test]
async fn a_question_about_the_weather_calls_the_tool_once() {
    let bench = Bench::start().await;
    let mut wish = weather(false);
    let body = json_of(bench.post("/v1/chat/completions", &wish).send().await.unwrap()).await;
    assert_eq!(body["choices"][0]["finish_reason"], "tool_calls");
    let call = &body["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["function"]["arguments"], r#"{"city":"Paris"}"#);

    let messages = wish["messages"].as_array_mut().unwrap();
    messages.push(body["choices"][0]["message"].clone());
    messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "sunny"}));
    let body = json_of(bench.post("/v1/chat/completions", &wish).send().await.unwrap()).await;
    let said = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(said.contains("the tool said: sunny"), "{said}");
}

#[tokio::test]
async fn a_streamed_tool_call_comes_in_fragments() {
    let bench = Bench::start().await;
    let response = bench.post("/v1/chat/completions", &weather(true)).send().await.unwrap();
    let events = events(&response.text().await.unwrap());
    let piece = |e: &serde_json::Value| {
        e["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str().map(str::to_owned)
    };
    let pieces: Vec<String> = events.iter().filter_map(piece).collect();
    assert!(pieces.len() > 2);
    assert_eq!(pieces.concat(), r#"{"city":"Paris"}"#);
}

#[tokio::test]
async fn images_are_counted_and_schemas_are_satisfied() {
    let bench = Bench::start().await;
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
    let content = json!([{"type": "text", "text": "look"}, image, image]);
    let mut wish = json!({"model": "mock-chat", "messages": [{"role": "user", "content": content}]});
    let body = json_of(bench.post("/v1/chat/completions", &wish).send().await.unwrap()).await;
    assert_eq!(body["choices"][0]["message"]["content"], "Hello from the mock: look (with 2 images)");

    let schema = json!({
        "type": "object",
        "properties": {
            "kind": {"enum": ["a", "b"]},
            "age": {"type": "integer", "minimum": 18},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 2},
        },
        "$defs": {"tag": {"type": "string", "maxLength": 5}},
    });
    wish["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let body = json_of(bench.post("/v1/chat/completions", &wish).send().await.unwrap()).await;
    let said = body["choices"][0]["message"]["content"].as_str().unwrap();
    let said: serde_json::Value = serde_json::from_str(said).unwrap();
    assert_eq!(said, json!({"kind": "a", "age": 18, "tags": ["Hello", "Hello"]}));
}

#[tokio::test]
async fn missing_and_bad_keys_are_refused_in_the_providers_words() {
    let bench = Bench::start().await;
    let url = format!("{}/v1/models", bench.upstream.url());
    let response = bench.client.get(&url).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(json_of(response).await["error"]["type"], "invalid_request_error");
    let response = bench.client.get(&url).bearer_auth("sk-bad-1").send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(json_of(response).await["error"]["code"], "invalid_api_key");
    assert_eq!(bench.get("/v1/models").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn bad_requests_name_the_parameter() {
    let bench = Bench::start().await;
    let response = bench.post("/v1/chat/completions", &json!({"model": "mock-chat"})).send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(json_of(response).await["error"]["param"], "messages");
    let response = bench.chat("missing-model", "hi", false).await;
    assert_eq!(response.status(), 404);
    assert_eq!(json_of(response).await["error"]["code"], "model_not_found");
    let broken = bench.get("/v1/nothing").send().await.unwrap();
    assert_eq!(broken.status(), 404);
    assert!(json_of(broken).await["error"]["message"].is_string());
}

#[tokio::test]
async fn an_embedding_is_the_same_unit_vector_in_both_encodings() {
    use base64::Engine;
    let bench = Bench::start().await;
    let wish = |format: &str| json!({"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 8, "encoding_format": format});
    let floats = json_of(bench.post("/v1/embeddings", &wish("float")).send().await.unwrap()).await;
    let packed = json_of(bench.post("/v1/embeddings", &wish("base64")).send().await.unwrap()).await;
    let floats: Vec<f32> = serde_json::from_value(floats["data"][1]["embedding"].clone()).unwrap();
    let text = packed["data"][1]["embedding"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let unpacked: Vec<f32> =
        bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    assert_eq!(floats, unpacked);
    let length: f32 = floats.iter().map(|x| x * x).sum();
    assert!((length - 1.0).abs() < 1e-5);
}

#[tokio::test]
async fn violence_is_flagged_and_kindness_is_not() {
    let bench = Bench::start().await;
    let wish = json!({"input": ["be kind", "I will kill"]});
    let body = json_of(bench.post("/v1/moderations", &wish).send().await.unwrap()).await;
    assert_eq!(body["results"][0]["flagged"], false);
    assert_eq!(body["results"][1]["categories"]["violence"], true);
}

#[tokio::test]
async fn fine_tuning_runs_to_its_end_and_can_be_cancelled() {
    let bench = Bench::start().await;
    let wish = json!({"model": "gpt-4o-mini", "training_file": "file-1"});
    let job = json_of(bench.post("/v1/fine_tuning/jobs", &wish).send().await.unwrap()).await;
    assert_eq!(job["status"], "validating_files");
    let path = format!("/v1/fine_tuning/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(json_of(bench.get(&path).send().await.unwrap()).await["status"], "running");
    let done = json_of(bench.get(&path).send().await.unwrap()).await;
    assert_eq!(done["status"], "succeeded");
    assert_eq!(done["fine_tuned_model"], "ft:gpt-4o-mini:mock::1");
    let late = bench.post(&format!("{path}/cancel"), &json!({})).send().await.unwrap();
    assert_eq!(late.status(), 400);
}
