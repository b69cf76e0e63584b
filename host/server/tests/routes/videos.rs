use std::sync::Arc;
use std::time::Duration;

use atelier_domain::account::Scope;
use atelier_domain::failure::FailureCode;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::host::{TestHost, json as body};
use crate::scripted::{Act, Scripted};

/// Long enough for ranges.
const FILM: &[u8] = b"\0\0\0\x18ftypisom\0\0\x02\0isommp41 and then the film itself";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

async fn host(provider: &Arc<Scripted>) -> TestHost {
    let host = TestHost::edited(|text| {
        let text = text.replace("generation = { requests = 10,", "generation = { requests = 100000,");
        let text = text.replace("status = { requests = 120,", "status = { requests = 100000,");
        let more_often =
            ["upload", "analytics"].map(|class| format!("{class} = {{ requests = 100000, seconds = 60 }}\n"));
        text.replace("[limits]\n", &format!("[limits]\n{}", more_often.concat()))
    })
    .await;
    host.put("scripted", provider.clone()).await;
    host
}

async fn ask(host: &TestHost, key: &str, method: Method, path: &str) -> Response {
    host.client.request(method, host.url(path)).bearer_auth(key).send().await.expect("answered")
}

async fn get(host: &TestHost, path: &str) -> Response {
    ask(host, &host.key, Method::GET, path).await
}

async fn delete(host: &TestHost, path: &str) -> Response {
    ask(host, &host.key, Method::DELETE, path).await
}

async fn sent(request: RequestBuilder) -> Response {
    request.send().await.expect("answered")
}

async fn begin(host: &TestHost, wanted: Value) -> Value {
    body(sent(host.post("/v1/videos", &wanted)).await, 200).await
}

fn path(video: &Value) -> String {
    format!("/v1/videos/{}", video["id"].as_str().expect("an id"))
}

/// A video once it is no longer being made.
async fn ended(host: &TestHost, video: &Value) -> Value {
    loop {
        let now = body(get(host, &path(video)).await, 200).await;
        if !matches!(now["status"].as_str(), Some("queued" | "in_progress")) {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn filming() -> Value {
    json!({"model": "scripted/filmer", "prompt": " A lighthouse ", "seconds": "8", "size": "1280x720"})
}

#[tokio::test]
async fn a_video_is_begun_watched_read_in_ranges_and_deleted() {
    let provider = Scripted::new([Act::Pending, Act::Film(FILM)]);
    let host = host(&provider).await;
    let begun = begin(&host, filming()).await;
    assert_eq!(
        (&begun["object"], &begun["status"], &begun["progress"]),
        (&json!("video"), &json!("queued"), &json!(0))
    );
    assert_eq!((&begun["model"], &begun["prompt"]), (&json!("scripted/filmer"), &json!("A lighthouse")));
    assert_eq!((&begun["seconds"], &begun["size"]), (&json!("8"), &json!("1280x720")));
    let video = ended(&host, &begun).await;
    assert_eq!(
        (&video["status"], &video["progress"], &video["error"]),
        (&json!("completed"), &json!(100), &json!(null))
    );
    assert!(video["completed_at"].as_u64() >= video["created_at"].as_u64() && video["expires_at"].is_null());
    let wanted = provider.seen.lock().expect("no panic").media[0].clone();
    assert_eq!(
        (wanted.duration_ms, wanted.size.as_deref(), wanted.count),
        (Some(8_000), Some("1280x720"), 1)
    );

    let content = format!("{}/content", path(&video));
    let whole = get(&host, &format!("{content}?variant=video")).await;
    assert_eq!(whole.headers()["content-type"], "video/mp4");
    assert_eq!(whole.headers()["content-disposition"], "attachment");
    assert_eq!(whole.bytes().await.expect("a body"), FILM);
    let part = sent(host.get(&content).header("range", "bytes=4-7")).await;
    assert_eq!((part.status().as_u16(), part.bytes().await.expect("a body")), (206, "ftyp".into()));
    for variant in ["thumbnail", "spritesheet"] {
        assert_eq!(get(&host, &format!("{content}?variant={variant}")).await.status(), 404, "{variant}");
    }
    for bad in ["?variant=poster", "?x=1"] {
        assert_eq!(get(&host, &format!("{content}{bad}")).await.status(), 400, "{bad}");
    }

    let generation = path(&video).replace("/v1/videos/video_", "/api/v1/generations/");
    assert_eq!(
        body(get(&host, &generation).await, 200).await["state"],
        "succeeded",
        "it is one and the same"
    );
    let deleted = body(delete(&host, &path(&video)).await, 200).await;
    assert_eq!(deleted, json!({"id": video["id"], "object": "video.deleted", "deleted": true}));
    for gone in [path(&video), content, generation] {
        assert_eq!(get(&host, &gone).await.status(), 404, "{gone}");
    }
    assert_eq!(delete(&host, &path(&video)).await.status(), 404);
    assert_eq!(body(get(&host, "/v1/videos").await, 200).await["data"], json!([]));
    host.stop().await;
}

#[tokio::test]
async fn a_video_begins_with_a_picture_however_it_is_sent() {
    let provider = Scripted::new(std::iter::repeat_n(Act::Film(FILM), 4));
    let host = host(&provider).await;
    let form = |fields: &[(&'static str, &str)]| {
        fields.iter().fold(Form::new(), |form, (name, text)| form.text(*name, (*text).to_owned()))
    };
    let told = [("model", "scripted/filmer"), ("prompt", "a cat"), ("seconds", "4")];
    let picture = || Part::bytes(PNG).file_name("cat.png");
    let send =
        |form: Form| sent(host.client.post(host.url("/v1/videos")).bearer_auth(&host.key).multipart(form));
    let upload = crate::files::upload(&host, &host.key, "vision", "cat.png", PNG).await;
    let id = upload["id"].as_str().expect("an id").to_owned();
    let with = |more: &[(&'static str, &str)]| form(&[&told[..], more].concat());
    body(send(with(&[]).part("input_reference", picture())).await, 200).await;
    body(send(with(&[("input_reference[file_id]", &id)])).await, 200).await;
    let begun = begin(
        &host,
        json!({"model": "scripted/filmer", "prompt": "a cat", "input_reference": {"file_id": id}}),
    )
    .await;
    ended(&host, &begun).await;
    let url = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg==";
    let begun = begin(
        &host,
        json!({"model": "scripted/filmer", "prompt": "a cat", "input_reference": {"image_url": url}}),
    )
    .await;
    ended(&host, &begun).await;
    loop {
        let seen = provider.seen.lock().expect("no panic").media.clone();
        if seen.len() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        for request in seen {
            let [input] = request.inputs.as_slice() else { panic!("one input: {request:?}") };
            assert_eq!(
                (input.role.as_str(), input.media.content_type.as_deref()),
                ("first-frame", Some("image/png"))
            );
        }
        break;
    }

    for (form, param) in [
        (form(&[("model", "scripted/filmer")]), "prompt"),
        (with(&[("size", "large")]), "size"),
        (with(&[("seed", "x")]), "seed"),
        (with(&[("options", "x")]), "options"),
        (with(&[("treason", "x")]), "treason"),
        (with(&[("input_reference[image_url]", "file:///etc/passwd")]), "input_reference.image_url"),
        (with(&[]).part("input_reference", Part::bytes(b"no picture").file_name("a.png")), "input_reference"),
        (with(&[("input_reference[file_id]", &id)]).part("input_reference", picture()), "input_reference"),
    ] {
        let refused = body(send(form).await, 400).await;
        assert_eq!(refused["error"]["param"], param, "{refused}");
    }
    let text = crate::files::upload(&host, &host.key, "user_data", "a.txt", b"text").await;
    let text = text["id"].as_str().expect("an id").to_owned();
    let refused = body(send(with(&[("input_reference[file_id]", &text)])).await, 400).await;
    assert_eq!(refused["error"]["param"], "input_reference.file_id");
    let large = with(&[]).part("input_reference", Part::bytes(vec![0; 21 << 20]).file_name("a.png"));
    let url = host.url("/v1/videos");
    let answer = host.client.post(url).bearer_auth(&host.key).multipart(large).send().await;
    // What is told to be too large is not read: who goes on sending may find the connection closed before the answer.
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 413));
    assert_eq!(provider.seen.lock().expect("no panic").media.len(), 4, "nothing was made of it");
    host.stop().await;
}

#[tokio::test]
async fn what_cannot_be_filmed_is_refused_with_its_member() {
    let provider = Scripted::new([]);
    let host = host(&provider).await;
    let with = |name: &str, value: Value| {
        let mut wanted = filming();
        wanted[name] = value;
        wanted
    };
    for (wanted, status, param) in [
        (json!({"model": "scripted/filmer"}), 400, json!("prompt")),
        (with("prompt", json!("")), 400, json!("prompt")),
        (with("prompt", json!("a\u{0}b")), 400, json!("prompt")),
        (with("prompt", json!(["a"])), 400, json!("prompt")),
        (with("model", json!(7)), 400, json!("model")),
        (with("model", json!("scripted/nothing")), 404, json!("model")),
        (with("model", json!("scripted/painter")), 400, json!("model")),
        (with("seconds", json!("0")), 400, json!("seconds")),
        (with("seconds", json!(3601)), 400, json!("seconds")),
        (with("seconds", json!({})), 400, json!("seconds")),
        (with("size", json!("1280")), 400, json!("size")),
        (with("seed", json!("x")), 400, json!("seed")),
        (with("treason", json!(1)), 400, json!("treason")),
        (with("input_reference", json!({})), 400, json!("input_reference.image_url")),
        (
            with("input_reference", json!({"file_id": "file-1", "image_url": "x"})),
            400,
            json!("input_reference.file_id"),
        ),
        (with("input_reference", json!({"file_id": "file-1"})), 404, json!(null)),
        (
            with("input_reference", json!({"file_id": "file-019ab0c3e5f07d0aa1b2c3d4e5f60718"})),
            404,
            json!(null),
        ),
        (with("input_reference", json!({"image_url": "ftp://x"})), 400, json!("input_reference.image_url")),
        (with("input_reference", json!({"url": "x"})), 400, json!("input_reference.url")),
    ] {
        let refused = body(sent(host.post("/v1/videos", &wanted)).await, status).await;
        assert_eq!(refused["error"]["param"], param, "{wanted}: {refused}");
    }
    // OpenAI's own default is a name that no operator has given here.
    let usual = body(sent(host.post("/v1/videos", &json!({"prompt": "a cat"}))).await, 404).await;
    assert_eq!(usual["error"]["code"], "model_not_found");
    for bad in ["?limit=0", "?limit=101", "?order=up", "?x=1", "?limit=a"] {
        assert_eq!(get(&host, &format!("/v1/videos{bad}")).await.status(), 400, "{bad}");
    }
    assert_eq!(get(&host, "/v1/videos?after=video_1").await.status(), 404);
    assert_eq!(provider.seen.lock().expect("no panic").submissions, 0);
    host.stop().await;
}

#[tokio::test]
async fn videos_are_their_owners_alone_and_listed_either_way_in_pages() {
    let provider = Scripted::new([Act::Film(FILM), Act::Film(FILM), Act::Film(FILM), Act::Done("a cat")]);
    let host = host(&provider).await;
    let mut all = Vec::new();
    for _ in 0..3 {
        let begun = begin(&host, filming()).await;
        all.push(ended(&host, &begun).await["id"].clone());
    }
    let painted = json!({"model": "scripted/painter", "task": "image-generation", "prompt": "a cat"});
    let painted = body(sent(host.post("/api/v1/generations", &painted)).await, 202).await;
    let painted = format!("video_{}", painted["id"].as_str().expect("an id").replace('-', ""));
    let list = async |query: &str| {
        let page = body(get(&host, &format!("/v1/videos{query}")).await, 200).await;
        let ids: Vec<_> =
            page["data"].as_array().expect("data").iter().map(|video| video["id"].clone()).collect();
        assert_eq!(
            (ids.first(), ids.last()),
            (
                Some(&page["first_id"]).filter(|id| id.is_string()),
                Some(&page["last_id"]).filter(|id| id.is_string())
            )
        );
        (ids, page["has_more"].as_bool())
    };
    assert_eq!(list("?order=asc").await, (all.clone(), Some(false)));
    let (newest, more) = list("?limit=2").await;
    assert_eq!((newest, more), (vec![all[2].clone(), all[1].clone()], Some(true)));
    let after = all[1].as_str().expect("an id");
    assert_eq!(list(&format!("?after={after}")).await, (vec![all[0].clone()], Some(false)));
    assert_eq!(list(&format!("?order=asc&after={after}")).await, (vec![all[2].clone()], Some(false)));

    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let (mine, uuid) = (all[0].as_str().expect("an id"), "019ab0c3e5f07d0aa1b2c3d4e5f60718");
    let (foreign, bare) = ((bob.as_str(), mine.to_owned()), (host.key.as_str(), uuid.to_owned()));
    let known = (host.key.as_str(), format!("video_{uuid}"));
    for (key, id) in
        [foreign, bare, known, (host.key.as_str(), painted), (host.key.as_str(), "video_1".to_owned())]
    {
        for (method, path) in [
            (Method::GET, format!("/v1/videos/{id}")),
            (Method::GET, format!("/v1/videos/{id}/content")),
            (Method::DELETE, format!("/v1/videos/{id}")),
        ] {
            let refused = body(ask(&host, key, method.clone(), &path).await, 404).await;
            assert_eq!(refused["error"]["code"], "not_found", "{method} {path}");
        }
        let remix = host.client.post(host.url(&format!("/v1/videos/{id}/remix"))).bearer_auth(key);
        assert_eq!(sent(remix.json(&json!({"prompt": "a"}))).await.status(), 404, "{id}");
    }
    assert_eq!(body(ask(&host, &bob, Method::GET, "/v1/videos").await, 200).await["data"], json!([]));
    let reader = host.user_key("carol", &[Scope::Read]).await;
    let create = host.client.post(host.url("/v1/videos")).bearer_auth(&reader).json(&filming());
    assert_eq!(body(sent(create).await, 403).await["error"]["code"], "insufficient_scope");
    assert_eq!(ask(&host, &reader, Method::DELETE, &format!("/v1/videos/{mine}")).await.status(), 403);
    assert_eq!(get(&host, &format!("/v1/videos/{mine}")).await.status(), 200);
    host.stop().await;
}

#[tokio::test]
async fn a_video_is_remixed_by_a_model_that_can_and_refused_by_one_that_cannot() {
    let provider = Scripted::new([Act::Film(FILM), Act::Film(FILM), Act::Film(FILM), Act::Pending]);
    let host = host(&provider).await;
    let filmed = begin(&host, filming()).await;
    ended(&host, &filmed).await;
    let remix = |video: &Value, wanted: Value| sent(host.post(&format!("{}/remix", path(video)), &wanted));
    let refused = body(remix(&filmed, json!({"prompt": "at night"})).await, 400).await;
    assert_eq!(refused["error"]["code"], "model_cannot_do_task");
    assert!(refused["error"]["message"].as_str().expect("text").contains("scripted/cutter"), "{refused}");

    let cutter = json!({"model": "scripted/cutter", "prompt": "a cat"});
    let source = begin(&host, cutter.clone()).await;
    ended(&host, &source).await;
    for (bad, param) in [
        (json!({}), "prompt"),
        (json!({"prompt": 1}), "prompt"),
        (json!({"prompt": "a", "seed": 1}), "seed"),
        (json!({"prompt": ""}), "prompt"),
    ] {
        assert_eq!(body(remix(&source, bad).await, 400).await["error"]["param"], param);
    }
    let made = body(remix(&source, json!({"prompt": "at night"})).await, 200).await;
    assert_eq!((&made["remixed_from_video_id"], &made["model"]), (&source["id"], &json!("scripted/cutter")));
    assert_eq!(ended(&host, &made).await["status"], "completed");
    let asked = provider.seen.lock().expect("no panic").media.last().expect("asked").clone();
    let [input] = asked.inputs.as_slice() else { panic!("one input: {asked:?}") };
    assert_eq!((asked.task.as_str(), input.role.as_str()), ("video-remix", "video"));
    assert_eq!(input.media.content_type.as_deref(), Some("video/mp4"));
    let known = |name: &str| input.media.attributes.iter().any(|(known, _)| known == name);
    assert!(known("video-id"), "its provider may know it by its own id: {input:?}");

    let unfinished = begin(&host, cutter).await;
    let refused = body(remix(&unfinished, json!({"prompt": "at night"})).await, 400).await;
    assert_eq!(refused["error"]["param"], "video_id", "{refused}");
    host.stop().await;
}

#[tokio::test]
async fn a_video_that_is_being_made_is_cancelled_before_it_is_deleted() {
    let provider = Scripted::new([Act::Waiting("p-1")]);
    let host = host(&provider).await;
    let begun = begin(&host, filming()).await;
    while body(get(&host, &path(&begun)).await, 200).await["status"] != "in_progress" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let early = body(get(&host, &format!("{}/content", path(&begun))).await, 404).await;
    assert!(early["error"]["message"].as_str().expect("text").contains("not completed"), "{early}");
    assert_eq!(body(delete(&host, &path(&begun)).await, 200).await["deleted"], true);
    assert_eq!(get(&host, &path(&begun)).await.status(), 404);
    assert_eq!(provider.seen.lock().expect("no panic").cancellations, 1, "its provider was told");
    host.stop().await;
}

#[tokio::test]
async fn a_failed_video_says_why_and_a_repeated_request_is_one_video() {
    let provider = Scripted::new([Act::Fail(FailureCode::ContentRefused)]);
    let host = host(&provider).await;
    let send = || sent(host.post("/v1/videos", &filming()).header("idempotency-key", "k"));
    let first = send().await.text().await.expect("a body");
    let begun: Value = serde_json::from_str(&first).expect("JSON");
    let failed = ended(&host, &begun).await;
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("content-refused")));
    assert!(failed["completed_at"].is_null(), "{failed}");
    let again = send().await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.text().await.expect("a body"), first);
    assert_eq!(provider.seen.lock().expect("no panic").submissions, 1);
    assert_eq!(delete(&host, &path(&begun)).await.status(), 200);
    assert_eq!(body(send().await, 409).await["error"]["code"], "answer_not_kept");
    host.stop().await;
}
