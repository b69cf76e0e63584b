//! What is refused, and what that leaves.

use atelier_domain::account::Scope;
use serde_json::{Value, json};

use super::{MODEL, begin, get, host, post, say};
use crate::host::{TestHost, json as body};
use crate::scripted::{Scripted, Talk};

#[tokio::test]
async fn anothers_conversation_is_none_on_every_route() {
    let provider = Scripted::talking([Talk::saying("Paris.")]);
    let host = host(&provider, "").await;
    let id = begin(&host).await;
    let talk = say(&host, &id, &json!({"content": "Capital of France?"})).await;
    let message = talk["message"]["id"].as_str().expect("an id");
    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let root = format!("/api/v1/conversations/{id}");
    let (client, url) = (&host.client, |path: &str| host.url(path));
    for request in [
        client.get(url(&root)),
        client.delete(url(&root)),
        client.post(url(&root)).json(&json!({"archived": true})),
        client.get(url(&format!("{root}/messages"))),
        client.get(url(&format!("{root}/messages?from={message}"))),
        client.post(url(&format!("{root}/messages"))).json(&json!({"content": "mine", "model": MODEL})),
        client.post(url(&format!("{root}/messages/{message}/regenerate"))).json(&json!({"model": MODEL})),
    ] {
        let told = request.bearer_auth(&bob).send().await.expect("answered");
        assert_eq!(body(told, 404).await["code"], "not_found");
    }
    // A message of one's own is none in another conversation.
    let other = begin(&host).await;
    for (path, request) in [
        (format!("/{other}/messages"), json!({"content": "x", "parent": message})),
        (format!("/{other}/messages/{message}/regenerate"), json!({})),
        (format!("/{other}"), json!({"branch": message})),
    ] {
        assert_eq!(body(post(&host, &path, &request).await, 404).await["code"], "not_found", "{path}");
    }
    assert_eq!(get(&host, &format!("/{id}")).await["messages"], 2);
    let reader = host.user_key("reader", &[Scope::Read]).await;
    let made = client.post(url("/api/v1/conversations")).bearer_auth(&reader).json(&json!({})).send().await;
    assert_eq!(body(made.expect("answered"), 403).await["code"], "insufficient_scope");
    host.stop().await;
}

#[tokio::test]
async fn bad_members_are_named_and_nothing_of_their_message_stays() {
    let provider = Scripted::talking([Talk::saying("Paris.")]);
    let host = host(&provider, "[conversations]\nmessage_kib = 1").await;
    let refused = async |path: &str, request: Value, status: u16| {
        let answer = body(post(&host, path, &request).await, status).await;
        let word = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        (word("code"), word("param"))
    };
    for (request, param) in [
        (json!({"title": ""}), "title"),
        (json!({"title": "x".repeat(201)}), "title"),
        (json!({"title": "a\nb"}), "title"),
        (json!({"title": 5}), "title"),
        (json!({"system": "\u{0}"}), "system"),
        (json!({"system": " "}), "system"),
        (json!({"system": "x".repeat(40_000)}), "system"),
        (json!({"owner": "bob"}), "owner"),
    ] {
        assert_eq!(refused("", request.clone(), 400).await.1, param, "{request}");
    }
    assert_eq!(refused("", json!({"model": "two words"}), 404).await.0, "model_not_found");
    let id = begin(&host).await;
    let path = format!("/{id}/messages");
    for (request, param) in [
        (json!({}), "content"),
        (json!({"content": null}), "content"),
        (json!({"content": 5}), "content"),
        (json!({"content": []}), "content"),
        (json!({"content": vec![json!({"type": "text", "text": "a"}); 33]}), "content"),
        (json!({"content": " \n"}), "content[0]"),
        (json!({"content": "a\u{7}"}), "content[0]"),
        (json!({"content": "x".repeat(1_025)}), "content[0]"),
        (
            json!({"content": [{"type": "text", "text": "x".repeat(1_000)}, {"type": "text", "text": "x".repeat(30)}]}),
            "content[1]",
        ),
        (json!({"content": [{"type": "text"}]}), "content[0].text"),
        (json!({"content": [{"type": "file"}]}), "content[0].file_id"),
        (json!({"content": [{"type": "image", "text": "a"}]}), "content[0].type"),
        (json!({"content": [{"type": "text", "text": "a", "file_id": "file-x"}]}), "content[0].file_id"),
        (json!({"content": [{"type": "text", "text": "a", "url": "x"}]}), "content[0].url"),
        (json!({"content": "a", "parent": "x"}), "parent"),
        (json!({"content": "a", "role": "system"}), "role"),
        (json!({"content": "a", "temperature": 3}), "temperature"),
        (json!({"content": "a", "max_output_tokens": 0}), "max_output_tokens"),
    ] {
        assert_eq!(refused(&path, request.clone(), 400).await.1, param, "{request}");
    }
    assert_eq!(
        refused(&path, json!({"content": "a", "model": "scripted/nothing"}), 404).await.0,
        "model_not_found"
    );
    assert_eq!(
        refused(&path, json!({"content": "a", "model": "scripted/painter"}), 400).await.0,
        "model_cannot_do_task"
    );
    let missing = "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718";
    assert_eq!(refused(&path, json!({"content": "a", "parent": missing}), 404).await.0, "not_found");
    for (path, status) in [("/x", 400), ("/019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", 404)] {
        assert_eq!(
            host.get(&format!("/api/v1/conversations{path}")).send().await.expect("answered").status(),
            status
        );
    }
    for query in ["?limit=0", "?limit=101", "?before=x", "?archived=maybe", "?sort=up"] {
        assert_eq!(
            host.get(&format!("/api/v1/conversations{query}")).send().await.expect("answered").status(),
            400
        );
    }
    let nobody = body(post(&host, "", &json!({})).await, 201).await["id"].as_str().expect("an id").to_owned();
    let told = refused(&format!("/{nobody}/messages"), json!({"content": "a"}), 400).await;
    assert_eq!(told.1, "model", "nobody was named to answer");
    assert_eq!(get(&host, &format!("/{id}")).await["messages"], 0);
    assert_eq!(provider.seen.lock().expect("no panic").chats.len(), 0);
    // A question answers nobody: what follows one is its answer.
    let talk = say(&host, &id, &json!({"content": "Capital of France?"})).await;
    let request = json!({"content": "a", "parent": talk["question"]["id"]});
    assert_eq!(refused(&path, request, 404).await.0, "not_found");
    host.stop().await;
}

#[tokio::test]
async fn conversations_end_at_their_bounds() {
    let provider = Scripted::talking((0..8).map(|n| Talk::saying(format!("answer {n}"))));
    let bounds = "[conversations]\nmessages = 4\nbranch_messages = 4\nper_user = 2\nuser_mib = 1\nbranch_kib = 600\nmessage_kib = 500";
    let host = host(&provider, bounds).await;
    let (first, second) = (begin(&host).await, begin(&host).await);
    assert_eq!(body(post(&host, "", &json!({})).await, 429).await["code"], "too_many");
    for _ in 0..2 {
        say(&host, &first, &json!({"content": "more"})).await;
    }
    let full = post(&host, &format!("/{first}/messages"), &json!({"content": "more"})).await;
    assert_eq!(body(full, 429).await["code"], "too_many");
    let large = "x".repeat(500 << 10);
    say(&host, &second, &json!({"content": large})).await;
    let long = post(&host, &format!("/{second}/messages"), &json!({"content": large})).await;
    let told = body(long, 400).await;
    assert!(
        told["message"].as_str().unwrap_or_default().contains("614400")
            || told.to_string().contains("614400"),
        "{told}"
    );
    // Another branch is not too long; the user's bytes are all used by then.
    say(&host, &second, &json!({"content": large, "parent": null})).await;
    let third =
        host.client.delete(host.url(&format!("/api/v1/conversations/{first}"))).bearer_auth(&host.key).send();
    assert_eq!(third.await.expect("answered").status(), 204);
    let third = begin(&host).await;
    let full = post(&host, &format!("/{third}/messages"), &json!({"content": large})).await;
    assert!(body(full, 429).await.to_string().contains("1048576"));
    // What is deleted counts no more.
    let gone = host
        .client
        .delete(host.url(&format!("/api/v1/conversations/{second}")))
        .bearer_auth(&host.key)
        .send();
    assert_eq!(gone.await.expect("answered").status(), 204);
    say(&host, &third, &json!({"content": large})).await;
    host.stop().await;
}

#[tokio::test]
async fn an_answer_is_paid_as_any_chat_and_refused_without_credits() {
    let provider = Scripted::talking([Talk::saying("Paris.")]);
    let host = TestHost::edited(|text| {
        let text = text.replace("accounting = \"record\"", "accounting = \"enforce\"");
        format!(
            "{text}\n[[price]]\nmodel = \"scripted/found\"\nper_million = {{ input-tokens = 1000000, output-tokens = 10000000 }}\n\
             [[price]]\nmodel = \"*\"\nfree = true\n"
        )
    })
    .await;
    host.put("scripted", provider.clone()).await;
    let id = begin(&host).await;
    let request = json!({"content": "Capital of France?", "max_output_tokens": 10});
    let refused = post(&host, &format!("/{id}/messages"), &request).await;
    assert_eq!(body(refused, 402).await["code"], "insufficient_credits");
    assert_eq!(provider.seen.lock().expect("no panic").talks.len(), 0);
    assert_eq!(get(&host, &format!("/{id}")).await["leaf"], Value::Null);
    let grant = json!({"user": "admin", "amount": 1000, "reason": "welcome"});
    assert_eq!(host.post("/api/v1/credits", &grant).send().await.expect("answered").status(), 201);
    say(&host, &id, &request).await;
    host.running().app.ledger.settle().await.expect("folded");
    let usage = body(host.get("/api/v1/usage").send().await.expect("answered"), 200).await;
    let records = usage["data"].as_array().expect("a list");
    assert_eq!(
        (records.len(), records[0]["cost"].as_u64(), records[0]["task"].as_str()),
        (1, Some(10), Some("chat"))
    );
    host.stop().await;
}
