//! A canary in the hidden prompts of templates: whatever goes well or wrong, it comes back nowhere.

use mock_upstream::{Config, FaultKind, MockUpstream};
use reqwest::Response;
use serde_json::{Value, json};

use crate::PATIENCE;
use crate::installed::{Atelier, answered, free_port};
use crate::receiver::Receiver;
use crate::sse::Reader;

/// Its words appear nowhere else.
const CANARY: &str = "Xylophone \"Quagga\" §-§ zwölf";
const WORDS: [&str; 3] = ["xylophone", "quagga", "zwölf"];

/// Everything is logged, and nothing is refused for its number.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("ATELIER_LOG__LEVEL", "trace"),
    ("ATELIER_LOG__PLUGINS", "true"),
    ("ATELIER_LIMITS__GENERATION__REQUESTS", "10000"),
    ("ATELIER_LIMITS__STATUS__REQUESTS", "100000"),
];

/// All that callers were told, and where.
#[derive(Default)]
struct Told(Vec<(String, String)>);

impl Told {
    async fn take(&mut self, what: &str, response: Response) -> (u16, Value) {
        let head = format!("{:?}", response.headers());
        let (status, body) = answered(response).await;
        self.0.push((format!("{what} ({status})"), format!("{head}\n{body}")));
        (status, body)
    }

    fn assert_clean(&self) {
        for (what, text) in &self.0 {
            let text = text.to_lowercase();
            for word in WORDS {
                assert!(!text.contains(word), "{what} shows {word}: {text}");
            }
        }
    }
}

async fn start(upstream: &MockUpstream, receiver: &Receiver) -> Atelier {
    let (url, address) = (upstream.url(), upstream.address());
    let more = format!(
        "[[instance]]\nname = \"mock\"\nplugin = \"atelier/replicate\"\nbase_url = \"{url}/replicate/v1\"\n\
         private_hosts = [\"{address}\"]\nsecrets = {{ api-token = {{ value = \"r8-test-0123456789\" }} }}\n\
         [[instance]]\nname = \"talk\"\nplugin = \"atelier/openai\"\nbase_url = \"{url}/v1\"\n\
         private_hosts = [\"{address}\"]\nsecrets = {{ api-key = {{ value = \"sk-test-0123456789\" }} }}\n\
         [webhooks]\nprivate_hosts = [\"{}\"]\n",
        receiver.address
    );
    let atelier = Atelier::start_in(&ENVIRONMENT, free_port(), "", &more);
    atelier.install("replicate").await;
    atelier.install("openai").await;
    atelier
}

async fn post(atelier: &Atelier, path: &str, body: &Value) -> Response {
    atelier.post(path).json(body).send().await.expect("answered")
}

async fn get(atelier: &Atelier, path: &str) -> Response {
    atelier.get(path).send().await.expect("answered")
}

/// Makes a template; gives where it is used.
async fn template(atelier: &Atelier, told: &mut Told, name: &str, task: &str, model: &str) -> String {
    let body = json!({"name": name, "task": task, "model": model, "text_max": 100,
        "variables": [{"name": "what", "type": "text"}], "prompt": format!("{CANARY}: {{{{ what }}}} \u{201e}{CANARY}\u{201c}")});
    let (status, made) = told.take(name, post(atelier, "/api/v1/templates", &body).await).await;
    assert_eq!(status, 201, "{made}");
    format!("/api/v1/templates/{}/generate", made["id"].as_str().expect("an id"))
}

/// Waits until a job is over.
async fn end_of(atelier: &Atelier, told: &mut Told, path: &str) -> Value {
    let waiting = async {
        loop {
            let (_, job) = told.take(path, get(atelier, path).await).await;
            if !job["finished"].is_null() {
                return job;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("in time")
}

const FAULTS: [Option<FaultKind>; 7] = [
    None,
    Some(FaultKind::EchoRequest),
    Some(FaultKind::FailEcho),
    Some(FaultKind::ServerError),
    Some(FaultKind::Malformed),
    Some(FaultKind::Cut),
    None,
];

#[tokio::test]
async fn a_hidden_prompt_comes_back_in_no_answer_event_webhook_log_or_error() {
    let upstream = MockUpstream::start(Config { polls_to_finish: 1, ..Config::default() }).await.expect("it");
    let receiver = Receiver::start().await;
    let mut atelier = start(&upstream, &receiver).await;
    let mut told = Told::default();
    let events = ["generation.succeeded", "generation.failed", "generation.canceled"];
    let endpoint = json!({"url": receiver.url("/hook"), "events": events});
    let (_, endpoint) = answered(post(&atelier, "/api/v1/webhook-endpoints", &endpoint).await).await;
    let wish = json!({"variables": {"what": "a cat"}, "text": "please"});

    let pictures = template(&atelier, &mut told, "pictures", "image-generation", "mock/mock/image").await;
    let mut jobs = Vec::new();
    for (i, fault) in FAULTS.into_iter().enumerate() {
        if let Some(fault) = fault {
            upstream.fault_next(fault, 1);
        }
        let key = format!("picture-{i}");
        let request = || atelier.post(&pictures).header("idempotency-key", key.clone()).json(&wish).send();
        let (status, job) = told.take("a picture", request().await.expect("answered")).await;
        assert_eq!(status, 202, "{job}");
        let path = format!("/api/v1/generations/{}", job["id"].as_str().expect("an id"));
        let ended = end_of(&atelier, &mut told, &path).await;
        let is_to_fail = matches!(fault, Some(FaultKind::EchoRequest | FaultKind::FailEcho));
        if fault.is_none() || is_to_fail {
            assert_eq!(ended["state"], if is_to_fail { "failed" } else { "succeeded" }, "{ended}");
        }
        let (status, again) = told.take("a repetition", request().await.expect("answered")).await;
        assert_eq!((status, &again["id"]), (202, &job["id"]));
        jobs.push(path);
    }

    let chats = template(&atelier, &mut told, "chats", "chat", "talk/mock-chat").await;
    // What goes well goes first: failures open the breaker.
    let faults = FAULTS.into_iter().flatten().chain([FaultKind::StreamError]).map(Some);
    let asked = [None].into_iter().chain(faults).flat_map(|fault| [(fault, false), (fault, true)]);
    for (i, (fault, stream)) in asked.enumerate() {
        if let Some(fault) = fault {
            upstream.fault_next(fault, 1);
        }
        let mut wish = wish.clone();
        wish["stream"] = stream.into();
        let key = format!("chat-{i}");
        for _ in 0..2 {
            let request = atelier.post(&chats).header("idempotency-key", key.clone()).json(&wish);
            // A connection that is cut is cut here too.
            let answer = request.send().await.expect("answered");
            let (status, answer) = told.take("a chat", answer).await;
            assert!(fault.is_some() || status == 200, "{answer}");
        }
    }

    let mut feed = Reader::open(atelier.get("/api/v1/events?last_event_id=0"), None).await;
    let mut ended = 0;
    while ended < jobs.len() {
        let event = feed.next().await.expect("there is more");
        ended += usize::from(events.contains(&event.name.as_str()));
        told.0.push(("an event".to_owned(), event.data.to_string()));
    }
    for received in receiver.wait_for(jobs.len()).await {
        told.0.push(("a webhook".to_owned(), format!("{:?} {}", received.headers, received.json())));
    }
    let endpoint = endpoint["id"].as_str().expect("an id");
    for path in [
        "/api/v1/generations",
        "/api/v1/templates",
        "/api/v1/usage",
        "/api/v1/usage/totals",
        "/api/v1/credits/entries",
        "/api/v1/admin/generations?error=invalid-request",
        "/api/v1/admin/generations?error=unavailable",
        "/api/v1/admin/generations?error=bad-response",
        &format!("/api/v1/webhook-endpoints/{endpoint}/deliveries"),
        pictures.trim_end_matches("/generate"),
        chats.trim_end_matches("/generate"),
    ] {
        let (status, answer) = told.take(path, get(&atelier, path).await).await;
        assert!(status == 200 && !answer.to_string().is_empty(), "{path}: {answer}");
    }
    for job in &jobs {
        told.take(job, get(&atelier, &format!("{job}/outputs/0")).await).await;
    }
    let sent: String = upstream.requests().iter().map(|seen| format!("{seen:?}")).collect();
    assert!(sent.contains("Xylophone"), "the provider was asked with it");
    told.0.push(("the log".to_owned(), atelier.end()));
    assert!(
        told.0.last().is_some_and(|(_, log)| log.contains("/api/v1/templates/{id}/generate")),
        "it is the log"
    );
    told.assert_clean();
}
