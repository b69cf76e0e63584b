use atelier_domain::account::Scope;
use serde_json::{Value, json};

use crate::host::{TestHost, json as body};

async fn records(host: &TestHost, query: &str) -> Vec<Value> {
    let asked = host.get(&format!("/api/v1/admin/audit{query}")).send().await.expect("answered");
    body(asked, 200).await["data"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn what_is_administered_is_written_with_who_did_it_and_how_it_ended() {
    let host = TestHost::start().await;
    let made = host.post("/api/v1/users", &json!({"name": "dora"})).send().await.expect("answered");
    let id = body(made, 201).await["id"].as_str().expect("an id").to_owned();
    let twice = host.post("/api/v1/users", &json!({"name": "dora"})).send().await.expect("answered");
    assert_eq!(twice.status(), 409);
    let disable = host.post(&format!("/api/v1/users/{id}/disable"), &json!(null)).body("");
    let request_id = disable.header("x-request-id", "mine-1").send().await.expect("answered");
    assert_eq!(request_id.status(), 200);
    let found = records(&host, "?kind=administration").await;
    let told: Vec<_> = found
        .iter()
        .map(|record| (record["action"].as_str().expect("text"), record["status"].as_u64()))
        .collect();
    assert_eq!(
        told,
        [
            ("POST /api/v1/users/{id}/disable", Some(200)),
            ("POST /api/v1/users", Some(409)),
            ("POST /api/v1/users", Some(201))
        ]
    );
    assert_eq!(found[0]["target"], format!("/api/v1/users/{id}/disable"));
    assert_eq!((&found[0]["request_id"], &found[0]["code"]), (&json!("mine-1"), &json!(null)));
    assert!(found[1]["code"].is_string(), "{}", found[1]);
    assert!(found.iter().all(|record| record["user"].is_string() && record["user"] == found[0]["user"]));
    // What was sent stands nowhere: it may be a secret.
    assert!(!found.iter().any(|record| record.to_string().contains("dora")), "{found:?}");
    host.stop().await;
}

#[tokio::test]
async fn keys_that_open_nothing_and_scopes_that_are_missing_are_counted_not_listed_one_by_one() {
    let host = TestHost::start().await;
    let secret = host.user_key("alice", &[Scope::Read]).await;
    for _ in 0..3 {
        let wrong = host.client.get(host.url("/v1/models")).bearer_auth("atl_wrong").send().await;
        assert_eq!(wrong.expect("answered").status(), 401);
        let beyond = host.client.get(host.url("/api/v1/users")).bearer_auth(&secret).send().await;
        assert_eq!(beyond.expect("answered").status(), 403);
    }
    let none = host.client.get(host.url("/v1/models")).send().await.expect("answered");
    assert_eq!(none.status(), 401, "who shows no key tried none");
    let found = records(&host, "").await;
    let counted = |kind: &str, user: bool| {
        let of_kind = found.iter().filter(|record| record["kind"] == kind);
        assert!(of_kind.clone().all(|record| record["user"].is_string() == user), "{found:?}");
        of_kind.map(|record| record["count"].as_u64().expect("a number")).sum::<u64>()
    };
    assert_eq!((counted("key_refused", false), counted("scope_refused", true)), (3, 3));
    assert!(!format!("{found:?}").contains("atl_"), "no key stands in it");
    host.stop().await;
}

#[tokio::test]
async fn the_audit_log_is_for_administrators_and_its_parameters_are_checked() {
    let host = TestHost::start().await;
    let secret = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let asked = host.client.get(host.url("/api/v1/admin/audit")).bearer_auth(&secret).send().await;
    assert_eq!(asked.expect("answered").status(), 403);
    for wrong in ["?kind=all", "?limit=0", "?limit=101", "?before=x", "?user=x", "?colour=red"] {
        let asked = host.get(&format!("/api/v1/admin/audit{wrong}")).send().await.expect("answered");
        assert_eq!(asked.status(), 400, "{wrong}");
    }
    host.stop().await;
}
