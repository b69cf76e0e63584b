//! Files as parts of messages.

use atelier_domain::account::Scope;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use super::{asked, begin, get, host, post, say};
use crate::host::json as body;
use crate::scripted::{Scripted, Talk};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0";

#[tokio::test]
async fn a_message_keeps_the_file_that_it_names() {
    let provider = Scripted::talking(["A dot.", "Still a dot."].map(Talk::saying));
    let host = host(&provider, "").await;
    let upload = async |key: &str| {
        let part = Part::bytes(PNG.to_vec()).file_name("dot.png");
        let form = Form::new().text("purpose", "vision").part("file", part);
        let sent = host.client.post(host.url("/v1/files")).bearer_auth(key).multipart(form).send().await;
        body(sent.expect("answered"), 200).await["id"].as_str().expect("an id").to_owned()
    };
    let file = upload(&host.key).await;
    let id = begin(&host).await;
    let content = json!([{"type": "text", "text": "What is this?"}, {"type": "file", "file_id": file}]);
    let first = say(&host, &id, &json!({"content": content})).await;
    let part = &first["question"]["content"][1];
    assert_eq!(
        part,
        &json!({"type": "file", "file_id": file, "name": "dot.png", "content_type": "image/png", "size": PNG.len()})
    );
    assert_eq!(asked(&provider).last().expect("a question").1, "What is this?+dot.png");
    // It is deleted, and the branch goes on with it.
    let path = host.url(&format!("/v1/files/{file}"));
    assert_eq!(host.client.delete(path).bearer_auth(&host.key).send().await.expect("answered").status(), 200);
    host.running().app.files.sweep(None).await.expect("swept");
    say(&host, &id, &json!({"content": "And now?"})).await;
    assert_eq!(asked(&provider)[0].1, "What is this?+dot.png");
    assert!(get(&host, &format!("/{id}")).await["bytes"].as_u64().expect("a number") > PNG.len() as u64);

    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let foreign = upload(&bob).await;
    for file in [foreign.as_str(), file.as_str(), "file-x", "file-019ab0c3e5f07d0aa1b2c3d4e5f60718"] {
        let request = json!({"content": [{"type": "file", "file_id": file}]});
        let told = post(&host, &format!("/{id}/messages"), &request).await;
        assert_eq!(body(told, 404).await["code"], "not_found", "{file}");
    }
    assert_eq!(get(&host, &format!("/{id}")).await["messages"], 4);
    host.stop().await;
}
