//! Exports of accounts that do not go well, and who may ask for them.

use std::fs;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};

use atelier_domain::account::Scope;
use reqwest::Response;
use serde_json::{Value, json};
use zip::ZipArchive;

use crate::files::upload;
use crate::host::{TestHost, json as body};

const OWN: &str = "/api/v1/account/export";

async fn get(host: &TestHost, key: &str, path: &str) -> Response {
    host.client.get(host.url(path)).bearer_auth(key).send().await.expect("answered")
}

fn entry(archive: &mut ZipArchive<Cursor<bytes::Bytes>>, name: &str) -> String {
    let mut text = String::new();
    archive.by_name(name).expect("an entry").read_to_string(&mut text).expect("text");
    text
}

fn blobs_under(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => blobs_under(&path, found),
            false => found.push(path),
        }
    }
}

/// Bytes that do not become fewer when they are packed.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..count).map(|_| next()).collect()
}

#[tokio::test]
async fn content_that_is_gone_is_named_and_the_rest_is_there() {
    let host = crate::files::host("").await;
    let key = host.user_key("ada", &[Scope::Read, Scope::Generate]).await;
    let lost = upload(&host, &key, "user_data", "a.txt", b"soon gone").await;
    let kept = upload(&host, &key, "user_data", "../../b.txt", b"still there").await;
    let mut blobs = Vec::new();
    blobs_under(&host.running().app.config.storage.path.join("blobs"), &mut blobs);
    let gone = blobs.iter().find(|path| fs::read(path).is_ok_and(|bytes| bytes == b"soon gone"));
    fs::remove_file(gone.expect("its blob")).expect("removed");
    let bytes = get(&host, &key, OWN).await.bytes().await.expect("whole");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("an archive");
    let (lost, kept) = (lost["id"].as_str().expect("an id"), kept["id"].as_str().expect("an id"));
    assert_eq!(entry(&mut archive, &format!("files/{kept}.txt")), "still there");
    let missing: Value =
        serde_json::from_str(entry(&mut archive, "missing.ndjson").trim()).expect("one line");
    assert_eq!(missing["name"], format!("files/{lost}.txt"));
    assert!(!missing["why"].as_str().expect("a reason").is_empty());
    // What a user called a file is in no name.
    for name in archive.file_names() {
        let name = name.expect("text");
        assert!(!name.contains("..") && !name.starts_with('/'), "{name}");
    }
    host.stop().await;
}

#[tokio::test]
async fn one_export_of_an_account_is_made_at_a_time_and_none_for_nobody() {
    let host = crate::files::host("").await;
    let key = host.user_key("ada", &[Scope::Read, Scope::Generate]).await;
    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    // More than lies in pieces and sockets on the way.
    for part in noise(32 << 20).chunks(16 << 20) {
        upload(&host, &key, "user_data", "a.bin", part).await;
    }
    let mut begun = get(&host, &key, OWN).await;
    assert!(begun.chunk().await.expect("a piece").is_some());
    let refused = body(get(&host, &key, OWN).await, 409).await;
    assert!(refused["detail"].as_str().expect("a reason").contains("under way"), "{refused}");
    assert_eq!(get(&host, &bob, OWN).await.status(), 200, "another's is another");
    // Who leaves ends it.
    drop(begun);
    loop {
        let again = get(&host, &key, OWN).await;
        if again.status() == 200 {
            let bytes = again.bytes().await.expect("whole");
            assert!(ZipArchive::new(Cursor::new(bytes)).expect("an archive").len() > 2);
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    host.stop().await;
}

#[tokio::test]
async fn exports_are_in_the_audit_log_and_of_a_deleted_user_there_is_none() {
    let host = TestHost::start().await;
    let key = host.user_key("ada", &[Scope::Read]).await;
    let ada = host.running().app.accounts.user_by_name("ada").await.expect("a user").id.to_string();
    let own = get(&host, &key, OWN).await;
    assert_eq!(own.status(), 200, "to read is enough");
    assert!(!own.bytes().await.expect("whole").is_empty());
    let generating = host.user_key("eve", &[Scope::Generate]).await;
    assert_eq!(body(get(&host, &generating, OWN).await, 403).await["code"], "insufficient_scope");
    let of_ada = format!("/api/v1/users/{ada}/export");
    let told = get(&host, &host.key, &of_ada).await;
    assert_eq!(told.status(), 200, "what she has taken to its end is no export under way");
    assert!(!told.bytes().await.expect("whole").is_empty());
    let log = body(get(&host, &host.key, "/api/v1/admin/audit?kind=administration&limit=2").await, 200).await;
    let told: Vec<_> =
        log["data"].as_array().expect("a list").iter().map(|row| (&row["action"], &row["target"])).collect();
    assert_eq!(told[0], (&json!("GET /api/v1/users/{id}/export"), &json!(of_ada)));
    assert_eq!(told[1].0, &json!("GET /api/v1/account/export"));
    let path = host.url(&format!("/api/v1/users/{ada}"));
    assert_eq!(host.client.delete(path).bearer_auth(&host.key).send().await.expect("answered").status(), 202);
    assert_eq!(get(&host, &host.key, &of_ada).await.status(), 404);
    assert_eq!(get(&host, &key, OWN).await.status(), 401);
    host.stop().await;
}
