//! Search in what was said.

use atelier_domain::account::Scope;
use serde_json::{Value, json};

use super::{begin, get, host, post, say, text};
use crate::host::json as body;
use crate::scripted::{Scripted, Talk};

#[tokio::test]
async fn what_was_said_is_found_shown_and_found_no_more_when_it_is_deleted() {
    let provider = Scripted::talking(["It is in Tokyo, near the lighthouse.", "Gone."].map(Talk::saying));
    let host = host(&provider, "").await;
    let id = begin(&host).await;
    say(&host, &id, &json!({"content": "Where is the Café?"})).await;
    let found = get(&host, "/search?q=tokyo%20LIGHT").await;
    assert_eq!(found["partial"], false);
    let hit = &found["data"][0];
    assert_eq!(
        (&hit["conversation"]["id"], text(&hit["message"])),
        (&json!(id), "It is in Tokyo, near the lighthouse.")
    );
    let marked: Vec<_> = hit["snippet"]
        .as_array()
        .expect("pieces")
        .iter()
        .filter(|piece| piece["match"] == true)
        .map(|piece| piece["text"].as_str().expect("text"))
        .collect();
    assert_eq!(marked, ["Tokyo", "lighthouse"]);
    assert_eq!(text(&get(&host, "/search?q=cafe").await["data"][0]["message"]), "Where is the Café?");
    body(post(&host, &format!("/{id}"), &json!({"title": "Dancing"})).await, 200).await;
    let named = get(&host, "/search?q=danc").await;
    assert_eq!(
        (&named["data"][0]["message"], &named["data"][0]["snippet"][0]["text"]),
        (&Value::Null, &json!("Dancing"))
    );

    let bob = host.user_key("bob", &[Scope::Read]).await;
    let theirs = host.client.get(host.url("/api/v1/conversations/search?q=tokyo")).bearer_auth(&bob).send();
    assert_eq!(body(theirs.await.expect("answered"), 200).await["data"], json!([]));
    let path = host.url(&format!("/api/v1/conversations/{id}"));
    assert_eq!(host.client.delete(path).bearer_auth(&host.key).send().await.expect("answered").status(), 204);
    for query in ["tokyo", "danc"] {
        assert_eq!(get(&host, &format!("/search?q={query}")).await["data"], json!([]), "{query}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_query_is_bounded_and_has_words() {
    let provider = Scripted::new([]);
    let host = host(&provider, "").await;
    for (query, param) in [
        ("", "q"),
        ("?q=", "q"),
        ("?q=%20!%3F", "q"),
        ("?q=a%20b%20c%20d%20e%20f%20g%20h%20i", "q"),
        ("?q=a&limit=0", "limit"),
        ("?q=a&limit=51", "limit"),
        ("?q=a&owner=bob", "owner"),
        (&format!("?q={}", "x".repeat(201)), "q"),
    ] {
        let refused =
            host.get(&format!("/api/v1/conversations/search{query}")).send().await.expect("answered");
        assert_eq!(body(refused, 400).await["param"], param, "{query}");
    }
    host.stop().await;
}
