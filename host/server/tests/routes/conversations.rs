//! Conversations through the listener, answered by a provider that does what a test says.

#[path = "conversations/broken.rs"]
mod broken;
#[path = "conversations/files.rs"]
mod files;
#[path = "conversations/refused.rs"]
mod refused;
#[path = "conversations/search.rs"]
mod search;
#[path = "conversations/titles.rs"]
mod titles;

use std::sync::Arc;

use atelier_domain::generation::chat::{ChatRole, Part};
use reqwest::Response;
use serde_json::{Value, json};

use crate::host::{TestHost, json as body};
use crate::scripted::{Scripted, Talk};

const MODEL: &str = "scripted/found";

/// A host with a provider that says these things in turn.
async fn host(provider: &Arc<Scripted>, more: &str) -> TestHost {
    let host = TestHost::edited(|text| {
        let text = text.replace("chat = { requests = 60,", "chat = { requests = 100000,");
        let text = text.replace("status = { requests = 120,", "status = { requests = 100000,");
        format!("{text}\n{more}")
    })
    .await;
    host.put("scripted", provider.clone()).await;
    host
}

async fn post(host: &TestHost, path: &str, request: &Value) -> Response {
    host.post(&format!("/api/v1/conversations{path}"), request).send().await.expect("answered")
}

async fn get(host: &TestHost, path: &str) -> Value {
    let found = host.get(&format!("/api/v1/conversations{path}")).send().await.expect("answered");
    body(found, 200).await
}

async fn begin(host: &TestHost) -> String {
    let made = body(post(host, "", &json!({"model": MODEL})).await, 201).await;
    made["id"].as_str().expect("an id").to_owned()
}

async fn say(host: &TestHost, conversation: &str, request: &Value) -> Value {
    body(post(host, &format!("/{conversation}/messages"), request).await, 201).await
}

fn text(message: &Value) -> &str {
    message["content"][0]["text"].as_str().unwrap_or_default()
}

/// The texts of the current branch, from its end to its beginning.
async fn branch(host: &TestHost, conversation: &str) -> Vec<String> {
    let page = get(host, &format!("/{conversation}/messages?limit=100")).await;
    assert_eq!(page["next"], Value::Null);
    page["data"].as_array().expect("a list").iter().map(|message| text(message).to_owned()).collect()
}

/// What the provider was asked, the last time.
fn asked(provider: &Scripted) -> Vec<(ChatRole, String)> {
    let seen = provider.seen.lock().expect("no panic");
    let messages = &seen.chats.last().expect("it was asked").messages;
    let text = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Image(media) | Part::File(media) => media.name.clone().unwrap_or_default(),
        other => panic!("{other:?}"),
    };
    messages.iter().map(|it| (it.role, it.parts.iter().map(text).collect::<Vec<_>>().join("+"))).collect()
}

/// A stream's events: each with its name and what it says.
fn events(text: &str) -> Vec<(String, Value)> {
    let frames = text.split("\n\n").filter(|frame| frame.starts_with("event: "));
    let read = |frame: &str| {
        let (name, data) = frame.split_once('\n').expect("two lines");
        let data = data.strip_prefix("data: ").expect("data");
        (name["event: ".len()..].to_owned(), serde_json::from_str(data).expect("JSON"))
    };
    frames.map(read).collect()
}

#[tokio::test]
async fn a_conversation_goes_on_branches_and_is_read_back() {
    let provider = Scripted::talking(["Paris.", "Rome.", "Berlin.", "Roma."].map(Talk::saying));
    let host = host(&provider, "").await;
    let made = json!({"model": MODEL, "system": "Be brief."});
    let made = body(post(&host, "", &made).await, 201).await;
    assert_eq!((&made["title"], &made["leaf"], &made["messages"]), (&Value::Null, &Value::Null, &json!(0)));
    let id = made["id"].as_str().expect("an id");
    assert_eq!(branch(&host, id).await, Vec::<String>::new());

    let first = say(&host, id, &json!({"content": "Capital of France?"})).await;
    assert_eq!(
        (text(&first["message"]), &first["message"]["answer"]["state"]),
        ("Paris.", &json!("complete"))
    );
    assert_eq!(first["message"]["answer"]["finish_reason"], "stop");
    assert_eq!(first["message"]["answer"]["usage"], json!({"input_tokens": 0, "output_tokens": 1}));
    assert_eq!(first["question"]["parent"], Value::Null);
    let second = say(&host, id, &json!({"content": [{"type": "text", "text": "And of Italy?"}]})).await;
    assert_eq!(second["question"]["parent"], first["message"]["id"]);
    let expected = [
        (ChatRole::System, "Be brief."),
        (ChatRole::User, "Capital of France?"),
        (ChatRole::Assistant, "Paris."),
        (ChatRole::User, "And of Italy?"),
    ];
    assert_eq!(asked(&provider), expected.map(|(role, text)| (role, text.to_owned())));
    assert_eq!(branch(&host, id).await, ["Rome.", "And of Italy?", "Paris.", "Capital of France?"]);

    // An edit is another branch, and so is an answer made once more.
    let edited = json!({"content": "And of Germany?", "parent": first["message"]["id"]});
    say(&host, id, &edited).await;
    assert_eq!(branch(&host, id).await, ["Berlin.", "And of Germany?", "Paris.", "Capital of France?"]);
    let path = format!("/{id}/messages/{}/regenerate", second["message"]["id"].as_str().expect("an id"));
    let again = body(post(&host, &path, &json!({})).await, 201).await;
    assert_eq!(again["question"]["id"], second["question"]["id"]);
    assert_eq!(branch(&host, id).await, ["Roma.", "And of Italy?", "Paris.", "Capital of France?"]);
    assert_eq!(asked(&provider).last().expect("a question").1, "And of Italy?");
    let page = get(&host, &format!("/{id}/messages?limit=2")).await;
    let siblings = json!([second["message"]["id"], again["message"]["id"]]);
    assert_eq!(page["data"][0]["siblings"], siblings);
    assert_eq!(page["data"][1]["siblings"].as_array().map(Vec::len), Some(2));
    let rest = get(&host, &format!("/{id}/messages?from={}", page["next"].as_str().expect("more"))).await;
    assert_eq!(
        rest["data"].as_array().expect("a list").iter().map(text).collect::<Vec<_>>(),
        ["Paris.", "Capital of France?"]
    );

    let switched = json!({"branch": second["message"]["id"]});
    let switched = body(post(&host, &format!("/{id}"), &switched).await, 200).await;
    assert_eq!(switched["leaf"], second["message"]["id"]);
    assert_eq!(branch(&host, id).await[0], "Rome.");
    let switched = json!({"branch": second["question"]["id"]});
    body(post(&host, &format!("/{id}"), &switched).await, 200).await;
    assert_eq!(branch(&host, id).await[0], "Roma.", "the newest end of the branch");
    assert_eq!(get(&host, &format!("/{id}")).await["messages"], 7);
    host.stop().await;
}

#[tokio::test]
async fn an_answer_in_events_is_stored_before_its_end_is_told() {
    let provider = Scripted::talking([Talk::saying("Paris.")]);
    let host = host(&provider, "").await;
    let id = begin(&host).await;
    let request = json!({"content": "Capital of France?", "stream": true});
    let streamed = post(&host, &format!("/{id}/messages"), &request).await;
    assert_eq!(streamed.headers()["content-type"], "text/event-stream; charset=utf-8");
    let told = events(&streamed.text().await.expect("a stream"));
    let names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["started", "text", "finished"]);
    assert_eq!(told[0].1["message"]["answer"]["state"], "pending");
    assert_eq!(text(&told[0].1["question"]), "Capital of France?");
    assert_eq!(told[1].1, json!({"type": "text", "text": "Paris."}));
    let page = get(&host, &format!("/{id}/messages?limit=1")).await;
    let mut stored = page["data"][0].clone();
    stored.as_object_mut().expect("an object").remove("siblings");
    assert_eq!(told[2].1["message"], stored);
    host.stop().await;
}

#[tokio::test]
async fn conversations_are_listed_by_activity_renamed_archived_and_deleted() {
    let provider = Scripted::talking([Talk::saying("Yes."), Talk::saying("No.")]);
    let host = host(&provider, "").await;
    let ids = [begin(&host).await, begin(&host).await, begin(&host).await];
    say(&host, &ids[0], &json!({"content": "Still there?"})).await;
    let list = async |path: &str| {
        let page = get(&host, path).await;
        let ids = page["data"].as_array().expect("a list").iter();
        let ids: Vec<_> = ids.map(|one| one["id"].as_str().expect("an id").to_owned()).collect();
        (ids, page["next"].as_str().map(str::to_owned))
    };
    let (first, next) = list("?limit=2").await;
    assert_eq!(first, [ids[0].clone(), ids[2].clone()]);
    let (rest, end) = list(&format!("?limit=2&before={}", next.expect("more"))).await;
    assert_eq!((rest, end), (vec![ids[1].clone()], None));
    let changed = json!({"title": "  Presence ", "archived": true});
    let changed = body(post(&host, &format!("/{}", ids[0]), &changed).await, 200).await;
    assert_eq!((&changed["title"], &changed["archived"]), (&json!("Presence"), &json!(true)));
    assert_eq!(list("").await.0.len(), 2);
    assert_eq!(list("?archived=true").await.0, [ids[0].clone()]);
    let gone = |path: String| host.client.delete(host.url(&path)).bearer_auth(&host.key).send();
    let path = format!("/api/v1/conversations/{}", ids[0]);
    assert_eq!(gone(path.clone()).await.expect("answered").status(), 204);
    assert_eq!(gone(path.clone()).await.expect("answered").status(), 404);
    assert_eq!(host.get(&path).send().await.expect("answered").status(), 404);
    assert_eq!(host.get(&format!("{path}/messages")).send().await.expect("answered").status(), 404);
    assert!(list("?archived=true").await.0.is_empty());
    host.stop().await;
}

#[tokio::test]
async fn a_repeated_question_is_asked_once() {
    let provider = Scripted::talking([Talk::saying("Paris."), Talk::saying("twice")]);
    let host = host(&provider, "").await;
    let id = begin(&host).await;
    let request = json!({"content": "Capital of France?"});
    let mut told = Vec::new();
    for _ in 0..2 {
        let sent = host.post(&format!("/api/v1/conversations/{id}/messages"), &request);
        let answer = sent.header("idempotency-key", "k").send().await.expect("answered");
        told.push(body(answer, 201).await);
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(get(&host, &format!("/{id}")).await["messages"], 2);
    assert_eq!(provider.seen.lock().expect("no panic").talks.len(), 1);
    host.stop().await;
}
