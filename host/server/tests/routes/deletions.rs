//! Users who are deleted, and what is left of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use atelier_domain::account::{Role, Scope};
use reqwest::Response;
use serde_json::{Value, json};

use crate::files::upload;
use crate::host::{TestHost, json as body};
use crate::scripted::{Act, Scripted};
use crate::sessions::{self, Browser, PASSWORD, sign_in};

async fn delete(host: &TestHost, key: &str, user: &str) -> Response {
    let path = format!("/api/v1/users/{user}");
    host.client.delete(host.url(&path)).bearer_auth(key).send().await.expect("answered")
}

async fn get(host: &TestHost, key: &str, path: &str) -> Response {
    host.client.get(host.url(path)).bearer_auth(key).send().await.expect("answered")
}

async fn post(host: &TestHost, key: &str, path: &str, wanted: &Value) -> Value {
    let made = host.client.post(host.url(path)).bearer_auth(key).json(wanted).send().await.expect("answered");
    let status = made.status();
    assert!(status.is_success(), "{path}: {status}");
    made.json().await.expect("a body")
}

async fn id_of(host: &TestHost, name: &str) -> String {
    host.running().app.accounts.user_by_name(name).await.expect("a user").id.to_string()
}

/// Waits until nothing of a deleted user's is left.
async fn erased(host: &TestHost, user: &str) -> Value {
    loop {
        let told = body(get(host, &host.key, &format!("/api/v1/users/{user}")).await, 200).await;
        if told["deleted"]["finished"].is_string() {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_under(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn a_deleted_users_keys_and_sessions_open_nothing_at_once_and_all_they_stored_goes() {
    let host = crate::files::host("").await;
    sessions::user(&host, "ada", Role::User).await;
    let (ada, ada_key) = {
        let accounts = &host.running().app.accounts;
        let ada = accounts.user_by_name("ada").await.expect("ada").id;
        let scopes = vec![Scope::Read, Scope::Generate];
        (ada.to_string(), accounts.create_key(ada, "x", scopes, None).await.expect("a key").secret)
    };
    let key = ada_key.reveal();
    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let browser = Browser::signed_in(&host, "ada").await;
    let content = b"content of nobody else";
    let file = upload(&host, key, "user_data", "a.txt", content).await;
    let bobs = upload(&host, &bob, "user_data", "b.txt", b"content of bob").await;
    assert!(file["id"].is_string(), "{file}");
    let talk = post(&host, key, "/api/v1/conversations", &json!({"title": "a plan"})).await;
    assert_eq!((browser.status().await, get(&host, key, "/v1/files").await.status().as_u16()), (200, 200));

    assert_eq!(delete(&host, &host.key, &ada).await.status(), 202);
    assert_eq!(get(&host, key, "/v1/files").await.status(), 401);
    assert_eq!(browser.status().await, 401);
    assert_eq!(sign_in(&host, "ada", PASSWORD).await.status(), 401);
    let told = erased(&host, &ada).await;
    assert_eq!((&told["name"], &told["disabled"]), (&json!(""), &json!(true)));
    assert!(told["deleted"]["since"].is_string(), "{told}");
    assert_eq!(delete(&host, &host.key, &ada).await.status(), 202, "again, it is the same deletion");
    let enabled = host.post(&format!("/api/v1/users/{ada}/enable"), &json!(null)).body("");
    assert_eq!(enabled.send().await.expect("answered").status(), 404, "they do not come back");
    assert_eq!(get(&host, key, "/v1/files").await.status(), 401);

    let app = &host.running().app;
    let blobs = app.config.storage.path.join("blobs");
    let is_there = |content: &[u8]| {
        files_under(&blobs).iter().any(|path| fs::read(path).is_ok_and(|bytes| bytes == content))
    };
    assert!(is_there(content), "content stays for a time of grace");
    for path in files_under(&blobs) {
        let long_ago = SystemTime::now() - Duration::from_secs(30 * 86_400);
        File::options().write(true).open(path).and_then(|file| file.set_modified(long_ago)).expect("set");
    }
    app.files.sweep(None).await.expect("swept");
    assert!(!is_there(content) && is_there(b"content of bob"));
    let path = format!("/v1/files/{}/content", bobs["id"].as_str().expect("an id"));
    assert_eq!(get(&host, &bob, &path).await.status(), 200, "another's file");

    // The name is free, and whoever has it next has nothing of theirs.
    let next = host.user_key("ada", &[Scope::Read, Scope::Generate]).await;
    let path = format!("/api/v1/conversations/{}", talk["id"].as_str().expect("an id"));
    assert_eq!(get(&host, &next, &path).await.status(), 404);
    assert_eq!(body(get(&host, &next, "/v1/files").await, 200).await["data"], json!([]));
    host.stop().await;
}

#[tokio::test]
async fn a_job_that_runs_while_its_owner_is_deleted_ends_and_the_books_balance() {
    let provider = Scripted::new([Act::WaitingLater("p-1")]);
    let price = "[[price]]\nmodel = \"scripted/painter\"\nper_million = { images = 10000000 }\n";
    let host = TestHost::edited(|text| {
        let text = text.replace("accounting = \"record\"", "accounting = \"enforce\"");
        format!("{text}\n{price}[[price]]\nmodel = \"local/*\"\nfree = true\n")
    })
    .await;
    host.put("scripted", provider.clone()).await;
    let key = host.user_key("ada", &[Scope::Read, Scope::Generate]).await;
    let ada = id_of(&host, "ada").await;
    post(&host, &host.key, "/api/v1/credits", &json!({"user": "ada", "amount": 100, "reason": "welcome"}))
        .await;
    let wanted =
        json!({"model": "scripted/painter", "task": "image-generation", "prompt": "a cat", "count": 2});
    let made = post(&host, &key, "/api/v1/generations", &wanted).await;
    assert_eq!(made["held"], 20);
    provider.submitted.notified().await;
    assert_eq!(delete(&host, &host.key, &ada).await.status(), 202);
    let open = body(get(&host, &host.key, &format!("/api/v1/users/{ada}")).await, 200).await;
    assert!(open["deleted"]["finished"].is_null(), "its provider has not answered yet: {open}");
    provider.released.notify_one();
    erased(&host, &ada).await;
    assert_eq!(provider.seen.lock().expect("no panic").cancellations, 1, "its provider was told");
    let balance = body(get(&host, &host.key, &format!("/api/v1/credits?user={ada}")).await, 200).await;
    assert_eq!(balance, json!({"available": 0, "held": 0, "allowance": 0}));
    let entries =
        body(get(&host, &host.key, &format!("/api/v1/credits/entries?user={ada}")).await, 200).await;
    let kinds: Vec<_> =
        entries["data"].as_array().expect("a list").iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["closure", "release", "hold", "grant"]);
    host.stop().await;
}

#[tokio::test]
async fn nobody_is_deleted_by_another_user_and_never_the_last_administrator() {
    let host = TestHost::start().await;
    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let (admin, bobs) = (id_of(&host, "admin").await, id_of(&host, "bob").await);
    assert_eq!(body(delete(&host, &bob, &admin).await, 403).await["code"], "insufficient_scope");
    assert_eq!(
        body(get(&host, &bob, &format!("/api/v1/users/{bobs}")).await, 403).await["code"],
        "insufficient_scope"
    );
    assert_eq!(body(delete(&host, &host.key, &admin).await, 409).await["code"], "last_administrator");
    let nobody = atelier_domain::id::UserId::new().to_string();
    assert_eq!(delete(&host, &host.key, &nobody).await.status(), 404);
    assert_eq!(get(&host, &host.key, &format!("/api/v1/users/{nobody}")).await.status(), 404);
    assert_eq!(get(&host, &bob, "/v1/models").await.status(), 200);
    // Where there is another one, an administrator can go; and what they did stays written.
    let accounts = &host.running().app.accounts;
    let second = accounts.create_user("second", Role::Administrator).await.expect("a user");
    let key = accounts.create_key(second.id, "x", Scope::ALL.to_vec(), None).await.expect("a key");
    let key = key.secret.reveal();
    assert_eq!(delete(&host, &host.key, &admin).await.status(), 202);
    assert_eq!(get(&host, &host.key, "/api/v1/users").await.status(), 401);
    let log = body(get(&host, key, "/api/v1/admin/audit?kind=administration").await, 200).await;
    let last = &log["data"][0];
    assert_eq!((&last["action"], &last["status"]), (&json!("DELETE /api/v1/users/{id}"), &json!(202)));
    assert_eq!((&last["target"], &last["user"]), (&json!(format!("/api/v1/users/{admin}")), &json!(admin)));
    host.stop().await;
}

#[tokio::test]
async fn a_user_deletes_their_own_account_with_their_password_alone() {
    let host = sessions::host().await;
    sessions::user(&host, "ada", Role::User).await;
    let ada = id_of(&host, "ada").await;
    let browser = Browser::signed_in(&host, "ada").await;
    let say =
        |password: &str| browser.post("/api/v1/account/delete").json(&json!({"password": password})).send();
    assert_eq!(
        body(say("plum orbit 8 lantern").await.expect("answered"), 401).await["code"],
        "sign_in_failed"
    );
    let forged = browser.cookie_alone("/api/v1/account/delete").json(&json!({"password": PASSWORD}));
    assert_eq!(forged.send().await.expect("answered").status(), 403, "another page's");
    assert_eq!(browser.status().await, 200);
    // Who has no password is deleted by an administrator.
    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let request = host.client.post(host.url("/api/v1/account/delete")).bearer_auth(&bob);
    let refused = request.json(&json!({"password": PASSWORD})).send().await.expect("answered");
    assert_eq!(body(refused, 401).await["code"], "sign_in_failed");

    let gone = say(PASSWORD).await.expect("answered");
    assert_eq!(gone.status(), 202);
    assert!(gone.headers()["set-cookie"].to_str().expect("text").contains("Max-Age=0"), "{gone:?}");
    assert_eq!(browser.status().await, 401);
    erased(&host, &ada).await;
    let log = host.get("/api/v1/admin/audit?kind=administration&limit=1").send().await.expect("answered");
    let last = body(log, 200).await["data"][0].clone();
    assert_eq!((&last["action"], &last["user"]), (&json!("POST /api/v1/account/delete"), &json!(ada)));
    host.stop().await;
}
