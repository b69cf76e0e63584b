//! Sign-up and forgotten passwords, through a mail server.

use atelier_domain::account::Role;
use serde_json::{Value, json};

use super::sessions::{Browser, PASSWORD, sign_in, user};
use crate::host::{TestHost, json as body};
use crate::smtp::MailServer;

const ADA: &str = "ada@atelier.dev";
const OTHER: &str = "quiet harbour of nine";

/// A host that anybody may sign up at, and its mail server.
async fn host(more: &str) -> (TestHost, MailServer) {
    let mail = MailServer::start().await;
    let often = "[limits]\nsign-in = { requests = 1000, seconds = 60 }\n";
    let accounts = format!("[accounts]\nsign_up = true\n{more}\n{}", mail.setting());
    let host = TestHost::edited(|text| format!("{}\n{accounts}", text.replace("[limits]\n", often))).await;
    (host, mail)
}

async fn post(host: &TestHost, path: &str, sent: &Value) -> (u16, Value) {
    let answer = host.client.post(host.url(&format!("/api/v1/auth/{path}"))).json(sent).send().await;
    let answer = answer.expect("answered");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn nothing() -> Value {
    Value::String(String::new())
}

#[tokio::test]
async fn whoever_gets_mail_at_an_address_makes_the_account_of_it() {
    let (host, mut mail) = host("").await;
    assert_eq!(post(&host, "sign-up", &json!({"email": "Ada@Atelier.dev"})).await, (202, nothing()));
    let first = mail.next().await;
    assert_eq!(first.to, ADA);
    for line in
        ["From: Atelier <noreply@atelier.dev>", "To: ada@atelier.dev", "Auto-Submitted: auto-generated"]
    {
        assert!(first.text.lines().any(|found| found == line), "{line}: {}", first.text);
    }
    assert_eq!(sign_in(&host, ADA, PASSWORD).await.status(), 401, "there is no account yet");
    assert_eq!(post(&host, "sign-up/resend", &json!({"email": ADA})).await, (202, nothing()));
    let token = mail.next().await.token();
    let redeem = |token: &str, password: &str| json!({"token": token, "password": password});
    let (status, old) = post(&host, "sign-up/verify", &redeem(&first.token(), PASSWORD)).await;
    assert_eq!((status, &old["code"], &old["param"]), (400, &json!("token_over"), &json!("token")));
    let (status, short) = post(&host, "sign-up/verify", &redeem(&token, "short")).await;
    assert_eq!((status, &short["param"]), (400, &json!("password")));
    let (status, made) = post(&host, "sign-up/verify", &redeem(&token, PASSWORD)).await;
    assert_eq!((status, &made["name"], &made["role"]), (200, &json!(ADA), &json!("user")), "{made}");
    let (status, used) = post(&host, "sign-up/verify", &redeem(&token, PASSWORD)).await;
    assert_eq!((status, &used["code"]), (400, &json!("token_over")));
    assert_eq!(sign_in(&host, "ADA@atelier.dev", PASSWORD).await.status(), 200);
    host.stop().await;
}

#[tokio::test]
async fn account_enumeration_by_sign_up_and_by_a_forgotten_password_is_refused() {
    let (host, mut mail) = host("").await;
    user(&host, ADA, Role::User).await;
    for path in ["sign-up", "sign-up/resend", "password/forgot"] {
        let known = post(&host, path, &json!({"email": ADA})).await;
        assert_eq!(known, (202, nothing()), "{path}");
        if path == "sign-up" {
            let told = mail.next().await;
            assert!(told.text.contains("You have an account already"), "{}", told.text);
        }
        if path == "password/forgot" {
            mail.next().await.token();
            assert_eq!(post(&host, path, &json!({"email": "nobody@atelier.dev"})).await, known);
            // Mail leaves in its order: had anything been sent to nobody, it would come first.
            assert_eq!(post(&host, path, &json!({"email": ADA})).await, known);
            assert_eq!(mail.next().await.to, ADA);
        }
    }
    assert!(mail.is_empty());
    host.stop().await;
}

#[tokio::test]
async fn a_mailed_token_sets_another_password_once_and_ends_all_sessions() {
    let (host, mut mail) = host("").await;
    user(&host, ADA, Role::User).await;
    let browser = Browser::signed_in(&host, ADA).await;
    assert_eq!(browser.status().await, 200);
    post(&host, "password/forgot", &json!({"email": ADA})).await;
    let token = mail.next().await.token();
    let reset = json!({"token": token, "password": OTHER});
    assert_eq!(post(&host, "password/reset", &reset).await, (204, nothing()));
    assert_eq!(browser.status().await, 401, "the session is over");
    let (status, used) = post(&host, "password/reset", &reset).await;
    assert_eq!((status, &used["code"]), (400, &json!("token_over")));
    assert_eq!(sign_in(&host, ADA, PASSWORD).await.status(), 401);
    assert_eq!(sign_in(&host, ADA, OTHER).await.status(), 200);
    let noted =
        body(host.get("/api/v1/admin/audit?kind=administration").send().await.expect("answered"), 200).await;
    let ada = host.running().app.accounts.user_by_name(ADA).await.expect("ada").id.to_string();
    let record = &noted["data"][0];
    assert_eq!(
        (&record["action"], &record["user"], &record["status"]),
        (&json!("POST /api/v1/auth/password/reset"), &json!(ada), &json!(204)),
        "who used the token is told, and who tried another is not"
    );
    host.stop().await;
}

#[tokio::test]
async fn an_administrator_of_the_configuration_is_one_once_the_address_is_verified() {
    let (host, mut mail) = host("administrators = [\"ADA@atelier.dev\"]").await;
    user(&host, ADA, Role::User).await;
    let role = async || body(sign_in(&host, ADA, OTHER).await, 200).await["role"].clone();
    let before = body(sign_in(&host, ADA, PASSWORD).await, 200).await;
    assert_eq!(before["role"], "user", "a name alone proves nothing");
    post(&host, "password/forgot", &json!({"email": ADA})).await;
    let reset = json!({"token": mail.next().await.token(), "password": OTHER});
    assert_eq!(post(&host, "password/reset", &reset).await.0, 204);
    assert_eq!(role().await, "administrator");
    host.stop().await;
}

#[tokio::test]
async fn header_injection_in_an_address_is_refused() {
    let (host, mut mail) = host("").await;
    for email in
        ["ada@atelier.dev\r\nBcc: all@atelier.dev", "ada@atelier.dev\n", "<ada@atelier.dev>", "ada", ""]
    {
        let (status, told) = post(&host, "sign-up", &json!({"email": email})).await;
        assert_eq!((status, &told["param"]), (400, &json!("email")), "{email:?}");
    }
    assert!(mail.is_empty());
    host.stop().await;
}

#[tokio::test]
async fn without_sign_up_or_mail_there_is_none() {
    let host = TestHost::start().await;
    for path in ["sign-up", "sign-up/resend", "password/forgot"] {
        let (status, told) = post(&host, path, &json!({"email": ADA})).await;
        assert_eq!((status, &told["code"]), (403, &json!("not_offered")), "{path}");
    }
    host.stop().await;
    let mail = MailServer::start().await;
    let host = TestHost::with(&mail.setting()).await;
    let (status, _) = post(&host, "sign-up", &json!({"email": ADA})).await;
    let (forgot, _) = post(&host, "password/forgot", &json!({"email": ADA})).await;
    assert_eq!((status, forgot), (403, 202), "mail alone opens no sign-up");
    host.stop().await;
}

#[tokio::test]
async fn sign_ups_from_one_address_are_limited() {
    let (host, _mail) = host("").await;
    for n in 0..3 {
        let (status, _) = post(&host, "sign-up", &json!({"email": format!("a{n}@atelier.dev")})).await;
        assert_eq!(status, 202);
    }
    let (status, told) = post(&host, "sign-up", &json!({"email": "a3@atelier.dev"})).await;
    assert_eq!((status, &told["code"]), (429, &json!("rate_limit_exceeded")));
    host.stop().await;
}
