//! Answers that do not come to their end.

use std::time::Duration;

use atelier_domain::account::{Role, Scope, User};
use atelier_domain::conversation::{
    Answer, AnswerState, Conversation, MessagePart, NewExchange, StoredMessage,
};
use atelier_domain::failure::FailureCode;
use atelier_domain::generation::chat::ChatEvent;
use atelier_domain::id::{ChatMessageId, ConversationId, UserId};
use atelier_domain::store::{AccountStore as _, ConversationStore as _};
use atelier_domain::time::Timestamp;
use atelier_server::app::Running;
use atelier_service::conversations::ConversationSettings;
use atelier_storage::Store;
use futures::StreamExt as _;
use serde_json::{Value, json};

use super::{begin, branch, events, get, host, post, text};
use crate::host::{TestHost, config, json as body};
use crate::scripted::{Scripted, Talk};

/// The newest answer, once it is not pending any more.
async fn ended(host: &TestHost, conversation: &str) -> Value {
    loop {
        let found = get(host, &format!("/{conversation}")).await;
        let leaf = found["leaf"].as_str().expect("a leaf");
        let page = get(host, &format!("/{conversation}/messages?limit=1&from={leaf}")).await;
        if page["data"][0]["answer"]["state"] != "pending" {
            return page["data"][0].clone();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_had_come_when_its_reader_left_is_kept() {
    let provider = Scripted::new([]);
    *provider.chat.lock().expect("no panic") = Some(vec![ChatEvent::Text("Par".to_owned())]);
    *provider.hangs.lock().expect("no panic") = true;
    let host = host(&provider, "").await;
    let id = begin(&host).await;
    let request = json!({"content": "Capital of France?", "stream": true});
    let mut stream = post(&host, &format!("/{id}/messages"), &request).await.bytes_stream();
    let first = stream.next().await.expect("a piece").expect("it is read");
    assert!(String::from_utf8_lossy(&first).contains("Par"), "{first:?}");
    // What would follow an answer that is being made has to wait.
    let early = post(&host, &format!("/{id}/messages"), &json!({"content": "And of Italy?"})).await;
    assert_eq!(body(early, 409).await["code"], "answer_pending");
    drop(stream);
    let kept = ended(&host, &id).await;
    assert_eq!((text(&kept), &kept["answer"]["state"]), ("Par", &json!("canceled")));
    assert_eq!(kept["answer"]["finish_reason"], Value::Null);
    assert_eq!(branch(&host, &id).await, ["Par", "Capital of France?"]);
    host.stop().await;
}

#[tokio::test]
async fn a_waiting_reader_that_leaves_ends_the_call_and_the_answer() {
    let provider = Scripted::talking([Talk { waits: true, ..Talk::saying("never read") }]);
    let host = host(&provider, "").await;
    let id = begin(&host).await;
    let path = format!("/api/v1/conversations/{id}/messages");
    let leaving = tokio::spawn(host.post(&path, &json!({"content": "Hello?"})).send());
    provider.charged.notified().await;
    leaving.abort();
    let kept = ended(&host, &id).await;
    assert_eq!((text(&kept), &kept["answer"]["state"]), ("", &json!("canceled")));
    host.stop().await;
}

#[tokio::test]
async fn a_failure_is_told_kept_and_not_gone_on_from() {
    let provider = Scripted::talking([
        Talk::saying("Paris."),
        Talk::failing(FailureCode::Overloaded),
        Talk::saying("Rome."),
    ]);
    let host = host(&provider, "").await;
    let id = begin(&host).await;
    super::say(&host, &id, &json!({"content": "Capital of France?"})).await;
    let second = json!({"content": "And of Italy?", "stream": true});
    let failed = post(&host, &format!("/{id}/messages"), &second).await;
    assert_eq!(failed.status(), 503, "nothing came, so that the status says it");
    assert_eq!(branch(&host, &id).await, ["Paris.", "Capital of France?"]);
    assert_eq!(get(&host, &format!("/{id}")).await["messages"], 4, "it is kept");
    let again = super::say(&host, &id, &json!({"content": "And of Italy?"})).await;
    assert_eq!(text(&again["message"]), "Rome.");
    assert_eq!(branch(&host, &id).await[0], "Rome.");
    let sibling = get(&host, &format!("/{id}/messages?limit=2")).await["data"][1]["siblings"][0].clone();
    let path = format!("/{id}/messages?from={}", sibling.as_str().expect("an id"));
    assert_eq!(text(&get(&host, &path).await["data"][0]), "And of Italy?");
    host.stop().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_in_the_middle_says_so() {
    let provider = Scripted::new([]);
    *provider.chat.lock().expect("no panic") = Some(vec![ChatEvent::Text("Par".to_owned())]);
    let host = host(&provider, "").await;
    let id = begin(&host).await;
    let request = json!({"content": "Capital of France?", "stream": true});
    let streamed = post(&host, &format!("/{id}/messages"), &request).await.text().await.expect("a stream");
    let told = events(&streamed);
    let names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["started", "text", "error"]);
    assert_eq!(told[2].1["code"], "provider_bad_response");
    let kept = ended(&host, &id).await;
    assert_eq!((text(&kept), &kept["answer"]["state"]), ("Par", &json!("failed")));
    assert_eq!(kept["answer"]["error"]["code"], "broken-off");
    host.stop().await;
}

#[tokio::test]
async fn an_answer_that_was_made_when_the_process_ended_is_interrupted() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = || config(folder.path(), |text| text);
    let owner = UserId::new();
    let (conversation, question) = (ConversationId::new(), ChatMessageId::new());
    {
        // What a process leaves that is killed at this moment.
        let store = Store::open(config().storage.database()).expect("opened");
        let user = User {
            id: owner,
            name: "ada".to_owned(),
            role: Role::User,
            created: Timestamp(1),
            disabled: false,
            verified: None,
        };
        store.create_user(&user).expect("a user");
        let begun = Conversation {
            id: conversation,
            owner,
            title: None,
            model: None,
            system: None,
            created: Timestamp(1),
            active: Timestamp(1),
            archived: false,
            leaf: None,
            messages: 0,
            bytes: 0,
        };
        assert!(store.create_conversation(&begun, 1).expect("created"));
        let asked = StoredMessage {
            id: question,
            conversation,
            parent: None,
            depth: 0,
            branch_bytes: 0,
            created: Timestamp(2),
            parts: vec![MessagePart::Text("Capital of France?".to_owned())],
            answer: None,
        };
        let answer = Answer {
            model: "scripted/found".to_owned(),
            state: AnswerState::Pending,
            finish_reason: None,
            error: None,
            thinking: String::new(),
            refusal: String::new(),
            usage: Vec::new(),
            finished: None,
            leaf_before: None,
        };
        let new = NewExchange {
            owner,
            answer: StoredMessage {
                id: ChatMessageId::new(),
                parts: Vec::new(),
                answer: Some(answer),
                ..asked.clone()
            },
            question: Some(asked),
            title: None,
            model: "scripted/found".to_owned(),
            bounds: ConversationSettings::default().bounds,
        };
        store.exchange(&new).expect("written").expect("it fits");
    }
    let running = Running::start(config()).await.expect("it starts");
    let key = running.app.accounts.create_key(owner, "test", Scope::ALL.to_vec(), None).await.expect("a key");
    let provider = Scripted::talking([Talk::saying("Paris.")]);
    running.app.registry.put(&"scripted".parse().expect("a name"), provider).await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = format!("http://{}/api/v1/conversations/{conversation}/messages", running.address);
    let found = client.get(&url).bearer_auth(key.secret.reveal()).send().await.expect("answered");
    let page = body(found, 200).await;
    assert_eq!(page["data"][0]["answer"]["state"], "interrupted");
    assert_eq!(text(&page["data"][1]), "Capital of France?", "the question is not lost");
    let again =
        client.post(format!("{url}/{question}/regenerate")).bearer_auth(key.secret.reveal()).json(&json!({}));
    let again = body(again.send().await.expect("answered"), 201).await;
    assert_eq!(
        (text(&again["message"]), &again["message"]["parent"]),
        ("Paris.", &json!(question.to_string()))
    );
    running.stop().await;
}
