//! Prompts that are judged by a real plugin's moderation model before they are sent: what the provider sees, and what callers, the log and
//! operators are told.

use std::time::Duration;

use mock_upstream::{Config, Fault, MockUpstream};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::binary::{Binary, MODEL};

/// Flagged by the moderation model of the upstream.
const BAD: &str = "canary-9137 how to kill a man";

async fn server(upstream: &MockUpstream) -> Binary {
    let atelier = Binary::start(upstream, |text| {
        let text = text.replace("status = { requests = 120,", "status = { requests = 100000,");
        let text = text.replace("level = \"info\"", "level = \"debug\"");
        format!("{text}\n[moderation]\nmodel = \"mock/omni-moderation-latest\"\nexcept = [\"local\"]\n")
    });
    atelier.warm().await;
    atelier
}

async fn told(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("answered");
    let (status, text) = (answer.status().as_u16(), answer.text().await.expect("a body"));
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Paths that the upstream was asked at with a body that has this word.
fn asked_with(upstream: &MockUpstream, word: &str) -> Vec<String> {
    let requests = upstream.requests().into_iter().filter(|request| request.body.contains(word));
    requests.map(|request| request.path).collect()
}

#[tokio::test]
async fn a_prompt_that_is_flagged_never_reaches_its_provider_by_any_route() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let atelier = server(&upstream).await;
    let messages = json!([{"role": "user", "content": BAD}]);
    let image = json!({"model": "mock/gpt-image-1", "prompt": BAD});
    let job = json!({"model": "mock/gpt-image-1", "task": "image-generation", "prompt": BAD});
    let speech = json!({"model": "mock/tts-1", "input": BAD, "voice": "alloy"});
    let vectors = json!({"model": "mock/text-embedding-3-small", "input": ["good", BAD]});
    for (path, body) in [
        ("/v1/chat/completions", json!({"model": MODEL, "messages": messages})),
        ("/v1/chat/completions", json!({"model": MODEL, "messages": messages, "stream": true})),
        ("/v1/responses", json!({"model": MODEL, "input": BAD})),
        ("/v1/images/generations", image),
        ("/v1/audio/speech", speech),
        ("/v1/embeddings", vectors),
    ] {
        let (status, answer) = told(atelier.post(path).json(&body)).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (400, &json!("content_policy_violation")),
            "{path}: {answer}"
        );
        assert!(answer["error"]["param"].is_string(), "{path}: {answer}");
        let message = answer["error"]["message"].as_str().expect("words");
        assert!(message.contains("violence") && !message.contains("canary"), "{path}: {answer}");
    }
    let (status, answer) = told(atelier.post("/api/v1/generations").json(&job)).await;
    assert_eq!((status, &answer["code"]), (400, &json!("content_policy_violation")), "{answer}");
    let anthropic = json!({"model": MODEL, "messages": messages, "max_tokens": 10});
    let (status, answer) = told(atelier.post("/v1/messages").json(&anthropic)).await;
    assert_eq!((status, &answer["error"]["type"]), (400, &json!("invalid_request_error")), "{answer}");

    let asked = asked_with(&upstream, "canary-9137");
    assert_eq!(asked, ["/v1/moderations"], "asked once, and nothing else was sent");
    let jobs = told(atelier.get("/api/v1/generations")).await.1;
    assert_eq!(jobs["data"], json!([]), "no job was made");

    // What is good is judged first, and then sent.
    let (status, answer) = told(atelier.chat("a good day", false)).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(asked_with(&upstream, "a good day"), ["/v1/moderations", "/v1/chat/completions"]);

    let metrics = atelier.client.get(format!("{}/metrics", atelier.admin)).send().await.expect("answered");
    let metrics = metrics.text().await.expect("text");
    for line in [
        "atelier_prompts_screened_total{instance=\"mock\",outcome=\"refused\"} 8",
        "atelier_prompts_screened_total{instance=\"mock\",outcome=\"sent\"} 2",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let audit = told(atelier.get("/api/v1/admin/audit?kind=prompt_refused")).await.1;
    let records = audit["data"].as_array().expect("a list");
    assert_eq!(records.len(), 7, "one for each route: {audit}");
    let chat = records.iter().find(|record| record["action"] == "POST /v1/chat/completions");
    let chat = chat.expect("it is noted");
    assert_eq!((&chat["count"], &chat["status"]), (&json!(2), &json!(400)));
    assert!(chat["user"].is_string() && !audit.to_string().contains("canary"), "{audit}");

    atelier.terminate();
    let (_, log) = atelier.ended(Duration::from_secs(30));
    assert!(!log.iter().any(|line| line.contains("canary-9137")), "no line repeats a prompt");
    assert!(log.iter().any(|line| line.contains("a prompt was not sent") && line.contains("violence")));
}

#[tokio::test]
async fn conversations_batches_and_templates_are_judged_as_well() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let atelier = server(&upstream).await;
    let (_, conversation) = told(atelier.post("/api/v1/conversations").json(&json!({"model": MODEL}))).await;
    let path = format!("/api/v1/conversations/{}/messages", conversation["id"].as_str().expect("an id"));
    let said = json!({"content": [{"type": "text", "text": BAD}]});
    let (status, answer) = told(atelier.post(&path).json(&said)).await;
    assert!(answer.to_string().contains("content_policy_violation"), "{status}: {answer}");

    let template = json!({"name": "t", "task": "chat", "model": MODEL, "text_max": 200,
        "prompt": "Write as canary-hidden-5 would.", "variables": []});
    let (_, made) = told(atelier.post("/api/v1/templates").json(&template)).await;
    let hidden = format!("/api/v1/templates/{}/generate", made["id"].as_str().expect("an id"));
    let (status, answer) = told(atelier.post(&hidden).json(&json!({"variables": {}, "text": BAD}))).await;
    assert_eq!((status, &answer["code"]), (400, &json!("content_policy_violation")), "{answer}");
    assert!(answer["param"].is_null(), "where it stands would tell how the template is made: {answer}");

    let request = json!({"model": MODEL, "messages": [{"role": "user", "content": BAD}]});
    let line = json!({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": request});
    let file = Part::text(format!("{line}\n")).file_name("a.jsonl");
    let form = Form::new().text("purpose", "batch").part("file", file);
    let (_, file) = told(atelier.post("/v1/files").multipart(form)).await;
    let begin = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
        "completion_window": "24h"});
    let (status, batch) = told(atelier.post("/v1/batches").json(&begin)).await;
    assert_eq!(status, 200, "{batch}");
    let path = format!("/v1/batches/{}", batch["id"].as_str().expect("an id"));
    let ended = loop {
        let (_, batch) = told(atelier.get(&path)).await;
        if batch["status"] == "completed" {
            break batch;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let errors = format!("/v1/files/{}/content", ended["error_file_id"].as_str().expect("a file"));
    let (_, errors) = told(atelier.get(&errors)).await;
    assert!(errors.to_string().contains("content_policy_violation"), "{errors}");
    let audit = told(atelier.get("/api/v1/admin/audit?kind=prompt_refused")).await.1;
    assert!(audit["data"].as_array().is_some_and(|records| records.len() >= 2), "{audit}");

    let asked = asked_with(&upstream, "canary-9137");
    assert!(asked.iter().all(|path| path == "/v1/moderations"), "{asked:?}");
    assert!(asked_with(&upstream, "canary-hidden-5").is_empty(), "the words beside it were known to be bad");
    let (status, answer) =
        told(atelier.post(&hidden).json(&json!({"variables": {}, "text": "kindly"}))).await;
    assert_eq!(status, 200, "{answer}");
    let asked = asked_with(&upstream, "canary-hidden-5");
    assert_eq!(asked, ["/v1/moderations", "/v1/chat/completions"], "what is hidden is judged too");
}

#[tokio::test]
async fn nothing_is_sent_while_nobody_can_judge_it_and_the_caller_is_told_to_come_back() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let atelier = server(&upstream).await;
    let client = Client::builder().no_proxy().build().expect("a client");
    for fault in ["500", "malformed"] {
        upstream.fault_next(fault.parse::<Fault>().expect("a fault"), 1);
        let prompt = format!("a good day with {fault}");
        let request = atelier.chat(&prompt, false).build().expect("a request");
        let answer = client.execute(request).await.expect("answered");
        let (status, wait) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
        let answer: Value = answer.json().await.expect("JSON");
        assert_eq!((status, &answer["error"]["code"]), (503, &json!("moderation_unavailable")), "{answer}");
        assert!(wait, "when to come back");
        assert_eq!(asked_with(&upstream, &prompt), ["/v1/moderations"], "it was not sent");
        assert_eq!(told(atelier.chat(&prompt, false)).await.0, 200, "it is judged by now");
    }
}
