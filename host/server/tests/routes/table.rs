use std::collections::HashSet;

use atelier_server::http::route::{Access, Media, Route, table};

use crate::host::{TestHost, json};

/// Routes that anybody may use.
const PUBLIC: [&str; 16] = [
    "/api/v1/auth/sign-in",
    "/api/v1/auth/sign-up",
    "/api/v1/auth/sign-up/resend",
    "/api/v1/auth/sign-up/verify",
    "/api/v1/auth/password/forgot",
    "/api/v1/auth/password/reset",
    "/hooks/{token}",
    "/links/{token}",
    "/links/{token}/thumbnail",
    "/shares/{token}",
    "/shares/page.css",
    "/favicon.ico",
    "/api/v1/openapi.json",
    "/docs",
    "/docs/page.js",
    "/docs/page.css",
];

#[test]
fn every_route_has_a_class_and_a_scope_or_is_on_the_public_list() {
    let mut seen = HashSet::new();
    for route in table() {
        assert!(
            seen.insert((route.method.clone(), route.path)),
            "{} {} is there twice",
            route.method,
            route.path
        );
        match route.access {
            Access::Public => assert!(PUBLIC.contains(&route.path), "{} is open to anybody", route.path),
            Access::Key(_) => assert!(route.class.is_some(), "{} has no class", route.path),
        }
        assert!(route.body_max <= 200 << 20, "{} takes too much", route.path);
    }
}

#[test]
fn every_route_of_an_api_has_its_version_in_the_path() {
    for route in table() {
        let is_versioned = route.path.starts_with("/v1/") || route.path.starts_with("/api/v1/");
        assert!(is_versioned || PUBLIC.contains(&route.path), "{} has no version", route.path);
    }
}

/// Routes that change something, or cost nothing, and that may be repeated without a key.
const HARMLESS: [&str; 39] = [
    "/api/v1/account/delete",
    "/api/v1/users/{id}",
    "/api/v1/auth/sign-in",
    "/api/v1/auth/sign-up",
    "/api/v1/auth/sign-up/resend",
    "/api/v1/auth/sign-up/verify",
    "/api/v1/auth/password/forgot",
    "/api/v1/auth/password/reset",
    "/api/v1/auth/sign-out",
    "/api/v1/auth/sign-out-everywhere",
    "/api/v1/auth/password",
    "/api/v1/auth/sessions/{id}/revoke",
    "/api/v1/users/{id}/password",
    "/api/v1/users/{id}/sign-out",
    "/v1/messages/count_tokens",
    "/v1/files/{id}",
    "/v1/videos/{id}",
    "/v1/responses/{id}",
    "/v1/batches/{id}/cancel",
    "/v1/fine_tuning/jobs/{id}/cancel",
    "/api/v1/generations/{id}/cancel",
    "/api/v1/conversations/{id}",
    "/api/v1/links/{id}/revoke",
    "/api/v1/templates/clear",
    "/api/v1/templates/{id}/archive",
    "/api/v1/provider-keys",
    "/api/v1/provider-keys/{instance}/remove",
    "/api/v1/webhook-endpoints/{id}",
    "/api/v1/webhook-endpoints/{id}/remove",
    "/api/v1/keys/{id}/revoke",
    "/api/v1/users/{id}/disable",
    "/api/v1/users/{id}/enable",
    "/api/v1/plugins",
    "/api/v1/plugins/inspect",
    "/api/v1/plugins/{publisher}/{name}/enable",
    "/api/v1/plugins/{publisher}/{name}/disable",
    "/api/v1/plugins/{publisher}/{name}/rollback",
    "/api/v1/plugins/{publisher}/{name}/remove",
    "/hooks/{token}",
];

#[test]
fn every_route_that_creates_or_costs_takes_an_idempotency_key() {
    for route in table() {
        let is_harmless = route.method == "GET" || HARMLESS.contains(&route.path);
        assert_eq!(
            route.idempotency.takes_key(),
            !is_harmless,
            "{} {} can be sent twice: it takes keys, or it is on the list of those that may",
            route.method,
            route.path
        );
        assert!(
            !route.idempotency.takes_key() || route.access != Access::Public,
            "{}: whose key?",
            route.path
        );
    }
}

#[tokio::test]
async fn every_route_with_a_body_refuses_another_content_type_and_too_much_of_it() {
    let often = "generation = { requests = 1000,";
    let host = TestHost::edited(|text| text.replace("generation = { requests = 10,", often)).await;
    // Where the address is the permission, nothing is read from whoever has none.
    let reads = |route: &&Route| route.media != Media::None && route.path != "/hooks/{token}";
    for route in table().iter().filter(reads) {
        let post = || host.client.post(host.url(route.path)).bearer_auth(&host.key);
        let wrong = post().header("content-type", "text/plain").body("x").send().await.expect("answered");
        assert_eq!(wrong.status(), 415, "{}", route.path);
        if route.media == Media::Json && route.body_max <= 1 << 20 {
            let large = vec![b' '; route.body_max + 1];
            let told =
                post().header("content-type", "application/json").body(large).send().await.expect("answered");
            assert_eq!(told.status(), 413, "{}", route.path);
            assert_eq!(
                told.headers()["connection"],
                "close",
                "{}: the rest of the body is not read",
                route.path
            );
        }
    }
    host.stop().await;
}

#[tokio::test]
async fn an_unknown_address_answers_in_the_shape_of_its_api() {
    let host = TestHost::start().await;
    let openai = json(host.get("/v1/nothing").send().await.expect("answered"), 404).await;
    assert_eq!(openai["error"]["code"], "unknown_url");
    let own = json(host.get("/api/v1/nothing").send().await.expect("answered"), 404).await;
    assert_eq!((own["status"].as_u64(), own["code"].as_str()), (Some(404), Some("unknown_url")));
    assert_eq!(host.get("/v1/chat/completions").send().await.expect("answered").status(), 405);
    assert_eq!(host.client.get(host.url("/favicon.ico")).send().await.expect("answered").status(), 204);
    host.stop().await;
}
