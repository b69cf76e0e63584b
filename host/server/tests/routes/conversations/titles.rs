//! What conversations are called.

use std::time::Duration;

use serde_json::{Value, json};

use super::{asked, begin, get, host, post, say};
use crate::scripted::{Scripted, Talk};

#[tokio::test]
async fn a_title_is_the_first_words_until_its_owner_gives_another() {
    let provider = Scripted::talking(["Paris.", "Rome."].map(Talk::saying));
    let host = host(&provider, "").await;
    let id = begin(&host).await;
    say(&host, &id, &json!({"content": "What  is\nthe capital of France?"})).await;
    assert_eq!(get(&host, &format!("/{id}")).await["title"], "What is the capital of France?");
    assert_eq!(post(&host, &format!("/{id}"), &json!({"title": "Capitals"})).await.status(), 200);
    say(&host, &id, &json!({"content": "And of Italy?"})).await;
    assert_eq!(get(&host, &format!("/{id}")).await["title"], "Capitals");
    assert_eq!(provider.seen.lock().expect("no panic").chats.len(), 2, "nobody was asked for a title");
    host.stop().await;
}

#[tokio::test]
async fn a_model_makes_a_title_after_the_answer_was_given() {
    let provider = Scripted::talking([
        Talk::saying("Paris."),
        Talk { waits: true, ..Talk::saying("\"Capitals of Europe\"\n") },
    ]);
    let host = host(&provider, "[conversations]\ntitle_model = \"scripted/found\"").await;
    let id = begin(&host).await;
    say(&host, &id, &json!({"content": "What is the capital of France?"})).await;
    assert_eq!(get(&host, &format!("/{id}")).await["title"], "What is the capital of France?");
    provider.released.notify_one();
    loop {
        let title = get(&host, &format!("/{id}")).await["title"].clone();
        if title == "Capitals of Europe" {
            break;
        }
        assert_eq!(title, Value::from("What is the capital of France?"));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let shown = &asked(&provider)[1].1;
    assert!(shown.contains("What is the capital of France?") && shown.contains("Paris."), "{shown}");
    host.stop().await;
}

#[tokio::test]
async fn a_title_that_its_owner_gave_meanwhile_stays() {
    let provider = Scripted::talking([
        Talk::saying("Paris."),
        Talk { waits: true, ..Talk::saying("Too late") },
        Talk::saying("Rome."),
    ]);
    let host = host(&provider, "[conversations]\ntitle_model = \"scripted/found\"").await;
    let id = begin(&host).await;
    say(&host, &id, &json!({"content": "What is the capital of France?"})).await;
    assert_eq!(post(&host, &format!("/{id}"), &json!({"title": "Mine"})).await.status(), 200);
    provider.released.notify_one();
    // Usage is recorded when the call for the title has ended.
    loop {
        host.running().app.ledger.settle().await.expect("folded");
        let usage =
            host.get("/api/v1/usage").send().await.expect("answered").json::<Value>().await.expect("JSON");
        if usage["data"].as_array().map(Vec::len) == Some(2) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    say(&host, &id, &json!({"content": "And of Italy?"})).await;
    assert_eq!(get(&host, &format!("/{id}")).await["title"], "Mine");
    host.stop().await;
}
