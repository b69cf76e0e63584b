//! How sessions end.

use atelier_domain::account::Role;
use serde_json::json;

use super::{Browser, PASSWORD, host, sign_in, user};
use crate::host::json as body;

#[tokio::test]
async fn a_session_ends_when_its_browser_signs_out_and_no_other_does() {
    let host = host().await;
    user(&host, "ada", Role::User).await;
    let (here, there) = (Browser::signed_in(&host, "ada").await, Browser::signed_in(&host, "ada").await);
    let out = here.post("/api/v1/auth/sign-out").send().await.expect("answered");
    assert!(out.headers()["set-cookie"].to_str().expect("text").contains("Max-Age=0"));
    assert_eq!(out.status(), 204);
    assert_eq!((here.status().await, there.status().await), (401, 200));
    let refused = body(here.get("/api/v1/auth/session").send().await.expect("answered"), 401).await;
    assert_eq!(refused["code"], "session_over");
    host.stop().await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_owner_alone() {
    let host = host().await;
    user(&host, "ada", Role::User).await;
    user(&host, "bob", Role::User).await;
    let (first, ada) = (Browser::signed_in(&host, "ada").await, Browser::signed_in(&host, "ada").await);
    let bob = Browser::signed_in(&host, "bob").await;
    let listed = body(ada.get("/api/v1/auth/sessions").send().await.expect("answered"), 200).await;
    let current: Vec<_> =
        listed["data"].as_array().expect("a list").iter().map(|each| &each["current"]).collect();
    assert_eq!(current, [&json!(true), &json!(false)], "newest first");
    let id = listed["data"][1]["id"].as_str().expect("an id");
    let path = format!("/api/v1/auth/sessions/{id}/revoke");
    assert_eq!(bob.post(&path).send().await.expect("answered").status(), 404, "another's is none");
    assert_eq!(first.status().await, 200);
    assert_eq!(ada.post(&path).send().await.expect("answered").status(), 204);
    assert_eq!((first.status().await, ada.status().await), (401, 200));
    assert_eq!(ada.post(&path).send().await.expect("answered").status(), 404, "it has ended");
    assert_eq!(ada.post("/api/v1/auth/sessions/x/revoke").send().await.expect("answered").status(), 400);
    host.stop().await;
}

#[tokio::test]
async fn a_user_signs_out_everywhere_and_an_administrator_can_make_them() {
    let host = host().await;
    user(&host, "ada", Role::User).await;
    user(&host, "bob", Role::User).await;
    let bob = Browser::signed_in(&host, "bob").await;
    let (here, there) = (Browser::signed_in(&host, "ada").await, Browser::signed_in(&host, "ada").await);
    let out = here.post("/api/v1/auth/sign-out-everywhere").send().await.expect("answered");
    assert_eq!(out.status(), 204);
    assert_eq!((here.status().await, there.status().await), (401, 401));

    let again = Browser::signed_in(&host, "ada").await;
    let ada = host.running().app.accounts.user_by_name("ada").await.expect("ada");
    let path = format!("/api/v1/users/{}/sign-out", ada.id);
    assert_eq!(bob.post(&path).send().await.expect("answered").status(), 403);
    assert_eq!(again.status().await, 200);
    let forced = host.client.post(host.url(&path)).bearer_auth(&host.key);
    assert_eq!(forced.send().await.expect("answered").status(), 204);
    assert_eq!((again.status().await, bob.status().await), (401, 200));
    let nobody = format!("/api/v1/users/{}/sign-out", atelier_domain::id::UserId::new());
    let none = host.client.post(host.url(&nobody)).bearer_auth(&host.key);
    assert_eq!(none.send().await.expect("answered").status(), 404);
    host.stop().await;
}

#[tokio::test]
async fn another_password_ends_all_sessions_and_begins_one_for_who_changed_it() {
    let host = host().await;
    user(&host, "ada", Role::User).await;
    let (here, there) = (Browser::signed_in(&host, "ada").await, Browser::signed_in(&host, "ada").await);
    let new = "quiet harbour of nine";
    let change = here.post("/api/v1/auth/password").json(&json!({"password": PASSWORD, "new_password": new}));
    let answer = change.send().await.expect("answered");
    let cookie = super::cookie(&answer);
    let csrf = body(answer, 200).await["csrf_token"].as_str().expect("a token").to_owned();
    let renewed = Browser { host: &host, cookie, csrf };
    assert_eq!((here.status().await, there.status().await, renewed.status().await), (401, 401, 200));
    let audit = host.get("/api/v1/admin/audit?kind=administration&limit=1").send().await.expect("answered");
    let noted = body(audit, 200).await["data"][0].clone();
    assert_eq!((&noted["action"], &noted["status"]), (&json!("POST /api/v1/auth/password"), &json!(200)));
    assert!(!noted.to_string().contains(new), "{noted}");
    assert_eq!(sign_in(&host, "ada", PASSWORD).await.status(), 401);
    assert_eq!(sign_in(&host, "ada", new).await.status(), 200);
    // Set by an administrator, it ends them as well.
    let ada = host.running().app.accounts.user_by_name("ada").await.expect("ada");
    let set = host.post(&format!("/api/v1/users/{}/password", ada.id), &json!({"password": PASSWORD}));
    assert_eq!(set.send().await.expect("answered").status(), 204);
    assert_eq!(renewed.status().await, 401);
    host.stop().await;
}

#[tokio::test]
async fn a_disabled_users_sessions_end_and_do_not_come_back() {
    let host = host().await;
    user(&host, "ada", Role::User).await;
    let before = Browser::signed_in(&host, "ada").await;
    let ada = host.running().app.accounts.user_by_name("ada").await.expect("ada");
    let change = |verb: &str| {
        host.client.post(host.url(&format!("/api/v1/users/{}/{verb}", ada.id))).bearer_auth(&host.key).send()
    };
    assert_eq!(change("disable").await.expect("answered").status(), 200);
    assert_eq!(before.status().await, 401);
    let refused = body(sign_in(&host, "ada", PASSWORD).await, 401).await;
    assert_eq!(refused["code"], "sign_in_failed", "it is not told that there is such a user");
    assert_eq!(change("enable").await.expect("answered").status(), 200);
    assert_eq!(before.status().await, 401);
    assert_eq!(Browser::signed_in(&host, "ada").await.status().await, 200);
    host.stop().await;
}
