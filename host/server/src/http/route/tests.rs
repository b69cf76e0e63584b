use axum::body::Body;
use axum::extract::Request;
use tower::ServiceExt;

use super::entry::get;
use super::*;
use crate::config::{Config, template};
use crate::http::{favicon, models};

#[tokio::test]
async fn a_route_that_is_to_go_says_so_in_every_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("atelier.toml");
    std::fs::write(&path, template::TEXT).expect("written");
    let app = App::build(Config::load(&path).expect("a configuration")).await.expect("an app");
    let deprecation =
        Deprecation { since: 1_767_225_600, sunset: Some(1_798_761_600), successor: Some("/api/v1/models") };
    let old =
        get("/v0/models", Class::Status, Dialect::Problem, models::list::handle).deprecated(deprecation);
    let open = get("/favicon.ico", Class::Status, Dialect::Problem, favicon::get).access(Access::Public);
    let router = mounted(vec![old, open], app);
    let ask = |path: &str| {
        let request = Request::get(path).header("host", "x").body(Body::empty()).expect("a request");
        router.clone().oneshot(request)
    };
    // Also in a refusal: there is no key here.
    let refused = ask("/v0/models").await.expect("answered");
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["deprecation"], "@1767225600");
    assert_eq!(refused.headers()["sunset"], "Fri, 01 Jan 2027 00:00:00 GMT");
    assert_eq!(refused.headers()["link"], "</api/v1/models>; rel=\"successor-version\"");
    let lasting = ask("/favicon.ico").await.expect("answered");
    assert!(!lasting.headers().contains_key("deprecation") && !lasting.headers().contains_key("sunset"));
}
