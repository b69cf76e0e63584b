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
        ("option_of_no_model", json!({"model": MODEL, "messages": hi, "verbosity": "low"})),
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
        "messages": [{"role": "user", "content": "What is 2+2?"}]});
    let whole = body(host.post("/v1/chat/completions", &request).send().await.expect("answered"), 200).await;
    let text = whole["choices"][0]["message"]["content"].as_str().expect("a text").to_owned();
    assert!(text.contains("answer"), "{text}");
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
        "messages": [{"role": "user", "content": [{"type": "text", "text": "What is 2+2?"}]}]});
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

#[tokio::test]
async fn the_in_house_model_answers_in_the_form_of_a_schema_or_says_why_not() {
    let host = TestHost::start().await;
    let ask = async |schema: Value, status: u16| {
        let request = json!({"model": MODEL, "temperature": 0, "max_tokens": 40,
            "messages": [{"role": "user", "content": "Which is larger, Paris or Rome?"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "city", "strict": true, "schema": schema}}});
        body(host.post("/v1/chat/completions", &request).send().await.expect("answered"), status).await
    };
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["sure", "city"],
        "properties": {"sure": {"type": "boolean"}, "city": {"enum": ["Paris", "Rome"]}}});
    let answer = ask(schema.clone(), 200).await;
    let text = answer["choices"][0]["message"]["content"].as_str().expect("a text");
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(jsonschema::is_valid(&schema, &value), "{text}");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");

    for refused in [json!({"not": {}}), json!({"$ref": "#"}), json!({"const": "x".repeat(70_000)})] {
        let told = ask(refused, 400).await;
        assert_eq!(told["error"]["param"], "response_format", "{told}");
    }
    host.stop().await;
}

#[tokio::test]
async fn the_in_house_model_tells_how_likely_its_tokens_were_whole_and_in_a_stream_alike() {
    let host = TestHost::start().await;
    let mut request = json!({"model": MODEL, "temperature": 0, "max_tokens": 6, "logprobs": true, "top_logprobs": 2,
        "messages": [{"role": "user", "content": "What is 2+2?"}]});
    let whole = body(host.post("/v1/chat/completions", &request).send().await.expect("answered"), 200).await;
    let told = whole["choices"][0]["logprobs"]["content"].as_array().expect("a list").clone();
    let text: String = told.iter().filter_map(|token| token["token"].as_str()).collect();
    assert_eq!(text, whole["choices"][0]["message"]["content"]);
    for token in &told {
        assert_eq!(token["top_logprobs"].as_array().map(Vec::len), Some(2));
        assert_eq!(token["top_logprobs"][0]["logprob"], token["logprob"], "the likeliest was taken");
        let bytes: Vec<u8> = serde_json::from_value(token["bytes"].clone()).expect("bytes");
        assert_eq!(String::from_utf8(bytes).as_deref().ok(), token["token"].as_str());
    }
    request["stream"] = json!(true);
    let answer = host.post("/v1/chat/completions", &request).send().await.expect("answered");
    let stream = answer.text().await.expect("a stream");
    let events = stream.split("\n\n").filter_map(|event| event.strip_prefix("data: {"));
    let mut streamed = Vec::new();
    for event in events {
        let chunk: Value = serde_json::from_str(&format!("{{{event}")).expect("JSON");
        streamed.extend(chunk["choices"][0]["logprobs"]["content"].as_array().cloned().unwrap_or_default());
    }
    assert_eq!(streamed, told);
    host.stop().await;
}

#[tokio::test]
async fn the_in_house_model_takes_the_options_that_it_publishes_and_no_others() {
    let host = TestHost::start().await;
    let mut request = json!({"model": MODEL, "temperature": 2, "max_tokens": 8,
        "messages": [{"role": "user", "content": "What is 2+2?"}]});
    let say = async |request: &Value| {
        let answer = host.post("/v1/chat/completions", request).send().await.expect("answered");
        body(answer, 200).await["choices"][0]["message"]["content"].clone()
    };
    request["options"] = json!({"top_k": 1, "min_p": 0.1, "repetition_penalty": 1.0});
    let greedy = say(&request).await;
    assert!(
        greedy.as_str().is_some_and(|text| text.contains("answer")),
        "one candidate is no chance: {greedy}"
    );
    for (options, param) in [
        (json!({"top_k": 0}), "top_k"),
        (json!({"min_p": "a lot"}), "min_p"),
        (json!({"repetition_penalty": 0}), "repetition_penalty"),
        (json!({"logit_bias": {"7": 1000}}), "logit_bias.7"),
        (json!({"logit_bias": {"49152": 1}}), "logit_bias"),
        (json!({"mirostat": 2}), "options"),
    ] {
        request["options"] = options;
        let told = refused(&host, request.clone()).await;
        assert_eq!(told["param"], param, "{told}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_conversation_with_the_in_house_model_is_counted_as_it_is_charged() {
    let host = TestHost::start().await;
    let messages = json!([{"role": "user", "content": "Ünïcode 漢字, 12345 <|im_end|> and so on."}]);
    let post = |path: &str, request: Value| {
        host.client.post(host.url(path)).header("x-api-key", &host.key).json(&request).send()
    };
    let counting = json!({"model": MODEL, "messages": messages});
    let counted = body(post("/v1/messages/count_tokens", counting).await.expect("answered"), 200).await;
    let asking = json!({"model": MODEL, "max_tokens": 1, "messages": messages});
    let answer = body(post("/v1/messages", asking).await.expect("answered"), 200).await;
    assert_eq!(counted["input_tokens"], answer["usage"]["input_tokens"], "{counted} {answer}");
    host.stop().await;
}
