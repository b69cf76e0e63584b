//! Models of the operator's own: fetched from a hub that redirects, breaks off and wants a token, and then asked.

use std::net::SocketAddr;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use atelier_inference::weights::{self, SMOLLM2_135M_INSTRUCT};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response};
use axum::routing::get;
use bytes::Bytes;
use futures::stream;
use mock_upstream::{Config, MockUpstream};
use serde_json::{Value, json};

use crate::binary::Binary;

const TOKEN: &str = "hf-canary-token-5512";

/// A hub, and where it sends whoever asks for a file.
struct Hub {
    content: Bytes,
    /// Answers of the store that break off in their middle before one does not.
    breaks: AtomicUsize,
    /// `authorization` and `range` of requests to the store.
    asked: Mutex<Vec<(Option<String>, Option<String>)>>,
    store: Mutex<Option<SocketAddr>>,
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| value.to_str().expect("text").to_owned())
}

fn answer(status: u16) -> axum::http::response::Builder {
    Response::builder().status(status)
}

async fn resolve(
    State(hub): State<Arc<Hub>>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    if header(&headers, "authorization") != Some(format!("Bearer {TOKEN}")) {
        return answer(401).body(Body::empty()).expect("an answer");
    }
    if path != "them/tiny/resolve/main/tiny.gguf" {
        return answer(404).body(Body::empty()).expect("an answer");
    }
    let store = hub.store.lock().expect("no panic").expect("it listens");
    let location = format!("http://{store}/blob");
    answer(302).header("location", location).body(Body::empty()).expect("an answer")
}

async fn blob(State(hub): State<Arc<Hub>>, headers: HeaderMap) -> Response<Body> {
    let range = header(&headers, "range");
    hub.asked.lock().expect("no panic").push((header(&headers, "authorization"), range.clone()));
    let begin =
        range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let from = begin.unwrap_or(0);
    let rest = hub.content.slice(from..);
    let all = hub.content.len();
    let is_broken =
        hub.breaks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
    let shown = if is_broken { rest.slice(..rest.len() / 2) } else { rest.clone() };
    let mut pieces: Vec<Result<Bytes, std::io::Error>> = (0..shown.len())
        .step_by(1 << 20)
        .map(|at| Ok(shown.slice(at..shown.len().min(at + (1 << 20)))))
        .collect();
    if is_broken {
        pieces.push(Err(std::io::Error::other("it breaks off")));
    }
    let answer = match begin {
        Some(from) => answer(206).header("content-range", format!("bytes {from}-{}/{all}", all - 1)),
        None => answer(200),
    };
    answer
        .header("content-length", rest.len())
        .body(Body::from_stream(stream::iter(pieces)))
        .expect("an answer")
}

async fn listen(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn hub(content: Bytes, breaks: usize) -> (Arc<Hub>, SocketAddr) {
    let hub =
        Hub { content, breaks: AtomicUsize::new(breaks), asked: Mutex::default(), store: Mutex::default() };
    let hub = Arc::new(hub);
    let store = listen(Router::new().route("/blob", get(blob)).with_state(hub.clone())).await;
    *hub.store.lock().expect("no panic") = Some(store);
    let address = listen(Router::new().route("/{*path}", get(resolve)).with_state(hub.clone())).await;
    (hub, address)
}

async fn server(hub: SocketAddr, token: &str, models: &str) -> Binary {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    Binary::start(&upstream, |text| {
        let local = format!(
            "[local]\ncache = \"cache\"\nhub = \"http://{hub}\"\nhub_token = {{ value = \"{token}\" }}\n"
        );
        format!("{}\n{models}", text.replace("[local]\n", &local))
    })
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn own(name: &str, file: &str, sha256: &str) -> String {
    format!(
        "[[local.model]]\nname = \"{name}\"\nhub = \"them/tiny\"\nfile = \"{file}\"\nsha256 = \"{sha256}\"\n"
    )
}

async fn chat(atelier: &Binary, model: &str) -> (u16, Value) {
    let messages = json!([{"role": "user", "content": "What is the capital of France?"}]);
    let body = json!({"model": model, "messages": messages, "temperature": 0, "max_tokens": 12});
    let answer = atelier.post("/v1/chat/completions").json(&body).send().await.expect("answered");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_the_operators_own_is_pulled_from_a_hub_and_answers() {
    let folder = weights::cache_dir().expect("a cache");
    let file = tokio::task::spawn_blocking(move || weights::fetch(&SMOLLM2_135M_INSTRUCT, &folder, |_| {}));
    let file = file.await.expect("no panic").expect("fetched");
    let content = Bytes::from(std::fs::read(&file).expect("the weights"));
    let digest = SMOLLM2_135M_INSTRUCT.files[0].sha256;
    let (hub, address) = hub(content, 2).await;
    let placed = format!("[[local.model]]\nname = \"placed\"\npath = \"{}\"\n", file.display());
    let wrong = own("wrong", "tiny.gguf", &"0".repeat(64));
    let models =
        format!("{}{placed}{wrong}{}", own("tiny", "tiny.gguf", digest), own("gone", "gone.gguf", digest));
    let atelier = server(address, TOKEN, &models).await;

    // It is listed, and says what to do.
    let (status, told) = chat(&atelier, "local/tiny").await;
    assert_eq!((status, &told["error"]["code"]), (503, &json!("provider_unavailable")), "{told}");
    let listed = said(&atelier.verb(&["model", "list"]));
    assert!(listed.contains("local/tiny  chat  not on this machine: `atelier model pull tiny`"), "{listed}");
    assert!(listed.contains("local/placed  chat  135 M parameters, 8192 tokens"), "{listed}");
    let doctor = said(&atelier.verb(&["doctor"]));
    assert!(doctor.contains("fetch them with `atelier model pull tiny`"), "{doctor}");

    let pulled = atelier.verb(&["model", "pull", "local/tiny"]);
    assert!(pulled.status.success(), "{}", said(&pulled));
    assert!(said(&pulled).contains("100 %"), "{}", said(&pulled));
    {
        let asked = hub.asked.lock().expect("no panic");
        assert_eq!(asked.len(), 3, "two broke off: {asked:?}");
        assert!(asked.iter().all(|(token, _)| token.is_none()), "the token is the hub's alone: {asked:?}");
        assert!(asked[1].1.is_some() && asked[2].1.is_some(), "what is here is not fetched again: {asked:?}");
    }
    assert!(atelier.verb(&["model", "verify", "tiny"]).status.success());

    // The server that runs has it at once, as it has the one that lies elsewhere.
    let after_failure = std::time::Instant::now();
    let answered = loop {
        let (status, told) = chat(&atelier, "local/tiny").await;
        // A load that failed is not tried again for some seconds.
        if status == 200 {
            break told;
        }
        assert!(after_failure.elapsed().as_secs() < 60, "{told}");
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    };
    let text = answered["choices"][0]["message"]["content"].as_str().expect("words");
    assert!(!text.trim().is_empty(), "{answered}");
    assert_eq!(answered["model"], "local/tiny");
    assert_eq!(chat(&atelier, "local/placed").await.1["choices"][0]["message"]["content"], text);

    // What is not what it should be is not kept; what is not there is said.
    let wrong = atelier.verb(&["model", "pull", "wrong"]);
    assert!(!wrong.status.success() && said(&wrong).contains(digest), "{}", said(&wrong));
    assert!(said(&atelier.verb(&["model", "list"])).contains("local/wrong  chat  not on this machine"));
    let gone = said(&atelier.verb(&["model", "pull", "gone"]));
    assert!(gone.contains("404") && gone.contains("revision"), "{gone}");
    let unknown = said(&atelier.verb(&["model", "pull", "nobody"]));
    assert!(unknown.contains("there is no model local/nobody; there are smollm2-135m-instruct"), "{unknown}");

    let placed = atelier.verb(&["model", "remove", "placed"]);
    assert!(
        !placed.status.success() && file.exists(),
        "what was not fetched is not removed: {}",
        said(&placed)
    );
    assert!(atelier.verb(&["model", "remove", "tiny"]).status.success());
    assert!(!atelier.verb(&["model", "remove", "tiny"]).status.success(), "nothing is there any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_wants_another_token_is_told_of_and_no_line_repeats_it() {
    let (hub, address) = hub(Bytes::from_static(b"weights"), 0).await;
    let models = own("tiny", "tiny.gguf", &"0".repeat(64));
    let atelier = server(address, "hf-wrong-token", &models).await;
    let refused = atelier.verb(&["model", "pull", "tiny"]);
    let told = said(&refused);
    assert!(!refused.status.success() && told.contains("hub_token"), "{told}");
    assert!(!told.contains("hf-wrong-token") && hub.asked.lock().expect("no panic").is_empty());
}
