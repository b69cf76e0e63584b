use std::collections::BTreeSet;
use std::process::Command;

use atelier_server::http::route::table;
use serde_json::Value;

use crate::host::{TestHost, json};

const COMMITTED: &str = include_str!("../../openapi.json");

fn document() -> Value {
    serde_json::from_str(COMMITTED).expect("JSON")
}

#[test]
fn the_committed_document_is_what_the_binary_prints() {
    let printed = Command::new(env!("CARGO_BIN_EXE_atelier")).arg("openapi").output().expect("it runs");
    assert!(printed.status.success(), "{printed:?}");
    let printed = String::from_utf8(printed.stdout).expect("text");
    let stale = printed.lines().zip(COMMITTED.lines()).position(|(now, then)| now != then);
    assert!(
        printed == COMMITTED,
        "host/server/openapi.json is stale from line {:?} on: run `cargo run -- openapi > host/server/openapi.json`",
        stale.map(|line| line + 1)
    );
}

#[test]
fn every_route_has_an_operation_and_every_operation_a_route() {
    let routes = table();
    for route in &routes {
        assert!(route.operation.is_some(), "{} {} is not described", route.method, route.path);
    }
    let routes: BTreeSet<_> = routes
        .iter()
        .map(|route| (route.method.as_str().to_lowercase(), route.path.replace("{*", "{")))
        .collect();
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    let described: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().expect("an item").keys().map(|method| (method.clone(), path.clone()))
        })
        .collect();
    assert_eq!(routes, described);
}

#[test]
fn every_part_of_a_path_is_a_parameter_and_every_operation_has_an_id_of_its_own() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for operation in item.as_object().expect("an item").values() {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            assert!(!operation["summary"].as_str().expect("a summary").is_empty(), "{id}");
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let named: BTreeSet<_> = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .filter_map(|parameter| parameter["name"].as_str())
                .collect();
            let parts: BTreeSet<_> = path.split(['{', '}']).skip(1).step_by(2).collect();
            assert_eq!(named, parts, "{id}");
        }
    }
}

#[tokio::test]
async fn the_document_is_served_to_anybody_and_can_be_kept() {
    let host = TestHost::start().await;
    let url = host.url("/api/v1/openapi.json");
    let first = host.client.get(&url).send().await.expect("answered");
    let tag = first.headers()["etag"].clone();
    assert_eq!(first.headers()["cache-control"], "public, max-age=300");
    assert_eq!(json(first, 200).await, document());
    let again = host.client.get(&url).header("if-none-match", &tag).send().await.expect("answered");
    assert_eq!((again.status().as_u16(), &again.headers()["etag"]), (304, &tag));
    assert!(again.bytes().await.expect("a body").is_empty());
    let other = host.client.get(&url).header("if-none-match", "\"other\"").send().await.expect("answered");
    assert_eq!(other.status(), 200);
    host.stop().await;
}

#[tokio::test]
async fn the_reference_page_runs_only_what_this_host_serves() {
    let host = TestHost::start().await;
    let page = host.client.get(host.url("/docs")).send().await.expect("answered");
    let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let html = page.text().await.expect("a page");
    for forbidden in ["http://", "https://", "<style", " style=", " onclick=", "<script>"] {
        assert!(!html.contains(forbidden), "the page has {forbidden}");
    }
    for (path, kind) in [("docs/page.js", "text/javascript"), ("docs/page.css", "text/css")] {
        assert!(html.contains(path), "{path}");
        let file = host.client.get(host.url(&format!("/{path}"))).send().await.expect("answered");
        assert_eq!(file.status(), 200);
        assert!(file.headers()["content-type"].to_str().expect("text").starts_with(kind), "{path}");
        let text = file.text().await.expect("a file");
        for forbidden in ["http://", "https://", "innerHTML", "eval(", "@import"] {
            assert!(!text.contains(forbidden), "{path} has {forbidden}");
        }
    }
    host.stop().await;
}

/// The forms are read field by field: their schemas must name no field that is refused as unknown.
#[tokio::test]
async fn every_field_that_the_document_has_in_a_form_is_taken() {
    let host = TestHost::edited(|text| {
        text.replace("requests = 10,", "requests = 1000,").replace("requests = 20,", "requests = 1000,")
    })
    .await;
    let document = document();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        let content = &item["post"]["requestBody"]["content"]["multipart/form-data"];
        let Some(reference) = content["schema"]["$ref"].as_str() else { continue };
        let schema = document.pointer(&reference[1..]).expect("a component");
        for name in schema["properties"]
            .as_object()
            .expect("properties")
            .keys()
            .map(String::as_str)
            .chain(["no-such-field"])
        {
            let form = reqwest::multipart::Form::new().text(name.to_owned(), "1");
            let answer = host.client.post(host.url(path)).bearer_auth(&host.key).multipart(form).send().await;
            let answer = answer.expect("answered");
            // A field that names a file finds none.
            let status = if answer.status() == 404 { 404 } else { 400 };
            let refused = json(answer, status).await;
            let code = refused["code"].as_str().or(refused["error"]["code"].as_str()).expect("a code");
            assert_eq!(code == "unknown_parameter", name == "no-such-field", "{path} {name}: {refused}");
            tried += 1;
        }
    }
    assert!(tried > 30, "only {tried} fields were tried");
    host.stop().await;
}

/// What is refused by every dialect really looks as the document says.
#[tokio::test]
async fn refusals_have_the_shape_that_the_document_gives_them() {
    let host = TestHost::start().await;
    let document = document();
    for (path, status) in
        [("/v1/embeddings", 415), ("/v1/messages", 415), ("/api/v1/generations", 415), ("/api/v1/users", 401)]
    {
        let request = host.client.post(host.url(path)).body("x");
        let request = if status == 401 { request } else { request.bearer_auth(&host.key) };
        let answer = request.send().await.expect("answered");
        let reference = document["paths"][path]["post"]["responses"][status.to_string()]["$ref"]
            .as_str()
            .expect("described");
        let response = document.pointer(&reference[1..]).expect("a component");
        let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
        let mut schema = response["content"][&kind]["schema"].clone();
        assert!(schema.is_object(), "{path}: {kind} is not described");
        schema["components"] = document["components"].clone();
        let told = json(answer, status).await;
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let mistakes: Vec<_> = validator.iter_errors(&told).map(|mistake| mistake.to_string()).collect();
        assert!(mistakes.is_empty(), "{path}: {mistakes:?}: {told}");
    }
    host.stop().await;
}
