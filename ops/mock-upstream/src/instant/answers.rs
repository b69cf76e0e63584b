//! The answers, complete with their heads.

use std::sync::LazyLock;

use serde_json::json;

pub(super) static CHAT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let message = json!({"role": "assistant", "content": "Hello from the mock.", "refusal": null});
    let body = json!({
        "id": "chatcmpl-mock",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": "mock-chat",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 4, "completion_tokens": 4, "total_tokens": 8},
        "system_fingerprint": "fp_mock",
    });
    whole("200 OK", &body.to_string())
});

pub(super) static CHAT_STREAM: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let event = |delta: serde_json::Value, finish: Option<&str>| {
        let chunk = json!({
            "id": "chatcmpl-mock",
            "object": "chat.completion.chunk",
            "created": 1_767_225_600,
            "model": "mock-chat",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
            "system_fingerprint": "fp_mock",
        });
        format!("data: {chunk}\n\n")
    };
    let mut events = vec![event(json!({"role": "assistant", "content": ""}), None)];
    events.extend(["Hello ", "from ", "the ", "mock."].map(|word| event(json!({"content": word}), None)));
    events.push(event(json!({}), Some("stop")));
    events.push("data: [DONE]\n\n".to_owned());
    let mut answer =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    for event in events {
        answer.extend_from_slice(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    answer
});

pub(super) static MODELS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let model = json!({"id": "mock-chat", "object": "model", "created": 1_767_225_600, "owned_by": "mock"});
    whole("200 OK", &json!({"object": "list", "data": [model]}).to_string())
});

/// What gateways that watch their upstreams ask for.
pub(super) static HEALTH: LazyLock<Vec<u8>> = LazyLock::new(|| whole("200 OK", "{}"));

pub(super) static NOT_FOUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    refusal(
        "404 Not Found",
        "instant mode offers POST /v1/chat/completions and GET /v1/models; use --mode full",
    )
});

pub(super) static TOO_LARGE: LazyLock<Vec<u8>> =
    LazyLock::new(|| refusal("413 Content Too Large", "instant mode takes requests of at most 16 MiB"));

pub(super) static MALFORMED: LazyLock<Vec<u8>> =
    LazyLock::new(|| refusal("400 Bad Request", "this is not an HTTP/1.1 request with at most 64 headers"));

fn refusal(status: &str, message: &str) -> Vec<u8> {
    whole(status, &json!({"error": {"message": message, "type": "invalid_request_error"}}).to_string())
}

fn whole(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into()
}
