use atelier_domain::account::Scope;
use reqwest::Response;
use reqwest::multipart::{Form, Part};
use serde_json::Value;

use crate::host::{TestHost, json};
use crate::scripted::{Scripted, Talk};

/// A host that counts uploads and storage as the test needs it.
pub async fn host(storage: &str) -> TestHost {
    TestHost::edited(|text| {
        let often = "[limits]\nupload = { requests = 1000, seconds = 60 }\n";
        text.replace("[limits]\n", often).replace("[storage]\n", &format!("[storage]\n{storage}\n"))
    })
    .await
}

pub async fn send(host: &TestHost, key: &str, form: Form) -> Response {
    host.client.post(host.url("/v1/files")).bearer_auth(key).multipart(form).send().await.expect("answered")
}

fn part(name: &str, content: impl Into<Vec<u8>>) -> Part {
    Part::bytes(content.into()).file_name(name.to_owned())
}

/// Uploads a file and gives what the host says of it.
pub async fn upload(host: &TestHost, key: &str, purpose: &str, name: &str, content: &[u8]) -> Value {
    let form = Form::new().text("purpose", purpose.to_owned()).part("file", part(name, content));
    json(send(host, key, form).await, 200).await
}

async fn refused(host: &TestHost, form: Form, status: u16) -> Value {
    json(send(host, &host.key, form).await, status).await["error"].clone()
}

async fn ask(host: &TestHost, key: &str, path: &str) -> Response {
    host.client.get(host.url(path)).bearer_auth(key).send().await.expect("answered")
}

fn id(file: &Value) -> &str {
    file["id"].as_str().expect("an id")
}

#[tokio::test]
async fn a_file_is_kept_listed_read_and_deleted() {
    let host = host("").await;
    let content = b"{\"messages\": []}\n";
    let made = upload(&host, &host.key, "fine-tune", "a b.jsonl", content).await;
    assert_eq!((made["object"].as_str(), made["bytes"].as_u64()), (Some("file"), Some(content.len() as u64)));
    assert_eq!((made["filename"].as_str(), made["purpose"].as_str()), (Some("a b.jsonl"), Some("fine-tune")));
    assert!(made["expires_at"].is_null(), "{made}");
    let path = format!("/v1/files/{}", id(&made));
    assert_eq!(json(ask(&host, &host.key, &path).await, 200).await, made);
    let read = ask(&host, &host.key, &format!("{path}/content")).await;
    assert_eq!(read.headers()["content-disposition"], "attachment; filename*=UTF-8''a%20b.jsonl");
    assert_eq!(read.bytes().await.expect("a body"), &content[..]);
    let delete = || host.client.delete(host.url(&path)).bearer_auth(&host.key).send();
    let deleted = json(delete().await.expect("answered"), 200).await;
    assert_eq!((deleted["id"].as_str(), deleted["deleted"].as_bool()), (made["id"].as_str(), Some(true)));
    assert_eq!(delete().await.expect("answered").status(), 404);
    assert_eq!(ask(&host, &host.key, &path).await.status(), 404);
    assert_eq!(ask(&host, &host.key, &format!("{path}/content")).await.status(), 404);
    host.stop().await;
}

#[tokio::test]
async fn another_users_file_and_a_malformed_id_are_not_there() {
    let host = host("").await;
    let made = upload(&host, &host.key, "user_data", "a.txt", b"private").await;
    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let uuid = "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718";
    for id in
        [id(&made), "file-1", "file-", uuid, &format!("file-{uuid}"), "file-zz9ab0c3e5f07d0aa1b2c3d4e5f60718"]
    {
        for path in [format!("/v1/files/{id}"), format!("/v1/files/{id}/content")] {
            assert_eq!(
                json(ask(&host, &bob, &path).await, 404).await["error"]["code"],
                "not_found",
                "{path}"
            );
        }
        let deleted = host.client.delete(host.url(&format!("/v1/files/{id}"))).bearer_auth(&bob).send().await;
        assert_eq!(deleted.expect("answered").status(), 404, "{id}");
    }
    assert_eq!(json(ask(&host, &bob, "/v1/files").await, 200).await["data"], serde_json::json!([]));
    assert_eq!(ask(&host, &host.key, &format!("/v1/files/{}", id(&made))).await.status(), 200);
    let reader = host.user_key("carol", &[Scope::Read]).await;
    let form = Form::new().text("purpose", "user_data").part("file", part("a.txt", "x"));
    let refused = json(send(&host, &reader, form).await, 403).await;
    assert_eq!(refused["error"]["code"], "insufficient_scope");
    host.stop().await;
}

#[tokio::test]
async fn files_are_listed_in_pages_either_way_and_by_purpose() {
    let host = host("").await;
    let mut made = Vec::new();
    for n in 0..5 {
        let purpose = if n % 2 == 0 { "user_data" } else { "assistants" };
        made.push(upload(&host, &host.key, purpose, "a.txt", format!("file {n}").as_bytes()).await);
    }
    let list = async |query: &str| json(ask(&host, &host.key, &format!("/v1/files{query}")).await, 200).await;
    let ids = |page: &Value| -> Vec<String> {
        page["data"].as_array().expect("data").iter().map(|file| id(file).to_owned()).collect()
    };
    let all: Vec<_> = made.iter().map(|file| id(file).to_owned()).collect();
    assert_eq!(ids(&list("?order=asc").await), all);
    let newest = list("?limit=2").await;
    assert_eq!(
        (ids(&newest), newest["has_more"].as_bool()),
        (vec![all[4].clone(), all[3].clone()], Some(true))
    );
    assert_eq!(newest["last_id"], all[3]);
    let rest = list(&format!("?limit=3&after={}", all[3])).await;
    assert_eq!((ids(&rest).len(), rest["has_more"].as_bool()), (3, Some(false)));
    let some = list("?purpose=assistants&order=asc").await;
    assert_eq!(ids(&some), [all[1].clone(), all[3].clone()]);
    for (query, status) in [
        ("?limit=0", 400),
        ("?limit=10001", 400),
        ("?order=up", 400),
        ("?purpose=x", 400),
        ("?x=1", 400),
        ("?after=y", 404),
    ] {
        assert_eq!(ask(&host, &host.key, &format!("/v1/files{query}")).await.status(), status, "{query}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_file_is_checked_by_its_content_and_a_wrong_line_is_named() {
    let host = host("").await;
    for purpose_first in [true, false] {
        let form = |purpose: &str, content: &str| {
            let (purpose, file) = (purpose.to_owned(), part("a.jsonl", content));
            match purpose_first {
                true => Form::new().text("purpose", purpose).part("file", file),
                false => Form::new().part("file", file).text("purpose", purpose),
            }
        };
        let told = refused(&host, form("fine-tune", "{}\n{}\n{oops}\n"), 400).await;
        assert_eq!(told["param"], "file");
        assert!(told["message"].as_str().expect("text").contains("line 3: key must be a string"), "{told}");
        let told = refused(&host, form("batch", "{\"custom_id\": \"a\"}"), 400).await;
        assert!(told["message"].as_str().expect("text").contains("line 1: `method`"), "{told}");
        let told = refused(&host, form("vision", "<script>"), 400).await;
        assert!(told["message"].as_str().expect("text").contains("not an image"), "{told}");
        assert_eq!(refused(&host, form("user_data", ""), 400).await["param"], "file");
        assert_eq!(refused(&host, form("treason", "x"), 400).await["param"], "purpose");
    }
    let missing = refused(&host, Form::new().text("purpose", "user_data"), 400).await;
    assert_eq!(
        (missing["code"].as_str(), missing["param"].as_str()),
        (Some("missing_required_parameter"), Some("file"))
    );
    let missing = refused(&host, Form::new().part("file", part("a", "x")), 400).await;
    assert_eq!(missing["param"], "purpose");
    let twice =
        Form::new().text("purpose", "user_data").part("file", part("a", "x")).part("file", part("b", "y"));
    assert_eq!(refused(&host, twice, 400).await["param"], "file");
    assert_eq!(
        json(ask(&host, &host.key, "/v1/files").await, 200).await["data"],
        serde_json::json!([]),
        "nothing stays"
    );
    host.stop().await;
}

#[tokio::test]
async fn a_file_can_go_by_itself_within_bounds() {
    let host = host("").await;
    let form = |anchor: &str, seconds: &str| {
        Form::new()
            .text("purpose", "user_data")
            .text("expires_after[anchor]", anchor.to_owned())
            .text("expires_after[seconds]", seconds.to_owned())
            .part("file", part("a.txt", "x"))
    };
    let made = json(send(&host, &host.key, form("created_at", "3600")).await, 200).await;
    let times = (made["created_at"].as_u64().expect("a time"), made["expires_at"].as_u64().expect("a time"));
    assert_eq!(times.1 - times.0, 3600);
    for (anchor, seconds) in
        [("last_active_at", "3600"), ("created_at", "3599"), ("created_at", "2592001"), ("created_at", "-1")]
    {
        let told = refused(&host, form(anchor, seconds), 400).await;
        assert!(told["param"].as_str().expect("a member").starts_with("expires_after["), "{told}");
    }
    let half = Form::new()
        .text("purpose", "user_data")
        .text("expires_after[seconds]", "3600")
        .part("file", part("a", "x"));
    assert_eq!(refused(&host, half, 400).await["param"], "expires_after[anchor]");
    host.stop().await;
}

#[tokio::test]
async fn a_users_files_have_a_quota() {
    let host = host("quota_mib = 1").await;
    let large = vec![b'x'; 700_000];
    let first = upload(&host, &host.key, "user_data", "a.txt", &large).await;
    let form = || Form::new().text("purpose", "user_data").part("file", part("b.txt", large.clone()));
    let told = refused(&host, form(), 413).await;
    assert_eq!(told["code"], "storage_quota_exceeded", "{told}");
    assert!(told["message"].as_str().expect("text").contains("1048576 bytes"), "{told}");
    // Another's quota is their own, and what is deleted counts no more.
    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    assert_eq!(send(&host, &bob, form()).await.status(), 200);
    let path = host.url(&format!("/v1/files/{}", id(&first)));
    assert_eq!(host.client.delete(path).bearer_auth(&host.key).send().await.expect("answered").status(), 200);
    assert_eq!(send(&host, &host.key, form()).await.status(), 200);
    host.stop().await;
}

#[tokio::test]
async fn uploads_at_once_share_one_quota() {
    let host = host("quota_mib = 1").await;
    let sending = (0..8).map(|n: u8| {
        let form =
            Form::new().text("purpose", "user_data").part("file", part("a.txt", vec![b'a' + n; 400_000]));
        send(&host, &host.key, form)
    });
    let answers = futures::future::join_all(sending).await;
    let kept = answers.iter().filter(|answer| answer.status() == 200).count();
    assert!(kept <= 2, "{kept} files of 400 kB in 1 MiB");
    assert!(answers.iter().all(|answer| [200, 413].contains(&answer.status().as_u16())));
    host.stop().await;
}

#[tokio::test]
async fn while_the_disk_is_almost_full_uploads_and_new_jobs_are_refused_and_nothing_else_is() {
    // More than there is.
    let host = host("min_free_mib = 1073741824").await;
    host.put("scripted", Scripted::talking([Talk::saying("still here")])).await;
    let form = Form::new().text("purpose", "user_data").part("file", part("a.txt", "words"));
    let answer = send(&host, &host.key, form).await;
    assert_eq!(answer.headers()["retry-after"], "60");
    assert_eq!(json(answer, 507).await["error"]["code"], "storage_full");
    let job = serde_json::json!({"model": "scripted/painter", "task": "image-generation", "prompt": "a cat"});
    let answer = host.post("/api/v1/generations", &job).send().await.expect("answered");
    assert_eq!(json(answer, 507).await["code"], "storage_full");
    let messages = serde_json::json!([{"role": "user", "content": "hi"}]);
    let chat = serde_json::json!({"model": "scripted/found", "messages": messages});
    let answer = host.post("/v1/chat/completions", &chat).send().await.expect("answered");
    assert_eq!(answer.status(), 200);
    host.stop().await;
}

#[tokio::test]
async fn a_user_has_so_many_files() {
    let host = host("quota_files = 1").await;
    upload(&host, &host.key, "user_data", "a.txt", b"one").await;
    let form = Form::new().text("purpose", "user_data").part("file", part("b.txt", "two"));
    assert_eq!(refused(&host, form, 429).await["code"], "too_many");
    host.stop().await;
}
