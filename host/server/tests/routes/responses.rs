use std::sync::Arc;

use atelier_domain::account::Scope;
use atelier_domain::generation::chat::{ChatEvent, ChatRole, FinishReason, Message};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::host::{TestHost, json as body};
use crate::scripted::{Scripted, Talk};

async fn host(provider: &Arc<Scripted>, more: &str) -> TestHost {
    let host = TestHost::edited(|text| {
        let text = text.replace("status = { requests = 120,", "status = { requests = 100000,");
        format!("{text}\n{more}\n")
    })
    .await;
    host.put("scripted", provider.clone()).await;
    host
}

async fn ask(host: &TestHost, key: &str, method: Method, path: &str) -> Response {
    host.client.request(method, host.url(path)).bearer_auth(key).send().await.expect("answered")
}

async fn get(host: &TestHost, path: &str) -> Response {
    ask(host, &host.key, Method::GET, path).await
}

async fn respond(host: &TestHost, wanted: Value) -> Response {
    let mut request = json!({"model": "scripted/found"});
    for (name, value) in wanted.as_object().expect("an object") {
        request[name] = value.clone();
    }
    host.post("/v1/responses", &request).send().await.expect("answered")
}

fn path(response: &Value) -> String {
    format!("/v1/responses/{}", response["id"].as_str().expect("an id"))
}

fn said(provider: &Scripted) -> Vec<(ChatRole, String)> {
    let seen = provider.seen.lock().expect("no panic");
    let text = |message: &Message| format!("{:?}", message.parts);
    seen.chats.last().expect("asked").messages.iter().map(|message| (message.role, text(message))).collect()
}

#[tokio::test]
async fn an_answer_is_kept_read_gone_on_from_and_deleted() {
    let provider = Scripted::talking(["one", "two", "three"].map(Talk::saying));
    let host = host(&provider, "").await;
    let first = body(respond(&host, json!({"input": "first", "instructions": "be brief"})).await, 200).await;
    assert_eq!((&first["store"], &first["previous_response_id"]), (&json!(true), &json!(null)));
    assert_eq!(body(get(&host, &path(&first)).await, 200).await, first, "at once, and as it was given");
    let wanted = json!({"input": [{"role": "user", "content": "second"}], "previous_response_id": first["id"], "instructions": "shout"});
    let second = body(respond(&host, wanted).await, 200).await;
    assert_eq!(second["previous_response_id"], first["id"]);
    let wanted = json!({"input": "third", "previous_response_id": second["id"], "store": false});
    let third = body(respond(&host, wanted).await, 200).await;
    assert_eq!(third["store"], false);
    assert_eq!(get(&host, &path(&third)).await.status(), 404, "it was not to be kept");
    let heard = said(&provider);
    let roles: Vec<_> = heard.iter().map(|(role, _)| *role).collect();
    use ChatRole::{Assistant, User};
    assert_eq!(
        roles,
        [User, Assistant, User, Assistant, User],
        "instructions are not gone on with: {heard:?}"
    );
    for ((_, text), word) in heard.iter().zip(["first", "one", "second", "two", "third"]) {
        assert!(text.contains(word), "{text}");
    }

    let items = async |query: &str| {
        let page = body(get(&host, &format!("{}/input_items{query}", path(&second))).await, 200).await;
        let texts: Vec<_> = page["data"]
            .as_array()
            .expect("data")
            .iter()
            .map(|item| item["content"][0]["text"].clone())
            .collect();
        (texts, page)
    };
    assert_eq!(items("?order=asc").await.0, ["first", "one", "second"]);
    let (newest, page) = items("?limit=2").await;
    assert_eq!((newest, &page["has_more"]), (vec![json!("second"), json!("one")], &json!(true)));
    let after = page["last_id"].as_str().expect("an id");
    assert_eq!(items(&format!("?after={after}")).await.0, ["first"]);

    let deleted = body(ask(&host, &host.key, Method::DELETE, &path(&first)).await, 200).await;
    assert_eq!(deleted, json!({"id": first["id"], "object": "response", "deleted": true}));
    assert_eq!(get(&host, &path(&first)).await.status(), 404);
    assert_eq!(ask(&host, &host.key, Method::DELETE, &path(&first)).await.status(), 404);
    let broken = respond(&host, json!({"input": "x", "previous_response_id": second["id"]})).await;
    assert_eq!(broken.status(), 404, "a part of what was said is gone");
    host.stop().await;
}

#[tokio::test]
async fn a_streamed_answer_is_kept_when_it_is_whole() {
    let provider = Scripted::talking(["one", "two"].map(Talk::saying));
    let host = host(&provider, "").await;
    let events =
        respond(&host, json!({"input": "first", "stream": true})).await.text().await.expect("events");
    let last = events.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().expect("events");
    let completed: Value = serde_json::from_str(last).expect("JSON");
    let response = &completed["response"];
    assert_eq!((&completed["type"], &response["store"]), (&json!("response.completed"), &json!(true)));
    assert_eq!(body(get(&host, &path(response)).await, 200).await, *response);
    let again = respond(&host, json!({"input": "second", "previous_response_id": response["id"]})).await;
    assert_eq!(again.status(), 200);
    assert_eq!(said(&provider).len(), 3);
    host.stop().await;
}

#[tokio::test]
async fn calls_of_tools_that_come_at_once_keep_their_own_arguments() {
    let provider = Scripted::new([]);
    let start = |index: u32| {
        let (id, name) = (format!("call-{index}"), "look".to_owned());
        ChatEvent::ToolCallStart { index, id, name, signature: None }
    };
    let delta = |index, arguments: &str| ChatEvent::ToolCallDelta { index, arguments: arguments.to_owned() };
    let events = vec![
        ChatEvent::Started { id: "talk".to_owned(), model: "found".to_owned() },
        start(0),
        delta(0, "{\"a\":"),
        start(1),
        delta(1, "{\"b\":"),
        delta(0, "1}"),
        delta(1, "2}"),
        ChatEvent::Finished(FinishReason::ToolCalls),
    ];
    *provider.chat.lock().expect("no panic") = Some(events);
    let host = host(&provider, "").await;
    let wanted = [("call-0", "{\"a\":1}"), ("call-1", "{\"b\":2}")];
    let events = respond(&host, json!({"input": "hi", "stream": true})).await.text().await.expect("events");
    let last = events.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().expect("events");
    let completed: Value = serde_json::from_str(last).expect("JSON");
    let output = completed["response"]["output"].as_array().expect("items");
    let told = |item: &Value| (item["call_id"].clone(), item["arguments"].clone());
    assert_eq!(
        output.iter().map(told).collect::<Vec<_>>(),
        wanted.map(|(id, told)| (json!(id), json!(told)))
    );
    let question = json!([{"role": "user", "content": "hi"}]);
    let message = json!({"model": "scripted/found", "messages": question, "max_tokens": 9, "stream": true});
    let blocks =
        host.post("/v1/messages", &message).send().await.expect("answered").text().await.expect("events");
    let mut told = Vec::<String>::new();
    for event in blocks.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let event: Value = serde_json::from_str(event).expect("JSON");
        if event["type"] == "content_block_start" {
            told.push(String::new());
        } else if let Some(piece) = event["delta"]["partial_json"].as_str() {
            told[event["index"].as_u64().expect("a block") as usize].push_str(piece);
        }
    }
    assert_eq!(told, wanted.map(|(_, told)| told));
    host.stop().await;
}

#[tokio::test]
async fn a_kept_answer_is_its_owners_alone_and_bad_requests_are_refused() {
    let provider = Scripted::talking([Talk::saying("one")]);
    let host = host(&provider, "").await;
    let mine = body(respond(&host, json!({"input": "hi"})).await, 200).await;
    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let unknown = json!({"id": "resp_019ab0c3e5f07d0aa1b2c3d4e5f60718"});
    for (key, response) in [(&bob, &mine), (&host.key, &unknown), (&host.key, &json!({"id": "resp_1"}))] {
        for (method, path) in [
            (Method::GET, path(response)),
            (Method::GET, format!("{}/input_items", path(response))),
            (Method::DELETE, path(response)),
        ] {
            let refused = body(ask(&host, key, method, &path).await, 404).await;
            assert_eq!(refused["error"]["code"], "not_found", "{path}");
        }
        let wanted =
            json!({"model": "scripted/found", "input": "hi", "previous_response_id": response["id"]});
        let request = host.client.post(host.url("/v1/responses")).bearer_auth(key).json(&wanted);
        assert_eq!(request.send().await.expect("answered").status(), 404, "{wanted}");
    }
    for (wanted, param) in [
        (json!({"input": "hi", "previous_response_id": 7}), "previous_response_id"),
        (json!({"input": "hi", "store": "yes"}), "store"),
        (json!({"input": 7}), "input"),
        (json!({"input": "hi", "conversation": "conv_1"}), "conversation"),
        (json!({"input": "hi", "background": true}), "background"),
    ] {
        assert_eq!(body(respond(&host, wanted).await, 400).await["error"]["param"], param);
    }
    for bad in ["?limit=0", "?limit=101", "?order=up", "?after=msg_1", "?x=1"] {
        assert_eq!(get(&host, &format!("{}/input_items{bad}", path(&mine))).await.status(), 400, "{bad}");
    }
    assert_eq!(get(&host, &format!("{}?stream=true", path(&mine))).await.status(), 400);
    assert_eq!(provider.seen.lock().expect("no panic").talks.len(), 1, "nobody was asked again");
    host.stop().await;
}

#[tokio::test]
async fn an_answer_goes_on_from_so_many_others() {
    let provider = Scripted::talking(["one", "two"].map(Talk::saying));
    let host = host(&provider, "[responses]\nchain = 1\n").await;
    let first = body(respond(&host, json!({"input": "x".repeat(3_000)})).await, 200).await;
    let second =
        body(respond(&host, json!({"input": "y", "previous_response_id": first["id"]})).await, 200).await;
    let third =
        body(respond(&host, json!({"input": "z", "previous_response_id": second["id"]})).await, 400).await;
    assert_eq!(third["error"]["param"], "previous_response_id", "{third}");
    host.stop().await;
}

#[tokio::test]
async fn kept_answers_count_to_the_quota_of_files() {
    let provider = Scripted::talking(["one", "two"].map(Talk::saying));
    let host = TestHost::edited(|text| text.replace("[storage]\n", "[storage]\nquota_mib = 1\n")).await;
    host.put("scripted", provider.clone()).await;
    let kept = body(respond(&host, json!({"input": "x".repeat(600_000)})).await, 200).await;
    let store = async || get(&host, &path(&kept)).await.status();
    assert_eq!(store().await, 200);
    // An answer counts once it is on disk, which is a moment after it was given.
    let app = &host.running().app;
    while app.responses.pending() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let form = reqwest::multipart::Form::new()
        .text("purpose", "user_data")
        .part("file", reqwest::multipart::Part::bytes(vec![b'a'; 600_000]).file_name("a.txt"));
    let refused = body(crate::files::send(&host, &host.key, form).await, 413).await;
    assert_eq!(refused["error"]["code"], "storage_quota_exceeded");
    // What does not fit is answered, and not kept.
    let large = body(respond(&host, json!({"input": "x".repeat(600_000)})).await, 200).await;
    while app.responses.pending() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(get(&host, &path(&large)).await.status(), 404);
    host.stop().await;
}

#[tokio::test]
async fn an_operator_may_keep_no_answers() {
    let provider = Scripted::talking([Talk::saying("one")]);
    let host = host(&provider, "[responses]\nstore = false\n").await;
    let answer = body(respond(&host, json!({"input": "hi", "store": true})).await, 200).await;
    assert_eq!(answer["store"], false);
    assert_eq!(get(&host, &path(&answer)).await.status(), 404);
    let refused =
        body(respond(&host, json!({"input": "hi", "previous_response_id": answer["id"]})).await, 400).await;
    assert_eq!(refused["error"]["param"], "previous_response_id");
    host.stop().await;
}
