use atelier_domain::account::Scope;
use reqwest::Response;
use serde_json::{Value, json};

use crate::files::{host, upload};
use crate::host::{TestHost, json as body};

/// A picture as far as its first bytes tell.
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and more";

async fn make(host: &TestHost, wanted: Value) -> Value {
    body(host.post("/api/v1/links", &wanted).send().await.expect("answered"), 201).await
}

/// Without a key.
async fn open(host: &TestHost, path: &str) -> Response {
    host.client.get(host.url(path)).send().await.expect("answered")
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("{member} in {value}"))
}

#[tokio::test]
async fn a_link_opens_one_file_to_anybody_until_it_is_revoked() {
    let host = host("").await;
    let file = upload(&host, &host.key, "user_data", "cat.png", PICTURE).await;
    let link = make(&host, json!({"file_id": file["id"]})).await;
    assert_eq!((text(&link, "kind"), text(&link, "file_id")), ("download", text(&file, "id")));
    let path = text(&link, "url").to_owned();
    let answer = open(&host, &path).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-disposition"], "inline; filename*=UTF-8''cat.png");
    assert_eq!(
        answer.headers()["content-security-policy"],
        "default-src 'none'; sandbox; frame-ancestors 'none'"
    );
    let kept = answer.headers()["cache-control"].to_str().expect("text").to_owned();
    let seconds: u64 = kept.split(['=', ',']).nth(2).expect("seconds").parse().expect("a number");
    assert!((3_500..=3_600).contains(&seconds), "{kept}");
    assert_eq!(answer.bytes().await.expect("a body"), PICTURE);
    let range = host.client.get(host.url(&path)).header("range", "bytes=1-3").send().await.expect("answered");
    assert_eq!((range.status().as_u16(), range.bytes().await.expect("a body")), (206, "PNG".into()));
    assert_eq!(open(&host, &path.replace("/links/", "/shares/")).await.status(), 404, "it has no page");

    let listed = body(host.get("/api/v1/links").send().await.expect("answered"), 200).await;
    assert_eq!(listed["data"], json!([link]));
    let revoke = host.post(&format!("/api/v1/links/{}/revoke", text(&link, "id")), &Value::Null);
    assert_eq!(revoke.send().await.expect("answered").status(), 204);
    assert_eq!(body(open(&host, &path).await, 404).await["code"], "unknown_url");
    host.stop().await;
}

#[tokio::test]
async fn what_is_made_up_over_or_leads_to_nothing_all_looks_alike() {
    let host = host("").await;
    let file = upload(&host, &host.key, "user_data", "a.txt", b"words").await;
    let link = make(&host, json!({"file_id": file["id"]})).await;
    let good = text(&link, "url").to_owned();
    let last = if good.ends_with('A') { "Q" } else { "A" };
    let forged = format!("{}{last}", &good[..good.len() - 1]);
    let short = make(&host, json!({"file_id": file["id"], "expires_in_seconds": 1})).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let over = text(&short, "url").to_owned();
    let deleted =
        host.client.delete(host.url(&format!("/v1/files/{}", text(&file, "id")))).bearer_auth(&host.key);
    assert_eq!(open(&host, &good).await.status(), 200);
    assert_eq!(deleted.send().await.expect("answered").status(), 200);
    let mut told = Vec::new();
    for path in [&forged, &over, &good, "/links/x", "/links/%00", "/shares/x"] {
        let mut answer = body(open(&host, path).await, 404).await;
        answer["request_id"] = Value::Null;
        answer["time"] = Value::Null;
        told.push(answer);
    }
    assert!(told.iter().all(|answer| *answer == told[0]), "{told:#?}");
    host.stop().await;
}

#[tokio::test]
async fn a_share_has_a_page_that_runs_no_script() {
    let host = host("").await;
    let file = upload(&host, &host.key, "vision", "cat.png", PICTURE).await;
    let title = "<script>alert(1)</script> & \"cats\"";
    let link = make(&host, json!({"file_id": file["id"], "kind": "share", "title": title})).await;
    let page = open(&host, text(&link, "url")).await;
    let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(
        policy.starts_with("default-src 'none'; img-src 'self'; media-src 'self'; style-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("script") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers()["x-robots-tag"], "noindex, nofollow");
    assert_eq!(page.headers()["referrer-policy"], "no-referrer");
    let html = page.text().await.expect("a page");
    assert!(!html.contains("<script") && html.contains("&#60;script&#62;"), "{html}");
    let picture = text(&link, "content_url");
    assert!(html.contains(&format!("<img src=\"..{picture}\"")), "{html}");
    assert_eq!(open(&host, picture).await.bytes().await.expect("a body"), PICTURE);
    let style = open(&host, "/shares/page.css").await;
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
    // A page that somebody uploaded is not shown, and runs nowhere.
    let hostile =
        upload(&host, &host.key, "user_data", "a.html", b"<!doctype html><script>alert(1)</script>").await;
    let link = make(&host, json!({"file_id": hostile["id"], "kind": "share"})).await;
    let html = open(&host, text(&link, "url")).await.text().await.expect("a page");
    assert!(!html.contains("<iframe") && !html.contains("<img"), "{html}");
    let saved = open(&host, text(&link, "content_url")).await;
    assert!(saved.headers()["content-disposition"].to_str().expect("text").starts_with("attachment"));
    host.stop().await;
}

#[tokio::test]
async fn a_link_is_made_to_what_one_owns_and_within_bounds() {
    let host = host("").await;
    let file = upload(&host, &host.key, "user_data", "a.txt", b"words").await;
    let link = make(&host, json!({"file_id": file["id"]})).await;
    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let foreign =
        host.client.post(host.url("/api/v1/links")).bearer_auth(&bob).json(&json!({"file_id": file["id"]}));
    assert_eq!(foreign.send().await.expect("answered").status(), 404);
    let revoke = host.url(&format!("/api/v1/links/{}/revoke", text(&link, "id")));
    assert_eq!(host.client.post(&revoke).bearer_auth(&bob).send().await.expect("answered").status(), 404);
    let reader = host.user_key("carol", &[Scope::Read]).await;
    let refused = host
        .client
        .post(host.url("/api/v1/links"))
        .bearer_auth(&reader)
        .json(&json!({"file_id": file["id"]}));
    assert_eq!(refused.send().await.expect("answered").status(), 403);
    let job = "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718";
    for (wanted, status) in [
        (json!({}), 400),
        (json!({"file_id": 7}), 400),
        (json!({"file_id": "file-1"}), 404),
        (json!({"generation": "x"}), 400),
        (json!({"generation": job}), 404),
        (json!({"file_id": file["id"], "generation": job}), 400),
        (json!({"file_id": file["id"], "kind": "secret"}), 400),
        (json!({"file_id": file["id"], "expires_in_seconds": 0}), 400),
        (json!({"file_id": file["id"], "expires_in_seconds": 31_536_001}), 400),
        (json!({"file_id": file["id"], "title": "x".repeat(201)}), 400),
        (json!({"file_id": file["id"], "title": "a\nb"}), 400),
        (json!({"file_id": file["id"], "more": 1}), 400),
    ] {
        let answer = host.post("/api/v1/links", &wanted).send().await.expect("answered");
        assert_eq!(answer.status(), status, "{wanted}");
    }
    host.stop().await;
}

#[tokio::test]
async fn one_link_is_not_followed_without_end() {
    let host = TestHost::edited(|text| {
        text.replace("[limits]\n", "[limits]\nshares = { requests = 3, seconds = 60 }\n")
    })
    .await;
    let file = upload(&host, &host.key, "user_data", "a.txt", b"words").await;
    let (one, other) = (
        make(&host, json!({"file_id": file["id"]})).await,
        make(&host, json!({"file_id": file["id"]})).await,
    );
    for _ in 0..3 {
        assert_eq!(open(&host, text(&one, "url")).await.status(), 200);
    }
    let refused = open(&host, text(&one, "url")).await;
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(body(refused, 429).await["code"], "rate_limit_exceeded");
    assert_eq!(open(&host, text(&other, "url")).await.status(), 200);
    host.stop().await;
}

#[tokio::test]
async fn the_links_of_a_disabled_user_lead_nowhere() {
    let host = host("").await;
    let bobs = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let file = upload(&host, &bobs, "user_data", "cat.png", PICTURE).await;
    let wanted = json!({"file_id": file["id"], "kind": "share"});
    let made = host.client.post(host.url("/api/v1/links")).bearer_auth(&bobs).json(&wanted).send().await;
    let link = body(made.expect("answered"), 201).await;
    let bob = host.running().app.accounts.user_by_name("bob").await.expect("bob");
    for (word, status) in [("enable", 200), ("disable", 404), ("enable", 200)] {
        let path = format!("/api/v1/users/{}/{word}", bob.id);
        assert!(host.post(&path, &Value::Null).send().await.expect("answered").status().is_success());
        for address in ["url", "content_url"] {
            assert_eq!(open(&host, text(&link, address)).await.status(), status, "{word}: {address}");
        }
    }
    host.stop().await;
}

#[tokio::test]
async fn a_share_s_page_finds_its_artifact_below_whatever_address_the_server_has() {
    let host = TestHost::edited(|text| {
        text.replace("[server]\n", "[server]\npublic_url = \"https://example.com/our/atelier\"\n")
    })
    .await;
    let file = upload(&host, &host.key, "user_data", "cat.png", PICTURE).await;
    let link = make(&host, json!({"file_id": file["id"], "kind": "share"})).await;
    let page = reqwest::Url::parse(text(&link, "url")).expect("a URL");
    let path = page.path().strip_prefix("/our/atelier").expect("below it").to_owned();
    let html = open(&host, &path).await.text().await.expect("text");
    let addresses = html.split(['"']).filter(|part| part.contains("links/") || part.ends_with(".css"));
    let found: Vec<String> = addresses.map(|part| page.join(part).expect("an address").to_string()).collect();
    let content = text(&link, "content_url");
    assert_eq!(found, ["https://example.com/our/atelier/shares/page.css", content, content], "{html}");
    host.stop().await;
}
