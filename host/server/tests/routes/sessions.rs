//! Passwords and sessions: what they open, and what is refused.

use atelier_domain::account::Role;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::host::{TestHost, json as body};

#[path = "sessions/attacks.rs"]
mod attacks;
#[path = "sessions/endings.rs"]
mod endings;

pub const PASSWORD: &str = "plum orbit 7 lantern";
const OFTEN: &str = "sign-in = { requests = 1000, seconds = 60 }";

/// A browser: what it was given, and sends by itself.
pub struct Browser<'h> {
    pub host: &'h TestHost,
    pub cookie: String,
    pub csrf: String,
}

/// A host on which signing in is not counted by address.
pub async fn host() -> TestHost {
    TestHost::edited(|text| text.replace("[limits]\n", &format!("[limits]\n{OFTEN}\n"))).await
}

/// Adds a user with [`PASSWORD`].
pub async fn user(host: &TestHost, name: &str, role: Role) {
    let user = host.running().app.accounts.create_user(name, role).await.expect("a user");
    let set = host.post(&format!("/api/v1/users/{}/password", user.id), &json!({"password": PASSWORD}));
    assert_eq!(set.send().await.expect("answered").status(), 204);
}

pub async fn sign_in(host: &TestHost, name: &str, password: &str) -> Response {
    let request = host.client.post(host.url("/api/v1/auth/sign-in"));
    request.json(&json!({"name": name, "password": password})).send().await.expect("answered")
}

/// The cookie that an answer sets, as a browser sends it back.
pub fn cookie(answer: &Response) -> String {
    let set = answer.headers()["set-cookie"].to_str().expect("text");
    set.split(';').next().expect("a pair").to_owned()
}

impl<'h> Browser<'h> {
    pub async fn signed_in(host: &'h TestHost, name: &str) -> Self {
        let answer = sign_in(host, name, PASSWORD).await;
        let cookie = cookie(&answer);
        let told = body(answer, 200).await;
        Self { host, cookie, csrf: told["csrf_token"].as_str().expect("a token").to_owned() }
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.host.client.get(self.host.url(path)).header("cookie", &self.cookie)
    }

    /// As its own page does it.
    pub fn post(&self, path: &str) -> RequestBuilder {
        let origin = format!("http://{}", self.host.running().address);
        self.cookie_alone(path).header("origin", origin).header("x-csrf-token", &self.csrf)
    }

    /// As any site can make it do.
    pub fn cookie_alone(&self, path: &str) -> RequestBuilder {
        self.host.client.post(self.host.url(path)).header("cookie", &self.cookie)
    }

    pub async fn status(&self) -> u16 {
        self.get("/v1/models").send().await.expect("answered").status().as_u16()
    }
}

#[tokio::test]
async fn whoever_signs_in_has_what_their_role_has_on_every_api() {
    let host = host().await;
    user(&host, "ada", Role::User).await;
    let answer = sign_in(&host, "ada", PASSWORD).await;
    let set = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
    assert!(set.starts_with("atelier-session=") && set.contains("; HttpOnly; SameSite=Lax"), "{set}");
    assert!(set.contains("Max-Age=2592000") && !set.contains("Domain"), "{set}");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let told = body(answer, 200).await;
    assert_eq!(
        (&told["name"], &told["role"], &told["scopes"]),
        (&json!("ada"), &json!("user"), &json!(["read", "generate"]))
    );
    assert!(!told.to_string().contains(set["atelier-session=".len()..].split(';').next().expect("a token")));

    let ada = Browser::signed_in(&host, "ada").await;
    assert_eq!(ada.status().await, 200, "OpenAI's API");
    let again = body(ada.get("/api/v1/auth/session").send().await.expect("answered"), 200).await;
    assert_eq!((&again["csrf_token"], &again["name"]), (&json!(ada.csrf), &json!("ada")));
    let made = ada.post("/api/v1/keys").json(&json!({"name": "mine", "scopes": ["generate"]}));
    let made = body(made.send().await.expect("answered"), 201).await;
    assert!(made["secret"].as_str().expect("a secret").starts_with("atl_"));
    host.stop().await;
}

#[tokio::test]
async fn a_session_cannot_do_what_its_role_may_not() {
    let host = host().await;
    user(&host, "ada", Role::User).await;
    user(&host, "root", Role::Administrator).await;
    let (ada, root) = (Browser::signed_in(&host, "ada").await, Browser::signed_in(&host, "root").await);
    for path in [
        "/api/v1/users",
        "/api/v1/plugins",
        "/api/v1/admin/generations?error=outcome_unknown",
        "/api/v1/keys?user=root",
    ] {
        let refused = body(ada.get(path).send().await.expect("answered"), 403).await;
        assert_eq!(refused["code"], "insufficient_scope", "{path}");
        assert_eq!(root.get(path).send().await.expect("answered").status(), 200, "{path}");
    }
    for scope in ["admin", "plugin-admin"] {
        let wanted = json!({"name": "more", "scopes": [scope]});
        let refused = ada.post("/api/v1/keys").json(&wanted).send().await.expect("answered");
        assert_eq!(refused.status(), 403, "{scope}");
    }
    let grant = json!({"user": "ada", "amount": 5, "reason": "mine"});
    assert_eq!(ada.post("/api/v1/credits").json(&grant).send().await.expect("answered").status(), 403);
    host.stop().await;
}

#[tokio::test]
async fn a_password_has_its_bounds_wherever_it_is_set() {
    let host = host().await;
    user(&host, "ada", Role::User).await;
    let ada = host.running().app.accounts.user_by_name("ada").await.expect("ada");
    let path = format!("/api/v1/users/{}/password", ada.id);
    let long = "x".repeat(2000);
    for bad in ["", "eleven char", "aaaaaaaaaaaaaaaa", "passwordpassword", "line\nbreak in it", &long] {
        let refused = host.post(&path, &json!({"password": bad})).send().await.expect("answered");
        let refused = body(refused, 400).await;
        assert_eq!(
            (&refused["code"], &refused["param"]),
            (&json!("invalid_value"), &json!("password")),
            "{bad:?}"
        );
        assert!(bad.is_empty() || !refused["detail"].as_str().expect("text").contains(bad));
    }
    let browser = Browser::signed_in(&host, "ada").await;
    let change = |password: &str, new: &str| {
        browser.post("/api/v1/auth/password").json(&json!({"password": password, "new_password": new}))
    };
    let refused = body(change(PASSWORD, "short").send().await.expect("answered"), 400).await;
    assert_eq!(refused["param"], "new_password");
    let wrong =
        body(change("another password", "quiet harbour of nine").send().await.expect("answered"), 401);
    assert_eq!(wrong.await["code"], "sign_in_failed");
    let nobody = format!("/api/v1/users/{}/password", atelier_domain::id::UserId::new());
    let none = host.post(&nobody, &json!({"password": PASSWORD})).send().await.expect("answered");
    assert_eq!(none.status(), 404);
    host.stop().await;
}

#[tokio::test]
async fn a_key_goes_before_a_cookie() {
    let host = host().await;
    user(&host, "ada", Role::User).await;
    let ada = Browser::signed_in(&host, "ada").await;
    // No page of another site can send a key: it needs no proof of where it comes from.
    let as_admin = ada.cookie_alone("/api/v1/users").bearer_auth(&host.key).json(&json!({"name": "bob"}));
    assert_eq!(as_admin.send().await.expect("answered").status(), 201);
    let wrong = ada.get("/v1/models").bearer_auth("atl_wrong").send().await.expect("answered");
    assert_eq!(wrong.status(), 401, "a bad key is not made good by a cookie");
    let session = ada.get("/api/v1/auth/session").bearer_auth(&host.key).send().await.expect("answered");
    assert_eq!(session.status(), 404);
    let kept: Value = body(ada.get("/api/v1/auth/session").send().await.expect("answered"), 200).await;
    let out =
        ada.cookie_alone("/api/v1/auth/sign-out").bearer_auth(&host.key).send().await.expect("answered");
    assert_eq!(out.status(), 204);
    assert_eq!(ada.status().await, 200, "{} goes on", kept["id"]);
    host.stop().await;
}
