use std::sync::Arc;
use std::time::Duration;

use atelier_domain::account::Scope;
use atelier_domain::failure::FailureCode;
use futures::future::join_all;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::files::upload;
use crate::host::{TestHost, json as body};
use crate::scripted::{Act, Scripted, Talk};

/// A host with a provider that does what the test says, without limits on how often.
async fn host(provider: &Arc<Scripted>) -> TestHost {
    let host = TestHost::edited(|text| text.replace("requests = 10,", "requests = 1000,")).await;
    host.put("scripted", provider.clone()).await;
    host
}

fn chat(host: &TestHost, key: &str, prompt: &str, stream: bool) -> RequestBuilder {
    let messages = json!([{"role": "user", "content": prompt}]);
    let request = json!({"model": "scripted/found", "messages": messages, "stream": stream});
    host.post("/v1/chat/completions", &request).header("idempotency-key", key)
}

async fn answered(request: RequestBuilder) -> Response {
    request.send().await.expect("answered")
}

fn is_replayed(response: &Response) -> bool {
    response.headers().get("idempotent-replayed").is_some_and(|value| value == "true")
}

fn talks(provider: &Scripted) -> usize {
    provider.seen.lock().expect("no panic").talks.len()
}

#[tokio::test]
async fn a_repeated_call_is_paid_once_and_answered_again() {
    let provider = Scripted::talking([Talk::saying("one"), Talk::saying("two"), Talk::saying("three")]);
    let host = host(&provider).await;
    let first = answered(chat(&host, "k", "hi", false)).await;
    assert!(!is_replayed(&first));
    let content_type = first.headers()["content-type"].clone();
    let first = body(first, 200).await;
    let again = answered(chat(&host, "k", "hi", false)).await;
    assert!(is_replayed(&again));
    assert_eq!(again.headers()["content-type"], content_type);
    assert!(again.headers().contains_key("x-request-id") && again.headers().contains_key("ratelimit"));
    assert_eq!(body(again, 200).await, first);
    assert_eq!(talks(&provider), 1);

    let other = body(answered(chat(&host, "k", "hello", false)).await, 422).await;
    assert_eq!(other["error"]["code"], "idempotency_key_reused");
    let elsewhere = host.post("/v1/responses", &json!({"model": "scripted/found", "input": "hi"}));
    let elsewhere = body(answered(elsewhere.header("idempotency-key", "k")).await, 200).await;
    assert_eq!(elsewhere["output"][0]["content"][0]["text"], "two", "a key is one on each route");
    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let request =
        json!({"model": "scripted/found", "messages": [{"role": "user", "content": "hi"}], "stream": false});
    let bobs = host.client.post(host.url("/v1/chat/completions")).bearer_auth(&bob).json(&request);
    let bobs = body(answered(bobs.header("idempotency-key", "k")).await, 200).await;
    assert_eq!(bobs["choices"][0]["message"]["content"], "three", "and for each caller");
    host.stop().await;
}

#[tokio::test]
async fn a_repeated_stream_says_the_same_events() {
    let provider = Scripted::talking([Talk::saying("streamed")]);
    let host = host(&provider).await;
    let mut told = Vec::new();
    for is_again in [false, true] {
        let response = answered(chat(&host, "k", "hi", true)).await;
        assert_eq!(is_replayed(&response), is_again);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        told.push(response.text().await.expect("a body"));
    }
    assert!(told[0].contains("streamed") && told[0].ends_with("data: [DONE]\n\n"), "{}", told[0]);
    assert_eq!(told[0], told[1]);
    assert_eq!(talks(&provider), 1);
    host.stop().await;
}

#[tokio::test]
async fn a_client_that_left_finds_its_answer_when_it_comes_back() {
    let provider = Scripted::talking([Talk { waits: true, ..Talk::saying("kept") }]);
    let host = host(&provider).await;
    let leaving = tokio::spawn(chat(&host, "k", "hi", false).send());
    provider.charged.notified().await;
    let meanwhile = answered(chat(&host, "k", "hi", false)).await;
    assert_eq!(meanwhile.headers()["retry-after"], "1");
    assert_eq!(meanwhile.headers()["x-should-retry"], "true");
    assert_eq!(body(meanwhile, 409).await["error"]["code"], "idempotency_key_in_use");
    leaving.abort();
    assert!(leaving.await.is_err_and(|error| error.is_cancelled()));
    provider.released.notify_one();
    let kept = loop {
        let again = answered(chat(&host, "k", "hi", false)).await;
        match again.status().as_u16() {
            409 => tokio::time::sleep(Duration::from_millis(5)).await,
            _ => break again,
        }
    };
    assert!(is_replayed(&kept));
    assert_eq!(body(kept, 200).await["choices"][0]["message"]["content"], "kept");
    assert_eq!(talks(&provider), 1);
    host.stop().await;
}

#[tokio::test]
async fn a_refusal_leaves_the_key_free_and_a_failure_that_may_have_cost_stands() {
    let provider = Scripted::talking([
        Talk::failing(FailureCode::RateLimited),
        Talk { charges: None, ..Talk::failing(FailureCode::Unavailable) },
        Talk { charges: None, ..Talk::failing(FailureCode::Internal) },
        Talk::failing(FailureCode::BadResponse),
    ]);
    let host = host(&provider).await;
    for status in [429, 503, 502, 502, 502] {
        let response = answered(chat(&host, "k", "hi", false)).await;
        assert_eq!(response.status(), status);
    }
    assert_eq!(talks(&provider), 4, "the last was not sent again");
    let last = answered(chat(&host, "k", "hi", false)).await;
    assert!(is_replayed(&last));
    assert_eq!(body(last, 502).await["error"]["code"], "provider_bad_response");
    let unknown = json!({"model": "scripted/none", "messages": [{"role": "user", "content": "hi"}]});
    for _ in 0..2 {
        let unknown = host.post("/v1/chat/completions", &unknown).header("idempotency-key", "u");
        assert!(!is_replayed(&answered(unknown).await), "nothing was asked of anybody");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_connection_that_breaks_after_a_charging_request_left_is_never_paid_for_again() {
    for code in [FailureCode::Unavailable, FailureCode::Overloaded, FailureCode::Unauthenticated] {
        let provider = Scripted::talking([Talk::failing(code), Talk::saying("paid twice")]);
        let host = host(&provider).await;
        let first = answered(chat(&host, "k", "hi", false)).await;
        let status = first.status();
        assert!(status.is_server_error() && !is_replayed(&first), "{code}: {status}");
        let again = answered(chat(&host, "k", "hi", false)).await;
        assert!(again.status() == status && is_replayed(&again), "{code}");
        assert_eq!(again.headers()["x-should-retry"], "false", "it stays so: {code}");
        assert!(!again.headers().contains_key("retry-after"), "{code}");
        assert_eq!(talks(&provider), 1, "{code}");
        host.stop().await;
    }
}

#[tokio::test]
async fn a_call_that_its_provider_knows_by_a_key_may_be_made_again_under_that_key() {
    let broken = Talk { charges: Some(true), ..Talk::failing(FailureCode::Unavailable) };
    let provider = Scripted::talking([broken, Talk { charges: Some(true), ..Talk::saying("once") }]);
    let host = host(&provider).await;
    assert_eq!(answered(chat(&host, "k", "hi", false)).await.status(), 503);
    let again = body(answered(chat(&host, "k", "hi", false)).await, 200).await;
    assert_eq!(again["choices"][0]["message"]["content"], "once");
    {
        let seen = provider.seen.lock().expect("no panic");
        assert!(seen.talks.len() == 2 && seen.talks[0] == seen.talks[1], "{:?}", seen.talks);
    }
    host.stop().await;
}

#[tokio::test]
async fn of_several_choices_one_that_may_have_been_paid_for_keeps_the_key() {
    let refused = || Talk::failing(FailureCode::RateLimited);
    let provider = Scripted::talking([
        Talk { waits: true, ..Talk::saying("left, and outstanding") },
        refused(),
        refused(),
        refused(),
    ]);
    let host = host(&provider).await;
    let pair = |key: &str| {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let request = json!({"model": "scripted/found", "messages": messages, "n": 2});
        host.post("/v1/chat/completions", &request).header("idempotency-key", key)
    };
    assert_eq!(answered(pair("a")).await.status(), 429, "the second was refused, and the first was left");
    let again = answered(pair("a")).await;
    assert!(again.status() == 429 && is_replayed(&again));
    assert_eq!(again.headers()["x-should-retry"], "false");
    assert_eq!(talks(&provider), 2, "nothing was asked again");
    assert_eq!(
        answered(pair("b")).await.status(),
        429,
        "one was refused, and so was the other, or never left"
    );
    let asked = talks(&provider);
    {
        // A refusal that nobody was left to meet must not meet the next request.
        let mut talks = provider.talks.lock().expect("no panic");
        talks.clear();
        talks.extend([Talk::saying("paid"), Talk::saying("as well")]);
    }
    let paid = answered(pair("b")).await;
    assert!(paid.status() == 200 && !is_replayed(&paid), "the key was free");
    assert_eq!(talks(&provider), asked + 2);
    host.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_to_be_kept_is_given_once() {
    let provider = Scripted::talking([Talk::saying("x".repeat(5 << 20))]);
    let host = host(&provider).await;
    let first = answered(chat(&host, "k", "hi", false)).await;
    assert_eq!(first.status(), 200);
    assert!(first.bytes().await.expect("whole").len() > 5 << 20);
    let again = answered(chat(&host, "k", "hi", false)).await;
    assert_eq!(again.headers()["x-should-retry"], "false");
    assert_eq!(body(again, 409).await["error"]["code"], "answer_not_kept");
    assert_eq!(talks(&provider), 1);
    host.stop().await;
}

fn painting(host: &TestHost, key: &str) -> RequestBuilder {
    let request = json!({"model": "scripted/painter", "task": "image-generation", "prompt": "a cat"});
    host.post("/api/v1/generations", &request).header("idempotency-key", key)
}

#[tokio::test]
async fn a_repeated_submission_is_the_same_job_and_the_same_answer() {
    let provider = Scripted::new([Act::Done("a cat"), Act::Done("another")]);
    let host = host(&provider).await;
    let first = answered(painting(&host, "k")).await;
    let (location, is_first) = (first.headers()["location"].clone(), !is_replayed(&first));
    let first = first.text().await.expect("a body");
    assert!(is_first);
    let path = location.to_str().expect("text").to_owned();
    loop {
        let job = body(host.get(&path).send().await.expect("answered"), 200).await;
        if job["state"] == "succeeded" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let again = answered(painting(&host, "k")).await;
    assert!(is_replayed(&again));
    assert_eq!((again.status().as_u16(), &again.headers()["location"]), (202, &location));
    assert_eq!(again.text().await.expect("a body"), first);
    let other = json!({"model": "scripted/painter", "task": "image-generation", "prompt": "a dog"});
    let other = host.post("/api/v1/generations", &other).header("idempotency-key", "k");
    let other = body(answered(other).await, 422).await;
    assert_eq!(
        (other["code"].as_str(), other["status"].as_u64()),
        (Some("idempotency_key_reused"), Some(422))
    );
    assert_eq!(provider.seen.lock().expect("no panic").submissions, 1);

    let many = join_all((0..16).map(|_| answered(painting(&host, "many")))).await;
    let mut ids = std::collections::HashSet::new();
    for response in many {
        match response.status().as_u16() {
            202 => drop(ids.insert(body(response, 202).await["id"].to_string())),
            _ => assert_eq!(body(response, 409).await["code"], "idempotency_key_in_use"),
        }
    }
    assert_eq!(ids.len(), 1, "of many at once one makes a job: {ids:?}");
    host.stop().await;
}

#[tokio::test]
async fn a_repetition_is_answered_by_its_job_although_its_file_is_gone() {
    let provider = Scripted::new([Act::Done("trained"), Act::Done("edited")]);
    let host = host(&provider).await;
    let picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and more";
    let data = upload(&host, &host.key, "fine-tune", "a.jsonl", b"{}\n").await;
    let image = upload(&host, &host.key, "vision", "a.png", picture).await;
    let training = json!({"model": "scripted/trainer", "training_file": data["id"]});
    let inputs = json!([{"role": "image", "file_id": image["id"]}]);
    let generation =
        json!({"model": "scripted/painter", "task": "image-generation", "prompt": "a cat", "inputs": inputs});
    let requests = [("/v1/fine_tuning/jobs", training, 200), ("/api/v1/generations", generation, 202)];
    let mut first = Vec::new();
    for (path, request, status) in &requests {
        let made = answered(host.post(path, request).header("idempotency-key", "k")).await;
        first.push(body(made, *status).await["id"].clone());
    }
    for file in [data, image] {
        let path = format!("/v1/files/{}", file["id"].as_str().expect("an id"));
        let gone = host.client.delete(host.url(&path)).bearer_auth(&host.key).send().await;
        assert_eq!(gone.expect("answered").status(), 200);
    }
    for ((path, request, status), first) in requests.iter().zip(first) {
        let again = answered(host.post(path, request).header("idempotency-key", "k")).await;
        assert!(is_replayed(&again), "{path}");
        assert_eq!(body(again, *status).await["id"], first, "{path}");
        let new = answered(host.post(path, request).header("idempotency-key", "another")).await;
        assert_eq!(new.status(), 404, "{path}: nothing else finds the file");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_user_is_made_once_and_a_keys_secret_is_shown_once() {
    let host = TestHost::start().await;
    let user = || host.post("/api/v1/users", &json!({"name": "ada"})).header("idempotency-key", "k");
    let first = body(answered(user()).await, 201).await;
    let again = answered(user()).await;
    assert!(is_replayed(&again));
    assert_eq!(body(again, 201).await, first);
    let taken = host.post("/api/v1/users", &json!({"name": "ada"})).header("idempotency-key", "other");
    assert_eq!(body(answered(taken).await, 409).await["code"], "already_exists");

    let key = || {
        let wanted = json!({"name": "laptop", "scopes": ["read"], "user": "ada"});
        host.post("/api/v1/keys", &wanted).header("idempotency-key", "k")
    };
    let made = body(answered(key()).await, 201).await;
    let secret = made["secret"].as_str().expect("shown").to_owned();
    let again = answered(key()).await.text().await.expect("a body");
    assert!(!again.contains(&secret));
    let again: Value = serde_json::from_str(&again).expect("JSON");
    assert_eq!((again["code"].as_str(), again["status"].as_u64()), (Some("answer_not_kept"), Some(409)));
    let ada = host.running().app.accounts.user_by_name("ada").await.expect("ada");
    assert_eq!(host.running().app.accounts.keys(ada.id, None, 10).await.expect("keys").len(), 1);
    host.stop().await;
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_in_the_shape_of_its_api() {
    let provider = Scripted::talking([Talk::saying("ignored")]);
    let host = host(&provider).await;
    let long = "k".repeat(256);
    for bad in ["", "two words", long.as_str()] {
        let openai = body(answered(chat(&host, bad, "hi", false)).await, 400).await;
        assert_eq!(openai["error"]["param"], "Idempotency-Key", "{bad:?}");
        let own = body(answered(painting(&host, bad)).await, 400).await;
        assert_eq!(
            (own["code"].as_str(), own["param"].as_str()),
            (Some("invalid_value"), Some("Idempotency-Key"))
        );
    }
    let twice = chat(&host, "a", "hi", false).header("idempotency-key", "b");
    assert_eq!(answered(twice).await.status(), 400);
    assert_eq!(talks(&provider), 0);
    let harmless = host.get("/v1/models").header("idempotency-key", "two words");
    assert_eq!(answered(harmless).await.status(), 200, "where nothing is created it is not looked at");
    host.stop().await;
}

#[tokio::test]
async fn a_body_too_large_to_be_held_against_another_is_refused_with_a_key_alone() {
    let host = TestHost::start().await;
    let upload = || {
        let content = reqwest::multipart::Part::bytes(vec![b'x'; 33 << 20]).file_name("notes.txt");
        let form = reqwest::multipart::Form::new().text("purpose", "user_data").part("file", content);
        host.client.post(host.url("/v1/files")).bearer_auth(&host.key).multipart(form)
    };
    let keyed = upload().header("idempotency-key", "k").send().await.expect("answered");
    assert_eq!(keyed.status(), 413);
    assert_eq!(upload().send().await.expect("answered").status(), 200);
    host.stop().await;
}
