use atelier_domain::account::Scope;
use reqwest::Response;
use serde_json::{Value, json};

use crate::files::upload;
use crate::host::{TestHost, json as body};
use crate::scripted::{Act, Scripted};

/// A route that makes something.
struct Creation {
    path: &'static str,
    /// A good request.
    good: Value,
    required: &'static [&'static str],
    /// A value of no type that a member has, where one of them takes objects.
    ill_typed: Value,
}

fn creation(path: &'static str, good: Value, required: &'static [&'static str]) -> Creation {
    Creation { path, good, required, ill_typed: json!({"a": [1.5, {}]}) }
}

async fn host() -> TestHost {
    let host = TestHost::edited(|text| {
        let often = ["chat", "generation", "analysis", "administration", "shares"]
            .map(|class| format!("{class} = {{ requests = 10000, seconds = 60 }}\n"));
        let kept = text
            .lines()
            .filter(|line| !["chat =", "generation =", "analysis ="].iter().any(|is| line.starts_with(is)));
        let text = kept.collect::<Vec<_>>().join("\n");
        text.replace("[limits]\n", &format!("[limits]\n{}", often.concat()))
    })
    .await;
    host.put("scripted", Scripted::new([])).await;
    host.running()
        .app
        .accounts
        .create_user("ada", atelier_domain::account::Role::User)
        .await
        .expect("a user");
    host
}

fn creations() -> Vec<Creation> {
    let no_file = "file-019ab0c3e5f07d0aa1b2c3d4e5f60718";
    let messages = json!([{"role": "user", "content": "hi"}]);
    let endpoint =
        json!({"url": "https://example.com/", "description": "x", "events": ["generation.failed"]});
    let generation = json!({"model": "scripted/painter", "task": "image-generation", "prompt": "a cat", "count": 1,
        "inputs": [], "size": "1x1", "seed": 1, "quality": "high"});
    let training = Creation {
        // These are the provider's: any members are good.
        ill_typed: json!([[1.5]]),
        ..creation(
            "/v1/fine_tuning/jobs",
            json!({"model": "scripted/trainer", "training_file": no_file, "validation_file": no_file, "suffix": "a", "seed": 1,
                "hyperparameters": {}, "method": {}, "metadata": {}, "options": {}}),
            &["model", "training_file"],
        )
    };
    vec![
        creation(
            "/v1/chat/completions",
            json!({"model": "scripted/found", "messages": messages}),
            &["model", "messages"],
        ),
        creation("/v1/responses", json!({"model": "scripted/found", "input": "hi"}), &["model", "input"]),
        creation(
            "/v1/messages",
            json!({"model": "scripted/found", "messages": messages, "max_tokens": 1}),
            &["model", "messages", "max_tokens"],
        ),
        creation("/v1/embeddings", json!({"model": "scripted/found", "input": "hi"}), &["model", "input"]),
        creation(
            "/v1/audio/speech",
            json!({"model": "scripted/found", "input": "hi", "voice": "x"}),
            &["model", "input"],
        ),
        creation(
            "/v1/images/generations",
            json!({"model": "scripted/painter", "prompt": "a cat"}),
            &["prompt"],
        ),
        creation("/api/v1/generations", generation, &["model", "task"]),
        creation(
            "/v1/videos",
            json!({"model": "scripted/filmer", "prompt": "a cat", "seconds": "4", "size": "1280x720", "seed": 1,
                "negative_prompt": "a dog", "aspect_ratio": "16:9", "input_reference": {"file_id": no_file}}),
            &["prompt"],
        ),
        creation(
            "/v1/batches",
            json!({"input_file_id": no_file, "endpoint": "/v1/embeddings", "completion_window": "24h", "metadata": {"a": "b"},
                "output_expires_after": {"anchor": "created_at", "seconds": 3600}}),
            &["input_file_id", "endpoint", "completion_window"],
        ),
        training,
        creation("/api/v1/webhook-endpoints", endpoint, &["url"]),
        creation("/api/v1/links", json!({"file_id": no_file, "kind": "share", "title": "x"}), &["file_id"]),
        creation(
            "/api/v1/credits",
            json!({"user": "ada", "amount": 1, "reason": "x"}),
            &["user", "amount", "reason"],
        ),
        creation("/api/v1/budgets", json!({"user": "ada", "day": 1, "month": 1}), &["user"]),
        creation(
            "/api/v1/keys",
            json!({"name": "x", "scopes": ["read"], "expires_in_days": 1, "user": "ada"}),
            &["name", "scopes"],
        ),
        creation("/api/v1/users", json!({"name": "bob", "role": "user"}), &["name"]),
    ]
}

/// A refusal of what was sent, with a code and without a word about how this is made.
async fn refused(answer: Response, what: &str) -> Value {
    let status = answer.status();
    let text = answer.text().await.expect("a body");
    assert_eq!(status, 400, "{what}: {text}");
    let told: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{what}: {error}: {text}"));
    let code = told["error"]["code"].as_str().or(told["code"].as_str()).or(told["error"]["type"].as_str());
    assert!(code.is_some_and(|code| !code.is_empty()), "{what}: {text}");
    for word in ["src/", ".rs", "panicked", "serde"] {
        assert!(!text.contains(word), "{what}: {text}");
    }
    told
}

#[tokio::test]
async fn whatever_is_missing_unknown_or_of_another_type_is_refused_and_creates_nothing() {
    let host = host().await;
    for Creation { path, good, required, ill_typed } in creations() {
        let send = async |request: &Value| host.post(path, request).send().await.expect("answered");
        for whole in [json!([]), json!(null), json!(7), json!("text"), json!({})] {
            refused(send(&whole).await, &format!("{path}: {whole}")).await;
        }
        for member in required {
            let mut request = good.clone();
            request.as_object_mut().expect("an object").remove(*member);
            refused(send(&request).await, &format!("{path}: without {member}")).await;
        }
        let mut request = good.clone();
        request["no_member_is_called_so"] = json!(1);
        let told = refused(send(&request).await, &format!("{path}: one too many")).await;
        assert!(told.to_string().contains("no_member_is_called_so"), "{path}: {told}");
        for member in good.as_object().expect("an object").keys() {
            let mut request = good.clone();
            request[member] = ill_typed.clone();
            refused(send(&request).await, &format!("{path}: {member} of another type")).await;
        }
    }
    for (path, member) in
        [("/api/v1/webhook-endpoints", "data"), ("/api/v1/links", "data"), ("/api/v1/generations", "data")]
    {
        let listed = body(host.get(path).send().await.expect("answered"), 200).await;
        assert_eq!(listed[member], json!([]), "{path}");
    }
    let users = body(host.get("/api/v1/users").send().await.expect("answered"), 200).await;
    assert_eq!(users["data"].as_array().map(Vec::len), Some(2), "the administrator and ada: {users}");
    host.stop().await;
}

#[tokio::test]
async fn numbers_beyond_their_range_are_refused_by_their_names() {
    let host = host().await;
    let generation = |member: &str, value: Value| {
        let mut request = json!({"model": "scripted/painter", "task": "image-generation", "prompt": "a cat"});
        request[member] = value;
        ("/api/v1/generations", member.to_owned(), request)
    };
    let with = |path, member: &str, value: Value, rest: Value| {
        let mut request = rest;
        request[member] = value;
        (path, member.to_owned(), request)
    };
    let mut bad = Vec::new();
    for value in [json!(0), json!(-1), json!(1.5), json!(1e300), json!(u64::MAX), json!("1")] {
        bad.push(generation("count", value.clone()));
        let key = json!({"name": "x", "scopes": ["read"], "user": "ada"});
        bad.push(with("/api/v1/keys", "expires_in_days", value.clone(), key));
        let link = json!({"file_id": "file-019ab0c3e5f07d0aa1b2c3d4e5f60718"});
        bad.push(with("/api/v1/links", "expires_in_seconds", value, link));
    }
    for value in [json!(-1), json!(1.5), json!(1e300), json!(u64::MAX), json!("1")] {
        for member in ["day", "month"] {
            bad.push(with("/api/v1/budgets", member, value.clone(), json!({"user": "ada"})));
        }
        let grant = json!({"user": "ada", "reason": "x"});
        bad.push(with("/api/v1/credits", "amount", value, grant));
    }
    for (path, member, request) in bad {
        let answer = host.post(path, &request).send().await.expect("answered");
        let told = refused(answer, &format!("{path}: {request}")).await;
        assert!(told.to_string().contains(&member), "{path}: {request}: {told}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_stranger_s_ids_are_not_there_wherever_they_are_sent() {
    let host = host().await;
    let painter = Scripted::new(std::iter::repeat_n(Act::Pending, 10_000));
    host.put("scripted", painter).await;
    let job = json!({"model": "scripted/painter", "task": "image-generation", "prompt": "a cat"});
    let job = body(host.post("/api/v1/generations", &job).send().await.expect("answered"), 202).await;
    let file = upload(&host, &host.key, "fine-tune", "a.jsonl", b"{}\n").await;
    let training = json!({"model": "scripted/trainer", "training_file": file["id"]});
    let training =
        body(host.post("/v1/fine_tuning/jobs", &training).send().await.expect("answered"), 200).await;
    let link = body(
        host.post("/api/v1/links", &json!({"file_id": file["id"]})).send().await.expect("answered"),
        201,
    )
    .await;
    let endpoint = json!({"url": "https://example.com/"});
    let endpoint =
        body(host.post("/api/v1/webhook-endpoints", &endpoint).send().await.expect("answered"), 201).await;
    let keys = body(host.get("/api/v1/keys").send().await.expect("answered"), 200).await;
    let id = |value: &Value| value["id"].as_str().unwrap_or_else(|| panic!("an id in {value}")).to_owned();
    let (job, file, training, link, endpoint, key) =
        (id(&job), id(&file), id(&training), id(&link), id(&endpoint), id(&keys["data"][0]));

    let mallory = host.user_key("mallory", &[Scope::Read, Scope::Generate]).await;
    let nothing = Value::Null;
    let input = json!({"model": "scripted/painter", "task": "image-edit", "prompt": "x",
        "inputs": [{"role": "image", "file_id": file}]});
    let asked = [
        ("GET", format!("/api/v1/generations/{job}"), nothing.clone()),
        ("GET", format!("/api/v1/generations/{job}/events"), nothing.clone()),
        ("GET", format!("/api/v1/generations/{job}/outputs/0"), nothing.clone()),
        ("POST", format!("/api/v1/generations/{job}/cancel"), nothing.clone()),
        ("GET", format!("/v1/fine_tuning/jobs/{training}"), nothing.clone()),
        ("GET", format!("/v1/fine_tuning/jobs/{training}/events"), nothing.clone()),
        ("POST", format!("/v1/fine_tuning/jobs/{training}/cancel"), nothing.clone()),
        ("GET", format!("/v1/files/{file}"), nothing.clone()),
        ("GET", format!("/v1/files/{file}/content"), nothing.clone()),
        ("POST", format!("/api/v1/links/{link}/revoke"), nothing.clone()),
        ("GET", format!("/api/v1/webhook-endpoints/{endpoint}"), nothing.clone()),
        ("GET", format!("/api/v1/webhook-endpoints/{endpoint}/deliveries"), nothing.clone()),
        ("POST", format!("/api/v1/webhook-endpoints/{endpoint}"), json!({"description": "mine"})),
        ("POST", format!("/api/v1/webhook-endpoints/{endpoint}/test"), nothing.clone()),
        ("POST", format!("/api/v1/webhook-endpoints/{endpoint}/remove"), nothing.clone()),
        ("POST", format!("/api/v1/keys/{key}/revoke"), nothing),
        ("POST", "/api/v1/links".to_owned(), json!({"file_id": file})),
        ("POST", "/api/v1/links".to_owned(), json!({"generation": job})),
        ("POST", "/api/v1/generations".to_owned(), input),
        (
            "POST",
            "/v1/fine_tuning/jobs".to_owned(),
            json!({"model": "scripted/trainer", "training_file": file}),
        ),
    ];
    for (method, path, request) in asked {
        let asking = match method {
            "GET" => host.client.get(host.url(&path)),
            _ => host.client.post(host.url(&path)).json(&request),
        };
        let answer = asking.bearer_auth(&mallory).send().await.expect("answered");
        let (status, text) = (answer.status(), answer.text().await.expect("a body"));
        assert_eq!(status, 404, "{method} {path} {request}: {text}");
    }
    let still =
        body(host.get(&format!("/api/v1/generations/{job}")).send().await.expect("answered"), 200).await;
    assert!(still["state"] != "canceled", "{still}");
    host.stop().await;
}

#[tokio::test]
async fn a_webhook_goes_to_no_address_that_is_private_however_it_is_written() {
    let host = host().await;
    for url in [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://10.0.0.7/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://atelier.localhost/",
        "http://example.com/",
        "ftp://example.com/",
        "https://user:secret@127.0.0.1/",
        "file:///etc/passwd",
        "//example.com",
        "",
    ] {
        let answer =
            host.post("/api/v1/webhook-endpoints", &json!({"url": url})).send().await.expect("answered");
        let told = refused(answer, url).await;
        assert_eq!(told["param"], "url", "{url}: {told}");
    }
    host.stop().await;
}
