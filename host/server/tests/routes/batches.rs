#[path = "batches/damaged.rs"]
mod damaged;

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::account::Scope;
use atelier_domain::failure::FailureCode;
use reqwest::Response;
use serde_json::{Value, json};

use crate::files::upload;
use crate::host::{TestHost, json as body};
use crate::scripted::{Act, Scripted, Talk};

const CHAT: &str = "/v1/chat/completions";

async fn host(provider: &Arc<Scripted>, more: &str) -> TestHost {
    let host = TestHost::edited(|text| {
        let text = text.replace("generation = { requests = 10,", "generation = { requests = 100000,");
        let text = text.replace("status = { requests = 120,", "status = { requests = 100000,");
        let more_often =
            ["upload", "analytics"].map(|class| format!("{class} = {{ requests = 100000, seconds = 60 }}\n"));
        let text = text.replace("[limits]\n", &format!("[limits]\n{}", more_often.concat()));
        format!("{text}\n{more}\n")
    })
    .await;
    host.put("scripted", provider.clone()).await;
    host
}

fn line(id: &str, url: &str, body: Value) -> String {
    format!("{}\n", json!({"custom_id": id, "method": "POST", "url": url, "body": body}))
}

fn saying(id: &str) -> String {
    let messages = json!([{"role": "user", "content": "hi"}]);
    line(id, CHAT, json!({"model": "scripted/found", "messages": messages}))
}

async fn post(host: &TestHost, key: &str, path: &str, wanted: &Value) -> Response {
    host.client.post(host.url(path)).bearer_auth(key).json(wanted).send().await.expect("answered")
}

async fn get(host: &TestHost, key: &str, path: &str) -> Response {
    host.client.get(host.url(path)).bearer_auth(key).send().await.expect("answered")
}

async fn file(host: &TestHost, key: &str, lines: &[String]) -> Value {
    upload(host, key, "batch", "requests.jsonl", lines.concat().as_bytes()).await["id"].clone()
}

fn wanted(file: &Value, endpoint: &str) -> Value {
    json!({"input_file_id": file, "endpoint": endpoint, "completion_window": "24h", "metadata": {"team": "a"}})
}

async fn begin(host: &TestHost, key: &str, endpoint: &str, lines: &[String]) -> Value {
    let file = file(host, key, lines).await;
    body(post(host, key, "/v1/batches", &wanted(&file, endpoint)).await, 200).await
}

fn path(batch: &Value) -> String {
    format!("/v1/batches/{}", batch["id"].as_str().expect("an id"))
}

async fn until(host: &TestHost, key: &str, batch: &Value, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let now = body(get(host, key, &path(batch)).await, 200).await;
        if wanted(&now) {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn ended(host: &TestHost, key: &str, batch: &Value) -> Value {
    let is_final = |word: &str| matches!(word, "completed" | "failed" | "expired" | "cancelled");
    until(host, key, batch, |batch| batch["status"].as_str().is_some_and(is_final)).await
}

/// The lines of a result file, in their order.
async fn results(host: &TestHost, key: &str, file: &Value) -> Vec<Value> {
    let id = file.as_str().expect("a file");
    let text = get(host, key, &format!("/v1/files/{id}/content")).await.text().await.expect("a body");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn requests_are_answered_in_files_by_their_ids() {
    // More than is kept in a row.
    let long = "x".repeat(100_000);
    let provider = Scripted::talking([
        Talk::saying("one"),
        Talk::failing(FailureCode::ContentRefused),
        Talk::saying(&long),
    ]);
    let host = host(&provider, "[batches]\nrunning = 1\n").await;
    let lines =
        [saying("a \"1\""), saying("b"), saying("c"), line("d", CHAT, json!({"model": "scripted/found"}))];
    let begun = begin(&host, &host.key, CHAT, &lines).await;
    assert_eq!(
        (&begun["object"], &begun["status"], &begun["endpoint"]),
        (&json!("batch"), &json!("validating"), &json!(CHAT))
    );
    assert_eq!((&begun["metadata"], &begun["errors"]), (&json!({"team": "a"}), &json!(null)));
    assert_eq!(
        begun["expires_at"].as_u64().expect("a time") - begun["created_at"].as_u64().expect("a time"),
        86_400
    );
    let batch = ended(&host, &host.key, &begun).await;
    assert_eq!((&batch["status"], &batch["model"]), (&json!("completed"), &json!("scripted/found")));
    assert_eq!(batch["request_counts"], json!({"total": 4, "completed": 2, "failed": 2}));
    for moment in ["in_progress_at", "finalizing_at", "completed_at"] {
        assert!(batch[moment].as_u64() >= begun["created_at"].as_u64(), "{moment}: {batch}");
    }
    let output = results(&host, &host.key, &batch["output_file_id"]).await;
    assert_eq!((&output[0]["custom_id"], &output[1]["custom_id"]), (&json!("a \"1\""), &json!("c")));
    let answered = &output[0]["response"];
    assert_eq!((&answered["status_code"], &output[0]["error"]), (&json!(200), &json!(null)));
    assert_eq!(answered["body"]["choices"][0]["message"]["content"], "one");
    assert!(answered["request_id"].as_str().is_some_and(|id| id.starts_with("req_")), "{answered}");
    assert!(output[0]["id"].as_str().is_some_and(|id| id.starts_with("batch_req_")), "{output:?}");
    assert_eq!(output[1]["response"]["body"]["choices"][0]["message"]["content"], long);
    let errors = results(&host, &host.key, &batch["error_file_id"]).await;
    assert_eq!((&errors[0]["custom_id"], &errors[1]["custom_id"]), (&json!("b"), &json!("d")));
    assert_eq!(errors[0]["response"]["body"]["error"]["code"], "content_policy_violation");
    assert_eq!(
        (&errors[1]["response"]["status_code"], &errors[1]["response"]["body"]["error"]["param"]),
        (&json!(400), &json!("messages"))
    );

    let listed = body(get(&host, &host.key, "/v1/batches?limit=1").await, 200).await;
    assert_eq!((&listed["data"][0], &listed["has_more"]), (&batch, &json!(false)));
    let made = body(get(&host, &host.key, "/v1/files?purpose=batch_output").await, 200).await;
    assert_eq!(made["data"].as_array().map(Vec::len), Some(2), "{made}");
    // Each is recorded as any call, in the books a moment later.
    while body(get(&host, &host.key, "/api/v1/usage").await, 200).await["data"].as_array().map(Vec::len)
        < Some(2)
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    host.stop().await;
}

#[tokio::test]
async fn a_wrong_file_fails_its_batch_with_the_lines_that_are_wrong() {
    let provider = Scripted::talking([]);
    let host = host(&provider, "").await;
    let streamed = json!({"model": "scripted/found", "messages": [], "stream": true});
    let lines = [saying("a"), line("b", "/v1/embeddings", json!({})), line("c", CHAT, streamed)];
    let begun = begin(&host, &host.key, CHAT, &lines).await;
    let batch = ended(&host, &host.key, &begun).await;
    assert_eq!((&batch["status"], &batch["output_file_id"]), (&json!("failed"), &json!(null)));
    assert!(batch["failed_at"].is_u64() && batch["in_progress_at"].is_null(), "{batch}");
    let told: Vec<_> = batch["errors"]["data"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| (error["line"].as_u64(), error["code"].as_str().expect("a code").to_owned()))
        .collect();
    assert_eq!(
        told,
        [(Some(2), "mismatched_endpoint".to_owned()), (Some(3), "streaming_not_supported".to_owned())]
    );
    assert!(provider.seen.lock().expect("no panic").talks.is_empty(), "nothing was run");
    host.stop().await;
}

#[tokio::test]
async fn what_cannot_be_begun_is_refused_with_its_member() {
    let host = host(&Scripted::talking([]), "").await;
    let good = file(&host, &host.key, &[saying("a")]).await;
    let text = upload(&host, &host.key, "user_data", "a.txt", b"words").await["id"].clone();
    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let foreign = file(&host, &bob, &[saying("a")]).await;
    let with = |name: &str, value: Value| {
        let mut wanted = wanted(&good, CHAT);
        wanted[name] = value;
        wanted
    };
    let many: serde_json::Map<_, _> = (0..17).map(|n| (n.to_string(), json!("x"))).collect();
    for (wanted, status, param) in [
        (json!({"endpoint": CHAT, "completion_window": "24h"}), 400, json!("input_file_id")),
        (with("input_file_id", json!(7)), 400, json!("input_file_id")),
        (with("input_file_id", json!("file-1")), 404, json!(null)),
        (with("input_file_id", foreign.clone()), 404, json!(null)),
        (with("input_file_id", text), 400, json!("input_file_id")),
        (with("endpoint", json!("/v1/files")), 400, json!("endpoint")),
        (with("endpoint", json!(null)), 400, json!("endpoint")),
        (with("completion_window", json!("1h")), 400, json!("completion_window")),
        (with("metadata", Value::Object(many)), 400, json!("metadata")),
        (with("metadata", json!({"a": "x".repeat(513)})), 400, json!("metadata.a")),
        (with("metadata", json!({"a": 1})), 400, json!("metadata.a")),
        (
            with("output_expires_after", json!({"anchor": "now", "seconds": 3600})),
            400,
            json!("output_expires_after.anchor"),
        ),
        (
            with("output_expires_after", json!({"anchor": "created_at", "seconds": 60})),
            400,
            json!("output_expires_after.seconds"),
        ),
        (with("treason", json!(1)), 400, json!("treason")),
    ] {
        let refused = body(post(&host, &host.key, "/v1/batches", &wanted).await, status).await;
        assert_eq!(refused["error"]["param"], param, "{wanted}: {refused}");
    }
    for bad in ["?limit=0", "?limit=101", "?order=asc", "?limit=x"] {
        assert_eq!(get(&host, &host.key, &format!("/v1/batches{bad}")).await.status(), 400, "{bad}");
    }
    assert_eq!(get(&host, &host.key, "/v1/batches?after=batch_1").await.status(), 404);
    let reader = host.user_key("carol", &[Scope::Read]).await;
    assert_eq!(post(&host, &reader, "/v1/batches", &wanted(&good, CHAT)).await.status(), 403);
    let forbidden = reqwest::multipart::Form::new()
        .text("purpose", "batch_output")
        .part("file", reqwest::multipart::Part::bytes(b"x".to_vec()).file_name("a"));
    let refused = body(crate::files::send(&host, &host.key, forbidden).await, 400).await;
    assert_eq!(refused["error"]["param"], "purpose");
    host.stop().await;
}

#[tokio::test]
async fn a_batch_is_its_owners_alone_and_so_many_may_be_open() {
    let waiting = || Talk { waits: true, ..Talk::saying("late") };
    let provider = Scripted::talking([waiting(), Talk::saying("next")]);
    let host = host(&provider, "[batches]\nopen_per_user = 1\n").await;
    let mine = begin(&host, &host.key, CHAT, &[saying("a")]).await;
    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let unknown = json!({"id": "batch_019ab0c3e5f07d0aa1b2c3d4e5f60718"});
    for (key, batch) in [(&bob, &mine), (&host.key, &unknown), (&host.key, &json!({"id": "batch_1"}))] {
        assert_eq!(body(get(&host, key, &path(batch)).await, 404).await["error"]["code"], "not_found");
        let cancel = format!("{}/cancel", path(batch));
        let cancelled = host.client.post(host.url(&cancel)).bearer_auth(key).send().await.expect("answered");
        assert_eq!(cancelled.status(), 404, "{batch}");
    }
    assert_eq!(body(get(&host, &bob, "/v1/batches").await, 200).await["data"], json!([]));
    let second = file(&host, &host.key, &[saying("a")]).await;
    let refused = body(post(&host, &host.key, "/v1/batches", &wanted(&second, CHAT)).await, 429).await;
    assert_eq!(refused["error"]["code"], "too_many");
    provider.charged.notified().await;
    provider.released.notify_one();
    assert_eq!(ended(&host, &host.key, &mine).await["status"], "completed");
    let next = body(post(&host, &host.key, "/v1/batches", &wanted(&second, CHAT)).await, 200).await;
    assert_eq!(ended(&host, &host.key, &next).await["status"], "completed");
    host.stop().await;
}

#[tokio::test]
async fn a_cancelled_batch_keeps_what_was_answered() {
    let waiting = Talk { waits: true, ..Talk::saying("two") };
    let provider = Scripted::talking([Talk::saying("one"), waiting]);
    let host = host(&provider, "[batches]\nrunning_per_batch = 1\n").await;
    let begun = begin(&host, &host.key, CHAT, &[saying("a"), saying("b"), saying("c")]).await;
    until(&host, &host.key, &begun, |batch| batch["request_counts"]["completed"] == 1).await;
    while provider.seen.lock().expect("no panic").talks.len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let cancel =
        || host.client.post(host.url(&format!("{}/cancel", path(&begun)))).bearer_auth(&host.key).send();
    let cancelling = body(cancel().await.expect("answered"), 200).await;
    assert_eq!(cancelling["status"], "cancelling");
    assert!(cancelling["cancelling_at"].is_u64(), "{cancelling}");
    provider.released.notify_one();
    let batch = ended(&host, &host.key, &begun).await;
    assert_eq!((&batch["status"], &batch["error_file_id"]), (&json!("cancelled"), &json!(null)));
    assert_eq!(batch["request_counts"], json!({"total": 3, "completed": 2, "failed": 0}));
    let output = results(&host, &host.key, &batch["output_file_id"]).await;
    assert_eq!(output.iter().map(|line| line["custom_id"].clone()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(body(cancel().await.expect("answered"), 200).await, batch, "it stays as it is");
    assert_eq!(provider.seen.lock().expect("no panic").talks.len(), 2, "the third was never begun");
    host.stop().await;
}

#[tokio::test]
async fn a_request_that_was_refused_for_the_moment_is_tried_again() {
    let provider = Scripted::talking([Talk::failing(FailureCode::RateLimited), Talk::saying("at last")]);
    let host = host(&provider, "").await;
    let begun = begin(&host, &host.key, CHAT, &[saying("a")]).await;
    let batch = ended(&host, &host.key, &begun).await;
    assert_eq!(batch["request_counts"], json!({"total": 1, "completed": 1, "failed": 0}), "{batch}");
    host.stop().await;
}

#[tokio::test]
async fn requests_are_made_in_the_name_of_their_key_as_it_is_then() {
    let waiting = Talk { waits: true, ..Talk::saying("one") };
    let provider = Scripted::talking([waiting]);
    let host = host(&provider, "[batches]\nrunning_per_batch = 1\n").await;
    let secret = host.user_key("ada", &[Scope::Read, Scope::Generate]).await;
    let accounts = &host.running().app.accounts;
    let ada = accounts.user_by_name("ada").await.expect("ada").id;
    let other = accounts.create_key(ada, "other", vec![Scope::Read], None).await.expect("a key");
    let begun = begin(&host, &secret, CHAT, &[saying("a"), saying("b")]).await;
    provider.charged.notified().await;
    let key = accounts.keys(ada, None, 10).await.expect("keys").remove(0);
    accounts.revoke_key(ada, key.id).await.expect("revoked");
    provider.released.notify_one();
    let reader = other.secret.reveal();
    let batch = ended(&host, reader, &begun).await;
    assert_eq!(batch["request_counts"], json!({"total": 2, "completed": 1, "failed": 1}));
    let errors = results(&host, reader, &batch["error_file_id"]).await;
    let refused = &errors[0]["response"];
    assert_eq!(
        (&refused["status_code"], &refused["body"]["error"]["code"]),
        (&json!(401), &json!("revoked_api_key"))
    );
    host.stop().await;
}

#[tokio::test]
async fn requests_are_paid_for_as_any_other_and_images_are_jobs() {
    let provider = Scripted::new([Act::Fail(FailureCode::ContentRefused)]);
    provider.talks.lock().expect("no panic").push_back(Talk::saying("one"));
    let priced = "[[price]]\nmodel = \"scripted/found\"\nper_million = { input-tokens = 1000000, output-tokens = 10000000 }\n\
        [[price]]\nmodel = \"scripted/painter\"\nfree = true\n[[price]]\nmodel = \"local/*\"\nfree = true\n";
    let host = TestHost::edited(|text| {
        let text = text.replace("accounting = \"record\"", "accounting = \"enforce\"");
        let text = text.replace("[limits]\n", "[limits]\nanalytics = { requests = 100000, seconds = 60 }\n");
        format!("{}\n{priced}", text.replace("status = { requests = 120,", "status = { requests = 100000,"))
    })
    .await;
    host.put("scripted", provider.clone()).await;
    let ada = host.user_key("ada", &[Scope::Read, Scope::Generate]).await;
    let chat = json!({"model": "scripted/found", "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 10});
    let begun = begin(&host, &ada, CHAT, &[line("a", CHAT, chat.clone())]).await;
    let batch = ended(&host, &ada, &begun).await;
    let errors = results(&host, &ada, &batch["error_file_id"]).await;
    assert_eq!(errors[0]["response"]["body"]["error"]["code"], "insufficient_credits", "{errors:?}");
    let grant = json!({"user": "ada", "amount": 10_000, "reason": "welcome"});
    assert_eq!(post(&host, &host.key, "/api/v1/credits", &grant).await.status(), 201);
    let begun = begin(&host, &ada, CHAT, &[line("a", CHAT, chat)]).await;
    assert_eq!(ended(&host, &ada, &begun).await["request_counts"]["completed"], 1);
    loop {
        let records = body(get(&host, &ada, "/api/v1/usage").await, 200).await;
        if records["data"]
            .as_array()
            .is_some_and(|data| data.iter().any(|record| record["cost"].as_u64() == Some(10)))
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let images = "/v1/images/generations";
    let begun = begin(
        &host,
        &ada,
        images,
        &[line("a", images, json!({"model": "scripted/painter", "prompt": "a cat"}))],
    )
    .await;
    let batch = ended(&host, &ada, &begun).await;
    let errors = results(&host, &ada, &batch["error_file_id"]).await;
    assert_eq!(errors[0]["response"]["body"]["error"]["code"], "content_policy_violation", "{errors:?}");
    let jobs = body(get(&host, &ada, "/api/v1/generations").await, 200).await;
    assert_eq!(jobs["data"][0]["state"], "failed", "it is a job: {jobs}");
    host.stop().await;
}
