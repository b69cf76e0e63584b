//! What a plugin asked to reach and may not, as an administrator reads it.

use mock_upstream::{Config, MockUpstream};
use serde_json::{Value, json};

use crate::binary::{Binary, dev_key};

const PRIVATE: &str = "169.254.169.254";

/// A server with an instance of the hostile plugin.
async fn server() -> Binary {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let (url, address, key) = (upstream.url(), upstream.address(), dev_key());
    let instance = format!(
        "[[plugins.trusted_keys]]\npublisher = \"dev\"\nkey = \"{key}\"\n\
         [[instance]]\nname = \"hostile\"\nplugin = \"dev/hostile\"\nbase_url = \"{url}\"\n\
         hosts = [\"{PRIVATE}\"]\nprivate_hosts = [\"{address}\"]\nsecrets = {{ api-key = {{ value = \"sk-hostile\" }} }}\n"
    );
    Binary::with_plugins(&upstream, &["hostile-0.1.0.wasm"], |text| {
        text.replace("requests = 60,", "requests = 1000,") + &instance
    })
}

/// Has the plugin visit an address; it does not get there.
async fn visit(server: &Binary, url: &str, request_id: &str) {
    let messages = json!([{"role": "user", "content": url}]);
    let body = json!({"model": "hostile/visit", "messages": messages});
    let asked = server.post("/v1/chat/completions").header("x-request-id", request_id).json(&body);
    let answer = asked.send().await.expect("answered");
    assert!(answer.status().is_server_error(), "{}", answer.text().await.unwrap_or_default());
}

/// The records of the instance, newest first.
async fn denied(server: &Binary) -> Vec<Value> {
    let asked = server.get("/api/v1/admin/audit?kind=egress_refused&limit=100").send().await;
    let page: Value = asked.expect("answered").json().await.expect("JSON");
    let records = page["data"].as_array().expect("a list").clone();
    records.into_iter().filter(|record| record["instance"] == "hostile").collect()
}

#[tokio::test]
async fn a_private_address_that_a_plugin_asks_for_is_in_the_audit_log_once_with_its_number() {
    let server = server().await;
    for time in 0..3 {
        visit(&server, &format!("https://{PRIVATE}/latest/meta-data"), &format!("visit-{time}")).await;
    }
    let found = denied(&server).await;
    let [record] = &found[..] else { panic!("{found:#?}") };
    for (name, expected) in [
        ("kind", json!("egress_refused")),
        ("plugin", json!("dev/hostile")),
        ("action", json!("egress")),
        ("target", json!(PRIVATE)),
        ("code", json!("special_address")),
        ("request_id", json!("visit-0")),
        ("status", json!(null)),
        ("user", json!(null)),
        ("count", json!(3)),
    ] {
        assert_eq!(record[name], expected, "{name} of {record}");
    }
    assert!(!record.to_string().contains("meta-data"), "paths may hold anything: {record}");
}

#[tokio::test]
async fn a_plugin_that_asks_for_ever_other_hosts_has_few_records_and_each_request_is_counted() {
    let server = server().await;
    for host in 0..20 {
        visit(&server, &format!("https://host-{host}.example/"), "flood").await;
    }
    let found = denied(&server).await;
    assert_eq!(found.len(), 9, "{found:#?}");
    let counted = |record: &Value| record["count"].as_u64().expect("a number");
    assert_eq!(found.iter().map(counted).sum::<u64>(), 20, "{found:#?}");
    let others: Vec<_> = found.iter().filter(|record| record["target"] == "(others)").collect();
    assert_eq!(others.len(), 1, "{found:#?}");
    assert_eq!(counted(others[0]), 12);
    assert!(found.iter().all(|record| record["code"] == "not_granted"), "{found:#?}");
}
