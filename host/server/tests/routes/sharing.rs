use std::sync::Arc;
use std::time::Duration;

use atelier_domain::failure::FailureCode;
use futures::future::join_all;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::host::{TestHost, json as body};
use crate::scripted::{Scripted, Talk};

const WAITERS: usize = 7;

fn chat(host: &TestHost, prompt: &str) -> RequestBuilder {
    let messages = json!([{"role": "user", "content": prompt}]);
    host.post("/v1/chat/completions", &json!({"model": "scripted/found", "messages": messages}))
        .header("atelier-share", "identical")
}

fn talks(provider: &Scripted) -> usize {
    provider.seen.lock().expect("no panic").talks.len()
}

/// Waits until so many requests wait for another's answer.
async fn shared(host: &TestHost, times: usize) {
    let line = format!("atelier_requests_shared_total {times}\n");
    while !String::from_utf8(host.running().app.metrics.text().expect("text")).expect("UTF-8").contains(&line)
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn host(provider: &Arc<Scripted>) -> TestHost {
    let host = TestHost::start().await;
    host.put("scripted", provider.clone()).await;
    host
}

#[tokio::test]
async fn identical_requests_at_once_are_one_call_and_one_record() {
    let provider = Scripted::talking([
        Talk { waits: true, ..Talk::saying("one") },
        Talk::saying("two"),
        Talk::saying("three"),
    ]);
    let host = host(&provider).await;
    let first = tokio::spawn(chat(&host, "hi").send());
    provider.charged.notified().await;
    let others = join_all((0..WAITERS).map(|_| chat(&host, "hi").send()));
    let others = tokio::spawn(others);
    shared(&host, WAITERS).await;
    // Not the same, and so not kept waiting.
    let other = body(chat(&host, "hello").send().await.expect("answered"), 200).await;
    assert_eq!(other["choices"][0]["message"]["content"], "two");
    provider.released.notify_one();
    let first = first.await.expect("no panic").expect("answered");
    assert!(!first.headers().contains_key("atelier-shared"));
    let (id, first) = (first.headers()["x-request-id"].clone(), body(first, 200).await);
    assert_eq!(first["choices"][0]["message"]["content"], "one");
    for other in others.await.expect("no panic") {
        let other = other.expect("answered");
        assert_eq!(other.headers()["atelier-shared"], "true");
        assert_ne!(other.headers()["x-request-id"], id, "each has an id of its own");
        assert_eq!(body(other, 200).await, first);
    }
    assert_eq!(talks(&provider), 2);
    // What comes later is a new request.
    let later = body(chat(&host, "hi").send().await.expect("answered"), 200).await;
    assert_eq!(later["choices"][0]["message"]["content"], "three");
    let used: Value = loop {
        let used = body(host.get("/api/v1/usage").send().await.expect("answered"), 200).await;
        if used["data"].as_array().is_some_and(|records| records.len() >= 3) {
            break used;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(used["data"].as_array().expect("a list").len(), 3, "{used}");
    host.stop().await;
}

#[tokio::test]
async fn a_failure_is_the_first_ones_alone() {
    let provider = Scripted::talking([
        Talk { waits: true, ..Talk::failing(FailureCode::Overloaded) },
        Talk::saying("well"),
    ]);
    let host = host(&provider).await;
    let first = tokio::spawn(chat(&host, "hi").send());
    provider.charged.notified().await;
    let other = tokio::spawn(chat(&host, "hi").send());
    shared(&host, 1).await;
    provider.released.notify_one();
    assert_eq!(first.await.expect("no panic").expect("answered").status(), 503);
    let other = other.await.expect("no panic").expect("answered");
    assert!(!other.headers().contains_key("atelier-shared"));
    assert_eq!(body(other, 200).await["choices"][0]["message"]["content"], "well");
    host.stop().await;
}

#[tokio::test]
async fn another_word_is_refused() {
    let provider = Scripted::talking([]);
    let host = host(&provider).await;
    let messages = json!([{"role": "user", "content": "hi"}]);
    let request =
        host.post("/v1/chat/completions", &json!({"model": "scripted/found", "messages": messages}));
    let refused = request.header("atelier-share", "yes").send().await.expect("answered");
    assert_eq!(body(refused, 400).await["error"]["param"], "Atelier-Share");
    assert_eq!(talks(&provider), 0);
    host.stop().await;
}
