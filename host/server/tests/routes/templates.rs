use atelier_domain::account::Scope;
use atelier_domain::failure::FailureCode;
use atelier_domain::generation::chat::{ChatRole, Part};
use reqwest::Response;
use serde_json::{Value, json};

use crate::host::{TestHost, json as body};
use crate::scripted::{Act, Scripted, Talk};

const TEMPLATES: &str = "/api/v1/templates";
const HIDDEN: &str = "canary-4711-heron";

async fn host() -> TestHost {
    TestHost::edited(|text| {
        let text = text.replace("status = { requests = 120,", "status = { requests = 100000,");
        text.replace("administration = { requests = 30,", "administration = { requests = 100000,")
    })
    .await
}

async fn send(host: &TestHost, key: &str, path: &str, request: &Value) -> Response {
    host.client.post(host.url(path)).bearer_auth(key).json(request).send().await.expect("answered")
}

async fn get(host: &TestHost, key: &str, path: &str) -> Response {
    host.client.get(host.url(path)).bearer_auth(key).send().await.expect("answered")
}

fn poster() -> Value {
    json!({"name": "poster", "description": "For a window.", "scene": "shop", "tags": ["wall"],
        "task": "image-generation", "model": "scripted/painter", "text_max": 20,
        "variables": [{"name": "what", "type": "text", "required": true, "characters_max": 40},
            {"name": "mood", "type": "choice", "options": ["bright", "calm"], "default": "calm"}],
        "prompt": format!("A {{{{ mood }}}} {{{{ what }}}}, as {HIDDEN} would"), "settings": {"count": 2}})
}

fn letter() -> Value {
    json!({"name": "letter", "task": "chat", "model": "scripted/found", "text_max": 200,
        "variables": [{"name": "tone", "type": "text", "default": "kind"}],
        "prompt": format!("Write as {HIDDEN}, {{{{ tone }}}}."), "settings": {"temperature": 0.5}})
}

/// Makes a template; gives the path at which it is used.
async fn made(host: &TestHost, template: &Value) -> String {
    let made = body(send(host, &host.key, TEMPLATES, template).await, 201).await;
    assert!(!made.to_string().contains(HIDDEN), "{made}");
    format!("{TEMPLATES}/{}", made["id"].as_str().expect("an id"))
}

#[tokio::test]
async fn a_template_is_made_listed_changed_used_and_archived_and_never_shows_its_prompt() {
    let host = host().await;
    let provider = Scripted::new([Act::Done("a picture"), Act::Done("another")]);
    host.put("scripted", provider.clone()).await;
    let ada = host.user_key("ada", &[Scope::Read, Scope::Generate]).await;
    let path = made(&host, &poster()).await;
    let shown = body(get(&host, &ada, &path).await, 200).await;
    assert_eq!((&shown["version"], &shown["task"]), (&json!(1), &json!("image-generation")));
    assert_eq!(shown["variables"][1]["options"], json!(["bright", "calm"]));
    assert!(shown.get("audience").is_none(), "that is for administrators");
    let listed = body(get(&host, &ada, &format!("{TEMPLATES}?scene=shop&tag=wall")).await, 200).await;
    assert_eq!(listed["data"], json!([shown]));
    let none = body(get(&host, &ada, &format!("{TEMPLATES}?scene=home")).await, 200).await;
    assert_eq!(none["data"], json!([]));
    let mut next = poster();
    next.as_object_mut().expect("an object").remove("prompt");
    next["description"] = "For a door.".into();
    let changed = body(send(&host, &host.key, &path, &next).await, 200).await;
    assert_eq!((&changed["version"], &changed["audience"]), (&json!(2), &json!("everyone")));

    let wish = json!({"variables": {"what": "cat {{ mood }}"}, "text": "with a hat"});
    let answer = send(&host, &ada, &format!("{path}/generate"), &wish).await;
    let place = answer.headers()["location"].to_str().expect("text").to_owned();
    let job = body(answer, 202).await;
    assert_eq!(job["prompt"], Value::Null);
    let used = json!({"id": shown["id"], "version": 2, "variables": {"what": "cat {{ mood }}", "text": "with a hat"}});
    assert_eq!(job["template"], used);
    let ended = loop {
        let job = body(get(&host, &ada, &place).await, 200).await;
        if !job["finished"].is_null() {
            break job;
        }
    };
    assert_eq!((&ended["state"], &ended["template"]), (&json!("succeeded"), &used));
    let sent = provider.seen.lock().expect("no panic").media[0].clone();
    assert_eq!(
        (sent.prompt.as_deref(), sent.count),
        (Some("A calm cat {{ mood }}, as canary-4711-heron would\n\nwith a hat"), 2)
    );
    assert_eq!(send(&host, &host.key, &format!("{path}/archive"), &json!({})).await.status(), 204);
    for gone in [get(&host, &ada, &path).await, send(&host, &ada, &format!("{path}/generate"), &wish).await] {
        assert_eq!(body(gone, 404).await["code"], "not_found");
    }
    let kept = body(get(&host, &host.key, &path).await, 200).await;
    assert!(kept["archived"].is_string(), "administrators still see it: {kept}");
    host.stop().await;
}

#[tokio::test]
async fn a_chat_is_asked_with_the_prompt_hidden_and_answered_whole_or_in_events() {
    let host = host().await;
    let provider =
        Scripted::talking([Talk::saying("Dear you"), Talk::saying("Dear me"), Talk::saying("Dear all")]);
    host.put("scripted", provider.clone()).await;
    let path = format!("{}/generate", made(&host, &letter()).await);
    let whole = body(send(&host, &host.key, &path, &json!({"text": "to Bob"})).await, 200).await;
    assert_eq!(whole["choices"][0]["message"]["content"], "Dear you");
    assert_eq!(whole["object"], "chat.completion");
    let streamed =
        send(&host, &host.key, &path, &json!({"variables": {"tone": "{% x"}, "stream": true})).await;
    let events = streamed.text().await.expect("events");
    assert!(events.contains("Dear me") && events.ends_with("data: [DONE]\n\n"), "{events}");
    assert!(!events.contains(HIDDEN));
    let keyed = |key: &str| {
        let request = host.client.post(host.url(&path)).bearer_auth(&host.key);
        request.header("idempotency-key", key.to_owned()).json(&json!({"text": "to all"})).send()
    };
    let first = body(keyed("k").await.expect("answered"), 200).await;
    let again = keyed("k").await.expect("answered");
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(body(again, 200).await, first, "asked once");
    let seen = provider.seen.lock().expect("no panic").chats.clone();
    let texts = |i: usize| -> Vec<(ChatRole, String)> {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        seen[i].messages.iter().map(|message| (message.role, text(&message.parts[0]))).collect()
    };
    assert_eq!(seen.len(), 3);
    assert_eq!(
        texts(0),
        [(ChatRole::System, format!("Write as {HIDDEN}, kind.")), (ChatRole::User, "to Bob".to_owned())]
    );
    assert_eq!(texts(1), [(ChatRole::User, format!("Write as {HIDDEN}, {{% x."))]);
    assert_eq!(seen[0].temperature, Some(0.5));
    host.stop().await;
}

#[tokio::test]
async fn a_job_of_a_template_is_one_job_under_one_key_whatever_became_of_the_template() {
    let host = host().await;
    let provider = Scripted::new([Act::Done("a picture")]);
    host.put("scripted", provider.clone()).await;
    let path = made(&host, &poster()).await;
    let keyed = || {
        let request = host.client.post(host.url(&format!("{path}/generate"))).bearer_auth(&host.key);
        request.header("idempotency-key", "once").json(&json!({"variables": {"what": "cat"}})).send()
    };
    let first = body(keyed().await.expect("answered"), 202).await;
    assert_eq!(send(&host, &host.key, &format!("{path}/archive"), &json!({})).await.status(), 204);
    let again = keyed().await.expect("answered");
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(body(again, 202).await, first);
    let jobs = body(get(&host, &host.key, "/api/v1/generations").await, 200).await;
    assert_eq!(jobs["data"].as_array().map(Vec::len), Some(1));
    host.stop().await;
}

#[tokio::test]
async fn templates_are_written_by_administrators_and_used_by_whom_they_are_for() {
    let host = host().await;
    host.put("scripted", Scripted::new([])).await;
    let scopes = [Scope::Read, Scope::Generate];
    let (ada, bob) = (host.user_key("ada", &scopes).await, host.user_key("bob", &scopes).await);
    let ada_id = host.running().app.accounts.user_by_name("ada").await.expect("ada").id;
    let mut hers = poster();
    hers["audience"] = "users".into();
    hers["users"] = json!([ada_id.to_string()]);
    let path = made(&host, &hers).await;
    assert_eq!(get(&host, &ada, &path).await.status(), 200);
    let wish = json!({"variables": {"what": "cat"}});
    for refused in
        [get(&host, &bob, &path).await, send(&host, &bob, &format!("{path}/generate"), &wish).await]
    {
        assert_eq!(body(refused, 404).await["code"], "not_found");
    }
    assert_eq!(body(get(&host, &bob, TEMPLATES).await, 200).await["data"], json!([]));
    for (path, request) in [
        (TEMPLATES.to_owned(), poster()),
        (path.clone(), poster()),
        (format!("{path}/archive"), json!({})),
        (format!("{TEMPLATES}/seed"), json!({"templates": [poster()]})),
        (format!("{TEMPLATES}/clear"), json!({})),
    ] {
        let refused = send(&host, &ada, &path, &request).await;
        assert_eq!(body(refused, 403).await["code"], "insufficient_scope", "{path}");
    }
    let reader = host.user_key("eve", &[Scope::Read]).await;
    let refused = send(&host, &reader, &format!("{path}/generate"), &wish).await;
    assert_eq!(body(refused, 403).await["code"], "insufficient_scope");
    let none = host.client.get(host.url(TEMPLATES)).send().await.expect("answered");
    assert_eq!(none.status(), 401);
    host.stop().await;
}

#[tokio::test]
async fn bad_templates_and_bad_variables_are_refused_with_their_place() {
    let host = host().await;
    host.put("scripted", Scripted::new([])).await;
    let edited = |member: &str, value: Value| {
        let mut new = poster();
        new[member] = value;
        new
    };
    let variable = |more: Value| {
        let mut one = json!({"name": "x", "type": "text"});
        one.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        edited("variables", json!([one, {"name": "what", "type": "text"}, {"name": "mood", "type": "text"}]))
    };
    for (new, param) in [
        (edited("prompt", "one\n{{ nobody }}".into()), "prompt"),
        (edited("prompt", "{% include 'x' %}".into()), "prompt"),
        (edited("prompt", "{{ what".into()), "prompt"),
        (edited("prompt", Value::Null), "prompt"),
        (edited("prompt", 5.into()), "prompt"),
        (edited("prompt", "x".repeat(32 * 1024 + 1).into()), "prompt"),
        (edited("task", "embedding".into()), "task"),
        (edited("model", "scripted/nobody".into()), "model"),
        (edited("tags", json!(["a\nb"])), "tags"),
        (edited("users", json!(["no id"])), "users"),
        (edited("users", json!(["019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718"])), "users"),
        (edited("settings", json!({"count": 99})), "settings.count"),
        (edited("settings", json!({"nothing": 1})), "settings.nothing"),
        (edited("options", json!({"steps": 1})), "steps"),
        (edited("nothing", 1.into()), "nothing"),
        (variable(json!({"name": "1x"})), "variables[0].name"),
        (variable(json!({"name": "what"})), "variables[1].name"),
        (variable(json!({"type": "colour"})), "variables[0].type"),
        (variable(json!({"min": 1.0})), "variables[0].min"),
        (variable(json!({"default": 1})), "variables[0].default"),
        (variable(json!({"type": "number"})), "variables[0].default"),
        (variable(json!({"type": "number", "min": 2, "max": 1, "default": 1})), "variables[0].min"),
        (variable(json!({"type": "choice"})), "variables[0].options"),
        (variable(json!({"type": "file"})), "variables[0].role"),
        (variable(json!({"type": "file", "accepts": "folder"})), "variables[0].accepts"),
    ] {
        let answer = send(&host, &host.key, TEMPLATES, &new).await;
        let status = answer.status().as_u16();
        let refused: Value = answer.json().await.expect("JSON");
        assert!(matches!(status, 400 | 404), "{param}: {refused}");
        assert_eq!(refused["param"], param, "{refused}");
    }
    let listed = body(get(&host, &host.key, TEMPLATES).await, 200).await;
    assert_eq!(listed["data"], json!([]), "nothing of them stays");
    let path = made(&host, &poster()).await;
    let twice = send(&host, &host.key, TEMPLATES, &poster()).await;
    assert_eq!(body(twice, 409).await["code"], "already_exists");
    let generate = format!("{path}/generate");
    for (wish, param) in [
        (json!({}), "variables.what"),
        (json!({"variables": {"what": ["cat"]}}), "variables.what"),
        (json!({"variables": {"what": "x".repeat(41)}}), "variables.what"),
        (json!({"variables": {"what": "cat\u{1}"}}), "variables.what"),
        (json!({"variables": {"what": "cat", "mood": "grim"}}), "variables.mood"),
        (json!({"variables": {"what": "cat", "who": "me"}}), "variables.who"),
        (json!({"variables": {"what": "cat"}, "text": "x".repeat(21)}), "text"),
        (json!({"variables": {"what": "cat"}, "stream": true}), "stream"),
        (json!({"variables": {"what": "cat"}, "prompt": "mine"}), "prompt"),
    ] {
        let refused = body(send(&host, &host.key, &generate, &wish).await, 400).await;
        assert_eq!(refused["param"], param, "{refused}");
    }
    for path in
        [format!("{TEMPLATES}/no-id"), format!("{TEMPLATES}?limit=0"), format!("{TEMPLATES}?colour=red")]
    {
        assert_eq!(get(&host, &host.key, &path).await.status(), 400, "{path}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_template_that_loops_for_ever_is_ended_with_an_error_that_quotes_nothing() {
    let host = host().await;
    host.put("scripted", Scripted::new([])).await;
    let mut new = poster();
    let looping = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}";
    new["prompt"] = format!("{HIDDEN} {looping}").into();
    let path = format!("{}/generate", made(&host, &new).await);
    let refused =
        body(send(&host, &host.key, &path, &json!({"variables": {"what": "cat"}})).await, 422).await;
    assert_eq!(refused["code"], "template_failed");
    assert!(!refused.to_string().contains("canary"), "{refused}");
    host.stop().await;
}

#[tokio::test]
async fn a_file_among_the_variables_is_the_callers_own() {
    let host = host().await;
    let provider = Scripted::new([Act::Done("a picture")]);
    host.put("scripted", provider.clone()).await;
    let mut new = poster();
    new["variables"] =
        json!([{"name": "like", "type": "file", "accepts": "image", "role": "reference", "required": true}]);
    new["prompt"] = "Like this{% if like %} picture{% endif %}".into();
    let path = format!("{}/generate", made(&host, &new).await);
    let scopes = [Scope::Read, Scope::Generate];
    let (ada, bob) = (host.user_key("ada", &scopes).await, host.user_key("bob", &scopes).await);
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0".to_vec();
    let part = reqwest::multipart::Part::bytes(png).file_name("a.png");
    let form = reqwest::multipart::Form::new().text("purpose", "vision").part("file", part);
    let upload = host.client.post(host.url("/v1/files")).bearer_auth(&ada).multipart(form).send();
    let file = body(upload.await.expect("answered"), 200).await;
    let wish = json!({"variables": {"like": file["id"]}});
    assert_eq!(send(&host, &bob, &path, &wish).await.status(), 404, "another's file is none");
    let nothing = json!({"variables": {"like": "file-none"}});
    assert_eq!(send(&host, &ada, &path, &nothing).await.status(), 404);
    body(send(&host, &ada, &path, &wish).await, 202).await;
    let sent = loop {
        if let Some(sent) = provider.seen.lock().expect("no panic").media.first() {
            break sent.clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(sent.prompt.as_deref(), Some("Like this picture"));
    assert_eq!((sent.inputs.len(), sent.inputs[0].role.as_str()), (1, "reference"));
    host.stop().await;
}

#[tokio::test]
async fn what_a_template_costs_is_held_charged_and_refused_as_every_generation() {
    let host = TestHost::edited(|text| {
        let text = text.replace("accounting = \"record\"", "accounting = \"enforce\"");
        let text = text.replace("status = { requests = 120,", "status = { requests = 100000,");
        format!(
            "{text}\n[[price]]\nmodel = \"scripted/painter\"\nper_million = {{ images = 10000000 }}\n\
             [[price]]\nmodel = \"local/*\"\nfree = true\n"
        )
    })
    .await;
    host.put("scripted", Scripted::new([Act::FailEchoing(FailureCode::InvalidRequest)])).await;
    let path = format!("{}/generate", made(&host, &poster()).await);
    let ada = host.user_key("ada", &[Scope::Read, Scope::Generate]).await;
    let wish = json!({"variables": {"what": "cat"}});
    let poor = send(&host, &ada, &path, &wish).await;
    assert_eq!(body(poor, 402).await["code"], "insufficient_credits");
    let grant = json!({"user": "ada", "amount": 100, "reason": "welcome"});
    assert_eq!(send(&host, &host.key, "/api/v1/credits", &grant).await.status(), 201);
    let job = body(send(&host, &ada, &path, &wish).await, 202).await;
    assert_eq!(job["held"], 20, "two images");
    let place = format!("/api/v1/generations/{}", job["id"].as_str().expect("an id"));
    let failed = loop {
        let job = body(get(&host, &ada, &place).await, 200).await;
        if !job["finished"].is_null() {
            break job;
        }
    };
    assert_eq!((&failed["state"], &failed["held"]), (&json!("failed"), &json!(0)));
    assert!(!failed.to_string().contains("canary"), "{failed}");
    assert_eq!(body(get(&host, &ada, "/api/v1/credits").await, 200).await["available"], 100);
    host.stop().await;
}
