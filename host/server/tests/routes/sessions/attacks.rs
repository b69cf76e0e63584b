//! Attacks on signing in and on sessions, each by the name of what is refused.

use atelier_domain::account::Role;
use atelier_service::accounts::SignIn;
use serde_json::json;

use super::{Browser, PASSWORD, cookie, host, sign_in, user};
use crate::host::{TestHost, json as body, stable};

#[tokio::test]
async fn session_fixation_is_refused() {
    let host = host().await;
    user(&host, "ada", Role::User).await;
    user(&host, "mallory", Role::User).await;
    // A secret that somebody made up opens nothing, and is not taken over.
    let made_up = format!("atelier-session={}", "A".repeat(43));
    let stranger = Browser { host: &host, cookie: made_up.clone(), csrf: String::new() };
    assert_eq!(stranger.status().await, 401);
    let with = |cookie: &str| {
        let request = host.client.post(host.url("/api/v1/auth/sign-in")).header("cookie", cookie);
        request.json(&json!({"name": "ada", "password": PASSWORD})).send()
    };
    let answer = with(&made_up).await.expect("answered");
    assert_eq!(answer.status(), 200);
    assert_ne!(cookie(&answer), made_up);
    assert_eq!(stranger.status().await, 401);
    // A real one that was put into her browser ends when she signs in there.
    let mallory = Browser::signed_in(&host, "mallory").await;
    let answer = with(&mallory.cookie).await.expect("answered");
    let ada = Browser { host: &host, cookie: cookie(&answer), csrf: String::new() };
    assert_ne!(ada.cookie, mallory.cookie);
    assert_eq!((mallory.status().await, ada.status().await), (401, 200));
    host.stop().await;
}

#[tokio::test]
async fn csrf_is_refused() {
    let host = host().await;
    user(&host, "ada", Role::User).await;
    let ada = Browser::signed_in(&host, "ada").await;
    let other = Browser::signed_in(&host, "ada").await;
    let own = format!("http://{}", host.running().address);
    let key = json!({"name": "stolen", "scopes": ["generate"]});
    let paths =
        ["/api/v1/keys", "/api/v1/auth/sign-out", "/api/v1/auth/sign-out-everywhere", "/v1/chat/completions"];
    for path in paths {
        let refused = |headers: &[(&str, &str)]| {
            let request = ada.cookie_alone(path).json(&key);
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send()
        };
        let attempts: [&[(&str, &str)]; 7] = [
            &[],
            &[("origin", "https://evil.example"), ("x-csrf-token", &ada.csrf)],
            &[("origin", "null"), ("x-csrf-token", &ada.csrf)],
            &[("origin", &own), ("sec-fetch-site", "cross-site"), ("x-csrf-token", &ada.csrf)],
            &[("origin", &own)],
            &[("origin", &own), ("x-csrf-token", &other.csrf)],
            &[("x-csrf-token", &ada.csrf)],
        ];
        for headers in attempts {
            assert_eq!(refused(headers).await.expect("answered").status(), 403, "{path} {headers:?}");
        }
    }
    let refused =
        body(ada.cookie_alone("/api/v1/keys").json(&key).send().await.expect("answered"), 403).await;
    assert_eq!(refused["code"], "cross_site_request");
    let keys = body(ada.get("/api/v1/keys").send().await.expect("answered"), 200).await;
    assert_eq!(keys["data"], json!([]), "nothing was made");
    assert_eq!(ada.post("/api/v1/keys").json(&key).send().await.expect("answered").status(), 201);
    // Nor can another site sign somebody in as somebody else.
    let signed_in =
        host.client.post(host.url("/api/v1/auth/sign-in")).header("origin", "https://evil.example");
    let signed_in =
        signed_in.json(&json!({"name": "ada", "password": PASSWORD})).send().await.expect("answered");
    assert_eq!(signed_in.status(), 403);
    assert!(!signed_in.headers().contains_key("set-cookie"));
    host.stop().await;
}

#[tokio::test]
async fn account_enumeration_by_answer_and_by_timing_is_refused() {
    let host = host().await;
    user(&host, "ada", Role::User).await;
    user(&host, "off", Role::User).await;
    host.running().app.accounts.create_user("bare", Role::User).await.expect("without a password");
    let off = host.running().app.accounts.user_by_name("off").await.expect("a user");
    host.running().app.accounts.set_disabled(off.id, true).await.expect("disabled");
    let hasher = host.running().app.accounts.hasher();
    let mut answers = Vec::new();
    for name in ["ada", "nobody", "bare", "off", "nobody@example.org", "", &"x".repeat(5000)] {
        let before = hasher.hashed();
        let refused = sign_in(&host, name, "another password").await;
        answers.push(stable(body(refused, 401).await));
        // Time is spent on hashing: as much of it whoever is asked for.
        assert_eq!(hasher.hashed() - before, 1, "{name:?}");
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    let before = hasher.hashed();
    assert_eq!(sign_in(&host, "off", PASSWORD).await.status(), 401);
    assert_eq!(hasher.hashed() - before, 1);
    host.stop().await;
}

#[tokio::test]
async fn brute_force_of_a_password_is_refused() {
    let host = host().await;
    user(&host, "ada", Role::User).await;
    user(&host, "bob", Role::User).await;
    for attempt in 0..5 {
        assert_eq!(sign_in(&host, "ada", "a wrong password").await.status(), 401, "{attempt}");
    }
    let hashed = host.running().app.accounts.hasher().hashed();
    for (name, password) in [("ada", PASSWORD), ("ADA ", "a wrong password")] {
        let refused = sign_in(&host, name, password).await;
        let wait: u64 = refused.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(body(refused, 429).await["code"], "too_many_failures");
    }
    assert_eq!(
        host.running().app.accounts.hasher().hashed(),
        hashed,
        "nothing is hashed for who has to wait"
    );
    let elsewhere = SignIn {
        name: "ada",
        password: PASSWORD,
        from: "203.0.113.9".parse().expect("an address"),
        agent: "",
        before: None,
    };
    let signed_in = host.running().app.accounts.sign_in(elsewhere).await;
    assert!(signed_in.is_ok(), "its owner, who is elsewhere, is not kept out: {signed_in:?}");
    Browser::signed_in(&host, "bob").await;
    host.stop().await;
}

#[tokio::test]
async fn brute_force_of_the_password_of_a_session_is_refused() {
    let host = host().await;
    user(&host, "ada", Role::User).await;
    let ada = Browser::signed_in(&host, "ada").await;
    let guess = json!({"password": "a wrong password", "new_password": "quiet harbour of nine"});
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let answer = ada.post("/api/v1/auth/password").json(&guess).send().await.expect("answered");
        statuses.push(answer.status().as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    assert_eq!(ada.status().await, 200);
    host.stop().await;
}

#[tokio::test]
async fn an_address_that_signs_in_too_often_is_refused_whatever_it_sends() {
    let host = TestHost::start().await;
    user(&host, "ada", Role::User).await;
    for name in ["ada", "bob", "carol", "dan", "eve"] {
        assert_eq!(sign_in(&host, name, "a wrong password").await.status(), 401, "{name}");
    }
    let refused = sign_in(&host, "ada", PASSWORD).await;
    let wait: u64 = refused.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=600).contains(&wait), "{wait}");
    assert_eq!(body(refused, 429).await["code"], "rate_limit_exceeded");
    host.stop().await;
}
