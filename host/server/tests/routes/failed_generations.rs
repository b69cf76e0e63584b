use atelier_domain::account::Scope;
use atelier_domain::failure::FailureCode;
use serde_json::json;

use crate::host::{TestHost, json as body};
use crate::scripted::{Act, Scripted};

#[tokio::test]
async fn an_administrator_finds_failed_jobs_of_all_users_by_their_code_and_nobody_else_does() {
    let refused = Act::Fail(FailureCode::ContentRefused);
    let provider = Scripted::new([refused.clone(), refused, Act::Fail(FailureCode::InvalidRequest)]);
    let host = TestHost::start().await;
    host.put("scripted", provider).await;
    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let wanted = json!({"model": "scripted/painter", "task": "image-generation", "prompt": "a cat"});
        let request = host.client.post(host.url("/api/v1/generations")).bearer_auth(&bob).json(&wanted);
        let job = body(request.send().await.expect("answered"), 202).await;
        let id = job["id"].as_str().expect("an id").to_owned();
        let path = host.url(&format!("/api/v1/generations/{id}"));
        loop {
            let job = host.client.get(&path).bearer_auth(&bob).send().await.expect("answered");
            if body(job, 200).await["state"] == "failed" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        ids.push(id);
    }
    let list = |query: &str| host.get(&format!("/api/v1/admin/generations{query}"));
    let found = body(list("?error=content-refused").send().await.expect("answered"), 200).await;
    assert_eq!(found["data"].as_array().map(Vec::len), Some(2), "{found}");
    assert_eq!((&found["data"][0]["id"], &found["data"][1]["id"]), (&json!(ids[1]), &json!(ids[0])));
    let accounts = &host.running().app.accounts;
    let owner = accounts.user_by_name("bob").await.expect("bob").id;
    assert_eq!(found["data"][0]["owner"], json!(owner.to_string()));
    let first = body(list("?error=content-refused&limit=1").send().await.expect("answered"), 200).await;
    let next = first["next"].as_str().expect("another page").to_owned();
    let rest = list(&format!("?error=content-refused&before={next}"));
    let rest = body(rest.send().await.expect("answered"), 200).await;
    assert_eq!((&rest["data"][0]["id"], &rest["next"]), (&json!(ids[0]), &json!(null)));
    let unknown = body(list("").send().await.expect("answered"), 200).await;
    assert_eq!(unknown["data"], json!([]), "none has an unknown outcome");
    for bad in ["?error=", "?limit=0", "?before=x", "?other=1"] {
        assert_eq!(list(bad).send().await.expect("answered").status(), 400, "{bad}");
    }
    let refused = host.client.get(host.url("/api/v1/admin/generations")).bearer_auth(&bob).send().await;
    assert_eq!(refused.expect("answered").status(), 403);
    host.stop().await;
}

#[tokio::test]
async fn a_job_is_seen_by_its_owner_and_by_administrators_and_by_nobody_else() {
    let host = TestHost::start().await;
    host.put("scripted", Scripted::new([Act::Done("a cat")])).await;
    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let eve = host.user_key("eve", &Scope::ALL).await;
    // Of an administrator, and not for administration.
    let accounts = &host.running().app.accounts;
    let admin = accounts.user_by_name("admin").await.expect("the administrator");
    let plain = accounts.create_key(admin.id, "plain", vec![Scope::Read], None).await.expect("a key");
    let ask = async |key: &str, path: &str| {
        host.client.get(host.url(path)).bearer_auth(key).send().await.expect("answered")
    };
    let wanted = json!({"model": "scripted/painter", "task": "image-generation", "prompt": "a cat"});
    let request = host.client.post(host.url("/api/v1/generations")).bearer_auth(&bob).json(&wanted);
    let job = body(request.send().await.expect("answered"), 202).await;
    let path = format!("/api/v1/generations/{}", job["id"].as_str().expect("an id"));
    let seen = loop {
        let job = body(ask(&bob, &path).await, 200).await;
        if job["state"] == "succeeded" {
            break job;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(body(ask(&host.key, &path).await, 200).await, seen, "as its owner sees it");
    assert_eq!(ask(&eve, &path).await.status(), 404);
    assert_eq!(ask(plain.secret.reveal(), &path).await.status(), 404, "its key is no administrator's");
    let none = format!("/api/v1/generations/{}", uuid::Uuid::now_v7());
    assert_eq!(ask(&host.key, &none).await.status(), 404);
    host.stop().await;
}

#[tokio::test]
async fn a_full_queue_is_answered_with_a_time_to_wait() {
    let provider = Scripted::new(std::iter::repeat_n(Act::Waiting("p"), 10));
    let host =
        TestHost::edited(|text| text.replace("[jobs]", "[jobs]\nqueued = 2\nqueued_per_user = 1")).await;
    host.put("scripted", provider).await;
    let keys =
        [host.key.clone(), host.user_key("ada", &Scope::ALL).await, host.user_key("bob", &Scope::ALL).await];
    let mut codes = Vec::new();
    for key in [0, 0, 1, 2] {
        let wanted = json!({"model": "scripted/painter", "task": "image-generation", "prompt": "a cat"});
        let request = host.client.post(host.url("/api/v1/generations")).bearer_auth(&keys[key]).json(&wanted);
        let answer = request.send().await.expect("answered");
        let waits = answer.headers().get("retry-after").map(|value| value.to_str().expect("text").to_owned());
        let (status, told) =
            (answer.status().as_u16(), answer.json::<serde_json::Value>().await.expect("JSON"));
        codes.push((status, told["code"].as_str().map(str::to_owned), waits));
    }
    let refused = |code: &str| (429, Some(code.to_owned()), Some("10".to_owned()));
    let taken = (202, None, None);
    assert_eq!(codes, [taken.clone(), refused("too_many_jobs"), taken, refused("queue_full")]);
    host.stop().await;
}
