//! A client with one upstream of its own for each test.

use std::time::Duration;

use mock_upstream::{Config, MockUpstream};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

/// Longest wait for anything that is awaited.
pub const WITHIN: Duration = Duration::from_secs(10);

pub struct Bench {
    pub upstream: MockUpstream,
    pub client: Client,
}

impl Bench {
    pub async fn start() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        let upstream = MockUpstream::start(config).await.expect("port 0 is free");
        let redirects = reqwest::redirect::Policy::none();
        let client = Client::builder().redirect(redirects).timeout(WITHIN).build().unwrap();
        Self { upstream, client }
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.upstream.url())).bearer_auth("sk-test-secret").json(body)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.upstream.url())).bearer_auth("sk-test-secret")
    }

    /// Ask OpenAI's chat with this model and text.
    pub async fn chat(&self, model: &str, text: &str, stream: bool) -> Response {
        self.post("/v1/chat/completions", &chat_body(model, text, stream)).send().await.unwrap()
    }
}

pub fn chat_body(model: &str, text: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]})
}

pub async fn json_of(response: Response) -> Value {
    let text = response.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|broken| panic!("{broken} in {text}"))
}

/// The `data:` payloads of an event stream, `[DONE]` left out.
pub fn events(text: &str) -> Vec<Value> {
    let payloads = text.lines().filter_map(|line| line.strip_prefix("data: "));
    payloads
        .filter(|payload| *payload != "[DONE]")
        .map(|payload| serde_json::from_str(payload).unwrap())
        .collect()
}

pub fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}
