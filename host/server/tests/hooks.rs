//! Providers' callbacks, end to end: the binary, the Replicate plugin, and an upstream that signs as Replicate does.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mock_upstream::{Config, MockUpstream, sign_webhook};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use installed::{Atelier, answered, free_port};

#[path = "support/installed.rs"]
mod installed;

/// How soon a job must be done that is otherwise asked about after a minute.
const SOON: Duration = Duration::from_secs(20);

async fn start(upstream: &MockUpstream, secret: &str, more: &str) -> Atelier {
    let port = free_port();
    let instance = format!(
        "[[instance]]\nname = \"mock\"\nplugin = \"atelier/replicate\"\nbase_url = \"{}/replicate/v1\"\n\
         private_hosts = [\"{}\"]\n\
         secrets = {{ api-token = {{ value = \"r8-test-0123456789\" }}, webhook-secret = {{ value = \"{secret}\" }} }}\n{more}",
        upstream.url(),
        upstream.address(),
    );
    let public_url = format!("public_url = \"http://127.0.0.1:{port}\"\ntrusted_proxies = [\"127.0.0.1\"]");
    let atelier = Atelier::start(port, &public_url, &instance);
    atelier.install("replicate").await;
    atelier
}

/// Begins a picture; gives the job's path.
async fn begin(atelier: &Atelier) -> String {
    let body = json!({"model": "mock/mock/image", "task": "image-generation", "prompt": "a cat"});
    let (status, job) =
        answered(atelier.post("/api/v1/generations").json(&body).send().await.expect("answered")).await;
    assert_eq!(status, 202, "{job}");
    format!("/api/v1/generations/{}", job["id"].as_str().expect("an id"))
}

async fn job(atelier: &Atelier, path: &str) -> Value {
    answered(atelier.get(path).send().await.expect("answered")).await.1
}

async fn ended(atelier: &Atelier, path: &str) -> Value {
    let began = Instant::now();
    loop {
        let job = job(atelier, path).await;
        if !matches!(job["state"].as_str(), Some("queued" | "processing")) {
            return job;
        }
        assert!(began.elapsed() < SOON, "nothing woke it: {job}");
        // A caller may ask for this 120 times a minute.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn counted(atelier: &Atelier, outcome: &str) -> u64 {
    let response = atelier.client.get(format!("{}/metrics", atelier.admin)).send().await.expect("answered");
    let text = response.text().await.expect("a body");
    let label = format!("outcome=\"{outcome}\"");
    let lines =
        text.lines().filter(|line| line.starts_with("atelier_callbacks_total{") && line.contains(&label));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test]
async fn a_signed_callback_ends_a_job_long_before_its_next_poll() {
    let config = Config { webhook_step_ms: 50, polls_to_finish: 3, ..Config::default() };
    let upstream = MockUpstream::start(config.clone()).await.expect("the upstream");
    let atelier = start(&upstream, &config.webhook_secret, "").await;
    let began = Instant::now();
    let path = begin(&atelier).await;
    let job = ended(&atelier, &path).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    assert!(began.elapsed() < SOON);
    while upstream.webhooks().is_empty() {
        assert!(began.elapsed() < SOON, "the upstream has its answer");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let told = upstream.webhooks();
    assert_eq!(told.last().and_then(|webhook| webhook.status), Some(200), "{told:?}");
    let polls = upstream
        .requests()
        .iter()
        .filter(|request| request.method == "GET" && request.path.contains("/predictions/"))
        .count();
    assert_eq!(polls, 0, "what the callback said was enough");
    assert_eq!(counted(&atelier, "accepted").await, 1);
}

/// A job whose provider says nothing of its own accord, and the means to say it in its place.
struct Silent {
    atelier: Atelier,
    secret: String,
    path: String,
    /// The job's address.
    url: String,
    body: Value,
    _upstream: MockUpstream,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

impl Silent {
    async fn start() -> Self {
        Self::start_with("").await
    }

    /// With more in the host's configuration.
    async fn start_with(more: &str) -> Self {
        let config = Config { webhook_step_ms: 3_600_000, polls_to_finish: 1000, ..Config::default() };
        let upstream = MockUpstream::start(config.clone()).await.expect("the upstream");
        let atelier = start(&upstream, &config.webhook_secret, more).await;
        let path = begin(&atelier).await;
        let began = Instant::now();
        let sent = loop {
            let requests = upstream.requests();
            let found =
                requests.iter().find(|request| request.method == "POST" && request.body.contains("webhook"));
            if let Some(request) = found {
                break serde_json::from_str::<Value>(&request.body).expect("JSON");
            }
            assert!(began.elapsed() < SOON, "{requests:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let runs = format!("{}/replicate/v1/predictions", upstream.url());
        let runs = atelier.client.get(runs).bearer_auth("r8-test-0123456789").send().await;
        let runs = answered(runs.expect("answered")).await.1;
        let mut body = runs["results"][0].clone();
        body["status"] = json!("succeeded");
        body["output"] = json!("a text, for which nothing has to be fetched");
        let url = sent["webhook"].as_str().expect("an address").to_owned();
        assert!(url.starts_with(&format!("{}/hooks/", atelier.base)), "{url}");
        Self { atelier, secret: config.webhook_secret, path, url, body, _upstream: upstream }
    }

    fn post(&self, url: &str, body: &str) -> RequestBuilder {
        self.atelier.client.post(url).header("content-type", "application/json").body(body.to_owned())
    }

    fn signed(&self, url: &str, id: &str, time: u64, body: &str) -> RequestBuilder {
        let signature = sign_webhook(&self.secret, id, time, body.as_bytes()).expect("a good secret");
        self.post(url, body)
            .header("webhook-id", id)
            .header("webhook-timestamp", time)
            .header("webhook-signature", signature)
    }

    async fn state(&self) -> String {
        job(&self.atelier, &self.path).await["state"].as_str().expect("a state").to_owned()
    }
}

/// What a sender learns: the status and the body, without what differs from request to request.
async fn learned(response: Response) -> (u16, Value) {
    let (status, mut body) = answered(response).await;
    for member in ["request_id", "time", "instance"] {
        body.as_object_mut().map(|object| object.remove(member));
    }
    (status, body)
}

/// What is answered to a head that promises a body of which nothing comes.
async fn told_at_once(base: &str, path: &str) -> String {
    let address = base.trim_start_matches("http://");
    let mut connection = tokio::net::TcpStream::connect(address).await.expect("connected");
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.expect("sent");
    let mut text = [0; 12];
    let told = tokio::time::timeout(SOON, connection.read_exact(&mut text)).await;
    told.expect("it does not wait for the body").expect("answered");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn what_is_not_genuine_is_refused_without_a_trace_and_changes_nothing() {
    let silent = Silent::start().await;
    let (url, body) = (silent.url.as_str(), silent.body.to_string());
    let nothing = format!("{}/hooks/bm90aGluZw", silent.atelier.base);
    let mut tampered = url.to_owned();
    let last = if tampered.ends_with('A') { 'B' } else { 'A' };
    tampered.pop();
    tampered.push(last);
    let other_secret = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldA==";
    let forged = sign_webhook(other_secret, "msg_1", now(), body.as_bytes()).expect("signed");
    let refused = [
        ("nothing there", silent.signed(&nothing, "msg_1", now(), &body), "unknown_address"),
        ("a changed address", silent.signed(&tampered, "msg_1", now(), &body), "unknown_address"),
        ("no signature", silent.post(url, &body), "unsigned"),
        (
            "another's signature",
            silent
                .post(url, &body)
                .header("webhook-id", "msg_1")
                .header("webhook-timestamp", now())
                .header("webhook-signature", forged),
            "forged",
        ),
        ("an old one", silent.signed(url, "msg_1", now() - 400, &body), "stale"),
        ("one from the future", silent.signed(url, "msg_1", now() + 400, &body), "stale"),
    ];
    let mut told = Vec::new();
    for (what, request, outcome) in refused {
        let before = counted(&silent.atelier, outcome).await;
        let (status, learned) = learned(request.send().await.expect("answered")).await;
        assert_eq!(status, 404, "{what}: {learned}");
        assert_eq!(counted(&silent.atelier, outcome).await, before + 1, "{what}");
        told.push(learned);
    }
    assert!(told.iter().all(|each| *each == told[0]), "all refusals look the same: {told:?}");

    let large = format!("\"{}\"", "x".repeat(1 << 20));
    let (status, _) =
        learned(silent.signed(url, "msg_1", now(), &large).send().await.expect("answered")).await;
    assert_eq!(status, 413);
    // At an address that nobody was given nothing is read, whatever is sent.
    for (url, status) in [(url, 415), (&nothing, 404)] {
        let text = silent.atelier.client.post(url).header("content-type", "text/plain").body("x");
        assert_eq!(text.send().await.expect("answered").status(), status, "{url}");
    }
    let told_nothing = told_at_once(&silent.atelier.base, "/hooks/bm90aGluZw").await;
    assert_eq!(told_nothing, "HTTP/1.1 404", "answered before its body came");
    assert_eq!(silent.state().await, "processing", "none of it did anything");

    let malformed = silent.signed(url, "msg_2", now(), "{\"id\":").send().await.expect("answered");
    assert_eq!(malformed.status(), 400, "signed, but no JSON");
    let no_event = silent.signed(url, "msg_3", now(), "{\"hello\":1}").send().await.expect("answered");
    assert_eq!(no_event.status(), 400, "signed, but no event of this provider's");
    assert_eq!(silent.state().await, "processing");
}

#[tokio::test]
async fn a_genuine_callback_is_taken_once_however_often_it_comes() {
    let silent = Silent::start().await;
    let (url, body) = (silent.url.as_str(), silent.body.to_string());
    let time = now();
    let taken = silent.signed(url, "msg_1", time, &body).send().await.expect("answered");
    assert_eq!(taken.status(), 200);
    let job = ended(&silent.atelier, &silent.path).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(job["outputs"][0]["text"], "a text, for which nothing has to be fetched", "{job}");
    let again = silent.signed(url, "msg_1", time, &body).send().await.expect("answered");
    assert_eq!(again.status(), 200, "an id already processed is answered 200 without effect");
    assert_eq!(
        (counted(&silent.atelier, "accepted").await, counted(&silent.atelier, "replayed").await),
        (1, 1)
    );
    let late = silent.signed(url, "msg_2", now(), &body).send().await.expect("answered");
    assert_eq!(late.status(), 200, "a job that has ended has nothing left to do");
    assert_eq!(counted(&silent.atelier, "unmatched").await, 1);
}

#[tokio::test]
async fn a_callback_that_was_processed_is_known_after_the_host_was_killed() {
    let mut silent = Silent::start().await;
    let (url, body, time) = (silent.url.clone(), silent.body.to_string(), now());
    let taken = silent.signed(&url, "msg_1", time, &body).send().await.expect("answered");
    assert_eq!(taken.status(), 200);
    silent.atelier.kill();
    silent.atelier.restart();
    let again = silent.signed(&url, "msg_1", time, &body).send().await.expect("answered");
    assert_eq!(again.status(), 200);
    assert_eq!(counted(&silent.atelier, "replayed").await, 1);
}

#[tokio::test]
async fn a_callback_from_elsewhere_than_its_provider_calls_from_is_refused_without_a_trace() {
    let senders = "[callbacks]\nsenders = { mock = [\"203.0.113.0/24\", \"2001:db8::/32\"] }\n";
    let silent = Silent::start_with(senders).await;
    let (url, body) = (silent.url.as_str(), silent.body.to_string());
    let refused = silent.signed(url, "msg_1", now(), &body).send().await.expect("answered");
    let nothing = format!("{}/hooks/bm90aGluZw", silent.atelier.base);
    let unknown = silent.signed(&nothing, "msg_1", now(), &body).send().await.expect("answered");
    assert_eq!(learned(refused).await, learned(unknown).await);
    assert_eq!(counted(&silent.atelier, "stranger").await, 1);
    assert_eq!(silent.state().await, "processing", "it did nothing");
    // Through a proxy it is from where the proxy says, and not from where its sender says.
    let said = |senders: &str| {
        silent.signed(url, "msg_1", now(), &body).header("x-forwarded-for", senders.to_owned())
    };
    let spoofed = said("203.0.113.7, 198.51.100.1").send().await.expect("answered");
    assert_eq!((spoofed.status().as_u16(), counted(&silent.atelier, "stranger").await), (404, 2));
    let genuine = said("198.51.100.1, 203.0.113.7").send().await.expect("answered");
    assert_eq!(genuine.status(), 200);
}
