use std::process::Command;

use atelier_domain::account::Scope;
use atelier_domain::generation::chat::{ChatEvent, FinishReason};
use atelier_domain::generation::usage::UsageLine;
use reqwest::Response;
use serde_json::{Value, json};

use crate::host::{TestHost, json as body};
use crate::scripted::{Act, Scripted};

const PRICED: &str = "[[price]]\nmodel = \"scripted/painter\"\nper_million = { images = 10000000 }\n\
    [[price]]\nmodel = \"scripted/found\"\nper_million = { input-tokens = 1000000, output-tokens = 10000000 }\n";

/// A host where an image costs ten micro-credits, and that is to be paid.
async fn enforcing() -> TestHost {
    TestHost::edited(|text| {
        let text = text.replace("accounting = \"record\"", "accounting = \"enforce\"");
        let text = text.replace("status = { requests = 120,", "status = { requests = 100000,");
        format!("{text}\n{PRICED}[[price]]\nmodel = \"local/*\"\nfree = true\n")
    })
    .await
}

async fn get(host: &TestHost, key: &str, path: &str) -> Response {
    host.client.get(host.url(path)).bearer_auth(key).send().await.expect("answered")
}

async fn post(host: &TestHost, key: &str, path: &str, request: &Value) -> Response {
    host.client.post(host.url(path)).bearer_auth(key).json(request).send().await.expect("answered")
}

/// What the metrics say that calls and jobs were charged, in micro-credits.
fn charged(host: &TestHost) -> Option<u64> {
    let text = String::from_utf8(host.running().app.metrics.text().expect("metrics")).expect("text");
    let series = "atelier_charged_micro_credits_total{instance=\"scripted\"} ";
    text.lines().find_map(|line| line.strip_prefix(series)?.parse().ok())
}

fn painting() -> Value {
    json!({"model": "scripted/painter", "task": "image-generation", "prompt": "a cat", "count": 2})
}

async fn end_of(host: &TestHost, key: &str, id: &str) -> Value {
    loop {
        let job = body(get(host, key, &format!("/api/v1/generations/{id}")).await, 200).await;
        if !job["finished"].is_null() {
            return job;
        }
    }
}

#[tokio::test]
async fn credits_are_granted_spent_and_given_back_and_every_number_agrees() {
    let host = enforcing().await;
    let used = |images| Act::DoneUsing(vec![UsageLine::new("images", images)]);
    host.put("scripted", Scripted::new([used(1), used(2)])).await;
    let ada = host.user_key("ada", &[Scope::Read, Scope::Generate]).await;
    let grant = json!({"user": "ada", "amount": 100, "reason": "welcome"});
    let granted = post(&host, &host.key, "/api/v1/credits", &grant);
    assert_eq!(body(granted.await, 201).await, json!({"available": 100, "held": 0, "allowance": 0}));
    let made = body(post(&host, &ada, "/api/v1/generations", &painting()).await, 202).await;
    assert_eq!((made["held"].as_u64(), made["cost"].as_u64()), (Some(20), None));
    let id = made["id"].as_str().expect("an id").to_owned();
    let done = end_of(&host, &ada, &id).await;
    assert_eq!((done["held"].as_u64(), done["cost"].as_u64()), (Some(0), Some(10)));
    let second = body(post(&host, &ada, "/api/v1/generations", &painting()).await, 202).await;
    end_of(&host, &ada, second["id"].as_str().expect("an id")).await;
    assert_eq!(body(get(&host, &ada, "/api/v1/credits").await, 200).await["available"], 70);
    // An administrator gives a part back, once, and never more than was charged.
    let refund = |amount| json!({"amount": amount, "reason": "blurred"});
    let path = format!("/api/v1/generations/{id}/refund");
    let refused = post(&host, &ada, &path, &refund(10)).await;
    assert_eq!(body(refused, 403).await["code"], "insufficient_scope");
    let back = body(post(&host, &host.key, &path, &refund(7)).await, 200).await;
    assert_eq!((back["charged"].as_u64(), back["refunded"].as_u64()), (Some(10), Some(7)));
    let too_much = post(&host, &host.key, &path, &refund(4)).await;
    assert_eq!(too_much.headers()["x-should-retry"], "false");
    assert_eq!(body(too_much, 409).await["code"], "refund_too_large");
    assert_eq!(body(get(&host, &ada, "/api/v1/credits").await, 200).await["available"], 77);
    let first = body(get(&host, &ada, "/api/v1/credits/entries?limit=4").await, 200).await;
    let next = first["next"].as_str().expect("there are more");
    let rest = body(get(&host, &ada, &format!("/api/v1/credits/entries?before={next}")).await, 200).await;
    let entries: Vec<&Value> =
        [&first, &rest].into_iter().flat_map(|page| page["data"].as_array().expect("a list")).collect();
    let kinds: Vec<_> = entries.iter().map(|entry| entry["kind"].as_str().expect("a word")).collect();
    assert_eq!(kinds, ["refund", "settle", "hold", "settle", "hold", "grant"]);
    assert_eq!(entries.iter().map(|entry| entry["available"].as_i64().expect("a number")).sum::<i64>(), 77);
    let usage = body(get(&host, &ada, "/api/v1/usage").await, 200).await;
    let costs: Vec<_> =
        usage["data"].as_array().expect("a list").iter().map(|record| record["cost"].as_u64()).collect();
    assert_eq!(costs, [Some(20), Some(10)]);
    assert_eq!(charged(&host), Some(30), "as they ended, whatever was given back");
    host.stop().await;
}

#[tokio::test]
async fn what_cannot_be_paid_is_refused_in_the_shape_of_each_api_and_not_to_be_tried_again() {
    let host = enforcing().await;
    let provider = Scripted::new([]);
    host.put("scripted", provider.clone()).await;
    let poor = host.user_key("poor", &[Scope::Read, Scope::Generate]).await;
    let own = post(&host, &poor, "/api/v1/generations", &painting()).await;
    assert_eq!(own.headers()["x-should-retry"], "false");
    assert_eq!(body(own, 402).await["code"], "insufficient_credits");
    let openai = json!({"model": "scripted/painter", "prompt": "a cat"});
    let refused = post(&host, &poor, "/v1/images/generations", &openai).await;
    assert_eq!(refused.headers()["x-should-retry"], "false");
    let error = body(refused, 402).await["error"].take();
    assert_eq!(
        (error["code"].as_str(), error["type"].as_str()),
        (Some("insufficient_credits"), Some("insufficient_quota"))
    );
    let chat = json!({"model": "scripted/found", "max_tokens": 10, "messages": [{"role": "user", "content": "how much"}]});
    for (path, r#type) in [("/v1/chat/completions", "insufficient_quota"), ("/v1/messages", "billing_error")]
    {
        for stream in [false, true] {
            let mut request = chat.clone();
            request["stream"] = stream.into();
            let refused = post(&host, &poor, path, &request).await;
            assert_eq!(refused.headers()["x-should-retry"], "false");
            let error = body(refused, 402).await["error"].take();
            assert_eq!(
                (error["code"].as_str(), error["type"].as_str()),
                (Some("insufficient_credits"), Some(r#type)),
                "{path}"
            );
        }
    }
    let jobs = body(get(&host, &poor, "/api/v1/generations").await, 200).await;
    assert_eq!(jobs["data"].as_array().map(Vec::len), Some(0), "nothing of them stays");
    // Credits do not lift a budget.
    for (path, request) in [
        ("/api/v1/credits", json!({"user": "poor", "amount": 1000, "reason": "welcome"})),
        ("/api/v1/budgets", json!({"user": "poor", "day": 19})),
    ] {
        assert!(post(&host, &host.key, path, &request).await.status().is_success());
    }
    let own = post(&host, &poor, "/api/v1/generations", &painting()).await;
    assert_eq!(own.headers()["x-should-retry"], "false");
    assert_eq!(body(own, 429).await["code"], "budget_exceeded");
    assert_eq!(provider.seen.lock().expect("no panic").submissions, 0);
    host.stop().await;
}

#[tokio::test]
async fn a_streamed_answer_is_paid_and_its_usage_can_be_read() {
    let host = enforcing().await;
    let provider = Scripted::new([]);
    let lines = vec![UsageLine::new("input-tokens", 6), UsageLine::new("output-tokens", 2)];
    let events = [
        ChatEvent::Text("not much".to_owned()),
        ChatEvent::Finished(FinishReason::Stop),
        ChatEvent::Usage(lines),
    ];
    *provider.chat.lock().expect("no panic") = Some(events.to_vec());
    host.put("scripted", provider).await;
    let ada = host.user_key("ada", &[Scope::Read, Scope::Generate]).await;
    let grant = json!({"user": "ada", "amount": 1000, "reason": "welcome"});
    assert_eq!(post(&host, &host.key, "/api/v1/credits", &grant).await.status(), 201);
    let chat = json!({"model": "scripted/found", "max_tokens": 10, "stream": true, "messages": [{"role": "user", "content": "how much"}]});
    let streamed = post(&host, &ada, "/v1/chat/completions", &chat).await.text().await.expect("a stream");
    assert!(streamed.contains("[DONE]"), "{streamed}");
    // It was recorded before the stream ended; the books have it with their next folding.
    host.running().app.ledger.settle().await.expect("folded");
    let usage = body(get(&host, &ada, "/api/v1/usage").await, 200).await;
    assert_eq!(
        (usage["data"][0]["cost"].as_u64(), usage["data"][0]["task"].as_str()),
        (Some(26), Some("chat"))
    );
    assert_eq!(charged(&host), Some(26));
    let balance = body(get(&host, &ada, "/api/v1/credits").await, 200).await;
    let all: u64 =
        ["available", "allowance"].iter().map(|part| balance[part].as_u64().expect("a number")).sum();
    assert_eq!(all, 1000 - 26);
    // An administrator gives it back, once.
    let id = usage["data"][0]["id"].as_str().expect("an id");
    let path = format!("/api/v1/usage/{id}/refund");
    let refund = |user: &str, amount: u64| json!({"user": user, "amount": amount, "reason": "it was rude"});
    let foreign = post(&host, &host.key, &path, &refund("admin", 1)).await;
    assert_eq!(body(foreign, 404).await["code"], "not_found", "another user's call is none");
    let back = body(post(&host, &host.key, &path, &refund("ada", 26)).await, 200).await;
    assert_eq!((back["charged"].as_u64(), back["refunded"].as_u64()), (Some(26), Some(26)));
    let too_much = post(&host, &host.key, &path, &refund("ada", 1)).await;
    assert_eq!(body(too_much, 409).await["code"], "refund_too_large");
    let usage = body(get(&host, &ada, "/api/v1/usage").await, 200).await;
    assert_eq!(usage["data"][0]["refunded"].as_u64(), Some(26));
    let entries = body(get(&host, &ada, "/api/v1/credits/entries?limit=1").await, 200).await;
    assert_eq!(
        (entries["data"][0]["kind"].as_str(), entries["data"][0]["call"].as_str()),
        (Some("refund"), Some(id))
    );
    host.stop().await;
}

#[tokio::test]
async fn nobody_but_an_administrator_makes_credits_or_sees_anothers() {
    let host = enforcing().await;
    let (ada, bob) = (
        host.user_key("ada", &[Scope::Read, Scope::Generate]).await,
        // A key may carry every scope: its user's role decides.
        host.user_key("bob", &Scope::ALL).await,
    );
    let grant = json!({"user": "ada", "amount": 5, "reason": "mine"});
    for key in [&ada, &bob] {
        for (path, request) in [
            ("/api/v1/credits", &grant),
            ("/api/v1/budgets", &json!({"user": "ada"})),
            (
                "/api/v1/usage/019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718/refund",
                &json!({"user": "ada", "amount": 1, "reason": "x"}),
            ),
            (
                "/api/v1/generations/019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718/refund",
                &json!({"amount": 1, "reason": "x"}),
            ),
        ] {
            assert_eq!(
                body(post(&host, key, path, request).await, 403).await["code"],
                "insufficient_scope",
                "{path}"
            );
        }
    }
    for path in [
        "/api/v1/credits?user=ada",
        "/api/v1/credits/entries?user=ada",
        "/api/v1/usage?user=ada",
        "/api/v1/usage/totals?user=ada",
        "/api/v1/usage/totals?all=true",
        "/api/v1/budgets?user=ada",
    ] {
        assert_eq!(body(get(&host, &bob, path).await, 403).await["code"], "insufficient_scope", "{path}");
        assert_eq!(get(&host, &host.key, path).await.status(), 200, "{path}");
    }
    let accounts = &host.running().app.accounts;
    let ada_id = accounts.user_by_name("ada").await.expect("ada").id;
    let key = accounts.keys(ada_id, None, 1).await.expect("keys").remove(0).id;
    let foreign = get(&host, &bob, &format!("/api/v1/budgets?key={key}")).await;
    assert_eq!(body(foreign, 404).await["code"], "not_found", "another's key is none");
    assert_eq!(get(&host, &ada, &format!("/api/v1/budgets?key={key}")).await.status(), 200);
    host.stop().await;
}

#[tokio::test]
async fn amounts_that_are_none_are_refused_by_their_path_and_change_nothing() {
    let host = enforcing().await;
    host.user_key("ada", &[Scope::Read]).await;
    let refused = async |request: Value, status: u16| {
        let answer = body(post(&host, &host.key, "/api/v1/credits", &request).await, status).await;
        (answer["code"].as_str().expect("a word").to_owned(), answer["param"].as_str().map(str::to_owned))
    };
    let with = |amount: Value| json!({"user": "ada", "amount": amount, "reason": "welcome"});
    for amount in [
        json!(-1),
        json!(0),
        json!(1.5),
        json!("5"),
        json!(9_000_000_000_000_001_u64),
        json!(u64::MAX),
        json!(1e300),
        json!(null),
        json!([1]),
    ] {
        let (code, param) = refused(with(amount.clone()), 400).await;
        assert_eq!((code.as_str(), param.as_deref()), ("invalid_value", Some("amount")), "{amount}");
    }
    assert_eq!(refused(json!({"user": "ada", "amount": 1}), 400).await.0, "missing_required_parameter");
    assert_eq!(
        refused(json!({"user": "ada", "amount": 1, "reason": "x", "currency": "EUR"}), 400).await.0,
        "unknown_parameter"
    );
    assert_eq!(
        refused(json!({"user": "ada", "amount": 1, "reason": ""}), 400).await.1.as_deref(),
        Some("reason")
    );
    assert_eq!(refused(json!({"user": "nobody", "amount": 1, "reason": "x"}), 404).await.0, "not_found");
    let unknown = json!({"user": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "amount": 1, "reason": "x"});
    assert_eq!(refused(unknown, 404).await.0, "not_found");
    let all = with(json!(9_000_000_000_000_000_u64));
    assert_eq!(post(&host, &host.key, "/api/v1/credits", &all).await.status(), 201);
    assert_eq!(refused(with(json!(1)), 400).await.0, "amount_too_large", "more than there can be");
    let balance = body(get(&host, &host.key, "/api/v1/credits?user=ada").await, 200).await;
    assert_eq!(balance["available"], 9_000_000_000_000_000_u64);
    for request in [
        json!({"user": "ada", "day": -1}),
        json!({"user": "ada", "month": 1.5}),
        json!({"user": "ada", "key": "x"}),
    ] {
        assert_eq!(post(&host, &host.key, "/api/v1/budgets", &request).await.status(), 400, "{request}");
    }
    host.stop().await;
}

#[tokio::test]
async fn analytics_come_in_pages_from_sums() {
    let host = enforcing().await;
    let used = || Act::DoneUsing(vec![UsageLine::new("images", 1)]);
    host.put("scripted", Scripted::new([used(), used(), used()])).await;
    let ada = host.user_key("ada", &[Scope::Read, Scope::Generate]).await;
    let grant = json!({"user": "ada", "amount": 1000, "reason": "welcome"});
    assert_eq!(post(&host, &host.key, "/api/v1/credits", &grant).await.status(), 201);
    for _ in 0..3 {
        let made = body(post(&host, &ada, "/api/v1/generations", &painting()).await, 202).await;
        end_of(&host, &ada, made["id"].as_str().expect("an id")).await;
    }
    for (by, value) in
        [("day", Value::Null), ("model", "scripted/painter".into()), ("provider", "scripted".into())]
    {
        let sums = body(get(&host, &ada, &format!("/api/v1/usage/totals?by={by}")).await, 200).await;
        // Midnight may lie among them.
        let rows = sums["data"].as_array().expect("a list");
        assert!(rows.iter().all(|row| row["value"] == value), "{sums}");
        assert_eq!(rows.iter().map(|row| row["calls"].as_u64().expect("a number")).sum::<u64>(), 3);
        assert_eq!(rows.iter().map(|row| row["cost"].as_u64().expect("a number")).sum::<u64>(), 30);
        assert_eq!(
            rows.iter().map(|row| row["meters"]["images"].as_u64().expect("a number")).sum::<u64>(),
            3
        );
    }
    let all = body(get(&host, &host.key, "/api/v1/usage/totals?all=true&by=user&limit=1").await, 200).await;
    assert_eq!(all["data"].as_array().map(Vec::len), Some(1));
    for bad in [
        "by=week",
        "by=user",
        "by=key&all=true",
        "all=yes",
        "first=2026-02-30",
        "last=x",
        "cursor=%21",
        "limit=0",
        "limit=1001",
        "user=ada&all=true",
        "page=2",
    ] {
        assert_eq!(
            get(&host, &host.key, &format!("/api/v1/usage/totals?{bad}")).await.status(),
            400,
            "{bad}"
        );
    }
    host.stop().await;
}

#[test]
fn credits_are_granted_on_the_command_line_and_the_books_are_added_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("host");
    let run = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_atelier"))
            .args(words)
            .env_remove("ATELIER_KEY")
            .output()
            .expect("it runs");
        (
            output.status.success(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    };
    let config = dir.join("atelier.toml");
    let (dir, config) = (dir.to_str().expect("text"), config.to_str().expect("text"));
    let (done, told) = run(&["init", dir]);
    assert!(done, "{told}");
    // Nobody else's server may be asked.
    let text = std::fs::read_to_string(config).expect("read").replace("127.0.0.1:8484", "127.0.0.1:9");
    std::fs::write(config, text).expect("written");
    assert!(run(&["user", "create", "ada", "--config", config]).0);
    let (done, told) = run(&["credit", "grant", "--user", "ada", "--amount", "2500000", "--config", config]);
    assert!(done && told.contains("ada: 2.500000 available"), "{told}");
    for amount in ["-1", "1.5", "9000000000000001", "0"] {
        let (done, told) =
            run(&["credit", "grant", "--user", "ada", &format!("--amount={amount}"), "--config", config]);
        assert!(!done, "{amount}: {told}");
    }
    let (done, told) = run(&["budget", "set", "--user", "ada", "--day", "100", "--config", config]);
    assert!(done && told.contains("limit 0.000100") && told.contains("no limit"), "{told}");
    let (done, told) = run(&["credit", "audit", "--config", config]);
    assert!(done && told.contains("sum over 2 accounts: 0"), "{told}");
}
