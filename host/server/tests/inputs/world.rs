//! A running host with a provider, and two people with things of every kind.

use std::collections::BTreeMap;
use std::time::Duration;

use mock_upstream::{Config, MockUpstream};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::installed::{Atelier, answered};

/// A picture's beginning, which is all that is looked at.
pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x08\0\0\0\x08\x08\0\0\0\0";
/// A sound's.
pub const WAV: &[u8] =
    b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x02\0\0\0\0\0";

/// So often that no limit is met, and what is asked for is paid.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("ATELIER_LIMITS__CHAT__REQUESTS", "1000000"),
    ("ATELIER_LIMITS__GENERATION__REQUESTS", "1000000"),
    ("ATELIER_LIMITS__TRANSCRIPTION__REQUESTS", "1000000"),
    ("ATELIER_LIMITS__ANALYSIS__REQUESTS", "1000000"),
    ("ATELIER_LIMITS__STATUS__REQUESTS", "1000000"),
    ("ATELIER_LIMITS__UPLOAD__REQUESTS", "1000000"),
    ("ATELIER_LIMITS__UPLOAD__SECONDS", "60"),
    ("ATELIER_LIMITS__ANALYTICS__REQUESTS", "1000000"),
    ("ATELIER_LIMITS__ANALYTICS__SECONDS", "60"),
    ("ATELIER_LIMITS__SHARES__REQUESTS", "1000000"),
    ("ATELIER_LIMITS__SHARES__SECONDS", "60"),
    ("ATELIER_LIMITS__ADMINISTRATION__REQUESTS", "1000000"),
    ("ATELIER_LIMITS__ADMINISTRATION__SECONDS", "60"),
    ("ATELIER_LIMITS__SIGN-IN__REQUESTS", "1000000"),
    ("ATELIER_MONEY__ACCOUNTING", "enforce"),
];
/// Of both.
pub const PASSWORD: &str = "plum orbit 7 lantern";
/// What each person asked providers for: a picture, a film, a line of a batch, a training, a response and an answer
/// in a conversation.
const CALLS: usize = 6;
/// A model that can be trained.
pub const TRAINER: &str =
    "replicate/mock/trainer:5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa";
const PRICE: &str =
    "[[price]]\nmodel = \"*\"\nhold = 1000\nper_million = { images = 100000000, input-tokens = 1000000 }\n";

/// Somebody, and the ids of what is theirs by its kind.
pub struct Person {
    pub name: &'static str,
    pub key: String,
    things: BTreeMap<&'static str, String>,
}

impl Person {
    /// The id of their thing of this kind.
    pub fn thing(&self, kind: &str) -> &str {
        self.things.get(kind).unwrap_or_else(|| panic!("{} has no {kind}", self.name))
    }
}

pub struct World {
    pub atelier: Atelier,
    pub upstream: MockUpstream,
    pub ada: Person,
    pub bob: Person,
    /// The administrator, with the rest of what a request may need.
    pub admin: Person,
}

impl World {
    pub async fn start() -> Self {
        let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
        let (url, address) = (upstream.url().to_owned(), upstream.address());
        let more = format!(
            "{PRICE}[[instance]]\nname = \"mock\"\nplugin = \"atelier/openai\"\nbase_url = \"{url}/v1\"\n\
             private_hosts = [\"{address}\"]\nsecrets = {{ api-key = {{ value = \"sk-test-0123456789\" }} }}\n\
             [[instance]]\nname = \"replicate\"\nplugin = \"atelier/replicate\"\nbase_url = \"{url}/replicate/v1\"\n\
             private_hosts = [\"{address}\"]\nsecrets = {{ api-token = {{ value = \"sk-test-0123456789\" }} }}\n\
             [webhooks]\nprivate_hosts = [\"{address}\"]\n"
        );
        let atelier = Atelier::start_in(ENVIRONMENT, 0, "", &more);
        atelier.install("openai").await;
        atelier.install("replicate").await;
        let admin = Person { name: "admin", key: atelier.key.clone(), things: BTreeMap::new() };
        let making =
            Making { atelier: &atelier, admin: &admin.key, receiver: format!("http://{address}/received") };
        let (ada, bob) = tokio::join!(making.person("ada"), making.person("bob"));
        Self { atelier, upstream, ada, bob, admin }
    }

    pub fn request(&self, person: &Person, method: Method, path: &str) -> RequestBuilder {
        self.atelier.client.request(method, format!("{}{path}", self.atelier.base)).bearer_auth(&person.key)
    }

    /// All that a refused request must leave as it is, by where it is listed.
    pub async fn state(&self) -> BTreeMap<String, Value> {
        const THEIRS: [&str; 12] = [
            "/v1/files",
            "/v1/videos",
            "/v1/batches",
            "/v1/fine_tuning/jobs",
            "/api/v1/generations",
            "/api/v1/webhook-endpoints",
            "/api/v1/conversations",
            "/api/v1/links",
            "/api/v1/templates",
            "/api/v1/keys",
            "/api/v1/usage",
            "/api/v1/credits",
        ];
        let mut state = BTreeMap::new();
        let mut asked: Vec<(&Person, &str)> =
            ["/api/v1/users", "/api/v1/plugins", "/api/v1/budgets?user=ada", "/api/v1/budgets?user=bob"]
                .map(|path| (&self.admin, path))
                .into();
        for person in [&self.admin, &self.ada, &self.bob] {
            asked.extend(THEIRS.map(|path| (person, path)));
        }
        for (person, path) in asked {
            let answer = self.request(person, Method::GET, path).send().await.expect("answered");
            let (status, mut told) = answered(answer).await;
            assert_eq!(status, 200, "{path}: {told}");
            steady(&mut told);
            state.insert(format!("{} {path}", person.name), told);
        }
        let asked = self.upstream.requests();
        // Models are asked for whenever it is time, jobs are looked after, and webhooks are sent again.
        let made =
            asked.iter().filter(|request| request.method != "GET" && request.path != "/received").count();
        state.insert("requests at the provider".to_owned(), json!(made));
        state
    }
}

/// Takes out what moves by itself: when a key was used, and an allowance, which goes back to where it came from.
fn steady(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("last_used");
            if members.contains_key("limit") {
                // A budget counts allowances as held.
                members.remove("held");
            }
            if let (Some(available), Some(allowance)) = (members.get("available"), members.get("allowance")) {
                let both = available.as_u64().zip(allowance.as_u64()).map(|(one, other)| one + other);
                members.insert("available".to_owned(), json!(both));
                members.remove("allowance");
            }
            members.values_mut().for_each(steady);
        }
        Value::Array(items) => items.iter_mut().for_each(steady),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Makes people and what they have.
struct Making<'a> {
    atelier: &'a Atelier,
    admin: &'a str,
    receiver: String,
}

impl Making<'_> {
    async fn ask(&self, key: &str, method: Method, path: &str, body: Option<Value>) -> Value {
        let request =
            self.atelier.client.request(method, format!("{}{path}", self.atelier.base)).bearer_auth(key);
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let (status, told) = answered(request.send().await.expect("answered")).await;
        assert!((200..300).contains(&status), "{path} {body:?}: {status} {told}");
        told
    }

    async fn post(&self, key: &str, path: &str, body: Value) -> Value {
        self.ask(key, Method::POST, path, Some(body)).await
    }

    /// What is told at `path` once it is as wished.
    async fn until(&self, key: &str, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        loop {
            let told = self.ask(key, Method::GET, path, None).await;
            if is_so(&told) {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn upload(&self, key: &str, purpose: &'static str, name: &'static str, content: &[u8]) -> String {
        let form =
            Form::new().text("purpose", purpose).part("file", Part::bytes(content.to_vec()).file_name(name));
        let request = self.atelier.client.post(format!("{}/v1/files", self.atelier.base)).bearer_auth(key);
        let (status, told) = answered(request.multipart(form).send().await.expect("answered")).await;
        assert_eq!(status, 200, "{told}");
        text(&told, "/id")
    }

    async fn person(&self, name: &'static str) -> Person {
        let user = self.post(self.admin, "/api/v1/users", json!({"name": name})).await;
        let key = json!({"name": "x", "scopes": ["read", "generate"], "user": name});
        let key = self.post(self.admin, "/api/v1/keys", key).await;
        let grant = json!({"user": name, "amount": 1_000_000_000, "reason": "x"});
        self.post(self.admin, "/api/v1/credits", grant).await;
        let secret = text(&key, "/secret");
        let mut things = BTreeMap::from([("user", name.to_owned()), ("user-id", text(&user, "/id"))]);
        things.insert("key", text(&key, "/id"));
        let password = format!("/api/v1/users/{}/password", things["user-id"]);
        self.post(self.admin, &password, json!({"password": PASSWORD})).await;
        let session = json!({"name": name, "password": PASSWORD});
        things.insert("session", text(&self.post(&secret, "/api/v1/auth/sign-in", session).await, "/id"));
        self.files(&secret, &mut things).await;
        self.jobs(&secret, &mut things).await;
        self.talk(&secret, &mut things).await;
        self.shares(&secret, name, &mut things).await;
        Person { name, key: secret, things }
    }

    async fn files(&self, key: &str, things: &mut BTreeMap<&'static str, String>) {
        let line = json!({"custom_id": "a", "method": "POST", "url": "/v1/embeddings",
            "body": {"model": "mock/text-embedding-3-small", "input": "hi"}});
        let turn =
            json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]});
        let turns = format!("{turn}\n").repeat(10);
        things.insert("picture", self.upload(key, "vision", "a.png", PNG).await);
        things.insert("words", self.upload(key, "user_data", "a.txt", b"words").await);
        things.insert("lines", self.upload(key, "batch", "a.jsonl", format!("{line}\n").as_bytes()).await);
        things.insert("turns", self.upload(key, "fine-tune", "b.jsonl", turns.as_bytes()).await);
    }

    async fn jobs(&self, key: &str, things: &mut BTreeMap<&'static str, String>) {
        let painting = json!({"model": "mock/gpt-image-1", "task": "image-generation", "prompt": "a cat"});
        let painting = text(&self.post(key, "/api/v1/generations", painting).await, "/id");
        let film = text(
            &self.post(key, "/v1/videos", json!({"prompt": "a cat", "model": "mock/sora-2"})).await,
            "/id",
        );
        let batch = json!({"input_file_id": things["lines"], "endpoint": "/v1/embeddings", "completion_window": "24h"});
        let batch = text(&self.post(key, "/v1/batches", batch).await, "/id");
        let training = json!({"model": TRAINER, "training_file": things["turns"], "options": {"destination": "me/mine"}});
        let training = text(&self.post(key, "/v1/fine_tuning/jobs", training).await, "/id");
        let ended = |told: &Value| !told["finished"].is_null();
        self.until(key, &format!("/api/v1/generations/{painting}"), ended).await;
        let ended = |told: &Value| !matches!(told["status"].as_str(), Some("queued" | "in_progress"));
        let made = self.until(key, &format!("/v1/videos/{film}"), ended).await;
        assert_eq!(made["status"], "completed", "{made}");
        let ended = |told: &Value| told["status"] == "completed";
        self.until(key, &format!("/v1/batches/{batch}"), ended).await;
        let ended = |told: &Value| !told["finished_at"].is_null();
        self.until(key, &format!("/v1/fine_tuning/jobs/{training}"), ended).await;
        things.extend([("generation", painting), ("video", film), ("batch", batch), ("training", training)]);
    }

    async fn talk(&self, key: &str, things: &mut BTreeMap<&'static str, String>) {
        let response = json!({"model": "mock/mock-chat", "input": "hi"});
        things.insert("response", text(&self.post(key, "/v1/responses", response).await, "/id"));
        let begun = self.post(key, "/api/v1/conversations", json!({"model": "mock/mock-chat"})).await;
        let id = text(&begun, "/id");
        let said =
            self.post(key, &format!("/api/v1/conversations/{id}/messages"), json!({"content": "hi"})).await;
        things.insert("message", text(&said, "/message/id"));
        things.insert("conversation", id);
        // An answer is charged after it was given: what is listed must not move any more.
        let charged = |told: &Value| told["data"].as_array().is_some_and(|all| all.len() == CALLS);
        let usage = self.until(key, "/api/v1/usage", charged).await;
        let is_live = |record: &&Value| record["generation"].is_null() && record["task"] == "chat";
        let live = usage["data"].as_array().and_then(|all| all.iter().find(is_live)).expect("a live call");
        things.insert("usage", text(live, "/id"));
    }

    async fn shares(&self, key: &str, name: &str, things: &mut BTreeMap<&'static str, String>) {
        let link =
            self.post(key, "/api/v1/links", json!({"file_id": things["picture"], "kind": "share"})).await;
        let token = text(&link, "/url").rsplit('/').next().expect("a token").to_owned();
        let endpoint = text(
            &self
                .post(
                    key,
                    "/api/v1/webhook-endpoints",
                    json!({"url": self.receiver, "events": ["generation.failed"]}),
                )
                .await,
            "/id",
        );
        let delivery =
            self.ask(key, Method::POST, &format!("/api/v1/webhook-endpoints/{endpoint}/test"), None).await;
        let delivery = text(&delivery, "/id");
        // One that is over changes no more.
        let deliveries = format!("/api/v1/webhook-endpoints/{endpoint}/deliveries");
        self.until(key, &deliveries, |told| told["data"][0]["attempts"] != json!([])).await;
        let template = json!({"name": format!("{name}'s"), "task": "chat", "model": "mock/mock-chat", "prompt": "Be brief.",
            "audience": "users", "users": [things["user-id"]], "text_max": 100});
        let template = text(&self.post(self.admin, "/api/v1/templates", template).await, "/id");
        things.extend([
            ("link", text(&link, "/id")),
            ("token", token),
            ("endpoint", endpoint),
            ("delivery", delivery),
            ("template", template),
        ]);
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{pointer} in {value}"))
        .to_owned()
}
