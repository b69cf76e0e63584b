use atelier_domain::account::Scope;
use serde_json::Value;

use crate::host::{TestHost, json, stable};
use crate::scripted::{Scripted, Talk};

#[tokio::test]
async fn the_in_house_model_is_listed_and_found_with_raw_and_encoded_slashes() {
    let host = TestHost::start().await;
    let list = json(host.get("/v1/models").send().await.expect("answered"), 200).await;
    insta::assert_json_snapshot!("list", stable(list.clone()));
    for path in ["/v1/models/local/smollm2-135m-instruct", "/v1/models/local%2Fsmollm2-135m-instruct"] {
        let one = json(host.get(path).send().await.expect("answered"), 200).await;
        assert_eq!(one, list["data"][0]);
    }
    host.stop().await;
}

#[tokio::test]
async fn a_mistyped_model_is_answered_with_its_neighbour() {
    let host = TestHost::start().await;
    let refused =
        json(host.get("/v1/models/local/smollm2-135-instruct").send().await.expect("answered"), 404).await;
    insta::assert_json_snapshot!("mistyped", stable(refused));
    host.stop().await;
}

#[tokio::test]
async fn an_alias_is_listed_with_its_targets_and_its_answers_say_who_gave_them() {
    let host = TestHost::edited(|text| {
        let aliases = "aliases = { fast = [\"local/found\"], staff = { targets = [{ model = \"local/found\" }], audience = \"administrators\" } }";
        text.replace("\n[models]\n", &format!("\n[models]\n{aliases}\n"))
    })
    .await;
    host.put("local", Scripted::talking([Talk::saying("hello"), Talk::saying("hello")])).await;
    let ada = host.user_key("ada", &[Scope::Read, Scope::Generate]).await;
    let listed = async |key: &str| -> Vec<Value> {
        let answer = host.client.get(host.url("/v1/models")).bearer_auth(key).send().await.expect("answered");
        let all = json(answer, 200).await["data"].as_array().expect("a list").clone();
        all.into_iter().filter(|model| model["owned_by"] == "operator").collect()
    };
    let fast = serde_json::json!({"id": "fast", "object": "model", "created": 0, "owned_by": "operator", "name": "fast",
        "status": "available", "tasks": ["chat"], "targets": ["local/found"]});
    assert_eq!(listed(&ada).await, std::slice::from_ref(&fast));
    assert_eq!(listed(&host.key).await.len(), 2, "administrators see theirs too");
    assert_eq!(json(host.get("/v1/models/fast").send().await.expect("answered"), 200).await, fast);
    for stream in [false, true] {
        let request = serde_json::json!({"model": "fast", "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
        let asked =
            host.client.post(host.url("/v1/chat/completions")).bearer_auth(&ada).json(&request).send();
        let answer = asked.await.expect("answered");
        assert_eq!(answer.headers()["x-atelier-model"], "local/found");
        let text = answer.text().await.expect("a body");
        assert!(text.contains("\"model\":\"local/found\""), "{text}");
    }
    let request = serde_json::json!({"model": "staff", "messages": [{"role": "user", "content": "hi"}]});
    let refused = host.client.post(host.url("/v1/chat/completions")).bearer_auth(&ada).json(&request).send();
    assert_eq!(json(refused.await.expect("answered"), 404).await["error"]["code"], "model_not_found");
    host.stop().await;
}
